//! `stuga test`: scenarios against a component, in the mock host.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

use anyhow::{Context, bail};
use serde::Serialize;
use stuga_author::Project;
use stuga_mock::{Mock, Run, Scenario, State, Verdict};

use super::component;
use super::print::{self, Printer};

/// How the process ends when nothing could be run: the usage, the component or a scenario is wrong.
const SETUP_FAILED: u8 = 2;

/// Run scenarios against a component, without a server. Exit code 0: all passed, 1: some failed, 2: not run.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stuga test                                               the project in this folder
  stuga test --matrix --junit report.xml                   in every state of the breakers, for CI
  stuga test build/my-agent.wasm --scenarios scenarios --filter greet")]
pub(crate) struct Args {
    /// The component [default: the one that `stuga build` makes of the project in this folder]
    component: Option<PathBuf>,
    /// The folder with the scenarios, or one of them [default: the project's]
    #[arg(long, value_name = "DIR|FILE")]
    scenarios: Option<PathBuf>,
    /// Run each scenario also with every breaker closed, open, half open, isolated and flapping
    #[arg(long)]
    matrix: bool,
    /// Only the scenarios whose name contains this
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// What ids and random numbers follow from, instead of what the scenarios say
    #[arg(long, value_name = "NUMBER")]
    seed: Option<u64>,
    /// Write a JUnit report
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

#[derive(Serialize)]
struct Summary<'s> {
    agent: &'s str,
    version: &'s str,
    component: &'s str,
    passed: usize,
    degraded: usize,
    failed: usize,
    runs: &'s [Run],
}

pub(crate) async fn run(args: Args, printer: &Printer) -> anyhow::Result<ExitCode> {
    let is_json = printer.is_json();
    let tested = tokio::task::spawn_blocking(move || test(&args, is_json)).await?;
    let (mock, runs) = match tested {
        Ok(tested) => tested,
        Err(error) => {
            printer.error(&error);
            return Ok(ExitCode::from(SETUP_FAILED));
        }
    };
    let count = |verdict| runs.iter().filter(|run| run.verdict == verdict).count();
    let manifest = mock.manifest();
    let summary = Summary {
        agent: manifest.name.as_str(),
        version: &manifest.version,
        component: mock.digest(),
        passed: count(Verdict::Passed),
        degraded: count(Verdict::Degraded),
        failed: count(Verdict::Failed),
        runs: &runs,
    };
    printer.print(&summary, |s| {
        let degraded = match s.degraded {
            0 => String::new(),
            n => format!(", {n} degraded (a clean error instead)"),
        };
        format!(
            "\n{} {}: {} passed{degraded}, {} failed",
            s.agent, s.version, s.passed, s.failed
        )
    })?;
    Ok(if summary.failed == 0 {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

/// Runs everything.
///
/// # Errors
/// Why nothing could be run.
fn test(args: &Args, is_json: bool) -> anyhow::Result<(Mock, Vec<Run>)> {
    let project = match (&args.component, &args.scenarios) {
        (Some(_), Some(_)) => None,
        _ => Some(
            Project::find(Path::new("."))
                .context("name the component and --scenarios, or run this in an agent's folder")?,
        ),
    };
    let component = match (&args.component, &project) {
        (Some(component), _) => component.clone(),
        (None, Some(project)) => project.component()?,
        (None, None) => bail!("there is no component"),
    };
    let folder = match (&args.scenarios, &project) {
        (Some(folder), _) => folder.clone(),
        (None, Some(project)) => project.scenarios(),
        (None, None) => bail!("there are no scenarios"),
    };
    let scenarios = scenarios(&folder, args.filter.as_deref())?;
    let mock = component::open(&component)?;
    let states = if args.matrix {
        &State::ALL[..]
    } else {
        &[State::Local]
    };
    let begun = Instant::now();
    let mut runs = Vec::new();
    for scenario in &scenarios {
        for state in states {
            // What the backends answered stands in a recording: there is one state to play it in.
            if scenario.is_recording() && *state != State::Local {
                continue;
            }
            let run = mock.run(scenario, *state, args.seed);
            if !is_json {
                print::line(&run.to_string())?;
            }
            runs.push(run);
        }
    }
    print::note(&format!(
        "{} scenarios, {} runs in {:.2} s",
        scenarios.len(),
        runs.len(),
        begun.elapsed().as_secs_f64()
    ));
    if let Some(path) = &args.junit {
        let xml =
            stuga_mock::junit(mock.manifest().name.as_str(), &runs).map_err(anyhow::Error::msg)?;
        fs::write(path, xml).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    Ok((mock, runs))
}

fn scenarios(folder: &Path, filter: Option<&str>) -> anyhow::Result<Vec<Scenario>> {
    let loaded = stuga_mock::load(folder)
        .with_context(|| format!("the scenarios in {} cannot be read", folder.display()))?;
    if !loaded.mistakes.is_empty() {
        let mistakes: Vec<String> = loaded.mistakes.iter().map(ToString::to_string).collect();
        bail!(
            "the scenarios have {} mistakes\n{}",
            mistakes.len(),
            mistakes.join("\n")
        );
    }
    let all = loaded.scenarios.len();
    let fits = |scenario: &Scenario| filter.is_none_or(|part| scenario.name().contains(part));
    let chosen: Vec<Scenario> = loaded.scenarios.into_iter().filter(fits).collect();
    match (all, chosen.len(), filter) {
        (0, ..) => bail!("there is no scenario (*.yaml) in {}", folder.display()),
        (_, 0, Some(filter)) => bail!("none of the {all} scenarios has {filter:?} in its name"),
        _ => Ok(chosen),
    }
}
