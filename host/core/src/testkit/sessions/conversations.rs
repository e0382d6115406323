//! What a side tells another of a session: the session, what was said in it last, and where all of it stands.

use super::{ACTOR, create, ctx, say};
use crate::ErrorKind;
use crate::sessions::{Conversation, Conversations, Listed, Order, Place, SessionWrite, Sessions};
use crate::testkit::suite::{Case, Fixture, cases};

/// A side that another one may learn of.
pub trait Told: Sessions + Conversations {}

impl<S: Sessions + Conversations> Told for S {}

type Houses = Fixture<dyn Told>;

/// All cases.
pub fn cases() -> Vec<Case<dyn Told>> {
    cases![
        a_conversation_says_where_all_of_it_stands,
        a_conversation_has_what_was_said_last,
    ]
}

impl Houses {
    async fn apply(&self, write: &SessionWrite) {
        let ctx = ctx();
        let id = ctx.next_write_id().unwrap();
        self.backend.apply(&ctx, id, write).await.unwrap();
    }

    async fn conversation(&self, session: &str, latest: u32) -> Option<Conversation> {
        let ctx = ctx();
        let told = self.backend.conversation(&ctx, ACTOR, session, latest);
        told.await.unwrap()
    }
}

/// The places that cursors say of all but the last are those that a conversation says.
async fn a_conversation_says_where_all_of_it_stands(houses: Houses) {
    for id in ["b", "c", "a"] {
        houses.apply(&create(id)).await;
    }
    for word in ["c", "a", "b"] {
        houses.apply(&say("c", word)).await;
    }
    let (ctx, mut cursor) = (ctx(), None);
    let listed = Listed::sessions(ACTOR);
    for _ in 0..2 {
        let page = houses.backend.list(&ctx, ACTOR, cursor.as_deref(), 1);
        let page = page.await.unwrap();
        let last = listed.decode("list", page.next_cursor.as_deref());
        let told = houses.conversation(&page.entries[0].id, 10).await.unwrap();
        assert_eq!(told.session.what, page.entries[0]);
        let place = Place {
            number: told.session.place,
            id: told.session.what.id,
        };
        assert_eq!(last.unwrap(), Some(place));
        cursor = page.next_cursor;
    }
    let told = houses.conversation("c", 10).await.unwrap();
    assert!(told.is_whole);
    assert_eq!(told.events.len(), 3);
    let listed = Listed::events(ACTOR, "c", Order::OldestFirst);
    let mut cursor = None;
    for event in &told.events[..2] {
        let order = Order::OldestFirst;
        let page = houses
            .backend
            .events(&ctx, ACTOR, "c", order, cursor.as_deref(), 1);
        let page = page.await.unwrap();
        assert_eq!(page.entries[0], event.what);
        let last = listed.decode("events", page.next_cursor.as_deref());
        let place = Place {
            number: event.place,
            id: event.what.id.clone(),
        };
        assert_eq!(last.unwrap(), Some(place));
        cursor = page.next_cursor;
    }
}

async fn a_conversation_has_what_was_said_last(houses: Houses) {
    assert_eq!(houses.conversation("s", 2).await, None);
    houses.apply(&create("s")).await;
    let told = houses.conversation("s", 2).await.unwrap();
    assert!(told.events.is_empty() && told.is_whole);
    for word in ["ett", "två", "tre"] {
        houses.apply(&say("s", word)).await;
    }
    for (latest, said) in [(2, &["två", "tre"][..]), (3, &["ett", "två", "tre"])] {
        let told = houses.conversation("s", latest).await.unwrap();
        let words: Vec<_> = told
            .events
            .iter()
            .map(|event| &event.what.content)
            .collect();
        assert_eq!(words, said);
        assert_eq!(told.is_whole, latest == 3);
    }
    let none = ctx();
    let refused = houses.backend.conversation(&none, ACTOR, "s", 0).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
}
