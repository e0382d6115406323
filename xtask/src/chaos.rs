//! `cargo xtask chaos` and `cargo xtask failover-demo`: what they need, then the program of `tests/chaos`.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Result, bail};
use stuga_author::toolchain::Choice;

use crate::steps::Steps;
use crate::{guests, shell};

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask chaos --seed 7 --minutes 2\n  cargo xtask chaos --seed 1 --seeds 50 --minutes 5 --release\n  cargo xtask chaos --seeds 4 --minutes 5 --lives 1 --release     a host that dies all the time"
)]
pub(crate) struct ChaosArgs {
    /// What the run follows from
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Runs, each with the next seed
    #[arg(long, default_value_t = 1)]
    seeds: u64,
    /// How long things go wrong in each run, in minutes
    #[arg(long, default_value_t = 2.0)]
    minutes: f64,
    /// Hosts that share the cloud
    #[arg(long, default_value_t = 1)]
    hosts: u32,
    /// Clients of each of the three tenants
    #[arg(long, default_value_t = 4)]
    clients: u32,
    /// Share of the operations that only read, in percent
    #[arg(long)]
    reads: Option<u64>,
    /// Longest time that a way to the cloud is broken, in seconds
    #[arg(long)]
    broken: Option<f64>,
    /// Seconds that a host lives before it is ended, about
    #[arg(long)]
    lives: Option<f64>,
    #[command(flatten)]
    build: Build,
}

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask failover-demo\n  cargo xtask failover-demo outage"
)]
pub(crate) struct DemoArgs {
    /// Which scene
    #[arg(default_value = "all", value_parser = ["cloud", "outage", "recovery", "isolation", "all"])]
    scene: String,
    #[command(flatten)]
    build: Build,
}

#[derive(clap::Args)]
struct Build {
    /// Use optimised builds; making them takes some minutes the first time
    #[arg(long)]
    release: bool,
}

/// The task `chaos`.
pub(crate) fn run(args: &ChaosArgs) -> Result<()> {
    let mut program = ready(&args.build)?;
    program.args(["run", "--seed", &args.seed.to_string()]);
    program.args(["--seeds", &args.seeds.to_string()]);
    program.args(["--minutes", &args.minutes.to_string()]);
    program.args(["--hosts", &args.hosts.to_string()]);
    program.args(["--clients", &args.clients.to_string()]);
    if let Some(reads) = args.reads {
        program.args(["--reads", &reads.to_string()]);
    }
    if let Some(broken) = args.broken {
        program.args(["--broken", &broken.to_string()]);
    }
    if let Some(lives) = args.lives {
        program.args(["--lives", &lives.to_string()]);
    }
    shell::run(&mut program)
}

/// The task `failover-demo`.
pub(crate) fn demo(args: &DemoArgs) -> Result<()> {
    let mut program = ready(&args.build)?;
    shell::run(program.args(["demo", &args.scene]))
}

/// Builds everything, installs the servers, and answers with the program.
fn ready(build: &Build) -> Result<Command> {
    let mut steps = Steps::new(3);
    let guests = steps.step("Build the guest", || {
        guests::build_named(Choice::default(), &["fixture-echo"])
    })?;
    let (stuga, chaos) = steps.step("Build the host and its nemesis", || {
        Ok((
            binary(build, "stuga-server", "stuga")?,
            binary(build, "stuga-chaos", "chaos")?,
        ))
    })?;
    steps.step(
        "Install the servers",
        || match stuga_test_servers::install_all().first() {
            None => Ok(()),
            Some(problem) => bail!("a server cannot be installed: {problem}"),
        },
    )?;
    let mut program = Command::new(chaos);
    program.env("STUGA_GUESTS", guests).env("STUGA_BIN", stuga);
    Ok(program)
}

fn binary(build: &Build, package: &str, name: &str) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args(["build", "--package", package, "--bin", name]);
    if build.release {
        cargo.arg("--release");
    }
    cargo.arg("--message-format=json-render-diagnostics");
    shell::executable(&mut cargo, name)
}
