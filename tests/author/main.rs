//! What an agent's author has: the mock host and the commands, tried as a new author would.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod commands;
mod desk;
mod inspect;
mod mock;
mod recordings;
mod tours;
