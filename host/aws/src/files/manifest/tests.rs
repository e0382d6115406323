//! Manifests in memory.

use stuga_core::ErrorKind;
use stuga_core::testkit::ctx;

use super::*;

const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

fn draft(content: u128) -> Draft {
    Draft {
        content: Uuid::from_u128(content),
        size: 1,
        content_type: "text/plain".to_owned(),
        sha256: "0".repeat(64),
        metadata: Vec::new(),
    }
}

fn mark() -> Mark {
    Mark {
        existed: false,
        made: None,
        restored: None,
    }
}

#[test]
fn versions_follow_the_clock_and_never_go_back() {
    let versions = &Versions::default();
    let mut manifest = Manifest::new("f", NOW);
    let first = manifest.stand(draft(1), NOW, versions).version;
    assert_eq!(first, NOW.as_millis() << 10);
    let earlier = NOW.saturating_sub(Duration::from_secs(60));
    assert_eq!(
        manifest.stand(draft(2), earlier, versions).version,
        first + 1
    );
    assert!(manifest.clear());
    assert_eq!(
        manifest.stand(draft(3), earlier, versions).version,
        first + 2
    );
    // Another host knows nothing of this one's numbers but what the path tells.
    let other = &Versions::default();
    assert_eq!(manifest.stand(draft(4), earlier, other).version, first + 3);
    let mut another = Manifest::new("g", NOW);
    assert_eq!(another.stand(draft(5), NOW, versions).version, first + 3);
}

#[test]
fn what_there_is_no_room_for_is_discarded_and_nothing_else() {
    let mut manifest = Manifest::new("f", NOW);
    for n in 0..EARLIER_VERSIONS_MAX as u128 + 3 {
        manifest.stand(draft(n), NOW, &Versions::default());
    }
    assert_eq!(manifest.earlier.len(), EARLIER_VERSIONS_MAX);
    assert_eq!(manifest.trash, [Uuid::from_u128(0), Uuid::from_u128(1)]);
    let kept = manifest
        .versions()
        .all(|kept| !manifest.trash.contains(&kept.content));
    assert!(kept, "a version that is kept has no content");
}

#[test]
fn a_write_is_remembered_for_a_day_here_or_handed_out() {
    let ctx = ctx("acme", "scribe");
    let mut manifest = Manifest::new("f", NOW);
    let mut ids = Vec::new();
    let mut out = Vec::new();
    for _ in 0..RECENT_MAX + 2 {
        let id = ctx.next_write_id().unwrap();
        ids.push(id);
        out.extend(manifest.remember(id, "d", mark(), NOW));
    }
    let out: Vec<_> = out.into_iter().map(|recent| recent.id).collect();
    assert_eq!(out, ids[..2]);
    assert!(ids[2..].iter().all(|id| manifest.applied(*id).is_some()));
    let next_day = NOW.saturating_add(RETENTION);
    let id = ctx.next_write_id().unwrap();
    assert!(manifest.remember(id, "d", mark(), next_day).is_empty());
    assert!(manifest.applied(ids[5]).is_none() && manifest.applied(id).is_some());
}

#[test]
fn a_manifest_is_read_as_it_was_written() {
    let mut manifest = Manifest::new("å", NOW);
    manifest.stand(draft(1), NOW, &Versions::default());
    manifest.stand(draft(2), NOW, &Versions::default());
    let id = ctx("acme", "scribe").next_write_id().unwrap();
    manifest.remember(id, "d", mark(), NOW);
    let bytes = manifest.to_bytes("files.put").unwrap();
    assert_eq!(Manifest::parse("files.get", "å", &bytes).unwrap(), manifest);
    let other = Manifest::parse("files.get", "ä", &bytes).unwrap_err();
    assert_eq!(other.kind(), ErrorKind::Internal);
}

#[test]
fn a_manifest_of_a_later_host_is_left_alone() {
    let later = br#"{"format": 2, "what": "is this"}"#;
    let refused = Manifest::parse("files.get", "f", later).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let damaged = Manifest::parse("files.get", "f", b"{}").unwrap_err();
    assert_eq!(damaged.kind(), ErrorKind::Internal);
}
