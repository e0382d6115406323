//! The contract of journals: what is noted, in which order it is taken out, how an entry's turn ends.

mod model;

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use self::model::whatever_happens_the_journal_is_what_a_list_would_be;
use super::ctx as ctx_of;
use super::suite::{Case, Fixture, cases};
use crate::journal::{
    Backlog, Entry, EntryState, Journal, PAGE_MAX_ENTRIES, REASON_MAX_BYTES, SUPERSEDED_KEPT,
    Settled,
};
use crate::memory::{Expected, Memory, MemoryAck, MemoryWrite};
use crate::standby::{Made, Standby};
use crate::{CallCtx, CapabilityName, Clock, ErrorKind, Result, TenantId};

/// A journal and the memory of the host that fills it.
pub struct Desk {
    /// What is proved.
    pub journal: Arc<dyn Journal>,
    /// As agents see it.
    pub memory: Arc<dyn Memory>,
    /// The same, while the cloud is away.
    pub standby: Arc<dyn Standby<MemoryWrite>>,
}

/// All cases.
pub fn cases() -> Vec<Case<Desk>> {
    cases![
        an_entry_is_what_was_written_and_what_was_answered,
        entries_come_in_the_order_of_their_writing,
        pages_follow_each_other,
        a_repeated_write_is_noted_once,
        a_write_that_failed_is_not_noted,
        a_write_that_was_taken_over_is_not_noted,
        stamps_grow_and_are_larger_than_what_was_removed,
        an_adopted_entry_goes,
        a_superseded_entry_is_kept_for_a_week,
        a_refused_entry_stays_with_the_reason,
        a_parked_entry_holds_nothing_up,
        a_parked_entry_is_put_back_or_removed,
        what_waits_cannot_be_discarded,
        what_does_not_wait_is_not_settled_again,
        a_key_waits_as_long_as_an_entry_of_it_does,
        the_oldest_entry_is_the_oldest_that_waits,
        tenants_with_waiting_entries_are_named,
        nobody_meets_anothers_entries,
        arguments_are_bounded,
        whatever_happens_the_journal_is_what_a_list_would_be,
    ]
}

type Desks = Fixture<Desk>;

const MEMORY: CapabilityName = CapabilityName::Memory;

fn ctx() -> CallCtx {
    ctx_of("acme", "scribe")
}

fn acme() -> &'static TenantId {
    static ACME: LazyLock<TenantId> = LazyLock::new(|| tenant("acme"));
    &ACME
}

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).expect("a test names valid tenants")
}

fn put(key: &str, value: &str) -> MemoryWrite {
    MemoryWrite::Put {
        key: key.to_owned(),
        value: value.into(),
        ttl: None,
        expected: Expected::Any,
    }
}

fn delete(key: &str) -> MemoryWrite {
    MemoryWrite::Delete {
        key: key.to_owned(),
    }
}

impl Desks {
    async fn try_note(&self, ctx: &CallCtx, write: &MemoryWrite) -> Result<MemoryAck> {
        let id = ctx.next_write_id()?;
        self.backend.standby.apply_noted(ctx, id, write).await
    }

    /// Writes in an invocation of its own.
    async fn note(&self, write: &MemoryWrite) -> MemoryAck {
        self.try_note(&ctx(), write).await.unwrap()
    }

    /// Puts under each key, in that order.
    async fn note_all(&self, keys: &[&str]) {
        for key in keys {
            self.note(&put(key, "value")).await;
        }
    }

    /// What waits of the tenant that a case uses when it does not matter which.
    async fn waiting(&self) -> Vec<Entry> {
        let journal = &self.backend.journal;
        let page = journal.next(acme(), MEMORY, 0, PAGE_MAX_ENTRIES).await;
        page.unwrap()
    }

    async fn keys(&self) -> Vec<String> {
        let waiting = self.waiting().await.into_iter();
        waiting.map(|entry| entry.info.key).collect()
    }

    /// The place of the entry of a key that waits.
    async fn place(&self, key: &str) -> u64 {
        let waiting = self.waiting().await;
        let entry = waiting.iter().find(|entry| entry.info.key == key);
        entry.expect("the key waits").info.seq
    }

    async fn backlog(&self) -> Backlog {
        self.backend.journal.backlog(acme(), MEMORY).await.unwrap()
    }

    async fn waits(&self, key: &str) -> bool {
        let agent = ctx().agent;
        let waits = self.backend.journal.waits(acme(), MEMORY, &agent, key);
        waits.await.unwrap()
    }

    async fn settle(&self, seq: u64, settled: Settled) {
        let settling = self.backend.journal.settle(acme(), seq, settled);
        settling.await.unwrap();
    }

    /// Keys of the entries in a state.
    async fn listed(&self, state: EntryState) -> Vec<String> {
        let listing = self.backend.journal.list(acme(), state, 0, 1_000).await;
        let listed = listing.unwrap().into_iter();
        listed.map(|info| info.key).collect()
    }
}

async fn an_entry_is_what_was_written_and_what_was_answered(desk: Desks) {
    let ctx = ctx();
    let write = put("köket/dörr", "öppen");
    let id = ctx.next_write_id().unwrap();
    let ack = desk.backend.standby.apply_noted(&ctx, id, &write).await;
    let ack = ack.unwrap();
    let item = desk.backend.memory.get(&ctx, "köket/dörr").await.unwrap();
    assert_eq!(item.unwrap().version, ack.version);
    let entry = desk.waiting().await.pop().unwrap();
    let info = &entry.info;
    assert_eq!((info.capability, &info.agent), (MEMORY, &ctx.agent));
    assert_eq!((info.key.as_str(), info.id), ("köket/dörr", id));
    assert_eq!((info.operation.as_str(), info.refusals), ("memory.put", 0));
    assert_eq!((info.at, &info.reason), (desk.clock.now(), &None));
    assert!(info.bytes > 0 && info.state == EntryState::Waiting);
    let noted: MemoryWrite = serde_json::from_slice(&entry.write).unwrap();
    let answered: MemoryAck = serde_json::from_slice(&entry.ack).unwrap();
    assert_eq!((noted, answered), (write, ack));
    assert!(entry.stamp >= ack.version);
    let backlog = desk.backlog().await;
    assert_eq!((backlog.waiting, backlog.bytes), (1, info.bytes));
    assert_eq!((backlog.oldest, backlog.parked), (Some(info.at), 0));
    let found = desk.backend.journal.find(acme(), info.seq).await.unwrap();
    assert_eq!(found, Some(entry));
    let files = desk.backend.journal.backlog(acme(), CapabilityName::Files);
    assert_eq!(files.await.unwrap(), Backlog::default());
}

async fn entries_come_in_the_order_of_their_writing(desk: Desks) {
    desk.note_all(&["c", "a", "b", "a"]).await;
    assert_eq!(desk.keys().await, ["c", "a", "b", "a"]);
    let entries = desk.waiting().await;
    let grows = |pair: &[Entry]| pair[0].info.seq < pair[1].info.seq;
    assert!(entries.windows(2).all(grows));
}

async fn pages_follow_each_other(desk: Desks) {
    desk.note_all(&["a", "b", "c", "d", "e"]).await;
    let mut keys = Vec::new();
    let mut after = 0;
    for _ in 0..10 {
        let page = desk.backend.journal.next(acme(), MEMORY, after, 2).await;
        let page = page.unwrap();
        assert!(page.len() <= 2);
        let Some(last) = page.last() else { break };
        after = last.info.seq;
        keys.extend(page.into_iter().map(|entry| entry.info.key));
    }
    assert_eq!(keys, ["a", "b", "c", "d", "e"]);
}

async fn a_repeated_write_is_noted_once(desk: Desks) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = put("a", "1");
    let standby = &desk.backend.standby;
    let first = standby.apply_noted(&ctx, id, &write).await.unwrap();
    let again = standby.apply_noted(&ctx, id, &write).await.unwrap();
    assert_eq!(first, again);
    assert_eq!(desk.keys().await, ["a"]);
    let place = desk.place("a").await;
    desk.settle(place, Settled::Adopted).await;
    standby.apply_noted(&ctx, id, &write).await.unwrap();
    assert!(desk.keys().await.is_empty(), "it was noted again");
}

async fn a_write_that_failed_is_not_noted(desk: Desks) {
    desk.note(&put("a", "1")).await;
    let refused = MemoryWrite::Put {
        key: "a".to_owned(),
        value: Vec::new(),
        ttl: None,
        expected: Expected::Absent,
    };
    let refused = desk.try_note(&ctx(), &refused).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(desk.keys().await, ["a"]);
    assert_eq!(desk.backlog().await.waiting, 1);
}

async fn a_write_that_was_taken_over_is_not_noted(desk: Desks) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = put("a", "1");
    let (version, at) = (5_000, desk.clock.now());
    let made = Made {
        ack: MemoryAck {
            version,
            existed: false,
        },
        stamp: version,
        at,
    };
    let standby = &desk.backend.standby;
    standby.adopt(&ctx, id, &write, &made).await.unwrap();
    let ack = standby.apply_noted(&ctx, id, &write).await.unwrap();
    assert_eq!(ack, made.ack, "the cloud's answer");
    assert!(desk.keys().await.is_empty(), "the cloud knows it");
}

async fn stamps_grow_and_are_larger_than_what_was_removed(desk: Desks) {
    let put = desk.note(&put("a", "1")).await;
    let removed = desk.note(&delete("a")).await;
    desk.note(&delete("a")).await;
    assert_eq!(removed.version, put.version);
    let stamps: Vec<u64> = desk.waiting().await.iter().map(|e| e.stamp).collect();
    assert!(stamps[0] >= put.version && stamps[1] > removed.version);
    assert!(stamps.windows(2).all(|pair| pair[0] < pair[1]));
    let later = desk.note(&self::put("a", "2")).await;
    assert!(later.version > stamps[2]);
}

async fn an_adopted_entry_goes(desk: Desks) {
    desk.note_all(&["a", "b"]).await;
    let place = desk.place("a").await;
    desk.settle(place, Settled::Adopted).await;
    assert_eq!(desk.keys().await, ["b"]);
    let found = desk.backend.journal.find(acme(), place).await.unwrap();
    assert_eq!(found, None);
    desk.settle(place, Settled::Adopted).await;
    let place = desk.place("b").await;
    desk.settle(place, Settled::Adopted).await;
    assert_eq!(desk.backlog().await, Backlog::default());
}

async fn a_superseded_entry_is_kept_for_a_week(desk: Desks) {
    desk.note_all(&["a"]).await;
    let place = desk.place("a").await;
    desk.settle(place, Settled::Superseded).await;
    assert!(desk.keys().await.is_empty());
    assert_eq!(desk.backlog().await, Backlog::default());
    desk.clock
        .advance(SUPERSEDED_KEPT - Duration::from_millis(1));
    desk.note_all(&["b"]).await;
    assert_eq!(desk.listed(EntryState::Superseded).await, ["a"]);
    let found = desk.backend.journal.find(acme(), place).await.unwrap();
    assert!(!found.unwrap().write.is_empty(), "nothing of it is lost");
    desk.clock.advance(Duration::from_secs(2));
    desk.note_all(&["c"]).await;
    assert!(desk.listed(EntryState::Superseded).await.is_empty());
}

async fn a_refused_entry_stays_with_the_reason(desk: Desks) {
    desk.note_all(&["a", "b"]).await;
    let place = desk.place("a").await;
    for reason in ["too many calls", "still too many"] {
        desk.settle(place, Settled::Refused(reason.to_owned()))
            .await;
    }
    let first = desk.waiting().await.remove(0).info;
    assert_eq!((first.seq, first.refusals), (place, 2));
    assert_eq!(first.reason.unwrap(), "still too many");
    let long = "å".repeat(REASON_MAX_BYTES);
    desk.settle(place, Settled::Refused(long)).await;
    let reason = desk.waiting().await.remove(0).info.reason.unwrap();
    assert!(reason.len() <= REASON_MAX_BYTES && reason.starts_with("åå"));
    assert_eq!(desk.backlog().await.waiting, 2);
}

async fn a_parked_entry_holds_nothing_up(desk: Desks) {
    desk.note_all(&["a", "b"]).await;
    let place = desk.place("a").await;
    desk.settle(place, Settled::Parked("it is not valid there".to_owned()))
        .await;
    assert_eq!(desk.keys().await, ["b"]);
    assert!(!desk.waits("a").await);
    let backlog = desk.backlog().await;
    assert_eq!((backlog.waiting, backlog.parked), (1, 1));
    let listing = desk.backend.journal.list(acme(), EntryState::Parked, 0, 10);
    let parked = listing.await.unwrap().remove(0);
    assert_eq!((parked.seq, parked.state), (place, EntryState::Parked));
    assert_eq!(parked.reason.unwrap(), "it is not valid there");
}

async fn a_parked_entry_is_put_back_or_removed(desk: Desks) {
    desk.note_all(&["a", "b"]).await;
    let (a, b) = (desk.place("a").await, desk.place("b").await);
    let journal = Arc::clone(&desk.backend.journal);
    assert!(!journal.retry(acme(), a).await.unwrap(), "it waits");
    for seq in [a, b] {
        desk.settle(seq, Settled::Parked("no".to_owned())).await;
    }
    assert!(journal.retry(acme(), a).await.unwrap());
    let back = desk.waiting().await.pop().unwrap().info;
    assert_eq!((back.seq, back.refusals, back.reason), (a, 0, None));
    assert!(desk.waits("a").await);
    assert!(journal.discard(acme(), b).await.unwrap());
    assert!(!journal.discard(acme(), b).await.unwrap());
    assert!(!journal.retry(acme(), b).await.unwrap());
    assert!(desk.listed(EntryState::Parked).await.is_empty());
    let backlog = desk.backlog().await;
    assert_eq!((backlog.waiting, backlog.parked), (1, 0));
}

async fn what_waits_cannot_be_discarded(desk: Desks) {
    desk.note_all(&["a"]).await;
    let place = desk.place("a").await;
    let journal = &desk.backend.journal;
    assert!(!journal.discard(acme(), place).await.unwrap());
    assert!(!journal.discard(acme(), place + 1).await.unwrap());
    assert_eq!(desk.keys().await, ["a"]);
    desk.settle(place, Settled::Superseded).await;
    assert!(journal.discard(acme(), place).await.unwrap());
}

async fn what_does_not_wait_is_not_settled_again(desk: Desks) {
    desk.note_all(&["a"]).await;
    let place = desk.place("a").await;
    desk.settle(place, Settled::Parked("no".to_owned())).await;
    for late in [
        Settled::Adopted,
        Settled::Superseded,
        Settled::Refused("late".to_owned()),
        Settled::Parked("late".to_owned()),
    ] {
        desk.settle(place, late).await;
    }
    let listing = desk.backend.journal.list(acme(), EntryState::Parked, 0, 10);
    let parked = listing.await.unwrap().remove(0);
    assert_eq!((parked.refusals, parked.reason.unwrap()), (1, "no".into()));
}

async fn a_key_waits_as_long_as_an_entry_of_it_does(desk: Desks) {
    assert!(!desk.waits("a").await);
    desk.note_all(&["a", "b", "a"]).await;
    assert!(desk.waits("a").await && desk.waits("b").await);
    assert!(!desk.waits("c").await);
    for _ in 0..2 {
        assert!(desk.waits("a").await);
        let place = desk.place("a").await;
        desk.settle(place, Settled::Adopted).await;
    }
    assert!(!desk.waits("a").await && desk.waits("b").await);
    let (other, journal) = (ctx_of("acme", "other").agent, &desk.backend.journal);
    let waits = journal.waits(acme(), MEMORY, &other, "b").await;
    assert!(!waits.unwrap(), "of another agent");
}

async fn the_oldest_entry_is_the_oldest_that_waits(desk: Desks) {
    let begin = desk.clock.now();
    for key in ["a", "b", "c"] {
        desk.note_all(&[key]).await;
        desk.clock.advance(Duration::from_secs(1));
    }
    let after = |seconds| Some(begin.saturating_add(Duration::from_secs(seconds)));
    assert_eq!(desk.backlog().await.oldest, after(0));
    let (a, b) = (desk.place("a").await, desk.place("b").await);
    desk.settle(b, Settled::Adopted).await;
    assert_eq!(desk.backlog().await.oldest, after(0));
    desk.settle(a, Settled::Parked("no".to_owned())).await;
    assert_eq!(desk.backlog().await.oldest, after(2));
    desk.backend.journal.retry(acme(), a).await.unwrap();
    assert_eq!(desk.backlog().await.oldest, after(0));
}

async fn tenants_with_waiting_entries_are_named(desk: Desks) {
    let journal = Arc::clone(&desk.backend.journal);
    assert!(journal.tenants().await.unwrap().is_empty());
    desk.note_all(&["a", "b"]).await;
    let other = ctx_of("other", "scribe");
    desk.try_note(&other, &put("a", "1")).await.unwrap();
    let mut named = journal.tenants().await.unwrap();
    named.sort();
    assert_eq!(named, [acme().clone(), tenant("other")]);
    let (a, b) = (desk.place("a").await, desk.place("b").await);
    desk.settle(a, Settled::Adopted).await;
    desk.settle(b, Settled::Parked("no".to_owned())).await;
    assert_eq!(journal.tenants().await.unwrap(), [tenant("other")]);
    journal.retry(acme(), b).await.unwrap();
    assert_eq!(journal.tenants().await.unwrap().len(), 2);
}

async fn nobody_meets_anothers_entries(desk: Desks) {
    desk.note_all(&["a"]).await;
    let (place, other) = (desk.place("a").await, tenant("other"));
    let journal = &desk.backend.journal;
    let theirs = journal.next(&other, MEMORY, 0, 10).await.unwrap();
    assert!(theirs.is_empty());
    assert_eq!(journal.find(&other, place).await.unwrap(), None);
    let backlog = journal.backlog(&other, MEMORY).await.unwrap();
    assert_eq!(backlog, Backlog::default());
    journal
        .settle(&other, place, Settled::Adopted)
        .await
        .unwrap();
    assert!(!journal.discard(&other, place).await.unwrap());
    assert_eq!(desk.keys().await, ["a"]);
}

async fn arguments_are_bounded(desk: Desks) {
    for limit in [0, PAGE_MAX_ENTRIES + 1] {
        let journal = &desk.backend.journal;
        let next = journal.next(acme(), MEMORY, 0, limit).await;
        assert_eq!(next.unwrap_err().kind(), ErrorKind::Invalid);
        let list = journal.list(acme(), EntryState::Parked, 0, limit).await;
        assert_eq!(list.unwrap_err().kind(), ErrorKind::Invalid);
    }
    desk.note_all(&["a"]).await;
    let beyond = desk.backend.journal.next(acme(), MEMORY, u64::MAX, 1);
    assert!(beyond.await.unwrap().is_empty());
    let found = desk.backend.journal.find(acme(), u64::MAX).await;
    assert_eq!(found.unwrap(), None);
}
