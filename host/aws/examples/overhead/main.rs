//! What the backends on AWS cost above the bare requests: `cargo run --release -p stuga-aws --example overhead`.
//!
//! Each operation of a capability, and what a program sends that asks the SDK itself, take turns on the same server, one at
//! a time. Printed are the medians and their ratio: a table, or JSON with `--json`. Names of capabilities choose some:
//! `--example overhead -- files search`.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench fails by panicking"
)]

mod files;
mod harness;
mod jobs;
mod mailbox;
mod memory;
mod model;
mod search;
mod secrets;

use std::process::ExitCode;

use harness::Figures;

/// Every capability, in the order in which they are measured.
const ALL: [&str; 7] = [
    "files", "memory", "search", "mailbox", "secrets", "model", "jobs",
];

#[tokio::main]
async fn main() -> ExitCode {
    let (flags, mut chosen): (Vec<String>, Vec<String>) = std::env::args()
        .skip(1)
        .partition(|arg| arg.starts_with("--"));
    let mut unknown = flags
        .iter()
        .filter(|flag| *flag != "--json")
        .chain(chosen.iter().filter(|name| !ALL.contains(&name.as_str())));
    if let Some(name) = unknown.next() {
        eprintln!(
            "{name} is unknown; choose among {} and --json",
            ALL.join(", ")
        );
        return ExitCode::FAILURE;
    }
    if chosen.is_empty() {
        chosen = ALL.map(str::to_owned).into();
    }
    let mut figures = Figures::new();
    for name in &chosen {
        match name.as_str() {
            "files" => files::measure(&mut figures).await,
            "memory" => memory::measure(&mut figures).await,
            "search" => search::measure(&mut figures).await,
            "mailbox" => mailbox::measure(&mut figures).await,
            "secrets" => secrets::measure(&mut figures).await,
            "model" => model::measure(&mut figures).await,
            _ => jobs::measure(&mut figures).await,
        }
    }
    if flags.is_empty() {
        println!("{}", figures.table());
    } else {
        println!("{}", figures.json());
    }
    ExitCode::SUCCESS
}
