//! The program behind `cargo xtask chaos` and `cargo xtask failover-demo`.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use stuga_chaos::demo::{self, Scene};
use stuga_chaos::load::READS;
use stuga_chaos::nemesis::Temper;
use stuga_chaos::report::Total;
use stuga_chaos::run::{Settings, folder, run, target};
use stuga_chaos::site::Tools;
use stuga_chaos::{bench, history};

/// Shortest life of a host that can be asked for, in seconds.
const SHORTEST_LIFE: f64 = 0.2;
/// Longest measurement that can be asked for, in seconds.
const LONGEST_MEASUREMENT: f64 = 86_400.0;

/// Breaks everything around a host, and judges what its clients saw.
#[derive(Parser)]
#[command(
    after_help = "Examples:\n  chaos run --seed 7 --minutes 2\n  chaos run --seed 1 --seeds 4 --minutes 5 --lives 1\n  chaos run --seed 1 --seeds 20 --minutes 5 --output json\n  chaos demo outage\n  chaos bench --entries 100000\n  chaos check target/chaos/seed-7/history.jsonl"
)]
struct Cli {
    #[command(subcommand)]
    task: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Let clients work while a nemesis does its worst, then compare what was acknowledged with what is in the cloud
    Run(Run),
    /// Show how a host stands in for AWS, and leave plots in target/failover
    Demo {
        /// Which scene: cloud, outage, recovery, isolation or all
        #[arg(default_value = "all", value_parser = scenes)]
        scene: Scenes,
    },
    /// Measure what standing in for AWS costs, and how fast AWS catches up
    Bench(bench::Settings),
    /// Judge a history again
    Check {
        /// The file history.jsonl of a run
        history: std::path::PathBuf,
    },
}

#[derive(clap::Args)]
struct Run {
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
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=8))]
    hosts: u32,
    /// Clients of each of the three tenants
    #[arg(long, default_value_t = 4)]
    clients: u32,
    /// Milliseconds that a client pauses between two operations
    #[arg(long, default_value_t = 0)]
    pace: u64,
    /// Share of the operations that only read, in percent
    #[arg(long, default_value_t = READS, value_parser = clap::value_parser!(u64).range(0..=95))]
    reads: u64,
    /// Longest time that a way to the cloud is broken, in seconds: the longer, the more this host answers
    #[arg(long, default_value_t = 8.0)]
    broken: f64,
    /// Seconds that a host lives before it is ended, about
    #[arg(long, conflicts_with = "spare_host")]
    lives: Option<f64>,
    /// Leave the host running throughout
    #[arg(long)]
    spare_host: bool,
    /// How figures are printed
    #[arg(long, value_enum, default_value_t)]
    output: Output,
}

impl Run {
    /// The command that makes the run of a seed again.
    fn again(&self, seed: u64) -> String {
        let mut command = format!(
            "cargo xtask chaos --seed {seed} --minutes {} --clients {} --hosts {} --reads {} --broken {}",
            self.minutes, self.clients, self.hosts, self.reads, self.broken
        );
        if let Some(lives) = self.lives {
            command.push_str(&format!(" --lives {lives}"));
        }
        command
    }
}

#[derive(Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
enum Output {
    /// For people
    #[default]
    Text,
    /// One JSON object for each run
    Json,
}

#[tokio::main]
async fn main() -> ExitCode {
    let done = match Cli::parse().task {
        Task::Run(args) => run_seeds(&args).await,
        Task::Demo { scene } => show(&scene.0).await,
        Task::Bench(settings) => measure(&settings).await,
        Task::Check { history } => judge(&history),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[derive(Clone)]
struct Scenes(Vec<Scene>);

fn scenes(name: &str) -> Result<Scenes, String> {
    let chosen = Scene::ALL.into_iter();
    let chosen: Vec<_> = chosen
        .filter(|scene| name == "all" || scene.name() == name)
        .collect();
    if chosen.is_empty() {
        return Err("there is cloud, outage, recovery, isolation, all".to_owned());
    }
    Ok(Scenes(chosen))
}

async fn show(scenes: &[Scene]) -> Result<bool> {
    let tools = Tools::find()?;
    let plots = target().join("failover");
    let mut clean = true;
    for scene in scenes {
        let folder = folder(&format!("demo-{}", scene.name()))?;
        clean &= demo::show(*scene, folder, &plots, &tools).await?;
    }
    Ok(clean)
}

async fn measure(settings: &bench::Settings) -> Result<bool> {
    for (name, seconds) in [("--seconds", settings.seconds), ("--drain", settings.drain)] {
        ensure!(
            seconds > 0.0 && seconds <= LONGEST_MEASUREMENT,
            "{name} must be more than 0 and at most {LONGEST_MEASUREMENT} seconds"
        );
    }
    let figures = bench::measure(settings, folder("bench")?, &Tools::find()?).await?;
    println!("{}", serde_json::to_string_pretty(&figures)?);
    Ok(true)
}

/// Runs each seed; false when a rule was broken.
async fn run_seeds(args: &Run) -> Result<bool> {
    ensure!(
        args.minutes.is_finite() && args.minutes > 0.0,
        "--minutes must be more than 0, such as 2 or 0.5"
    );
    ensure!(
        args.lives
            .is_none_or(|lives| lives.is_finite() && lives >= SHORTEST_LIFE),
        "--lives must be at least {SHORTEST_LIFE}, as a host takes about that long to start"
    );
    ensure!(
        args.broken.is_finite() && (1.0..=600.0).contains(&args.broken),
        "--broken must be from 1 to 600 seconds"
    );
    let tools = Tools::find()?;
    let mut broken = Vec::new();
    let mut total = Total::default();
    for seed in (args.seed..).take(usize::try_from(args.seeds).unwrap_or(usize::MAX)) {
        let mut temper = Temper::default();
        temper.broken.1 = Duration::from_secs_f64(args.broken);
        if args.spare_host {
            temper.host = None;
        }
        if let Some(lives) = args.lives {
            let seconds = Duration::from_secs_f64;
            temper.host = Some((seconds(lives * 0.5), seconds(lives * 1.5)));
        }
        let length = Duration::from_secs_f64(args.minutes * 60.0);
        let settings = Settings {
            seed,
            length,
            hosts: args.hosts,
            clients: args.clients,
            pace: Duration::from_millis(args.pace),
            reads: args.reads,
            // Enough that appends do not run out before the time does.
            sessions: 4 + length.as_secs() / 10,
            temper,
            config: String::new(),
            folder: folder(&format!("seed-{seed}"))?,
        };
        let report = run(&settings, &tools)
            .await
            .with_context(|| format!("the run of seed {seed} could not be made"))?;
        match args.output {
            Output::Text => print!("{report}"),
            Output::Json => println!("{}", serde_json::to_string(&report)?),
        }
        if !report.is_clean() {
            broken.push(seed);
        }
        total.add(&report);
    }
    if args.seeds > 1 {
        match args.output {
            Output::Text => print!("{total}"),
            Output::Json => println!("{}", serde_json::to_string(&total)?),
        }
    }
    for seed in &broken {
        let again = args.again(*seed);
        eprintln!("seed {seed} broke a rule; once more: {again}");
    }
    Ok(broken.is_empty())
}

fn judge(path: &std::path::Path) -> Result<bool> {
    let verdict = stuga_chaos::check::check(&history::read(path)?);
    println!("{}", serde_json::to_string_pretty(&verdict)?);
    Ok(verdict.violations.is_empty())
}
