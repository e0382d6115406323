//! What the servers lose, and what is lost on the way to them.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stuga_aws::Aws;
use stuga_core::embed::HashedEmbedder;
use stuga_core::memory::{Expected, Item, Memory, MemoryWrite};
use stuga_core::records::{RecordWrite, Records};
use stuga_core::sessions::{Order, Role, SessionWrite, Sessions};
use stuga_core::{CallCtx, Capability, ErrorKind, WriteId, testkit};
use stuga_fault_proxy::{Fault, FaultProxy, Side};
use stuga_test_servers::{Ministack, Redis};

use crate::world::World;

fn ctx() -> CallCtx {
    testkit::ctx("acme", "scribe")
}

fn put(key: &str, value: &str) -> MemoryWrite {
    put_if(Expected::Any, key, value)
}

fn put_if(expected: Expected, key: &str, value: &str) -> MemoryWrite {
    MemoryWrite::Put {
        key: key.to_owned(),
        value: value.as_bytes().to_vec(),
        ttl: None,
        expected,
    }
}

fn say(content: &str) -> SessionWrite {
    SessionWrite::Append {
        actor: "astrid".to_owned(),
        session: "s".to_owned(),
        role: Role::User,
        content: content.to_owned(),
        metadata: Vec::new(),
    }
}

fn create() -> SessionWrite {
    SessionWrite::Create {
        actor: "astrid".to_owned(),
        id: Some("s".to_owned()),
        ttl: None,
        metadata: vec![("channel".to_owned(), "web".to_owned())],
    }
}

fn learn(id: &str, text: &str) -> RecordWrite {
    RecordWrite::Put {
        namespace: "/facts".to_owned(),
        id: Some(id.to_owned()),
        text: text.to_owned(),
        metadata: Vec::new(),
    }
}

/// A host's three capabilities.
struct Host {
    memory: Arc<dyn Memory>,
    sessions: Arc<dyn Sessions>,
    records: Arc<dyn Records>,
}

impl Host {
    fn of(aws: &Aws) -> Self {
        Self {
            memory: aws.memory().unwrap(),
            sessions: aws.sessions(Arc::new(HashedEmbedder)).unwrap(),
            records: aws.records(Arc::new(HashedEmbedder)).unwrap(),
        }
    }

    async fn items(&self) -> Vec<Item> {
        self.memory
            .list(&ctx(), "", None, 1_000)
            .await
            .unwrap()
            .items
    }

    async fn said(&self) -> Vec<(String, String)> {
        let ctx = ctx();
        let events = self
            .sessions
            .events(&ctx, "astrid", "s", Order::OldestFirst, None, 1_000);
        let events = events.await.unwrap().entries.into_iter();
        events.map(|event| (event.id, event.content)).collect()
    }

    async fn known(&self) -> Vec<(String, u64)> {
        let page = self.records.list(&ctx(), "", None, 1_000).await.unwrap();
        page.records
            .into_iter()
            .map(|record| (record.id, record.version))
            .collect()
    }
}

/// Applies a write in an invocation of its own; says under which id.
async fn apply<C: Capability + ?Sized>(
    backend: &C,
    write: &C::Write,
) -> (WriteId, <C::Write as stuga_core::Write>::Ack) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    (id, backend.apply(&ctx, id, write).await.unwrap())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redis_that_forgets_everything_loses_nothing_and_doubles_nothing() {
    let redis = Redis::start().unwrap();
    let world = World::with_redis(redis.url()).await;
    let host = Host::of(&world.host());
    let mut written = Vec::new();
    for n in 0..5 {
        let write = put(&format!("k{n}"), &format!("value {n}"));
        let (id, ack) = apply(&*host.memory, &write).await;
        written.push((id, write, ack));
    }
    // One that was written over, so that nothing but its own stream remembers it.
    let (old_id, old_ack) = apply(&*host.memory, &put("k0", "before")).await;
    apply(&*host.memory, &put("k0", "after")).await;
    let gone = MemoryWrite::Delete {
        key: "k4".to_owned(),
    };
    let (gone_id, gone_ack) = apply(&*host.memory, &gone).await;
    apply(&*host.sessions, &create()).await;
    let (said_id, said_ack) = apply(&*host.sessions, &say("the red house")).await;
    apply(&*host.sessions, &say("the blue boat")).await;
    apply(
        &*host.records,
        &learn("colour", "her favourite colour is blue"),
    )
    .await;
    let (learned_id, learned_ack) =
        apply(&*host.records, &learn("dog", "hunden heter Bamse")).await;
    let (items, said, known) = (host.items().await, host.said().await, host.known().await);
    assert_eq!((items.len(), said.len(), known.len()), (4, 2, 2));

    // Each of these begins with an empty Redis, as another host that was never told of anything.
    redis.flush().unwrap();
    let other = Host::of(&world.host());
    for item in &items {
        assert_eq!(
            other.memory.get(&ctx(), &item.key).await.unwrap().as_ref(),
            Some(item)
        );
    }
    assert_eq!(other.memory.get(&ctx(), "k4").await.unwrap(), None);
    redis.flush().unwrap();
    assert_eq!(other.items().await, items);
    redis.flush().unwrap();
    assert_eq!(other.said().await, said);
    redis.flush().unwrap();
    assert_eq!(other.known().await, known);
    redis.flush().unwrap();
    let hits = other
        .sessions
        .recall(&ctx(), "astrid", "boats", 1)
        .await
        .unwrap();
    assert_eq!(hits[0].event.content, "the blue boat");
    redis.flush().unwrap();
    let hits = other
        .records
        .recall(&ctx(), "/facts", "which colour", 1)
        .await
        .unwrap();
    assert_eq!(hits[0].record.id, "colour");

    redis.flush().unwrap();
    for (id, write, ack) in &written {
        assert_eq!(other.memory.apply(&ctx(), *id, write).await.unwrap(), *ack);
    }
    redis.flush().unwrap();
    let again = other
        .memory
        .apply(&ctx(), old_id, &put("k0", "before"))
        .await
        .unwrap();
    assert_eq!(again, old_ack);
    assert_eq!(
        other.memory.apply(&ctx(), gone_id, &gone).await.unwrap(),
        gone_ack
    );
    let refused = other
        .memory
        .apply(&ctx(), old_id, &put("k0", "another"))
        .await
        .unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    redis.flush().unwrap();
    let again = other
        .sessions
        .apply(&ctx(), said_id, &say("the red house"))
        .await
        .unwrap();
    assert_eq!(again, said_ack);
    let learn_again = learn("dog", "hunden heter Bamse");
    let again = other
        .records
        .apply(&ctx(), learned_id, &learn_again)
        .await
        .unwrap();
    assert_eq!(again, learned_ack);
    assert_eq!(other.items().await, items);
    assert_eq!(other.said().await, said);
    assert_eq!(other.known().await, known);

    redis.flush().unwrap();
    let version = items[0].version;
    let (_, ack) = apply(
        &*other.memory,
        &put_if(Expected::Version(version), "k0", "next"),
    )
    .await;
    assert!(ack.existed && ack.version > version);
    redis.flush().unwrap();
    let taken = other
        .sessions
        .apply(&ctx(), ctx().next_write_id().unwrap(), &create())
        .await;
    assert_eq!(taken.unwrap_err().kind(), ErrorKind::Conflict);
}

/// Applies a write again and again under its id, as a replay does, until it is acknowledged.
async fn insist<C: Capability + ?Sized>(backend: &C, write: &C::Write) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    for _ in 0..50 {
        match backend.apply(&ctx, id, write).await {
            Ok(_) => return,
            Err(error) => assert!(error.kind().is_outage(), "{error}"),
        }
    }
    panic!("the write is never acknowledged");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn writers_under_a_redis_that_forgets_again_and_again_are_each_heard_once() {
    const WRITERS: usize = 4;
    const WORDS: usize = 12;
    const FORGETS_AFTER: usize = 3;
    let redis = Redis::start().unwrap();
    let world = World::with_redis(redis.url()).await;
    let hosts: Vec<_> = (0..2).map(|_| Arc::new(Host::of(&world.host()))).collect();
    insist(&*hosts[0].sessions, &create()).await;
    let (heard, mut acknowledged) = tokio::sync::mpsc::unbounded_channel();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let host = Arc::clone(&hosts[writer % hosts.len()]);
            let heard = heard.clone();
            tokio::spawn(async move {
                for word in 0..WORDS {
                    insist(&*host.sessions, &say(&format!("{writer}/{word}"))).await;
                    heard.send(()).unwrap();
                }
            })
        })
        .collect();
    drop(heard);
    // While the others are in the middle of theirs.
    let mut writes = 0;
    while acknowledged.recv().await.is_some() {
        writes += 1;
        if writes % FORGETS_AFTER == 0 {
            redis.flush().unwrap();
        }
    }
    for writer in writers {
        writer.await.unwrap();
    }
    let mut said: Vec<_> = hosts[1]
        .said()
        .await
        .into_iter()
        .map(|(_, said)| said)
        .collect();
    for writer in 0..WRITERS {
        let own = said
            .iter()
            .filter(|said| said.starts_with(&format!("{writer}/")));
        let expected: Vec<_> = (0..WORDS).map(|word| format!("{writer}/{word}")).collect();
        assert!(own.eq(expected.iter()), "{said:?}");
    }
    redis.flush().unwrap();
    assert_eq!(hosts[0].said().await.len(), WRITERS * WORDS);
    said.sort_unstable();
    said.dedup();
    assert_eq!(said.len(), WRITERS * WORDS);
}

/// A host whose Redis, or whose AgentCore, is behind a proxy.
async fn behind(world: &World, redis: Option<SocketAddr>, agentcore: Option<SocketAddr>) -> Host {
    let mut config = world.config.clone();
    if let (Some(address), Some(memory)) = (redis, &mut config.memory) {
        memory.redis = format!("redis://{address}");
    }
    if let Some(address) = agentcore {
        config.endpoints.all = Some(format!("http://{address}"));
    }
    config.max_attempts = 1;
    Host::of(&world.host_with(config))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_redis_single_things_are_read_from_agentcore_and_writes_are_an_outage() {
    let world = World::new().await;
    let proxy = FaultProxy::start(Redis::shared().await.address())
        .await
        .unwrap();
    let host = behind(&world, Some(proxy.address()), None).await;
    apply(&*host.memory, &put("k", "value")).await;
    apply(&*host.sessions, &create()).await;
    apply(&*host.records, &learn("dog", "hunden heter Bamse")).await;
    let whole = (
        host.memory.get(&ctx(), "k").await.unwrap(),
        host.sessions.get(&ctx(), "astrid", "s").await.unwrap(),
        host.records.get(&ctx(), "/facts", "dog").await.unwrap(),
    );
    assert!(whole.0.is_some() && whole.1.is_some() && whole.2.is_some());
    proxy.set(Fault::Refuse);
    proxy.in_force().await;
    let without = (
        host.memory.get(&ctx(), "k").await.unwrap(),
        host.sessions.get(&ctx(), "astrid", "s").await.unwrap(),
        host.records.get(&ctx(), "/facts", "dog").await.unwrap(),
    );
    assert_eq!(without, whole);
    let (ctx_of_write, write) = (ctx(), put("k", "next"));
    let id = ctx_of_write.next_write_id().unwrap();
    let refused = host
        .memory
        .apply(&ctx_of_write, id, &write)
        .await
        .unwrap_err();
    assert!(refused.kind().is_outage(), "{refused}");
    let refused = host.memory.list(&ctx(), "", None, 1).await.unwrap_err();
    assert!(refused.kind().is_outage(), "{refused}");
    proxy.heal();
    insist(&*host.memory, &write).await;
    assert_eq!(host.items().await[0].value, b"next");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_write_whose_answer_was_lost_is_found_and_not_made_again() {
    let world = World::new().await;
    let proxy = FaultProxy::start(Ministack::shared().await.address())
        .await
        .unwrap();
    let host = behind(&world, None, Some(proxy.address())).await;
    apply(&*host.sessions, &create()).await;
    let ctx = ctx();
    for word in ["one", "two"] {
        let id = ctx.next_write_id().unwrap();
        proxy.set(Fault::Cut {
            from: Side::Server,
            after: 0,
        });
        let lost = host.sessions.apply(&ctx, id, &say(word)).await.unwrap_err();
        assert_eq!(lost.kind(), ErrorKind::Timeout, "{lost}");
        proxy.heal();
        host.sessions.apply(&ctx, id, &say(word)).await.unwrap();
        host.sessions.apply(&ctx, id, &say(word)).await.unwrap();
    }
    let said: Vec<_> = host
        .said()
        .await
        .into_iter()
        .map(|(_, said)| said)
        .collect();
    assert_eq!(said, ["one", "two"]);

    // The same of an item: what a reader sees afterwards has the version that was acknowledged.
    let id = ctx.next_write_id().unwrap();
    proxy.set(Fault::Cut {
        from: Side::Server,
        after: 0,
    });
    host.memory
        .apply(&ctx, id, &put("k", "value"))
        .await
        .unwrap_err();
    proxy.heal();
    let ack = host
        .memory
        .apply(&ctx, id, &put("k", "value"))
        .await
        .unwrap();
    let item = host.memory.get(&ctx, "k").await.unwrap().unwrap();
    assert_eq!(
        (item.version, item.value.as_slice()),
        (ack.version, b"value".as_slice())
    );
    apply(
        &*host.memory,
        &put_if(Expected::Version(ack.version), "k", "next"),
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_replica_that_takes_over_without_the_last_writes_brings_none_of_them_back() {
    let (first, second) = (Redis::start().unwrap(), Redis::start().unwrap());
    let world = World::with_redis(first.url()).await;
    let host = Host::of(&world.host());
    apply(&*host.memory, &put("k", "old")).await;
    apply(&*host.sessions, &create()).await;
    apply(&*host.sessions, &say("one")).await;
    let port = first.address().port();
    second
        .command(&format!("REPLICAOF 127.0.0.1 {port}"))
        .unwrap();
    let in_step = || {
        second
            .command("INFO replication")
            .unwrap()
            .contains("master_link_status:up")
    };
    second
        .server()
        .wait(Duration::from_secs(60), in_step)
        .unwrap();
    // Cut off before these, and then made the first one.
    second.command("REPLICAOF NO ONE").unwrap();
    apply(&*host.memory, &put("k", "new")).await;
    apply(&*host.memory, &put("l", "new")).await;
    apply(&*host.sessions, &say("two")).await;
    let version = host.items().await[0].version;
    let other = behind(&world, Some(second.address()), None).await;
    assert_eq!(
        other.memory.get(&ctx(), "k").await.unwrap().unwrap().value,
        b"new"
    );
    assert_eq!(other.items().await.len(), 2);
    apply(&*other.sessions, &say("three")).await;
    let said: Vec<_> = other
        .said()
        .await
        .into_iter()
        .map(|(_, said)| said)
        .collect();
    assert_eq!(said, ["one", "two", "three"]);
    apply(
        &*other.memory,
        &put_if(Expected::Version(version), "k", "newer"),
    )
    .await;
}
