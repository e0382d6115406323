//! The chores of the repository: `cargo xtask --help`.
//!
//! Each chore sets up what it needs by itself, so that it works on a fresh machine with a Rust toolchain, and says what
//! to do when it cannot. No chore is needed by the product at run time.

mod bench;
mod chaos;
mod demo;
mod guests;
mod models;
mod reference;
mod scripted;
mod shell;
mod steps;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// The chores of the repository.
#[derive(Parser)]
#[command(
    bin_name = "cargo xtask",
    after_help = "Examples:\n  cargo xtask demo                   set up and run MeetMind on a real meeting\n  cargo xtask test                   set up and run every test\n  cargo xtask guests                 build every guest component\n  cargo xtask guests meetmind        build one\n  cargo xtask bench                  figures beside axum and wasmtime serve\n  cargo xtask chaos --seed 7         break everything around a host, and judge\n  cargo xtask failover-demo outage   lose AWS under load"
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measure Stuga beside its peers, in one run, and print one table
    Bench(bench::Args),
    /// Break everything around a host while clients work, and compare what was acknowledged with what is in the cloud
    Chaos(chaos::ChaosArgs),
    /// Show the main job: set up, start a server, let MeetMind summarise a real meeting, stop
    Demo(demo::Args),
    /// Show how a host stands in for AWS: four scenes, each with a plot
    FailoverDemo(chaos::DemoArgs),
    /// Build the guests (plugins and test fixtures) as components into target/guests
    Guests(guests::Args),
    /// Write docs/reference/wit.md from the comments of wit/
    Reference(reference::Args),
    /// Set up, then run every test, and say what ran and what did not
    Test(test::Args),
}

fn main() -> ExitCode {
    let result = match Cli::parse().task {
        Task::Bench(args) => bench::run(&args),
        Task::Chaos(args) => chaos::run(&args),
        Task::Demo(args) => demo::run(&args),
        Task::FailoverDemo(args) => chaos::demo(&args),
        Task::Guests(args) => guests::run(&args),
        Task::Reference(args) => reference::run(&args),
        Task::Test(args) => test::run(&args),
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}
