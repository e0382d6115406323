//! A Redis that does not let everybody in: passwords, users, TLS.

use std::path::PathBuf;

use stuga_aws::RedisAccess;
use stuga_core::memory::{Expected, MemoryAck, MemoryWrite};
use stuga_core::{Capability, ErrorKind, Result, testkit};
use stuga_test_servers::{Locks, Redis, data};

use crate::world::World;

/// Long enough to be found in an error by chance never.
const PASSWORD: &str = "correct-horse-battery-staple";
/// The password of the user `stuga`.
const USERS: &str = "another-horse-of-the-user";

/// A file that holds a password, as an editor leaves it.
fn file(name: &str, password: &str) -> PathBuf {
    let path = data(&format!("password-{name}")).unwrap().join("password");
    std::fs::write(&path, format!("{password}\n")).unwrap();
    path
}

/// Writes an item with the Redis at `url`, which lets the host in like this.
async fn put(url: String, access: RedisAccess) -> Result<MemoryAck> {
    let mut world = World::with_redis(url).await;
    let memory = world.config.memory.as_mut().unwrap();
    memory.redis_access = access;
    let ctx = testkit::ctx("acme", "scribe");
    let write = MemoryWrite::Put {
        key: "k".to_owned(),
        value: b"v".to_vec(),
        ttl: None,
        expected: Expected::Absent,
    };
    let memory = world.host().memory().unwrap();
    memory.apply(&ctx, ctx.next_write_id()?, &write).await
}

/// That the host was shut out, and says what to do without saying what it knows.
fn assert_shut_out(put: Result<MemoryAck>, fix: &str) {
    let refused = put.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused:?}");
    assert!(refused.message().contains(fix), "{refused}");
    let all = format!("{refused:?} {}", refused.causes());
    assert!(!all.contains("horse"), "{all}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_password_is_taken_from_a_file_or_the_environment_and_is_never_told() {
    let redis = Redis::start_locked(Locks {
        password: Some(PASSWORD),
        ..Locks::default()
    })
    .unwrap();
    let with = |name: &str, password: &str| RedisAccess {
        password_file: Some(file(name, password)),
        ..RedisAccess::default()
    };
    put(redis.url(), with("right", PASSWORD)).await.unwrap();
    let wrong = put(redis.url(), with("wrong", "a-horse")).await;
    assert_shut_out(wrong, "aws.memory.redis_access");
    let none = put(redis.url(), RedisAccess::default()).await;
    assert_shut_out(none, "aws.memory.redis_access");

    // A variable that every process has.
    let path = std::env::var("PATH").unwrap();
    let redis = Redis::start_locked(Locks {
        password: Some(&path),
        ..Locks::default()
    })
    .unwrap();
    let access = RedisAccess {
        password_env: Some("PATH".to_owned()),
        ..RedisAccess::default()
    };
    assert!(!format!("{access:?}").contains(&path));
    put(redis.url(), access).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_user_is_let_in_over_tls_by_whoever_has_the_certificate_that_is_trusted() {
    let redis = Redis::start_locked(Locks {
        password: Some(PASSWORD),
        user: Some(("stuga", USERS)),
        tls: true,
    })
    .unwrap();
    let user = |password: &str| RedisAccess {
        user: Some("stuga".to_owned()),
        password_file: Some(file("user", password)),
        ca_file: redis.certificate().map(Into::into),
        ..RedisAccess::default()
    };
    let tls = || redis.tls_url().unwrap();
    put(tls(), user(USERS)).await.unwrap();
    // The password of another user.
    assert_shut_out(put(tls(), user(PASSWORD)).await, "aws.memory.redis_access");
    let stranger = RedisAccess {
        ca_file: None,
        ..user(USERS)
    };
    assert_shut_out(put(tls(), stranger).await, "cannot serve");
}
