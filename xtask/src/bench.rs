//! `cargo xtask bench`: builds Stuga and its peers, measures them in one run, and prints one table.
//!
//! The measuring itself is done by the programs of `benches/`. The figures also go to target/bench/figures.json.

mod table;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use stuga_author::toolchain::Choice;

use crate::steps::Steps;
use crate::{guests, shell};

/// `wasmtime serve` of the version that the host embeds.
const WASMTIME_CLI: &str = "wasmtime-cli@48.0.8";
/// What of it `serve` needs.
const WASMTIME_FEATURES: &str = "serve,run,cranelift,parallel-compilation,pooling-allocator,component-model,component-model-async,cache";

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask bench\n  cargo xtask bench --rounds 1 --seconds 2 --documents 12000 --no-wasmtime     a quick look"
)]
pub(crate) struct Args {
    /// Rounds over all servers; the median is shown
    #[arg(long, default_value_t = 3)]
    rounds: u32,
    /// Seconds of load for each server and round
    #[arg(long, default_value_t = 4)]
    seconds: u32,
    /// Documents that are searched; building two graphs over them takes some minutes
    #[arg(long, default_value_t = 100_000)]
    documents: u32,
    /// Leave `wasmtime serve` out; building it takes some minutes the first time
    #[arg(long)]
    no_wasmtime: bool,
    /// Leave the backends on AWS out; building them beside bare clients takes some minutes the first time
    #[arg(long)]
    no_aws: bool,
}

/// The task `bench`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut steps = Steps::new(11);
    steps.step("Find wrk and taskset", find_tools)?;
    let guests = steps.step("Build the guests", || {
        guests::build_named(Choice::default(), &["fixture-echo", "wasi-http-echo"])
    })?;
    let release = shell::target().join("release");
    steps.step("Build Stuga and the peers", || {
        let mut cargo = shell::cargo();
        cargo.args(["build", "--release", "--bins"]);
        cargo.args(["--package", "stuga-server", "--package", "stuga-bench"]);
        shell::run(cargo.arg("--target-dir").arg(shell::target()))?;
        let mut cargo = shell::cargo();
        cargo.args([
            "build",
            "--release",
            "--package",
            "stuga-local",
            "--example",
            "puts",
        ]);
        shell::run(cargo.arg("--target-dir").arg(shell::target()))?;
        if args.no_aws {
            return Ok(());
        }
        let mut cargo = shell::cargo();
        cargo.args(["build", "--release", "--package", "stuga-aws"]);
        cargo.args(["--example", "overhead"]);
        shell::run(cargo.arg("--target-dir").arg(shell::target()))
    })?;
    let wasmtime = steps.step("Find wasmtime serve", || {
        if args.no_wasmtime {
            Ok(None)
        } else {
            wasmtime().map(Some)
        }
    })?;
    let micro = steps.step("Measure instances and calls", || {
        let mut micro = Command::new(release.join("micro"));
        measure(micro.arg("--guest").arg(guests.join("fixture-echo.wasm")))
    })?;
    let puts = steps.step("Measure durable puts", || {
        let mut puts = Command::new(release.join("examples/puts"));
        measure(puts.args([&args.seconds.to_string(), "--json"]))
    })?;
    let large = steps.step("Measure a file of one gigabyte", || {
        let mut large = Command::new(release.join("large-file"));
        measure(large.arg("--guest").arg(guests.join("fixture-echo.wasm")))
    })?;
    let on_aws = |measure: &dyn Fn() -> Result<Value>| match args.no_aws {
        true => Ok(None),
        false => measure().map(Some),
    };
    let large_s3 = steps.step("Measure a file of one gigabyte on S3", || {
        on_aws(&|| {
            let mut large = Command::new(release.join("large-file"));
            large.arg("--guest").arg(guests.join("fixture-echo.wasm"));
            measure(large.args(["--files", "s3"]))
        })
    })?;
    let overhead = steps.step("Measure AWS beside bare clients", || {
        on_aws(&|| measure(Command::new(release.join("examples/overhead")).arg("--json")))
    })?;
    let http = steps.step("Measure over HTTP", || {
        let mut http = Command::new(release.join("http"));
        http.arg("--stuga").arg(release.join("stuga"));
        http.arg("--axum").arg(release.join("axum-echo"));
        http.arg("--guest").arg(guests.join("fixture-echo.wasm"));
        if let Some(wasmtime) = &wasmtime {
            http.arg("--wasmtime").arg(wasmtime);
            http.arg("--wasi-guest")
                .arg(guests.join("wasi-http-echo.wasm"));
        }
        http.args([
            "--rounds",
            &args.rounds.to_string(),
            "--seconds",
            &args.seconds.to_string(),
        ]);
        measure(&mut http)
    })?;
    let search = steps.step("Measure search", || {
        let mut search = Command::new(release.join("search"));
        measure(search.args(["--documents", &args.documents.to_string()]))
    })?;
    let folder = shell::target().join("bench");
    fs::create_dir_all(&folder)?;
    let figures = json!({
        "micro": micro,
        "http": http,
        "search": search,
        "puts": puts,
        "large": large,
        "large_s3": large_s3,
        "overhead": overhead,
    });
    fs::write(
        folder.join("figures.json"),
        serde_json::to_string_pretty(&figures)?,
    )?;
    println!("{}", table::markdown(&micro, &http));
    println!("{}", table::stores(&puts));
    println!("{}", table::large(&[Some(&large), large_s3.as_ref()]));
    if let Some(overhead) = &overhead {
        println!("{}", table::overhead(overhead));
    }
    println!("{}", table::search(&search));
    Ok(())
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
fn measure(command: &mut Command) -> Result<Value> {
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
