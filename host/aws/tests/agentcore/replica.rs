//! What another side acknowledged, and AgentCore takes over: the suites of the testkit, with another AgentCore as the side
//! that acknowledges, and what they do not ask: answers that are lost on the way, two hosts that were apart.

use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stuga_aws::Aws;
use stuga_core::embed::HashedEmbedder;
use stuga_core::memory::{Expected, Memory, MemoryAck, MemoryWrite};
use stuga_core::records::{RecordWrite, Records};
use stuga_core::sessions::{Order, Role, SessionAck, SessionWrite, Sessions};
use stuga_core::standby::{Adopted, Made, Replica};
use stuga_core::testkit::standby::{self, Sides};
use stuga_core::testkit::{self, Case, Fixture, ManualClock, prove};
use stuga_core::{CallCtx, Capability, Timestamp, Write, WriteId};
use stuga_fault_proxy::{Fault, FaultProxy, Side};
use stuga_test_servers::{Ministack, Redis};

use crate::contract::wait;
use crate::world::World;

/// A moment that Redis's clock, which is the machine's, does not reach: the fixture's clock alone says versions.
pub(crate) fn later() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let millis = u64::try_from(since.as_millis()).unwrap();
    Timestamp::from_millis(millis + 24 * 3_600_000)
}

/// A side as it is read and written, and as it takes over.
type Both<C, W> = (Arc<C>, Arc<dyn Replica<W>>);

async fn proved<C, W>(suite: &str, cases: Vec<Case<Sides<C, W>>>, of: impl Fn(&Aws) -> Both<C, W>)
where
    C: ?Sized + Capability<Write = W>,
    W: Write,
{
    eprintln!("{suite}: {} sentences of a replica", cases.len());
    prove(cases, || {
        let clock = Arc::new(ManualClock::at(later()));
        let side = || {
            let mut world = wait(World::new());
            world.clock = Arc::clone(&clock);
            of(&world.host())
        };
        let ((from, _), (to, adopts)) = (side(), side());
        Fixture::new(Arc::new(Sides::new(from, to, adopts)), clock)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_takes_over() {
    let both = |aws: &Aws| {
        let side = aws.memory().unwrap();
        (Arc::clone(&side) as _, side as _)
    };
    proved("memory", standby::memory::cases(), both).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_take_over() {
    let both = |aws: &Aws| {
        let side = aws.sessions(Arc::new(HashedEmbedder)).unwrap();
        (Arc::clone(&side) as _, side as _)
    };
    proved("sessions", standby::sessions::cases(), both).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_take_over() {
    let both = |aws: &Aws| {
        let side = aws.records(Arc::new(HashedEmbedder)).unwrap();
        (Arc::clone(&side) as _, side as _)
    };
    proved("records", standby::records::cases(), both).await;
}

pub(crate) fn ctx() -> CallCtx {
    testkit::ctx("acme", "scribe")
}

fn put(key: &str, value: &str) -> MemoryWrite {
    MemoryWrite::Put {
        key: key.to_owned(),
        value: value.as_bytes().to_vec(),
        ttl: None,
        expected: Expected::Any,
    }
}

pub(crate) fn create() -> SessionWrite {
    SessionWrite::Create {
        actor: "astrid".to_owned(),
        id: Some("s".to_owned()),
        ttl: None,
        metadata: Vec::new(),
    }
}

pub(crate) fn say(content: &str) -> SessionWrite {
    SessionWrite::Append {
        actor: "astrid".to_owned(),
        session: "s".to_owned(),
        role: Role::User,
        content: content.to_owned(),
        metadata: Vec::new(),
    }
}

/// Something that a host acknowledged `millis` after `start`.
fn made<A>(ack: A, start: Timestamp, millis: u64) -> Made<A> {
    let at = start.saturating_add(Duration::from_millis(millis));
    Made {
        ack,
        stamp: at.as_millis() << 10,
        at,
    }
}

fn item(start: Timestamp, millis: u64, existed: bool) -> Made<MemoryAck> {
    let Made { stamp, at, .. } = made((), start, millis);
    let ack = MemoryAck {
        version: stamp,
        existed,
    };
    Made { ack, stamp, at }
}

pub(crate) fn appended(id: WriteId, start: Timestamp, millis: u64) -> Made<SessionAck> {
    let Made { stamp, at, .. } = made((), start, millis);
    let id = id.to_name();
    Made {
        ack: SessionAck::Appended {
            id,
            at,
            place: stamp,
        },
        stamp,
        at,
    }
}

/// A host whose AgentCore and Redis are behind proxies, and which asks but once.
struct Behind {
    agentcore: FaultProxy,
    redis: FaultProxy,
    aws: Aws,
}

impl Behind {
    async fn proxies(world: &World) -> Self {
        let agentcore = FaultProxy::start(Ministack::shared().await.address());
        let redis = FaultProxy::start(Redis::shared().await.address());
        let (agentcore, redis) = (agentcore.await.unwrap(), redis.await.unwrap());
        let mut config = world.config.clone();
        config.endpoints.all = Some(format!("http://{}", agentcore.address()));
        config.max_attempts = 1;
        if let Some(memory) = &mut config.memory {
            memory.redis = format!("redis://{}", redis.address());
        }
        Self {
            agentcore,
            redis,
            aws: world.host_with(config),
        }
    }

    /// Every way to lose sight of one of the servers: before it has heard so many bytes, or before so many of its answers
    /// have come. A write that is taken over exchanges some thousand bytes with each.
    fn cuts(&self) -> Vec<(&FaultProxy, Fault)> {
        const AFTER_BYTES: [u64; 4] = [0, 300, 900, 2_500];
        let mut cuts = Vec::new();
        for server in [&self.agentcore, &self.redis] {
            for from in [Side::Client, Side::Server] {
                cuts.extend(AFTER_BYTES.map(|after| (server, Fault::Cut { from, after })));
            }
        }
        cuts
    }
}

/// Adopts a write while a server is cut off, and then until it hears an end, as a replay does.
async fn insist<R, W>(
    replica: &R,
    (server, fault): (&FaultProxy, Fault),
    id: WriteId,
    write: &W,
    made: &Made<W::Ack>,
) -> bool
where
    R: Replica<W>,
    W: Write,
{
    server.set(fault);
    let cut = replica.adopt(&ctx(), id, write, made).await;
    server.heal();
    let is_cut = cut.is_err();
    if let Err(error) = cut {
        assert!(error.kind().is_outage(), "{error}");
    }
    for _ in 0..50 {
        match replica.adopt(&ctx(), id, write, made).await {
            Ok(Adopted::Stands) => return is_cut,
            Ok(Adopted::Superseded) => panic!("nobody else wrote"),
            Err(error) => assert!(error.kind().is_outage(), "{error}"),
        }
    }
    panic!("the write is never taken over");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_taken_over_with_lost_answers_is_there_once() {
    let world = World::new().await;
    let behind = Behind::proxies(&world).await;
    let memory = behind.aws.memory().unwrap();
    let sessions = behind.aws.sessions(Arc::new(HashedEmbedder)).unwrap();
    let start = later();
    let begun = SessionAck::Created {
        id: "s".to_owned(),
        at: start,
        expires_at: None,
        place: start.as_millis() << 10,
    };
    let begun = made(begun, start, 0);
    let id = ctx().next_write_id().unwrap();
    sessions.adopt(&ctx(), id, &create(), &begun).await.unwrap();
    let (mut items, mut said, mut cuts) = (Vec::new(), Vec::new(), 0);
    for (n, cut) in (1..).zip(behind.cuts()) {
        // What stood before is replaced, so that the end of the stream matters.
        let key = format!("k{}", n / 2);
        let (id, made) = (ctx().next_write_id().unwrap(), item(start, n, n % 2 == 1));
        let write = put(&key, &n.to_string());
        cuts += u32::from(insist(&*memory, cut.clone(), id, &write, &made).await);
        items.push((key, id, write, made));
        let id = ctx().next_write_id().unwrap();
        let made = appended(id, start, n);
        let write = say(&n.to_string());
        cuts += u32::from(insist(&*sessions, cut, id, &write, &made).await);
        said.push((id.to_name(), made.at));
    }
    assert!(cuts > 10, "only {cuts} writes were cut");
    for (key, id, write, made) in &items {
        let later = items.iter().rfind(|(other, ..)| other == key).unwrap();
        let stands = memory.get(&ctx(), key).await.unwrap().unwrap();
        assert_eq!(stands.version, later.3.ack.version);
        assert_eq!(memory.apply(&ctx(), *id, write).await.unwrap(), made.ack);
    }
    assert_eq!(heard(&*sessions).await, said);
    // The same for a host that was never cut off.
    let other = world.host().sessions(Arc::new(HashedEmbedder)).unwrap();
    assert_eq!(heard(&*other).await, said);
}

async fn heard(sessions: &dyn Sessions) -> Vec<(String, Timestamp)> {
    let ctx = ctx();
    // Two to a page, so that pages are read on.
    let mut all = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = sessions.events(
            &ctx,
            "astrid",
            "s",
            Order::OldestFirst,
            cursor.as_deref(),
            2,
        );
        let page = page.await.unwrap();
        all.extend(page.entries.into_iter().map(|event| (event.id, event.at)));
        cursor = page.next_cursor;
        if cursor.is_none() {
            return all;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_landed_unheard_is_listed_when_another_host_came_upon_it_first() {
    let world = World::new().await;
    let behind = Behind::proxies(&world).await;
    let one = behind.aws.sessions(Arc::new(HashedEmbedder)).unwrap();
    let other = world.host().sessions(Arc::new(HashedEmbedder)).unwrap();
    let apply = async |id: WriteId, write: &SessionWrite| other.apply(&ctx(), id, write).await;
    let id = ctx().next_write_id().unwrap();
    apply(id, &create()).await.unwrap();
    let start = later();
    let mut said = Vec::new();
    for (n, adopts) in (1..).zip([true, false]) {
        let id = ctx().next_write_id().unwrap();
        let write = say(&n.to_string());
        let made = appended(id, start, n);
        let attempt = async || match adopts {
            true => one.adopt(&ctx(), id, &write, &made).await.map(|_| ()),
            false => one.apply(&ctx(), id, &write).await.map(|_| ()),
        };
        behind.agentcore.set(Fault::Cut {
            from: Side::Server,
            after: 0,
        });
        let lost = attempt().await.unwrap_err();
        assert!(lost.kind().is_outage(), "{lost}");
        behind.agentcore.heal();
        // Comes upon the event in the stream.
        let next = ctx().next_write_id().unwrap();
        apply(next, &say("next")).await.unwrap();
        attempt().await.unwrap();
        said.extend([id.to_name(), next.to_name()]);
        said.sort_unstable();
        let mut listed: Vec<_> = heard(&*other).await.into_iter().map(|(id, _)| id).collect();
        listed.sort_unstable();
        assert_eq!(listed, said, "adopts: {adopts}");
    }
    let hits = one.recall(&ctx(), "astrid", "1", 1).await.unwrap();
    assert_eq!(hits[0].event.content, "1");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_landed_gets_the_time_that_was_said_and_its_place_whatever_redis_forgets() {
    let redis = Redis::start().unwrap();
    let world = World::with_redis(redis.url()).await;
    let sessions = world.host().sessions(Arc::new(HashedEmbedder)).unwrap();
    let apply = async |write: &SessionWrite| {
        let ctx = ctx();
        let id = ctx.next_write_id().unwrap();
        sessions.apply(&ctx, id, write).await.unwrap();
        id
    };
    apply(&create()).await;
    let landed = apply(&say("landed")).await;
    let next = apply(&say("next")).await;
    let start = later();
    for forgets in [false, true] {
        if forgets {
            redis.flush().unwrap();
        }
        let made = appended(landed, start, 5);
        let adopted = sessions.adopt(&ctx(), landed, &say("landed"), &made).await;
        assert_eq!(adopted.unwrap(), Adopted::Stands);
        let heard = heard(&*sessions).await;
        let ids: Vec<_> = heard.iter().map(|(id, _)| id.clone()).collect();
        assert_eq!(
            ids,
            [next.to_name(), landed.to_name()],
            "forgets: {forgets}"
        );
        assert_eq!(heard[1].1, made.at);
    }
    redis.flush().unwrap();
    assert_eq!(heard(&*sessions).await.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hosts_that_wrote_a_key_apart_the_later_write_stands_in_whatever_order_they_drain() {
    let start = later();
    for first_drains_first in [true, false] {
        let world = World::new().await;
        let (one, other) = (world.host(), world.host());
        let ids: Vec<_> = (0..4).map(|_| ctx().next_write_id().unwrap()).collect();
        // Each has the later write of one key.
        let of_one = [("a", "one", 1), ("b", "one", 4)];
        let of_other = [("a", "other", 3), ("b", "other", 2)];
        let mut drains = vec![(&one, of_one, &ids[..2]), (&other, of_other, &ids[2..])];
        if !first_drains_first {
            drains.reverse();
        }
        for (host, writes, ids) in drains {
            let memory = host.memory().unwrap();
            for ((key, value, millis), id) in writes.into_iter().zip(ids) {
                let made = item(start, millis, false);
                let write = put(key, value);
                memory.adopt(&ctx(), *id, &write, &made).await.unwrap();
            }
        }
        let memory = one.memory().unwrap();
        for (key, value) in [("a", "other"), ("b", "one")] {
            let item = memory.get(&ctx(), key).await.unwrap().unwrap();
            assert_eq!(item.value, value.as_bytes(), "{key}, {first_drains_first}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_two_hosts_said_apart_in_one_session_is_all_there_in_its_order() {
    let start = later();
    for first_drains_first in [true, false] {
        let world = World::new().await;
        let hosts = [world.host(), world.host()];
        let hosts = hosts.map(|aws| aws.sessions(Arc::new(HashedEmbedder)).unwrap());
        let begun = |millis| {
            let Made { stamp, at, .. } = made((), start, millis);
            let ack = SessionAck::Created {
                id: "s".to_owned(),
                at,
                expires_at: None,
                place: stamp,
            };
            Made { ack, stamp, at }
        };
        let mut order = [0, 1];
        if !first_drains_first {
            order.reverse();
        }
        for n in order {
            let n = u64::try_from(n).unwrap();
            let host = &hosts[usize::try_from(n).unwrap()];
            let id = ctx().next_write_id().unwrap();
            host.adopt(&ctx(), id, &create(), &begun(n)).await.unwrap();
            for at in [2, 4, 5] {
                // The last ones are of the same moment.
                let at = if at == 5 { 9 } else { at + n };
                let id = ctx().next_write_id().unwrap();
                let made = appended(id, start, at);
                let adopted = host.adopt(&ctx(), id, &say("x"), &made).await;
                assert_eq!(adopted.unwrap(), Adopted::Stands);
            }
        }
        let heard = heard(&*hosts[0]).await;
        let at: Vec<_> = heard
            .iter()
            .map(|(_, at)| at.since(start).as_millis())
            .collect();
        assert_eq!(at, [2, 3, 4, 5, 9, 9]);
        let session = hosts[1].get(&ctx(), "astrid", "s").await.unwrap().unwrap();
        assert_eq!(
            session.created_at,
            begun(1).at,
            "the later beginning counts"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_is_taken_over_is_found_by_what_it_says_now() {
    let world = World::new().await;
    let records = world.host().records(Arc::new(HashedEmbedder)).unwrap();
    let start = later();
    for (n, text) in [(0, "the dog is called Bamse"), (1, "the boat is blue")] {
        let write = RecordWrite::Put {
            namespace: "/facts".to_owned(),
            id: Some("r".to_owned()),
            text: text.to_owned(),
            metadata: Vec::new(),
        };
        let Made { stamp, at, .. } = made((), start, n);
        let ack = stuga_core::records::RecordAck {
            id: "r".to_owned(),
            version: stamp,
            existed: n > 0,
        };
        let id = ctx().next_write_id().unwrap();
        let made = Made { ack, stamp, at };
        records.adopt(&ctx(), id, &write, &made).await.unwrap();
    }
    let hits = records.recall(&ctx(), "", "which boat", 2).await.unwrap();
    assert_eq!(hits.len(), 1);
    assert_eq!(hits[0].record.text, "the boat is blue");
}
