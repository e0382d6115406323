//! Two hosts with one cloud: what goes through a host is found there when the cloud is away, whoever began it.
//!
//! As in [`crate::states`] the cloud is a set of local backends of its own; each host has its own store, journal and breaker.

use std::sync::Arc;
use std::time::Duration;

use stuga_core::search::{Analyzer, Change, Field, FieldKind, Search, SearchWrite, Value};
use stuga_core::sessions::{Event, Order, Page, Role, SessionWrite, Sessions};
use stuga_core::testkit::{ManualClock, ctx};
use stuga_core::{BreakerState, CallCtx, Capability, CapabilityName, Clock, Result};
use stuga_local::Local;
use stuga_resilience::{
    Breaker, BreakerSettings, BudgetSettings, Failover, Modes, Route, SearchTeacher,
    SessionTeacher, Sides,
};
use tempfile::TempDir;

use crate::open_local_by;

const ACTOR: &str = "astrid";

/// A cloud and the clock of all.
struct World {
    cloud: Local,
    clock: Arc<ManualClock>,
    _directory: TempDir,
}

struct Host {
    local: Local,
    sessions: Failover<dyn Sessions>,
    breaker: Arc<Breaker>,
    clock: Arc<ManualClock>,
    _directory: TempDir,
}

impl World {
    fn new() -> Self {
        let clock = crate::clock();
        let (cloud, directory) = open_local_by(&clock);
        Self {
            cloud,
            clock,
            _directory: directory,
        }
    }

    fn host(&self) -> Host {
        let (local, directory) = open_local_by(&self.clock);
        let settings = BreakerSettings::default();
        let (route, breaker) = route(&local, CapabilityName::Sessions, settings, &self.clock);
        Host {
            sessions: sessions_behind(&self.cloud, &local, route),
            local,
            breaker,
            clock: Arc::clone(&self.clock),
            _directory: directory,
        }
    }
}

/// The way of a host with these local stores to a cloud.
pub(crate) fn route(
    local: &Local,
    capability: CapabilityName,
    settings: BreakerSettings,
    clock: &Arc<ManualClock>,
) -> (Arc<Route>, Arc<Breaker>) {
    let breaker = Arc::new(Breaker::new(settings, Box::new(|| 0.5)));
    let route = Route::new(
        capability,
        Arc::clone(&breaker),
        BudgetSettings::until_deadline(),
        local.journal(),
        Arc::new(Modes::default()),
        Arc::clone(clock) as Arc<dyn Clock>,
    );
    (Arc::new(route), breaker)
}

/// Sessions in the cloud with a host's copy behind them, which learns what other hosts began.
pub(crate) fn sessions_behind(
    cloud: &Local,
    local: &Local,
    route: Arc<Route>,
) -> Failover<dyn Sessions> {
    let (cloud, here) = (cloud.sessions(), local.sessions());
    let teacher = SessionTeacher::new(Arc::clone(&cloud) as _, Arc::clone(&here) as _);
    let sides: Sides<dyn Sessions> = Sides::new(
        Arc::clone(&cloud) as _,
        cloud,
        Arc::clone(&here) as _,
        here,
        route,
    );
    Failover::sides(sides.taught(Arc::new(teacher)))
}

fn create() -> SessionWrite {
    SessionWrite::Create {
        actor: ACTOR.to_owned(),
        id: Some("s".to_owned()),
        ttl: Some(Duration::from_secs(3_600)),
        metadata: vec![("place".to_owned(), "köket".to_owned())],
    }
}

fn say(content: &str) -> SessionWrite {
    SessionWrite::Append {
        actor: ACTOR.to_owned(),
        session: "s".to_owned(),
        role: Role::User,
        content: content.to_owned(),
        metadata: Vec::new(),
    }
}

fn close() -> SessionWrite {
    SessionWrite::Close {
        actor: ACTOR.to_owned(),
        session: "s".to_owned(),
    }
}

impl Host {
    /// Writes in an invocation and a millisecond of its own; answers why the receipt says that this is less than it could be.
    async fn write(&self, write: SessionWrite) -> Option<String> {
        let ctx = ctx("acme", "scribe");
        self.write_as(&ctx, write).await
    }

    async fn write_as(&self, ctx: &CallCtx, write: SessionWrite) -> Option<String> {
        self.clock.advance(Duration::from_millis(1));
        self.write_at_once(ctx, write).await
    }

    /// The same in the millisecond of the write before.
    async fn write_at_once(&self, ctx: &CallCtx, write: SessionWrite) -> Option<String> {
        self.sessions.write(ctx, &write).await.unwrap();
        ctx.receipt.snapshot().swap_remove(0).degraded
    }

    /// What was said, oldest first.
    async fn said(&self) -> Result<Vec<Event>> {
        let ctx = &ctx("acme", "scribe");
        let events = |sessions: Arc<dyn Sessions>| async move {
            let all = sessions.events(ctx, ACTOR, "s", Order::OldestFirst, None, 1_000);
            all.await
        };
        let page = self.sessions.read(ctx, "sessions.events", &(), events);
        Ok(page.await?.entries)
    }

    async fn session(&self) -> Option<stuga_core::sessions::Session> {
        let ctx = &ctx("acme", "scribe");
        let get = |sessions: Arc<dyn Sessions>| async move { sessions.get(ctx, ACTOR, "s").await };
        let found = self.sessions.read(ctx, "sessions.get", &(), get).await;
        found.unwrap()
    }

    fn counts(&self) -> (u64, u64) {
        let counts = self.sessions.route().unwrap().status().counts;
        (counts.copies_taught, counts.copies_missed)
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_another_host_began_goes_on_here_without_the_cloud() {
    let world = World::new();
    let (one, other) = (world.host(), world.host());
    one.write(create()).await;
    one.write(say("ett")).await;
    one.write(say("två")).await;
    assert_eq!(other.write(say("tre")).await, None, "the copy has it all");
    assert_eq!(other.counts(), (1, 0));
    let (there, session) = (other.said().await.unwrap(), other.session().await);
    other.breaker.isolate();
    assert_eq!(other.said().await.unwrap(), there, "ids, times and order");
    assert_eq!(other.session().await, session, "metadata and times");
    assert_eq!(there.len(), 3);
    other.write(say("fyra")).await;
    let said = other.said().await.unwrap().into_iter();
    let said: Vec<_> = said.map(|event| event.content).collect();
    assert_eq!(said, ["ett", "två", "tre", "fyra"]);
    assert_eq!(other.counts(), (1, 0), "it learned once");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_that_is_repeated_without_the_cloud_is_made_once() {
    let world = World::new();
    let (one, other) = (world.host(), world.host());
    one.write(create()).await;
    let ctx = ctx("acme", "scribe");
    other.write_as(&ctx, say("en gång")).await;
    other.breaker.isolate();
    let again = CallCtx::new(
        ctx.tenant.clone(),
        ctx.agent.clone(),
        ctx.invocation,
        ctx.request.clone(),
        ctx.accepted_at,
        ctx.deadline,
    );
    other.write_as(&again, say("en gång")).await;
    assert_eq!(other.said().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_is_closed_elsewhere_is_learned_as_closed() {
    let world = World::new();
    let (one, other) = (world.host(), world.host());
    one.write(create()).await;
    one.write(say("ett")).await;
    assert_eq!(other.write(close()).await, None);
    let session = other.session().await;
    other.breaker.isolate();
    assert_eq!(other.session().await, session);
    assert!(session.unwrap().closed_at.is_some());
    assert_eq!(other.said().await.unwrap().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_a_long_session_the_copy_learns_the_end_and_the_receipt_says_so() {
    const SAID: usize = 230;
    let world = World::new();
    let (one, other) = (world.host(), world.host());
    one.write(create()).await;
    for n in 0..SAID {
        one.write(say(&format!("nummer {n}"))).await;
    }
    let degraded = other.write(say("sist")).await.unwrap();
    assert!(degraded.contains("only the latest part"), "{degraded}");
    other.breaker.isolate();
    let said = other.said().await.unwrap();
    assert_eq!(said.last().unwrap().content, "sist");
    assert_eq!(said.first().unwrap().content, "nummer 31", "200 of 231");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_that_was_begun_again_elsewhere_takes_the_place_of_the_one_that_is_known() {
    let world = World::new();
    let (one, other) = (world.host(), world.host());
    other.write(create()).await;
    other.write(say("förr")).await;
    other.write(close()).await;
    let delete = SessionWrite::Delete {
        actor: ACTOR.to_owned(),
        session: "s".to_owned(),
    };
    one.write(delete).await;
    one.write(create()).await;
    assert_eq!(other.write(say("nu")).await, None);
    other.breaker.isolate();
    let said = other.said().await.unwrap();
    assert_eq!(said.len(), 1, "{said:?}");
    assert_eq!(said[0].content, "nu");
}

/// Reads page by page of one entry, each page from the other side, until there are no more.
async fn by_turns<T>(
    sides: &[Arc<dyn Sessions>; 2],
    first: usize,
    page: impl AsyncFn(Arc<dyn Sessions>, Option<String>) -> Result<Page<T>>,
) -> Vec<T> {
    let (mut all, mut cursor) = (Vec::new(), None);
    for turn in first..first + 100 {
        let page = page(Arc::clone(&sides[turn % 2]), cursor).await.unwrap();
        all.extend(page.entries);
        cursor = page.next_cursor;
        if cursor.is_none() {
            return all;
        }
    }
    panic!("the listing does not end");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_listing_of_what_was_learned_changes_sides_within_a_millisecond() {
    const NAMES: [&str; 4] = ["c", "a", "d", "b"];
    let world = World::new();
    let (one, other) = (world.host(), world.host());
    let create = |name: &str| SessionWrite::Create {
        actor: ACTOR.to_owned(),
        id: Some(name.to_owned()),
        ttl: None,
        metadata: Vec::new(),
    };
    let say = |session: &str, content: &str| SessionWrite::Append {
        actor: ACTOR.to_owned(),
        session: session.to_owned(),
        role: Role::User,
        content: content.to_owned(),
        metadata: Vec::new(),
    };
    let write = async |host: &Host, write| {
        let ctx = ctx("acme", "scribe");
        assert_eq!(host.write_at_once(&ctx, write).await, None);
    };
    for name in NAMES {
        write(&one, create(name)).await;
    }
    for n in 0..5 {
        write(&one, say("a", &n.to_string())).await;
    }
    // It learns them in another order.
    for name in ["b", "a", "c", "d"] {
        write(&other, say(name, "hej")).await;
    }
    assert_eq!(other.counts(), (4, 0));
    let sides: [Arc<dyn Sessions>; 2] = [world.cloud.sessions(), other.local.sessions()];
    for first in [0, 1] {
        let listed = by_turns(&sides, first, async |side, cursor: Option<String>| {
            let ctx = ctx("acme", "scribe");
            side.list(&ctx, ACTOR, cursor.as_deref(), 1).await
        });
        let listed = listed.await.into_iter().map(|session| session.id);
        assert_eq!(listed.collect::<Vec<_>>(), ["b", "d", "a", "c"], "{first}");
        let mut said = ["0", "1", "2", "3", "4", "hej"];
        for order in [Order::OldestFirst, Order::NewestFirst] {
            let heard = by_turns(&sides, first, async |side, cursor: Option<String>| {
                let ctx = ctx("acme", "scribe");
                side.events(&ctx, ACTOR, "a", order, cursor.as_deref(), 1)
                    .await
            });
            let heard = heard.await.into_iter().map(|event| event.content);
            assert_eq!(heard.collect::<Vec<_>>(), said, "{first} {order:?}");
            said.reverse();
        }
    }
}

/// What the receipt of a change of documents says, through a host that shares the cloud's index when `declares`.
async fn degraded_by(change: Change, declares: bool) -> (Option<String>, Arc<Route>) {
    let world = World::new();
    let host = world.host();
    let (cloud, here) = (world.cloud.search(), host.local.search());
    let create = SearchWrite::CreateIndex {
        index: "notes".to_owned(),
        fields: vec![Field {
            name: "text".to_owned(),
            kind: FieldKind::Text(Analyzer::Simple),
        }],
    };
    let change_of = |change| SearchWrite::Change {
        index: "notes".to_owned(),
        changes: vec![change],
    };
    let of_other = change_of(Change::Put {
        id: "a".to_owned(),
        fields: Vec::new(),
    });
    for write in [&create, &of_other] {
        let ctx = ctx("acme", "scribe");
        let id = ctx.next_write_id().unwrap();
        cloud.apply(&ctx, id, write).await.unwrap();
    }
    let (route, breaker) = route(
        &host.local,
        CapabilityName::Search,
        BreakerSettings::default(),
        &world.clock,
    );
    let teacher = SearchTeacher::new(Arc::clone(&cloud) as _, Arc::clone(&here) as _);
    let sides: Sides<dyn Search> = Sides::new(
        Arc::clone(&cloud) as _,
        cloud,
        Arc::clone(&here) as _,
        here,
        Arc::clone(&route),
    );
    let facade = Failover::sides(sides.taught(Arc::new(teacher)));
    if declares {
        let ctx = ctx("acme", "scribe");
        facade.write(&ctx, &create).await.unwrap();
    }
    let ctx = ctx("acme", "scribe");
    facade.write(&ctx, &change_of(change)).await.unwrap();
    assert_eq!(breaker.state(), BreakerState::Closed);
    (ctx.receipt.snapshot().swap_remove(0).degraded, route)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_copy_without_an_index_or_a_document_of_another_host_says_that_it_misses_a_write() {
    let put = Change::Put {
        id: "b".to_owned(),
        fields: Vec::new(),
    };
    let update = Change::Update {
        id: "a".to_owned(),
        set: vec![("text".to_owned(), Value::Text("hej".to_owned()))],
        remove: Vec::new(),
    };
    for (change, declares, misses) in [
        (&put, false, true),
        (&put, true, false),
        (&update, true, true),
    ] {
        let (degraded, route) = degraded_by(change.clone(), declares).await;
        assert_eq!(degraded.is_some(), misses, "{change:?}: {degraded:?}");
        let missed = route.status().counts.copies_missed;
        assert_eq!(missed, u64::from(misses), "{change:?}");
    }
}
