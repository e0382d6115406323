//! Memory, sessions and records on AgentCore and Redis: their contract suites, before ministack and a real Redis, and what the
//! suites do not ask: several hosts, a Redis that is lost, other tenants.
//!
//! ministack differs from AWS in what concerns these tests: it lists events from the oldest on (AWS: the newest first), sees
//! writes in every listing at once (AWS: some time later), and checks no signatures.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod access;
mod contract;
mod door;
mod hosts;
mod isolation;
mod late;
mod loss;
mod replica;
mod tending;
mod world;
