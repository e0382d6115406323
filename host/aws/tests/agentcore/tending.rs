//! What tending removes and renews, and that nobody notices.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stuga_core::memory::{Expected, Memory, MemoryWrite};
use stuga_core::{Capability, Clock, testkit};

use crate::world::World;

const DAY: Duration = Duration::from_secs(24 * 3_600);

fn put(key: &str, value: &str) -> MemoryWrite {
    MemoryWrite::Put {
        key: key.to_owned(),
        value: value.as_bytes().to_vec(),
        ttl: None,
        expected: Expected::Any,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tending_removes_what_was_written_over_and_renews_what_is_old_and_nobody_notices() {
    let world = World::new().await;
    let aws = world.host();
    let memory = aws.memory().unwrap();
    let ctx = || testkit::ctx("acme", "scribe");
    let delete = MemoryWrite::Delete {
        key: "gone".to_owned(),
    };
    for write in [
        put("k", "one"),
        put("k", "two"),
        put("gone", "x"),
        delete,
        put("other", "y"),
    ] {
        let ctx = ctx();
        let id = ctx.next_write_id().unwrap();
        memory.apply(&ctx, id, &write).await.unwrap();
    }
    let before = memory.list(&ctx(), "", None, 10).await.unwrap().items;
    // AgentCore's events have the time of Redis, which is that of this machine.
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
    let behind = since - Duration::from_millis(world.clock.now().as_millis());
    world.clock.advance(behind + Duration::from_secs(60));
    let first = aws.tend_memory(&ctx()).await.unwrap();
    assert_eq!(
        (first.seen, first.removed, first.renewed),
        (3, 0, 0),
        "too early"
    );
    world.clock.advance(2 * DAY);
    let second = aws.tend_memory(&ctx()).await.unwrap();
    assert_eq!((second.removed, second.renewed), (2, 0));
    world.clock.advance(200 * DAY);
    let third = aws.tend_memory(&ctx()).await.unwrap();
    assert_eq!((third.removed, third.renewed), (1, 2));
    assert_eq!(
        memory.list(&ctx(), "", None, 10).await.unwrap().items,
        before
    );
    assert_eq!(memory.get(&ctx(), "gone").await.unwrap(), None);
    // What was renewed is at the version that callers know.
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let expected = Expected::Version(before[0].version);
    let write = MemoryWrite::Put {
        key: "k".to_owned(),
        value: b"three".to_vec(),
        ttl: None,
        expected,
    };
    assert!(memory.apply(&ctx, id, &write).await.unwrap().existed);
}
