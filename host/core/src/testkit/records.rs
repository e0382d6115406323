//! The contract of records.
//!
//! Every sentence of `wit/records.wit` and of [`crate::records`] that a backend must keep is a case here.

use super::ctx as ctx_of;
use super::suite::{Case, Fixture, cases};
use crate::metadata::METADATA_MAX_ENTRIES;
use crate::records::{
    NAMESPACE_MAX_BYTES, PAGE_MAX_RECORDS, RECALL_MAX_HITS, RecordAck, RecordWrite, Records,
    TEXT_MAX_BYTES,
};
use crate::{CallCtx, Clock, ErrorKind, Result};

/// All cases.
pub fn cases() -> Vec<Case<dyn Records>> {
    cases![
        a_record_is_read_as_it_was_put,
        a_put_replaces_and_versions_grow,
        a_record_without_an_id_gets_one_of_its_own,
        a_deleted_record_is_absent_for_reading_and_recall,
        a_listing_reaches_a_namespace_and_all_below_it,
        pages_follow_each_other_without_gap_or_repetition,
        a_cursor_belongs_to_what_it_lists,
        recall_finds_the_nearest_first,
        recall_reaches_a_namespace_and_all_below_it,
        recall_hands_out_at_most_k_and_nothing_unrelated,
        equal_scores_come_in_the_order_of_a_listing,
        a_replaced_text_is_recalled_by_its_new_words_only,
        arguments_are_bounded,
        a_repeated_write_answers_the_same_and_changes_nothing,
        another_write_under_a_used_id_is_a_conflict,
        nobody_meets_anothers_records,
    ]
}

type Shelves = Fixture<dyn Records>;

fn ctx() -> CallCtx {
    ctx_of("acme", "scribe")
}

fn put(namespace: &str, id: &str, text: &str) -> RecordWrite {
    RecordWrite::Put {
        namespace: namespace.to_owned(),
        id: Some(id.to_owned()),
        text: text.to_owned(),
        metadata: Vec::new(),
    }
}

fn delete(namespace: &str, id: &str) -> RecordWrite {
    RecordWrite::Delete {
        namespace: namespace.to_owned(),
        id: id.to_owned(),
    }
}

impl Shelves {
    async fn try_apply(&self, ctx: &CallCtx, write: &RecordWrite) -> Result<RecordAck> {
        self.backend.apply(ctx, ctx.next_write_id()?, write).await
    }

    async fn apply(&self, write: &RecordWrite) -> RecordAck {
        self.try_apply(&ctx(), write).await.unwrap()
    }

    /// Namespace and id of what a listing holds, read page by page.
    async fn places(&self, under: &str, limit: u32) -> Vec<String> {
        let mut places = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..10_000 {
            let ctx = ctx();
            let page = self.backend.list(&ctx, under, cursor.as_deref(), limit);
            let page = page.await.unwrap();
            assert!(page.records.len() <= limit as usize, "over the limit");
            let read = page.records.into_iter();
            places.extend(read.map(|record| format!("{} {}", record.namespace, record.id)));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return places;
            }
        }
        panic!("the listing does not end");
    }

    async fn recalled(&self, under: &str, query: &str, k: u32) -> Vec<String> {
        let hits = self.backend.recall(&ctx(), under, query, k).await.unwrap();
        assert!(hits.windows(2).all(|pair| pair[0].score >= pair[1].score));
        assert!(hits.iter().all(|hit| hit.score > 0.0 && hit.score <= 1.0));
        hits.into_iter().map(|hit| hit.record.id).collect()
    }
}

async fn a_record_is_read_as_it_was_put(shelves: Shelves) {
    let metadata = vec![("source".to_owned(), "möte".to_owned())];
    let write = RecordWrite::Put {
        namespace: "/users/astrid/facts".to_owned(),
        id: Some("colour".to_owned()),
        text: "Blått, som sjön.".to_owned(),
        metadata: metadata.clone(),
    };
    let ack = shelves.apply(&write).await;
    assert!(!ack.existed && ack.id == "colour");
    let ctx = ctx();
    let record = shelves.backend.get(&ctx, "/users/astrid/facts", "colour");
    let record = record.await.unwrap().unwrap();
    assert_eq!(record.text, "Blått, som sjön.");
    assert_eq!((record.metadata, record.version), (metadata, ack.version));
    let now = shelves.clock.now();
    assert_eq!((record.created_at, record.updated_at), (now, now));
    let absent = shelves.backend.get(&ctx, "/users/astrid", "colour").await;
    assert_eq!(absent.unwrap(), None);
}

async fn a_put_replaces_and_versions_grow(shelves: Shelves) {
    let began = shelves.clock.now();
    let first = shelves.apply(&put("/a", "k", "one")).await;
    shelves.clock.advance(std::time::Duration::from_secs(1));
    let second = shelves.apply(&put("/a", "k", "two")).await;
    assert!(second.existed && second.version > first.version);
    let record = shelves.backend.get(&ctx(), "/a", "k").await.unwrap();
    let record = record.unwrap();
    assert_eq!((record.text.as_str(), record.created_at), ("two", began));
    assert_eq!(record.updated_at, shelves.clock.now());
    shelves.apply(&delete("/a", "k")).await;
    let third = shelves.apply(&put("/a", "k", "three")).await;
    assert!(!third.existed && third.version > second.version);
}

async fn a_record_without_an_id_gets_one_of_its_own(shelves: Shelves) {
    let write = RecordWrite::Put {
        namespace: "/a".to_owned(),
        id: None,
        text: "same".to_owned(),
        metadata: Vec::new(),
    };
    let (one, two) = (shelves.apply(&write).await, shelves.apply(&write).await);
    assert_ne!(one.id, two.id);
    crate::records::check_id("records.put", &one.id).unwrap();
    assert_eq!(shelves.places("/a", 10).await.len(), 2);
}

async fn a_deleted_record_is_absent_for_reading_and_recall(shelves: Shelves) {
    let put = shelves.apply(&put("/a", "k", "the red house")).await;
    let ack = shelves.apply(&delete("/a", "k")).await;
    assert!(ack.existed && ack.version == put.version);
    assert_eq!(shelves.backend.get(&ctx(), "/a", "k").await.unwrap(), None);
    assert!(shelves.recalled("", "red house", 10).await.is_empty());
    assert!(shelves.places("", 10).await.is_empty());
    let again = shelves.apply(&delete("/a", "k")).await;
    assert!(!again.existed && again.version == 0);
}

/// Namespaces that begin alike, in the order of their bytes.
const ALIKE: [&str; 6] = ["/a", "/a-b", "/a/b", "/a/b/c", "/a0", "/ab"];

async fn fill(shelves: &Shelves) {
    for namespace in ALIKE.iter().rev() {
        for id in ["y", "x"] {
            shelves.apply(&put(namespace, id, "the red house")).await;
        }
    }
}

fn places_of(namespaces: &[&str]) -> Vec<String> {
    let ids = |namespace: &&str| ["x", "y"].map(|id| format!("{namespace} {id}"));
    namespaces.iter().flat_map(ids).collect()
}

async fn a_listing_reaches_a_namespace_and_all_below_it(shelves: Shelves) {
    fill(&shelves).await;
    for limit in [1, 3, 1_000] {
        assert_eq!(shelves.places("", limit).await, places_of(&ALIKE));
        let below = places_of(&["/a", "/a/b", "/a/b/c"]);
        assert_eq!(shelves.places("/a", limit).await, below);
        let below = places_of(&["/a/b", "/a/b/c"]);
        assert_eq!(shelves.places("/a/b", limit).await, below);
        assert!(shelves.places("/b", limit).await.is_empty());
    }
}

async fn pages_follow_each_other_without_gap_or_repetition(shelves: Shelves) {
    let mut expected = Vec::new();
    for n in 0..25 {
        shelves.apply(&put("/n", &format!("{n:02}"), "x")).await;
        expected.push(format!("/n {n:02}"));
    }
    for limit in [1, 7, 25, PAGE_MAX_RECORDS] {
        assert_eq!(shelves.places("/n", limit).await, expected);
    }
}

async fn a_cursor_belongs_to_what_it_lists(shelves: Shelves) {
    fill(&shelves).await;
    let ctx = ctx();
    let page = shelves.backend.list(&ctx, "/a", None, 1).await.unwrap();
    let cursor = page.next_cursor.unwrap();
    for (under, cursor) in [("/a/b", cursor.as_str()), ("/a", ""), ("/a", "nonsense")] {
        let refused = shelves.backend.list(&ctx, under, Some(cursor), 1).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid, "{cursor}");
    }
}

async fn recall_finds_the_nearest_first(shelves: Shelves) {
    for (id, text) in [
        ("colour", "Her favourite colour is blue."),
        ("home", "She lives in a cabin by the lake."),
        ("dog", "Hunden heter Bamse och är sju år."),
    ] {
        shelves.apply(&put("/users/astrid/facts", id, text)).await;
    }
    for (query, id) in [
        ("Which COLOUR is her favourite?", "colour"),
        ("cabins near lakes", "home"),
        ("vad heter hunden", "dog"),
    ] {
        let found = shelves.recalled("/users/astrid", query, 3).await;
        assert_eq!(found.first().map(String::as_str), Some(id), "{query}");
    }
}

async fn recall_reaches_a_namespace_and_all_below_it(shelves: Shelves) {
    fill(&shelves).await;
    for (under, count) in [("", 12), ("/a", 6), ("/a/b", 4), ("/ab", 2), ("/b", 0)] {
        let found = shelves.recalled(under, "red house", 100).await;
        assert_eq!(found.len(), count, "{under:?}");
    }
}

async fn recall_hands_out_at_most_k_and_nothing_unrelated(shelves: Shelves) {
    fill(&shelves).await;
    assert_eq!(shelves.recalled("", "red house", 3).await.len(), 3);
    assert!(shelves.recalled("", "?! ...", 3).await.is_empty());
}

async fn equal_scores_come_in_the_order_of_a_listing(shelves: Shelves) {
    fill(&shelves).await;
    let hits = shelves.backend.recall(&ctx(), "", "red house", 5).await;
    let hits = hits.unwrap().into_iter().map(|hit| hit.record);
    let found: Vec<_> = hits.map(|r| format!("{} {}", r.namespace, r.id)).collect();
    assert_eq!(found, places_of(&ALIKE)[..5]);
}

async fn a_replaced_text_is_recalled_by_its_new_words_only(shelves: Shelves) {
    shelves.apply(&put("/a", "k", "kvarnstugan")).await;
    shelves.apply(&put("/a", "k", "midsommar")).await;
    assert_eq!(shelves.recalled("/a", "midsommar", 1).await, ["k"]);
    let hits = shelves.backend.recall(&ctx(), "/a", "kvarnstugan", 1).await;
    assert!(hits.unwrap().iter().all(|hit| hit.score < 0.5));
}

async fn arguments_are_bounded(shelves: Shelves) {
    let text = "x".repeat(TEXT_MAX_BYTES);
    let deep = "/a".repeat(NAMESPACE_MAX_BYTES / 2);
    shelves.apply(&put(&deep, &"i".repeat(100), &text)).await;
    let mut crowded = put("/a", "k", "x");
    if let RecordWrite::Put { metadata, .. } = &mut crowded {
        let many = (0..=METADATA_MAX_ENTRIES).map(|n| (format!("{n:02}"), String::new()));
        metadata.extend(many);
    }
    let mut bad = vec![
        put("/a", "k", &format!("{text}x")),
        put("/a", "k", ""),
        put("/a", &"i".repeat(101), "x"),
        put(&format!("{deep}/a"), "k", "x"),
        crowded,
    ];
    for namespace in [
        "", "/", "a", "/a/", "//a", "/a b", "/å", "/a.b", "/../a", "/a\0",
    ] {
        bad.push(put(namespace, "k", "x"));
        bad.push(delete(namespace, "k"));
    }
    for write in &bad {
        let refused = shelves.try_apply(&ctx(), write).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
    let ctx = ctx();
    for limit in [0, PAGE_MAX_RECORDS + 1] {
        let refused = shelves.backend.list(&ctx, "", None, limit).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
    let long = format!("{text}x");
    let over = RECALL_MAX_HITS + 1;
    for (under, query, k) in [
        ("", "x", 0),
        ("", "x", over),
        ("", "", 1),
        ("", &long, 1),
        ("/a/", "x", 1),
    ] {
        let refused = shelves.backend.recall(&ctx, under, query, k).await;
        assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    }
    shelves
        .backend
        .recall(&ctx, "", &text, RECALL_MAX_HITS)
        .await
        .unwrap();
}

async fn a_repeated_write_answers_the_same_and_changes_nothing(shelves: Shelves) {
    let mut unnamed = put("/a", "k", "second");
    if let RecordWrite::Put { id, .. } = &mut unnamed {
        *id = None;
    }
    for write in [put("/a", "k", "first"), unnamed, delete("/a", "k")] {
        let ctx = ctx();
        let id = ctx.next_write_id().unwrap();
        let ack = shelves.backend.apply(&ctx, id, &write).await.unwrap();
        shelves.apply(&put("/a", "k", "between")).await;
        let before = shelves.places("", 10).await;
        let again = shelves.backend.apply(&ctx, id, &write).await.unwrap();
        assert_eq!(again, ack);
        assert_eq!(shelves.places("", 10).await, before);
        let record = shelves.backend.get(&ctx, "/a", "k").await.unwrap();
        assert_eq!(record.unwrap().text, "between");
    }
}

async fn another_write_under_a_used_id_is_a_conflict(shelves: Shelves) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let first = put("/a", "k", "one");
    shelves.backend.apply(&ctx, id, &first).await.unwrap();
    for other in [
        put("/a", "k", "two"),
        put("/b", "k", "one"),
        put("/a", "l", "one"),
        delete("/a", "k"),
    ] {
        let refused = shelves.backend.apply(&ctx, id, &other).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
    }
    assert_eq!(shelves.places("", 10).await, ["/a k"]);
}

async fn nobody_meets_anothers_records(shelves: Shelves) {
    let scopes = [("a", "b-c"), ("a-b", "c"), ("a", "b"), ("a-b", "b-c")];
    let all = scopes.map(|(tenant, agent)| ctx_of(tenant, agent));
    let secret = put("/a", "k", "the secret word");
    shelves.try_apply(&all[0], &secret).await.unwrap();
    for other in &all[1..] {
        assert_eq!(shelves.backend.get(other, "/a", "k").await.unwrap(), None);
        let page = shelves.backend.list(other, "", None, 10).await.unwrap();
        assert!(page.records.is_empty());
        let hits = shelves.backend.recall(other, "", "secret word", 10).await;
        assert!(hits.unwrap().is_empty());
        let ack = shelves.try_apply(other, &delete("/a", "k")).await.unwrap();
        assert!(!ack.existed);
    }
    assert!(
        shelves
            .backend
            .get(&all[0], "/a", "k")
            .await
            .unwrap()
            .is_some()
    );
}
