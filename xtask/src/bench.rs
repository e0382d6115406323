//! `cargo xtask bench`: builds Stuga and its peers, measures them in one run, and prints their tables.
//!
//! The measuring itself is done by the programs of `benches/`. The figures also go to target/bench/figures.json.

mod table;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use clap::ValueEnum;
use serde_json::{Map, Value, json};
use stuga_author::toolchain::Choice;

use crate::steps::Steps;
use crate::{guests, shell};

/// `wasmtime serve` of the version that the host embeds.
const WASMTIME_CLI: &str = "wasmtime-cli@48.0.8";
/// What of it `serve` needs.
const WASMTIME_FEATURES: &str = "serve,run,cranelift,parallel-compilation,pooling-allocator,component-model,component-model-async,cache";
/// Seconds that a whole host's journal is watched while it drains, to a cloud that takes it slowly.
const WATCHED_S: &str = "60";

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask bench\n  cargo xtask bench failover\n  cargo xtask bench calls http --rounds 1 --seconds 2 --no-wasmtime     a quick look"
)]
pub(crate) struct Args {
    /// What to measure [default: all of it]
    #[arg(value_enum)]
    groups: Vec<Group>,
    /// Rounds over all servers; the median is shown
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds of load for each server and round
    #[arg(long, default_value_t = 4)]
    seconds: u32,
    /// Documents that are searched; building two graphs over them takes some minutes
    #[arg(long, default_value_t = 100_000)]
    documents: u32,
    /// Entries that a journal holds before it drains
    #[arg(long, default_value_t = 20_000)]
    entries: u32,
    /// Leave `wasmtime serve` out; building it takes some minutes the first time
    #[arg(long)]
    no_wasmtime: bool,
}

/// What can be measured.
#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum Group {
    /// Instances and calls in one process, beside wasmtime alone
    Calls,
    /// Durable puts, beside plain SQLite
    Puts,
    /// A file of one gigabyte through a guest, on this host and on S3
    Large,
    /// The backends on AWS, beside bare clients
    Aws,
    /// The facade beside what stands behind it, the journal beside the cloud, and the loss of a cloud
    Failover,
    /// The echo over HTTP, beside axum and `wasmtime serve`
    Http,
    /// Search, beside tantivy and hnsw_rs
    Search,
}

impl Group {
    /// Its name on the command line and in figures.json.
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// What is built for it: packages, binaries and examples of theirs.
    fn programs(self) -> Programs {
        match self {
            Self::Calls => (&["stuga-bench"], &["micro"], &[]),
            Self::Puts => (&["stuga-local"], &[], &["puts"]),
            Self::Large => (&["stuga-bench"], &["large-file"], &[]),
            Self::Aws => (&["stuga-aws"], &[], &["overhead"]),
            Self::Failover => (
                &["stuga-server", "stuga-bench", "stuga-chaos"],
                &["stuga", "failover", "chaos"],
                &[],
            ),
            Self::Http => (
                &["stuga-server", "stuga-bench"],
                &["stuga", "http", "axum-echo"],
                &[],
            ),
            Self::Search => (&["stuga-bench"], &["search"], &[]),
        }
    }
}

/// Names of packages, of binaries and of examples.
type Programs = (
    &'static [&'static str],
    &'static [&'static str],
    &'static [&'static str],
);

/// The task `bench`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let groups = match args.groups.as_slice() {
        [] => Group::value_variants(),
        chosen => chosen,
    };
    let mut steps = Steps::new(2 + u32::try_from(groups.len())?);
    let guests = steps.step("Build the guests", || {
        guests::build_named(Choice::default(), &["fixture-echo", "wasi-http-echo"])
    })?;
    steps.step("Build Stuga and the peers", || {
        if groups.contains(&Group::Http) {
            find_tools()?;
        }
        build(groups)
    })?;
    let bench = Bench { args, guests };
    let folder = shell::target().join("bench");
    fs::create_dir_all(&folder)?;
    let mut figures = Map::new();
    for group in groups {
        let measured = steps.step(&format!("Measure {}", group.name()), || {
            bench.measure(*group)
        })?;
        figures.insert(group.name(), measured);
        // At once, so that nothing is lost when a later one fails.
        let text = serde_json::to_string_pretty(&figures)?;
        fs::write(folder.join("figures.json"), text)?;
    }
    for group in groups {
        let of_group = figures.get(&group.name()).unwrap_or(&Value::Null);
        println!("{}", table::of(*group, of_group));
    }
    Ok(())
}

/// Builds what all groups need, at once: what a dependency is built with depends on who else is built.
fn build(groups: &[Group]) -> Result<()> {
    let mut chosen = BTreeSet::new();
    for group in groups {
        let (packages, bins, examples) = group.programs();
        for (flag, names) in [
            ("--package", packages),
            ("--bin", bins),
            ("--example", examples),
        ] {
            chosen.extend(names.iter().map(|name| (flag, *name)));
        }
    }
    let mut cargo = shell::cargo();
    cargo.args(["build", "--release", "--target-dir"]);
    cargo.arg(shell::target());
    for (flag, name) in chosen {
        cargo.args([flag, name]);
    }
    shell::run(&mut cargo)
}

struct Bench<'a> {
    args: &'a Args,
    guests: PathBuf,
}

impl Bench<'_> {
    fn measure(&self, group: Group) -> Result<Value> {
        let seconds = self.args.seconds.to_string();
        match group {
            Group::Calls => json_of(self.with_echo(&mut self.program("micro"))),
            Group::Puts => json_of(self.program("examples/puts").args([&seconds, "--json"])),
            Group::Large => {
                let large = |keeper| {
                    let mut large = self.program("large-file");
                    json_of(self.with_echo(&mut large).args(["--files", keeper]))
                };
                Ok(json!([large("local")?, large("s3")?]))
            }
            Group::Aws => json_of(self.program("examples/overhead").arg("--json")),
            Group::Failover => self.failover(),
            Group::Http => self.http(),
            Group::Search => {
                let documents = self.args.documents.to_string();
                json_of(self.program("search").args(["--documents", &documents]))
            }
        }
    }

    fn failover(&self) -> Result<Value> {
        // Sides are called in turns, so that all rounds are one.
        let seconds = (self.args.rounds * self.args.seconds).to_string();
        let entries = self.args.entries.to_string();
        let mut inside = self.program("failover");
        let inside = json_of(inside.args(["--seconds", &seconds, "--entries", &entries]))?;
        let mut outside = self.program("chaos");
        outside.env("STUGA_GUESTS", &self.guests);
        outside.env("STUGA_BIN", release().join("stuga"));
        outside.args(["bench", "--seconds", &seconds, "--entries", "0"]);
        let outside = json_of(outside.args(["--drain", WATCHED_S]))?;
        Ok(json!({"inside": inside, "outside": outside}))
    }

    fn http(&self) -> Result<Value> {
        let wasmtime = match self.args.no_wasmtime {
            true => None,
            false => Some(wasmtime()?),
        };
        let mut http = self.program("http");
        http.arg("--stuga").arg(release().join("stuga"));
        http.arg("--axum").arg(release().join("axum-echo"));
        self.with_echo(&mut http);
        if let Some(wasmtime) = &wasmtime {
            http.arg("--wasmtime").arg(wasmtime);
            http.arg("--wasi-guest")
                .arg(self.guests.join("wasi-http-echo.wasm"));
        }
        http.args(["--rounds", &self.args.rounds.to_string()]);
        json_of(http.args(["--seconds", &self.args.seconds.to_string()]))
    }

    fn program(&self, name: &str) -> Command {
        Command::new(release().join(name))
    }

    fn with_echo<'c>(&self, command: &'c mut Command) -> &'c mut Command {
        let echo = self.guests.join("fixture-echo.wasm");
        command.arg("--guest").arg(echo)
    }
}

fn release() -> PathBuf {
    shell::target().join("release")
}

fn find_tools() -> Result<()> {
    if exists_on_path("wrk") && exists_on_path("taskset") {
        return Ok(());
    }
    eprintln!("installing wrk and util-linux with apt-get");
    shell::run(Command::new("apt-get").args(["install", "--yes", "--quiet", "wrk", "util-linux"])).context(
        "wrk or taskset is missing; install Debian's packages `wrk` and `util-linux`, as root or with sudo",
    )
}

fn exists_on_path(program: &str) -> bool {
    std::env::var_os("PATH").is_some_and(|path| {
        std::env::split_paths(&path).any(|folder| folder.join(program).is_file())
    })
}

/// The wasmtime command line, installed into target/tools when it is not there.
fn wasmtime() -> Result<PathBuf> {
    let tools = shell::target().join("tools");
    let binary = tools.join("bin/wasmtime");
    let wanted = WASMTIME_CLI.replace("-cli@", " ");
    if version(&binary).is_some_and(|version| version.starts_with(&wanted)) {
        return Ok(binary);
    }
    eprintln!("building {WASMTIME_CLI}; this takes some minutes, once");
    let mut cargo = shell::cargo();
    cargo.args([
        "install",
        "--locked",
        WASMTIME_CLI,
        "--no-default-features",
        "--features",
        WASMTIME_FEATURES,
    ]);
    shell::run(cargo.arg("--root").arg(&tools))?;
    Ok(binary)
}

fn version(binary: &Path) -> Option<String> {
    let output = Command::new(binary).arg("--version").output().ok()?;
    String::from_utf8(output.stdout).ok()
}

/// Runs a measuring program, its progress going where ours goes, and reads the JSON that it prints.
fn json_of(command: &mut Command) -> Result<Value> {
    let output = command
        .stderr(Stdio::inherit())
        .output()
        .context("cannot start the measuring program")?;
    anyhow::ensure!(
        output.status.success(),
        "the measuring program failed ({})",
        output.status
    );
    serde_json::from_slice(&output.stdout).context("the measuring program printed no JSON")
}
