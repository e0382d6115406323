//! Several hosts on the same AgentCore memory and Redis.

use std::sync::Arc;

use stuga_core::embed::HashedEmbedder;
use stuga_core::memory::{Expected, Memory, MemoryWrite};
use stuga_core::sessions::{SessionAck, SessionWrite};
use stuga_core::{Capability, ErrorKind, testkit};

use crate::world::World;

fn put(expected: Expected, key: &str, value: &str) -> MemoryWrite {
    MemoryWrite::Put {
        key: key.to_owned(),
        value: value.as_bytes().to_vec(),
        ttl: None,
        expected,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_hosts_that_race_for_a_version_exactly_one_wins() {
    const ROUNDS: usize = 25;
    let world = World::new().await;
    let hosts: Vec<_> = (0..2).map(|_| world.host().memory().unwrap()).collect();
    let ctx = || testkit::ctx("acme", "scribe");
    let mut expected = Expected::Absent;
    for round in 0..ROUNDS {
        let racers: Vec<_> = hosts
            .iter()
            .enumerate()
            .map(|(n, memory)| {
                let memory = Arc::clone(memory);
                tokio::spawn(async move {
                    let ctx = ctx();
                    let id = ctx.next_write_id().unwrap();
                    let write = put(expected, "k", &format!("{round} of {n}"));
                    memory.apply(&ctx, id, &write).await
                })
            })
            .collect();
        let mut won = Vec::new();
        for (n, racer) in racers.into_iter().enumerate() {
            match racer.await.unwrap() {
                Ok(ack) => won.push((n, ack)),
                Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
            }
        }
        let [(n, ack)] = won.as_slice() else {
            panic!("{} hosts won round {round}", won.len());
        };
        // Both see it at once, whoever wrote.
        for memory in &hosts {
            let item = memory.get(&ctx(), "k").await.unwrap().unwrap();
            assert_eq!(item.value, format!("{round} of {n}").into_bytes());
            assert_eq!(item.version, ack.version);
        }
        expected = Expected::Version(ack.version);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_one_host_writes_another_reads_at_once() {
    let world = World::new().await;
    let (one, other) = (world.host(), world.host());
    let ctx = || testkit::ctx("acme", "scribe");
    for n in 0..20 {
        let (writer, reader) = if n % 2 == 0 {
            (&one, &other)
        } else {
            (&other, &one)
        };
        let ctx_of_write = ctx();
        let id = ctx_of_write.next_write_id().unwrap();
        let value = n.to_string();
        let write = put(Expected::Any, "k", &value);
        writer
            .memory()
            .unwrap()
            .apply(&ctx_of_write, id, &write)
            .await
            .unwrap();
        let read = reader
            .memory()
            .unwrap()
            .get(&ctx(), "k")
            .await
            .unwrap()
            .unwrap();
        assert_eq!(read.value, value.into_bytes());
        let page = reader
            .memory()
            .unwrap()
            .list(&ctx(), "k", None, 10)
            .await
            .unwrap();
        assert_eq!(page.items, [read]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_begun_by_one_host_alone() {
    let world = World::new().await;
    let create = SessionWrite::Create {
        actor: "astrid".to_owned(),
        id: Some("s".to_owned()),
        ttl: None,
        metadata: Vec::new(),
    };
    let racers: Vec<_> = (0..4)
        .map(|_| {
            let sessions = world.host().sessions(Arc::new(HashedEmbedder)).unwrap();
            let create = create.clone();
            tokio::spawn(async move {
                let ctx = testkit::ctx("acme", "scribe");
                let id = ctx.next_write_id().unwrap();
                sessions.apply(&ctx, id, &create).await
            })
        })
        .collect();
    let mut begun = 0;
    for racer in racers {
        match racer.await.unwrap() {
            Ok(SessionAck::Created { .. }) => begun += 1,
            Ok(other) => panic!("a create was answered with {other:?}"),
            Err(error) => assert_eq!(error.kind(), ErrorKind::Conflict, "{error}"),
        }
    }
    assert_eq!(begun, 1);
}
