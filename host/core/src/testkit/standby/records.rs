//! Records that are taken over.

use std::sync::Arc;
use std::time::Duration;

use super::{Dice, Sides, ctx};
use crate::records::{Record, RecordWrite, Records};
use crate::standby::Adopted;
use crate::testkit::suite::{Case, Fixture, cases};

/// All cases.
pub fn cases() -> Vec<Case<Sides<dyn Records, RecordWrite>>> {
    cases![
        a_record_reads_the_same_on_both_sides,
        a_record_without_an_id_has_the_same_one_on_both_sides,
        a_repeated_adoption_changes_nothing,
        the_larger_version_stays_in_whatever_order_writes_come,
        a_removal_removes_what_it_removed_and_leaves_what_came_later,
        what_was_removed_since_does_not_come_back,
        what_landed_without_anybody_hearing_of_it_is_not_made_twice,
        a_write_made_here_later_gets_a_larger_version,
        what_was_taken_over_is_recalled,
        many_writes_in_any_order_and_any_number_of_times_end_alike,
    ]
}

type Both = Fixture<Sides<dyn Records, RecordWrite>>;

fn put(id: &str, text: &str) -> RecordWrite {
    RecordWrite::Put {
        namespace: "/facts".to_owned(),
        id: Some(id.to_owned()),
        text: text.to_owned(),
        metadata: vec![("source".to_owned(), "möte".to_owned())],
    }
}

fn delete(id: &str) -> RecordWrite {
    RecordWrite::Delete {
        namespace: "/facts".to_owned(),
        id: id.to_owned(),
    }
}

async fn all(records: &Arc<dyn Records>) -> Vec<Record> {
    let page = records.list(&ctx(), "", None, 1_000).await.unwrap();
    assert_eq!(page.next_cursor, None, "a case has few records");
    page.records
}

impl Both {
    async fn there(&self, id: &str) -> Option<Record> {
        self.backend.to.get(&ctx(), "/facts", id).await.unwrap()
    }

    async fn agree(&self) {
        let (from, to) = (&self.backend.from, &self.backend.to);
        assert_eq!(all(to).await, all(from).await);
    }
}

async fn a_record_reads_the_same_on_both_sides(both: Both) {
    both.follow(put("a", "Hunden heter Bamse.")).await;
    both.clock.advance(Duration::from_secs(5));
    both.follow(put("a", "Hunden heter Zita.")).await;
    both.follow(put("b", "Stugan är röd.")).await;
    let record = both.there("a").await.unwrap();
    assert!(record.updated_at > record.created_at, "{record:?}");
    both.agree().await;
}

async fn a_record_without_an_id_has_the_same_one_on_both_sides(both: Both) {
    let made = both
        .follow(RecordWrite::Put {
            namespace: "/facts".to_owned(),
            id: None,
            text: "Katten heter Sture.".to_owned(),
            metadata: Vec::new(),
        })
        .await;
    let record = both.there(&made.made.ack.id).await.unwrap();
    assert_eq!(record.text, "Katten heter Sture.");
    both.agree().await;
}

async fn a_repeated_adoption_changes_nothing(both: Both) {
    let first = both.follow(put("a", "one")).await;
    both.clock.advance(Duration::from_secs(1));
    both.stands(&first).await;
    both.agree().await;
    both.follow(put("a", "two")).await;
    both.adopt(&first).await;
    both.agree().await;
}

async fn the_larger_version_stays_in_whatever_order_writes_come(both: Both) {
    let earlier = both.make(put("a", "earlier")).await;
    let later = both.make(put("a", "later")).await;
    both.stands(&later).await;
    assert_eq!(both.adopt(&earlier).await, Adopted::Superseded);
    let record = both.there("a").await.unwrap();
    assert_eq!(
        (record.text.as_str(), record.version),
        ("later", later.made.ack.version)
    );
}

async fn a_removal_removes_what_it_removed_and_leaves_what_came_later(both: Both) {
    both.follow(put("a", "one")).await;
    both.follow(delete("a")).await;
    assert_eq!(both.there("a").await, None);
    both.follow(delete("never-there")).await;
    both.follow(put("b", "one")).await;
    let removal = both.make(delete("b")).await;
    both.tick();
    both.make_there(put("b", "two")).await;
    assert_eq!(both.adopt(&removal).await, Adopted::Superseded);
    assert_eq!(both.there("b").await.unwrap().text, "two");
}

async fn what_was_removed_since_does_not_come_back(both: Both) {
    let first = both.follow(put("a", "one")).await;
    both.follow(delete("a")).await;
    both.adopt(&first).await;
    assert_eq!(both.there("a").await, None);
}

async fn what_landed_without_anybody_hearing_of_it_is_not_made_twice(both: Both) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = RecordWrite::Put {
        namespace: "/facts".to_owned(),
        id: None,
        text: "en gång".to_owned(),
        metadata: Vec::new(),
    };
    both.backend.to.apply(&ctx, id, &write).await.unwrap();
    let made = both.make_under(ctx, id, write).await;
    both.stands(&made).await;
    both.agree().await;
}

async fn a_write_made_here_later_gets_a_larger_version(both: Both) {
    let made = both.follow(put("a", "one")).await;
    let here = both.make_there(put("a", "two")).await;
    assert!(here.version > made.made.ack.version && here.existed);
}

async fn what_was_taken_over_is_recalled(both: Both) {
    both.follow(put("dog", "The dog is called Bamse.")).await;
    both.follow(put("house", "The cottage is painted red."))
        .await;
    let query = "what is the dog called";
    let hits = both.backend.to.recall(&ctx(), "", query, 1).await.unwrap();
    assert_eq!(hits[0].record.id, "dog");
}

async fn many_writes_in_any_order_and_any_number_of_times_end_alike(both: Both) {
    let mut dice = Dice(11);
    let mut made = Vec::new();
    for n in 0..40 {
        let id = ["a", "b", "c"][dice.roll(3)];
        made.push(both.make(put(id, &format!("text {n}"))).await);
    }
    for _ in 0..2 {
        dice.shuffle(&mut made);
        for done in &made {
            both.adopt(done).await;
        }
    }
    let seen = |record: Record| (record.id, record.text, record.version, record.updated_at);
    let (from, to) = (&both.backend.from, &both.backend.to);
    let from: Vec<_> = all(from).await.into_iter().map(seen).collect();
    let to: Vec<_> = all(to).await.into_iter().map(seen).collect();
    assert_eq!(to, from);
}
