//! Memory that is taken over.

use std::sync::Arc;
use std::time::Duration;

use super::{Dice, Sides, ctx};
use crate::memory::{Expected, Item, Memory, MemoryWrite};
use crate::standby::Adopted;
use crate::testkit::suite::{Case, Fixture, cases};

/// All cases.
pub fn cases() -> Vec<Case<Sides<dyn Memory, MemoryWrite>>> {
    cases![
        an_item_reads_the_same_on_both_sides,
        a_replaced_item_keeps_its_time_of_creation,
        an_item_created_anew_has_a_new_time_of_creation,
        a_time_to_live_counts_from_when_the_item_was_made,
        a_repeated_adoption_changes_nothing,
        the_larger_version_stays_in_whatever_order_writes_come,
        a_removal_removes_what_it_removed,
        a_removal_leaves_what_was_written_later,
        a_removal_of_nothing_stands,
        what_was_removed_since_does_not_come_back,
        conditions_are_not_asked_again,
        what_landed_without_anybody_hearing_of_it_is_not_made_twice,
        an_adopted_write_that_is_applied_again_answers_the_same,
        a_write_made_here_later_gets_a_larger_version,
        many_writes_in_any_order_and_any_number_of_times_end_alike,
        only_the_tenant_and_agent_of_the_call_are_touched,
    ]
}

type Both = Fixture<Sides<dyn Memory, MemoryWrite>>;

fn put(key: &str, value: &str) -> MemoryWrite {
    put_if(Expected::Any, key, value)
}

fn put_if(expected: Expected, key: &str, value: &str) -> MemoryWrite {
    MemoryWrite::Put {
        key: key.to_owned(),
        value: value.into(),
        ttl: None,
        expected,
    }
}

fn put_for(ttl: Duration, key: &str, value: &str) -> MemoryWrite {
    MemoryWrite::Put {
        key: key.to_owned(),
        value: value.into(),
        ttl: Some(ttl),
        expected: Expected::Any,
    }
}

fn delete(key: &str) -> MemoryWrite {
    MemoryWrite::Delete {
        key: key.to_owned(),
    }
}

async fn items(memory: &Arc<dyn Memory>) -> Vec<Item> {
    let page = memory.list(&ctx(), "", None, 1_000).await.unwrap();
    assert_eq!(page.next_cursor, None, "a case has few items");
    page.items
}

impl Both {
    async fn there(&self, key: &str) -> Option<Item> {
        self.backend.to.get(&ctx(), key).await.unwrap()
    }

    async fn value_there(&self, key: &str) -> Option<String> {
        let item = self.there(key).await?;
        Some(String::from_utf8(item.value).unwrap())
    }

    /// Both sides have the same items, in every detail.
    async fn agree(&self) {
        let (from, to) = (&self.backend.from, &self.backend.to);
        assert_eq!(items(to).await, items(from).await);
    }
}

async fn an_item_reads_the_same_on_both_sides(both: Both) {
    both.follow(put("a", "1")).await;
    both.follow(put("ö", "\u{0}två")).await;
    both.follow(put_for(Duration::from_secs(60), "c", "")).await;
    both.agree().await;
    let one = both.there("ö").await.unwrap();
    assert_eq!(one.value, "\u{0}två".as_bytes());
}

async fn a_replaced_item_keeps_its_time_of_creation(both: Both) {
    both.follow(put("a", "1")).await;
    both.clock.advance(Duration::from_secs(5));
    both.follow(put("a", "2")).await;
    let item = both.there("a").await.unwrap();
    assert!(item.updated_at > item.created_at, "{item:?}");
    both.agree().await;
}

async fn an_item_created_anew_has_a_new_time_of_creation(both: Both) {
    both.follow(put("a", "1")).await;
    let first = both.there("a").await.unwrap();
    both.follow(delete("a")).await;
    both.clock.advance(Duration::from_secs(5));
    both.follow(put("a", "2")).await;
    let second = both.there("a").await.unwrap();
    assert!(second.created_at > first.created_at);
    assert!(second.version > first.version);
    both.agree().await;
}

async fn a_time_to_live_counts_from_when_the_item_was_made(both: Both) {
    let ttl = Duration::from_secs(60);
    let made = both.make(put_for(ttl, "a", "1")).await;
    both.clock.advance(ttl / 2);
    both.stands(&made).await;
    both.agree().await;
    both.clock.advance(ttl / 2);
    assert_eq!(both.there("a").await, None, "its time is over");
    let late = both.make(put_for(ttl, "b", "1")).await;
    both.clock.advance(ttl);
    both.adopt(&late).await;
    assert_eq!(both.there("b").await, None, "its time was over before");
}

async fn a_repeated_adoption_changes_nothing(both: Both) {
    let first = both.follow(put("a", "1")).await;
    both.clock.advance(Duration::from_secs(1));
    both.stands(&first).await;
    both.agree().await;
    both.follow(put("a", "2")).await;
    both.adopt(&first).await;
    both.agree().await;
    both.make_there(put("a", "3")).await;
    both.adopt(&first).await;
    assert_eq!(both.value_there("a").await.unwrap(), "3");
}

async fn the_larger_version_stays_in_whatever_order_writes_come(both: Both) {
    let earlier = both.make(put("a", "earlier")).await;
    let later = both.make(put("a", "later")).await;
    both.stands(&later).await;
    assert_eq!(both.adopt(&earlier).await, Adopted::Superseded);
    let item = both.there("a").await.unwrap();
    assert_eq!(item.version, later.made.ack.version);
    assert_eq!(item.value, b"later");
}

async fn a_removal_removes_what_it_removed(both: Both) {
    both.follow(put("a", "1")).await;
    let removal = both.follow(delete("a")).await;
    assert_eq!(both.there("a").await, None);
    both.stands(&removal).await;
    both.agree().await;
}

async fn a_removal_leaves_what_was_written_later(both: Both) {
    both.follow(put("a", "1")).await;
    let removal = both.make(delete("a")).await;
    both.tick();
    both.make_there(put("a", "2")).await;
    assert_eq!(both.adopt(&removal).await, Adopted::Superseded);
    assert_eq!(both.value_there("a").await.unwrap(), "2");
}

async fn a_removal_of_nothing_stands(both: Both) {
    both.follow(delete("a")).await;
    both.agree().await;
}

async fn what_was_removed_since_does_not_come_back(both: Both) {
    let first = both.follow(put("a", "1")).await;
    both.follow(delete("a")).await;
    both.adopt(&first).await;
    assert_eq!(both.there("a").await, None);
}

async fn conditions_are_not_asked_again(both: Both) {
    both.make_there(put("a", "here before")).await;
    both.tick();
    both.follow(put_if(Expected::Absent, "a", "1")).await;
    assert_eq!(both.value_there("a").await.unwrap(), "1");
    let unseen = both.make(put("a", "2")).await;
    let expected = Expected::Version(unseen.made.ack.version);
    both.follow(put_if(expected, "a", "3")).await;
    let (from, to) = (&both.backend.from, &both.backend.to);
    let (from, to) = (items(from).await, items(to).await);
    assert_eq!(
        (&to[0].value, to[0].version),
        (&from[0].value, from[0].version)
    );
}

async fn what_landed_without_anybody_hearing_of_it_is_not_made_twice(both: Both) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = put_if(Expected::Absent, "a", "1");
    both.backend.to.apply(&ctx, id, &write).await.unwrap();
    let made = both.make_under(ctx, id, write).await;
    both.stands(&made).await;
    both.agree().await;
}

async fn an_adopted_write_that_is_applied_again_answers_the_same(both: Both) {
    let made = both.follow(put_if(Expected::Absent, "a", "1")).await;
    let repeated = both.backend.to.apply(&made.ctx, made.id, &made.write);
    assert_eq!(repeated.await.unwrap(), made.made.ack);
    both.agree().await;
}

async fn a_write_made_here_later_gets_a_larger_version(both: Both) {
    // As many in one millisecond that the versions run ahead of the clock.
    let mut last = both.make(put("a", "0")).await;
    for n in 1..5 {
        let ctx = ctx();
        let id = ctx.next_write_id().unwrap();
        let write = put("a", &n.to_string());
        let ack = both.backend.from.apply(&ctx, id, &write).await.unwrap();
        last.made.stamp = ack.version;
        last.made.ack = ack;
        (last.ctx, last.id, last.write) = (ctx, id, write);
    }
    both.stands(&last).await;
    let here = both.make_there(put("a", "here")).await;
    assert!(here.version > last.made.ack.version);
    let elsewhere = both.make_there(put("b", "here")).await;
    assert!(elsewhere.version > last.made.ack.version);
}

async fn many_writes_in_any_order_and_any_number_of_times_end_alike(both: Both) {
    let mut dice = Dice(7);
    let mut made = Vec::new();
    for n in 0..60 {
        let key = ["a", "b", "c", "d"][dice.roll(4)];
        made.push(both.make(put(key, &n.to_string())).await);
    }
    for _ in 0..2 {
        dice.shuffle(&mut made);
        for done in &made {
            both.adopt(done).await;
        }
    }
    let seen = |item: Item| (item.key, item.value, item.version, item.updated_at);
    let (from, to) = (&both.backend.from, &both.backend.to);
    let from: Vec<_> = items(from).await.into_iter().map(seen).collect();
    let to: Vec<_> = items(to).await.into_iter().map(seen).collect();
    assert_eq!(to, from);
}

async fn only_the_tenant_and_agent_of_the_call_are_touched(both: Both) {
    for (tenant, agent) in [("acme", "other"), ("other", "scribe")] {
        let ctx = crate::testkit::ctx(tenant, agent);
        let made = both.make_as(ctx, put("a", tenant)).await;
        both.stands(&made).await;
    }
    assert_eq!(both.there("a").await, None);
    let whose = crate::testkit::ctx("other", "scribe");
    let theirs = both.backend.to.get(&whose, "a").await.unwrap().unwrap();
    assert_eq!(theirs.value, b"other");
}
