//! Failover from outside: the real binary before ministack and Redis, with proxies between them that fail on command.
//!
//! Nothing here waits for a clock: a test asks the host again and again, within a bound, until what must come has come. The
//! proxies run in the test's own runtime, which so has two threads: one may be held up by a command.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, like the tests"
)]

#[path = "../e2e/support.rs"]
#[allow(dead_code, reason = "shared with the tests of the whole host")]
mod support;

mod answers;
mod apart;
mod damage;
mod disk;
mod full;
mod kinds;
mod operators;
mod outage;
mod sides;
mod silent;
mod world;
