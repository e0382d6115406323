//! The backends of this host, from outside: their contracts, against models, through restarts and `kill -9`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod applied;
mod common;
mod contract;
mod embedding;
mod jobs;
mod journal;
mod kill;
mod kill_jobs;
mod mailbox;
mod model;
mod model_files;
mod model_jobs;
mod model_sessions;
mod mortal;
mod recall;
mod retention;
mod search;
mod search_kill;
mod search_model;
mod secrets;
mod sessions;
mod standby;
mod store;
