//! The contract of secrets.
//!
//! Every sentence of `wit/secrets.wit` and of [`crate::secrets`] that a backend must keep is a case here. What keeps a
//! value secret on a disk is the backend's own affair and is proved there.

use super::ctx as ctx_of;
use super::suite::{Case, Fixture, cases};
use crate::secrets::{
    Removal, SECRETS_MAX, SecretInfo, SecretStore, SecretValue, Secrets, VALUE_MAX_BYTES,
    VERSIONS_MAX,
};
use crate::{CallCtx, Clock, ErrorKind, TenantId, WriteId};

/// Both sides of one store.
pub trait SecretsBackend: Secrets + SecretStore {}

impl<T: Secrets + SecretStore> SecretsBackend for T {}

/// All cases.
pub fn cases() -> Vec<Case<dyn SecretsBackend>> {
    cases![
        a_secret_is_revealed_as_it_was_set,
        each_value_is_the_next_version_and_earlier_ones_stay,
        what_was_never_set_is_absent,
        only_the_newest_versions_are_kept,
        older_versions_one_version_and_all_can_be_removed,
        a_secret_that_was_removed_begins_again,
        a_listing_shows_all_versions_by_name_the_newest_first,
        rotation_changes_no_value_and_no_version,
        a_repeated_change_answers_the_same_and_changes_nothing,
        another_change_under_a_used_id_is_a_conflict,
        arguments_are_bounded,
        the_number_of_secrets_is_bounded,
        agents_of_a_tenant_share_secrets_and_tenants_do_not,
    ]
}

type Safe = Fixture<dyn SecretsBackend>;

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn ctx() -> CallCtx {
    ctx_of("acme", "scribe")
}

/// An id that nobody else has.
fn write_id() -> WriteId {
    ctx().next_write_id().unwrap()
}

fn value(text: &str) -> SecretValue {
    SecretValue::new(text.into()).unwrap()
}

impl Safe {
    async fn set(&self, name: &str, text: &str) -> SecretInfo {
        let (tenant, value) = (tenant(), value(text));
        let set = self.backend.set(&tenant, write_id(), name, &value);
        set.await.unwrap()
    }

    async fn revealed(&self, name: &str, version: u64) -> Option<String> {
        let found = self.backend.reveal(&ctx(), name, version).await.unwrap();
        found.map(|value| String::from_utf8(value.reveal().to_vec()).unwrap())
    }

    /// The version that is found when none is asked for.
    async fn latest(&self, name: &str) -> Option<u64> {
        let found = self.backend.find(&ctx(), name, None).await.unwrap();
        found.map(|info| info.version)
    }

    async fn remove(&self, name: &str, what: Removal) -> u64 {
        let tenant = tenant();
        let removed = self.backend.remove(&tenant, write_id(), name, what);
        removed.await.unwrap()
    }

    async fn listed(&self) -> Vec<(String, u64)> {
        let listed = self.backend.list(&tenant()).await.unwrap().into_iter();
        listed.map(|info| (info.name, info.version)).collect()
    }
}

async fn a_secret_is_revealed_as_it_was_set(safe: Safe) {
    let set = safe.set("api-token", "hemligt").await;
    assert_eq!((set.name.as_str(), set.version), ("api-token", 1));
    assert_eq!(set.created_at, safe.clock.now());
    let found = safe.backend.find(&ctx(), "api-token", None).await.unwrap();
    assert_eq!(found, Some(set));
    assert_eq!(safe.revealed("api-token", 1).await.unwrap(), "hemligt");
    let bytes: Vec<u8> = (0..=255).cycle().take(VALUE_MAX_BYTES).collect();
    let large = SecretValue::new(bytes.clone()).unwrap();
    let tenant = tenant();
    let set = safe.backend.set(&tenant, write_id(), "large", &large);
    let version = set.await.unwrap().version;
    let found = safe.backend.reveal(&ctx(), "large", version).await.unwrap();
    assert_eq!(found.unwrap().reveal(), bytes);
}

async fn each_value_is_the_next_version_and_earlier_ones_stay(safe: Safe) {
    safe.set("k", "one").await;
    safe.clock.advance(std::time::Duration::from_secs(1));
    let second = safe.set("k", "two").await;
    assert_eq!(second.version, 2);
    assert_eq!(safe.latest("k").await, Some(2));
    let first = safe.backend.find(&ctx(), "k", Some(1)).await.unwrap();
    assert!(first.unwrap().created_at < second.created_at);
    assert_eq!(safe.revealed("k", 1).await.unwrap(), "one");
    assert_eq!(safe.revealed("k", 2).await.unwrap(), "two");
}

async fn what_was_never_set_is_absent(safe: Safe) {
    assert_eq!(safe.latest("k").await, None);
    assert_eq!(safe.revealed("k", 1).await, None);
    assert_eq!(safe.remove("k", Removal::All).await, 0);
    safe.set("k", "one").await;
    for version in [0, 2, u64::from(u32::MAX)] {
        let found = safe.backend.find(&ctx(), "k", Some(version)).await;
        assert_eq!(found.unwrap(), None);
        assert_eq!(safe.revealed("k", version).await, None);
    }
}

async fn only_the_newest_versions_are_kept(safe: Safe) {
    let too_many = VERSIONS_MAX as u64 + 2;
    for n in 1..=too_many {
        safe.set("k", &n.to_string()).await;
    }
    let kept: Vec<u64> = (3..=too_many).rev().collect();
    let listed: Vec<u64> = safe.listed().await.into_iter().map(|(_, v)| v).collect();
    assert_eq!(listed, kept);
    assert_eq!(safe.revealed("k", 2).await, None);
    assert_eq!(safe.revealed("k", 3).await.unwrap(), "3");
}

async fn older_versions_one_version_and_all_can_be_removed(safe: Safe) {
    for text in ["one", "two", "three", "four"] {
        safe.set("k", text).await;
    }
    safe.set("other", "stays").await;
    assert_eq!(safe.remove("k", Removal::Version(3)).await, 1);
    assert_eq!(safe.remove("k", Removal::Version(3)).await, 0);
    assert_eq!(safe.revealed("k", 3).await, None);
    assert_eq!(safe.remove("k", Removal::Older).await, 2);
    assert_eq!(safe.latest("k").await, Some(4));
    assert_eq!(safe.remove("k", Removal::All).await, 1);
    assert_eq!(safe.latest("k").await, None);
    assert_eq!(safe.listed().await, [("other".to_owned(), 1)]);
}

async fn a_secret_that_was_removed_begins_again(safe: Safe) {
    safe.set("k", "one").await;
    safe.set("k", "two").await;
    safe.remove("k", Removal::All).await;
    assert_eq!(safe.set("k", "three").await.version, 1);
    assert_eq!(safe.revealed("k", 1).await.unwrap(), "three");
}

async fn a_listing_shows_all_versions_by_name_the_newest_first(safe: Safe) {
    assert!(safe.listed().await.is_empty());
    for name in ["b", "a", "b"] {
        safe.set(name, "x").await;
    }
    let names = [("a", 1), ("b", 2), ("b", 1)].map(|(name, v)| (name.to_owned(), v));
    assert_eq!(safe.listed().await, names);
}

async fn rotation_changes_no_value_and_no_version(safe: Safe) {
    let nothing = safe.backend.rotate(&tenant(), write_id()).await.unwrap();
    assert_eq!(nothing, 0);
    safe.set("a", "one").await;
    safe.set("a", "two").await;
    safe.set("b", "three").await;
    let before = safe.backend.list(&tenant()).await.unwrap();
    assert_eq!(safe.backend.rotate(&tenant(), write_id()).await.unwrap(), 3);
    assert_eq!(safe.backend.list(&tenant()).await.unwrap(), before);
    for (name, version, text) in [("a", 1, "one"), ("a", 2, "two"), ("b", 1, "three")] {
        assert_eq!(safe.revealed(name, version).await.unwrap(), text);
    }
    assert_eq!(safe.set("a", "four").await.version, 3);
}

async fn a_repeated_change_answers_the_same_and_changes_nothing(safe: Safe) {
    let (backend, tenant) = (&safe.backend, tenant());
    let id = write_id();
    let set = || async { backend.set(&tenant, id, "k", &value("one")).await.unwrap() };
    let first = set().await;
    safe.clock.advance(std::time::Duration::from_secs(1));
    assert_eq!(set().await, first);
    assert_eq!(safe.listed().await.len(), 1);
    let id = write_id();
    for _ in 0..2 {
        let removed = backend.remove(&tenant, id, "k", Removal::All).await;
        assert_eq!(removed.unwrap(), 1);
    }
    safe.set("k", "two").await;
    let removed = backend.remove(&tenant, id, "k", Removal::All).await;
    assert_eq!(removed.unwrap(), 1, "as the first time");
    assert_eq!(safe.latest("k").await, Some(1), "and nothing is removed");
}

async fn another_change_under_a_used_id_is_a_conflict(safe: Safe) {
    let (backend, tenant) = (&safe.backend, tenant());
    let id = write_id();
    backend.set(&tenant, id, "k", &value("one")).await.unwrap();
    let others = [
        backend.set(&tenant, id, "k", &value("two")).await.map(drop),
        backend.set(&tenant, id, "l", &value("one")).await.map(drop),
        backend
            .remove(&tenant, id, "k", Removal::All)
            .await
            .map(drop),
    ];
    for other in others {
        let error = other.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Conflict);
        assert!(!error.to_string().contains("one") && !error.to_string().contains("two"));
    }
    assert_eq!(safe.listed().await, [("k".to_owned(), 1)]);
    assert_eq!(safe.revealed("k", 1).await.unwrap(), "one");
}

async fn arguments_are_bounded(safe: Safe) {
    let (backend, tenant) = (&safe.backend, tenant());
    for bad in ["", "A", "a/b", "../a", "-a", "å", "a b", &"a".repeat(64)] {
        let refused = [
            backend.find(&ctx(), bad, None).await.map(drop),
            backend.reveal(&ctx(), bad, 1).await.map(drop),
            backend
                .set(&tenant, write_id(), bad, &value("x"))
                .await
                .map(drop),
            backend
                .remove(&tenant, write_id(), bad, Removal::All)
                .await
                .map(drop),
        ];
        for refused in refused {
            assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid, "{bad:?}");
        }
    }
    safe.set(&"a".repeat(63), "x").await;
}

async fn the_number_of_secrets_is_bounded(safe: Safe) {
    for n in 0..SECRETS_MAX {
        safe.set(&format!("s-{n}"), "x").await;
    }
    let (backend, tenant) = (&safe.backend, tenant());
    let one_more = backend.set(&tenant, write_id(), "more", &value("x")).await;
    let error = one_more.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::QuotaExceeded);
    let limit = SECRETS_MAX.to_string();
    assert_eq!(error.context_value("limit"), Some(limit.as_str()));
    // What is there can still be replaced, and room can be made.
    assert_eq!(safe.set("s-0", "y").await.version, 2);
    safe.remove("s-1", Removal::All).await;
    safe.set("more", "x").await;
}

async fn agents_of_a_tenant_share_secrets_and_tenants_do_not(safe: Safe) {
    safe.set("k", "of acme").await;
    let backend = &safe.backend;
    let colleague = ctx_of("acme", "other");
    let found = backend.reveal(&colleague, "k", 1).await.unwrap();
    assert_eq!(found.unwrap().reveal(), b"of acme");
    let stranger = ctx_of("acme-2", "scribe");
    assert_eq!(backend.find(&stranger, "k", None).await.unwrap(), None);
    assert!(backend.reveal(&stranger, "k", 1).await.unwrap().is_none());
    let other = &stranger.tenant;
    let theirs = value("of acme-2");
    let set = backend.set(other, write_id(), "k", &theirs).await;
    assert_eq!(set.unwrap().version, 1);
    assert_eq!(backend.rotate(other, write_id()).await.unwrap(), 1);
    backend
        .remove(other, write_id(), "k", Removal::All)
        .await
        .unwrap();
    assert!(backend.list(other).await.unwrap().is_empty());
    assert_eq!(safe.revealed("k", 1).await.unwrap(), "of acme");
}
