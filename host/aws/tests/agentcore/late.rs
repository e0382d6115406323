//! Events that land late: after another host has read the stream, and before it writes. What was displaced so, or was said
//! anew since, must not stay in a listing beside what took its place.

use std::sync::Arc;

use stuga_aws::Aws;
use stuga_core::embed::HashedEmbedder;
use stuga_core::sessions::{Order, SessionWrite, Sessions};
use stuga_core::standby::{Adopted, Replica};
use stuga_core::{Capability, WriteId};
use stuga_test_servers::{Ministack, Redis};

use crate::door::{Door, Kind};
use crate::replica::{appended, create, ctx, later, say};
use crate::world::World;

/// Hosts behind one door to AgentCore, and one that goes straight to it. All share a Redis of their own.
struct Late {
    redis: Redis,
    door: Door,
    behind: Aws,
    beside: Aws,
}

impl Late {
    async fn new() -> Self {
        let redis = Redis::start().unwrap();
        let world = World::with_redis(redis.url()).await;
        let door = Door::before(Ministack::shared().await.address()).await;
        let mut config = world.config.clone();
        config.endpoints.all = Some(door.endpoint());
        config.max_attempts = 1;
        Self {
            redis,
            door,
            behind: world.host_with(config),
            beside: world.host(),
        }
    }

    async fn apply(&self, write: &SessionWrite) -> WriteId {
        let ctx = ctx();
        let id = ctx.next_write_id().unwrap();
        let sessions = self.beside.sessions(Arc::new(HashedEmbedder)).unwrap();
        sessions.apply(&ctx, id, write).await.unwrap();
        id
    }
}

/// The ids of what was said, on one page.
async fn listed(sessions: &dyn Sessions) -> Vec<String> {
    let ctx = ctx();
    let page = sessions.events(&ctx, "astrid", "s", Order::OldestFirst, None, 1_000);
    let entries = page.await.unwrap().entries.into_iter();
    entries.map(|event| event.id).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_another_one_displaced_is_listed_once_when_it_is_said_again() {
    let late = Late::new().await;
    let sessions = || late.behind.sessions(Arc::new(HashedEmbedder)).unwrap();
    let (one, other) = (sessions(), sessions());
    let reader = late.beside.sessions(Arc::new(HashedEmbedder)).unwrap();
    late.apply(&create()).await;
    let start = later();
    let mut said = Vec::new();
    for (n, adopts) in (1..).zip([false, true]) {
        let id = ctx().next_write_id().unwrap();
        let write = say(&n.to_string());
        let made = appended(id, start, n);
        let attempt = async || match adopts {
            true => one.adopt(&ctx(), id, &write, &made).await.map(|_| ()),
            false => one.apply(&ctx(), id, &write).await.map(|_| ()),
        };
        // Its event is on its way when its host gives up.
        let held = late.door.holds(Kind::Event);
        let ((), mut event) = tokio::join!(
            async {
                let lost = attempt().await.unwrap_err();
                assert!(lost.kind().is_outage(), "{lost}");
            },
            async {
                let mut event = held.await.unwrap();
                event.cut();
                event
            }
        );
        // So that the index of events is made anew.
        late.redis.flush().unwrap();
        let next = ctx().next_write_id().unwrap();
        let held = late.door.holds(Kind::Event);
        let (ctx_of_next, say_next) = (ctx(), say("next"));
        let ((), ()) = tokio::join!(
            async {
                let written = other.apply(&ctx_of_next, next, &say_next).await;
                written.unwrap();
            },
            async {
                // The other host has read the stream.
                let next = held.await.unwrap();
                event.land().await;
                let found = listed(&*reader).await;
                assert!(found.contains(&id.to_name()), "it is the end for a while");
                next.answer().await;
            }
        );
        let found = listed(&*reader).await;
        assert!(
            !found.contains(&id.to_name()),
            "it was displaced: {found:?}"
        );
        attempt().await.unwrap();
        said.extend([id.to_name(), next.to_name()]);
        said.sort_unstable();
        let mut found = listed(&*reader).await;
        found.sort_unstable();
        assert_eq!(found, said, "adopts: {adopts}");
        let hits = reader.recall(&ctx(), "astrid", &n.to_string(), 9).await;
        let hits = hits.unwrap().into_iter().map(|hit| hit.event.id);
        assert_eq!(hits.filter(|hit| *hit == id.to_name()).count(), 1);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_gets_another_place_while_the_index_is_made_is_listed_once() {
    let late = Late::new().await;
    let reader = late.behind.sessions(Arc::new(HashedEmbedder)).unwrap();
    let sessions = late.beside.sessions(Arc::new(HashedEmbedder)).unwrap();
    late.apply(&create()).await;
    let landed = late.apply(&say("landed")).await;
    let next = late.apply(&say("next")).await;
    late.redis.flush().unwrap();
    // Brings the card back, and not the index of events.
    let there = sessions.get(&ctx(), "astrid", "s").await.unwrap();
    assert!(there.is_some());
    let held = late.door.holds(Kind::Listing);
    let (found, ()) = tokio::join!(listed(&*reader), async {
        let mut listing = held.await.unwrap();
        listing.land().await;
        let made = appended(landed, later(), 5);
        let adopted = sessions.adopt(&ctx(), landed, &say("landed"), &made).await;
        assert_eq!(adopted.unwrap(), Adopted::Stands);
        listing.answer().await;
    });
    let said = [next.to_name(), landed.to_name()];
    assert_eq!(found, said);
    assert_eq!(listed(&*sessions).await, said);
}
