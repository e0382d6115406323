//! Sessions that are taken over.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::{Sides, ctx};
use crate::sessions::{Event, Order, Page, Role, Session, SessionAck, SessionWrite, Sessions};
use crate::standby::Adopted;
use crate::testkit::suite::{Case, Fixture, cases};

/// All cases.
pub fn cases() -> Vec<Case<Sides<dyn Sessions, SessionWrite>>> {
    cases![
        a_session_and_its_events_read_the_same_on_both_sides,
        a_listing_goes_on_on_the_other_side,
        names_that_the_host_gives_are_the_same_on_both_sides,
        a_time_to_live_counts_from_when_the_session_was_made,
        repeated_adoptions_change_nothing,
        an_event_that_landed_without_anybody_hearing_of_it_is_not_doubled,
        events_of_both_sides_stand_in_one_session,
        what_landed_unheard_has_its_place_on_both_sides,
        a_closed_session_is_closed_on_both_sides_and_takes_no_more,
        a_removed_session_is_gone_and_takes_no_more,
        what_was_removed_since_does_not_come_back,
        a_session_created_again_under_its_name_is_another_one,
        what_was_taken_over_is_recalled,
    ]
}

type Both = Fixture<Sides<dyn Sessions, SessionWrite>>;

const ACTOR: &str = "astrid";

fn create(id: Option<&str>, ttl: Option<Duration>) -> SessionWrite {
    SessionWrite::Create {
        actor: ACTOR.to_owned(),
        id: id.map(str::to_owned),
        ttl,
        metadata: vec![("place".to_owned(), "köket".to_owned())],
    }
}

fn say(session: &str, content: &str) -> SessionWrite {
    SessionWrite::Append {
        actor: ACTOR.to_owned(),
        session: session.to_owned(),
        role: Role::Assistant,
        content: content.to_owned(),
        metadata: vec![("mood".to_owned(), "glad".to_owned())],
    }
}

fn close(session: &str) -> SessionWrite {
    SessionWrite::Close {
        actor: ACTOR.to_owned(),
        session: session.to_owned(),
    }
}

fn delete(session: &str) -> SessionWrite {
    SessionWrite::Delete {
        actor: ACTOR.to_owned(),
        session: session.to_owned(),
    }
}

async fn all(sessions: &Arc<dyn Sessions>) -> Vec<(Session, Vec<Event>)> {
    let page = sessions.list(&ctx(), ACTOR, None, 1_000).await.unwrap();
    assert_eq!(page.next_cursor, None, "a case has few sessions");
    let mut all = Vec::new();
    for session in page.entries {
        let events = events(sessions, &session.id).await;
        all.push((session, events));
    }
    all
}

async fn events(sessions: &Arc<dyn Sessions>, session: &str) -> Vec<Event> {
    let ctx = ctx();
    let page = sessions.events(&ctx, ACTOR, session, Order::OldestFirst, None, 1_000);
    page.await.unwrap().entries
}

impl Both {
    async fn there(&self, session: &str) -> Option<Session> {
        self.backend.to.get(&ctx(), ACTOR, session).await.unwrap()
    }

    /// What was said there, oldest first.
    async fn said(&self, session: &str) -> Vec<String> {
        let events = events(&self.backend.to, session).await;
        events.into_iter().map(|event| event.content).collect()
    }

    async fn agree(&self) {
        let (from, to) = (&self.backend.from, &self.backend.to);
        assert_eq!(all(to).await, all(from).await);
    }
}

async fn a_session_and_its_events_read_the_same_on_both_sides(both: Both) {
    both.follow(create(Some("s"), None)).await;
    for n in 0..5 {
        both.follow(say("s", &format!("nummer {n}"))).await;
    }
    both.follow(create(Some("t"), Some(Duration::from_secs(60))))
        .await;
    both.follow(say("t", "hej")).await;
    assert_eq!(both.said("s").await.len(), 5);
    both.agree().await;
}

/// Reads a listing page by page, each page from the other side, beginning with the one or the other.
async fn by_turns<T, F>(
    both: &Both,
    first: usize,
    page: impl Fn(Arc<dyn Sessions>, Option<String>) -> F,
) -> Vec<T>
where
    F: Future<Output = Page<T>>,
{
    let sides = [&both.backend.from, &both.backend.to];
    let (mut all, mut cursor) = (Vec::new(), None);
    for turn in first..first + 100 {
        let page = page(Arc::clone(sides[turn % 2]), cursor).await;
        all.extend(page.entries);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return all;
        }
    }
    panic!("the listing does not end");
}

/// Both listings read on across the sides, from whichever they begin.
async fn check_turns(both: &Both, session: &str) {
    for first in [0, 1] {
        let known = all(&both.backend.from).await.into_iter();
        let known: Vec<_> = known.map(|(session, _)| session).collect();
        let read = by_turns(both, first, |side, cursor| async move {
            let page = side.list(&ctx(), ACTOR, cursor.as_deref(), 2).await;
            page.unwrap()
        });
        assert_eq!(read.await, known);
        let mut said = events(&both.backend.from, session).await;
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let read = by_turns(both, first, |side, cursor| async move {
                let ctx = ctx();
                let page = side.events(&ctx, ACTOR, session, order, cursor.as_deref(), 2);
                page.await.unwrap()
            });
            assert_eq!(read.await, said, "{order:?}");
            said.reverse();
        }
    }
}

async fn a_listing_goes_on_on_the_other_side(both: Both) {
    for n in 0..7 {
        both.follow(create(Some(&format!("s{n}")), None)).await;
    }
    for n in 0..9 {
        both.follow(say("s3", &format!("nummer {n}"))).await;
    }
    check_turns(&both, "s3").await;
    // It begins anew, behind all others.
    both.follow(delete("s1")).await;
    both.follow(create(Some("s1"), None)).await;
    check_turns(&both, "s3").await;
}

async fn what_landed_unheard_has_its_place_on_both_sides(both: Both) {
    let begin = create(Some("s"), None);
    let mut writes = vec![begin];
    writes.extend((0..5).map(|n| say("s", &format!("nummer {n}"))));
    for write in writes {
        let ctx = ctx();
        let id = ctx.next_write_id().unwrap();
        both.backend.to.apply(&ctx, id, &write).await.unwrap();
        // Acknowledged later elsewhere, so with another place.
        both.clock.advance(Duration::from_millis(5));
        let made = both.make_under(ctx, id, write).await;
        both.stands(&made).await;
    }
    both.agree().await;
    check_turns(&both, "s").await;
}

async fn names_that_the_host_gives_are_the_same_on_both_sides(both: Both) {
    let made = both.follow(create(None, None)).await;
    let SessionAck::Created { id, .. } = made.made.ack else {
        panic!("a create was answered with something else");
    };
    both.follow(say(&id, "hej")).await;
    both.agree().await;
}

async fn a_time_to_live_counts_from_when_the_session_was_made(both: Both) {
    let ttl = Duration::from_secs(60);
    let made = both.make(create(Some("s"), Some(ttl))).await;
    both.clock.advance(ttl / 2);
    both.stands(&made).await;
    both.agree().await;
    both.clock.advance(ttl / 2);
    assert_eq!(both.there("s").await, None);
}

async fn repeated_adoptions_change_nothing(both: Both) {
    let writes = [create(Some("s"), None), say("s", "ett"), say("s", "två")];
    let mut made = Vec::new();
    for write in writes {
        made.push(both.follow(write).await);
    }
    made.push(both.follow(close("s")).await);
    both.clock.advance(Duration::from_secs(1));
    for done in &made {
        both.adopt(done).await;
    }
    assert_eq!(both.said("s").await, ["ett", "två"]);
    both.agree().await;
}

async fn an_event_that_landed_without_anybody_hearing_of_it_is_not_doubled(both: Both) {
    both.follow(create(Some("s"), None)).await;
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let write = say("s", "en gång");
    both.backend.to.apply(&ctx, id, &write).await.unwrap();
    let made = both.make_under(ctx, id, write).await;
    both.stands(&made).await;
    assert_eq!(both.said("s").await, ["en gång"]);
}

async fn events_of_both_sides_stand_in_one_session(both: Both) {
    both.follow(create(Some("s"), None)).await;
    let first = both.make(say("s", "där")).await;
    both.stands(&first).await;
    both.tick();
    both.make_there(say("s", "här")).await;
    both.follow(say("s", "där igen")).await;
    assert_eq!(both.said("s").await, ["där", "här", "där igen"]);
}

async fn a_closed_session_is_closed_on_both_sides_and_takes_no_more(both: Both) {
    both.follow(create(Some("s"), None)).await;
    let said = both.make(say("s", "för sent")).await;
    both.tick();
    both.make_there(close("s")).await;
    assert_eq!(both.adopt(&said).await, Adopted::Superseded);
    assert!(both.said("s").await.is_empty());
    both.follow(create(Some("t"), None)).await;
    both.follow(close("t")).await;
    let there = both.there("t").await;
    let from = both.backend.from.get(&ctx(), ACTOR, "t").await.unwrap();
    assert!(there.as_ref().unwrap().closed_at.is_some());
    assert_eq!(there, from);
}

async fn a_removed_session_is_gone_and_takes_no_more(both: Both) {
    both.follow(create(Some("s"), None)).await;
    let said = both.make(say("s", "för sent")).await;
    both.tick();
    both.make_there(delete("s")).await;
    assert_eq!(both.adopt(&said).await, Adopted::Superseded);
    assert_eq!(both.there("s").await, None);
    both.follow(create(Some("t"), None)).await;
    both.follow(say("t", "hej")).await;
    let removal = both.follow(delete("t")).await;
    assert_eq!(both.there("t").await, None);
    both.stands(&removal).await;
}

async fn what_was_removed_since_does_not_come_back(both: Both) {
    let created = both.follow(create(Some("s"), None)).await;
    let said = both.follow(say("s", "hej")).await;
    both.follow(delete("s")).await;
    both.adopt(&created).await;
    both.adopt(&said).await;
    assert_eq!(both.there("s").await, None);
}

async fn a_session_created_again_under_its_name_is_another_one(both: Both) {
    both.follow(create(Some("s"), None)).await;
    both.follow(say("s", "förr")).await;
    let removal = both.follow(delete("s")).await;
    both.follow(create(Some("s"), None)).await;
    both.follow(say("s", "nu")).await;
    both.adopt(&removal).await;
    assert_eq!(both.said("s").await, ["nu"]);
    both.agree().await;
}

async fn what_was_taken_over_is_recalled(both: Both) {
    both.follow(create(Some("s"), None)).await;
    both.follow(say("s", "The dog is called Bamse.")).await;
    both.follow(say("s", "The cottage is painted red.")).await;
    let ctx = ctx();
    let query = "what is the dog called";
    let hits = both.backend.to.recall(&ctx, ACTOR, query, 1).await.unwrap();
    assert_eq!(hits[0].event.content, "The dog is called Bamse.");
}
