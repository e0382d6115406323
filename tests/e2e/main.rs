//! The whole host from outside: the real binary, a real port, real components.
//!
//! Each test starts a server of its own on a free port. Nothing waits for a clock: tests wait for what the server
//! answers or logs.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod cli;
mod crash;
mod gateway;
mod hostile;
mod idempotency;
mod invoke;
mod isolation;
mod jobs;
mod meetmind;
mod messages;
mod model;
mod record;
mod reload;
mod shutdown;
mod stream;
mod support;
