//! `stuga dev`: the component is made anew whenever the sources change, and called from a prompt.

use std::io::{BufRead, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;
use std::time::Duration;

use anyhow::Context;
use notify::{RecursiveMode, Watcher};
use serde_json::{Map, Value};
use stuga_author::Project;
use stuga_author::toolchain::Choice;
use stuga_mock::{Bench, Called};

use super::print::{self, Printer};
use super::{build, component, input};

/// How long changes are gathered: an editor writes a file in several steps.
const SETTLE: Duration = Duration::from_millis(200);
/// Folders of a project whose changes are made by building.
const NOT_WATCHED: [&str; 6] = ["target", "build", ".stuga", ".git", "node_modules", ".venv"];
/// What ids follow from.
const SEED: u64 = 1;

const HELP: &str = "SKILL [JSON | name=text | name:=JSON | name=@FILE ...]   call a skill
skills                                                   list them
quit                                                     end";

/// Make the component anew whenever its sources change, and call it from a prompt. What it stores stays until the end.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stuga dev
  echo 'greet name=Astrid' | stuga dev agents/my-agent")]
pub(crate) struct Args {
    /// The project's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Which toolchain builds Rust: auto, rustup or debian
    #[arg(long, default_value_t)]
    toolchain: Choice,
}

enum Happened {
    Typed(String),
    Changed,
    Ended,
}

pub(crate) async fn run(args: Args, printer: &Printer) -> anyhow::Result<ExitCode> {
    let is_json = printer.is_json();
    tokio::task::spawn_blocking(move || develop(&args, is_json)).await??;
    Ok(ExitCode::SUCCESS)
}

fn develop(args: &Args, is_json: bool) -> anyhow::Result<()> {
    let project = Project::find(&args.dir)?;
    let mut bench =
        Bench::open(make(&project, args.toolchain)?, SEED).map_err(anyhow::Error::msg)?;
    let (sender, happened) = mpsc::channel();
    let _watcher = watch(&project.folder, sender.clone())?;
    listen(sender)?;
    let prompt = std::io::stdin().is_terminal();
    if prompt {
        print::note(HELP);
    }
    loop {
        if prompt {
            let _ = write!(std::io::stderr(), "> ");
        }
        match next(&happened) {
            Happened::Ended => return Ok(()),
            Happened::Changed => {
                let made = make(&project, args.toolchain)
                    .and_then(|mock| bench.replace(mock).map_err(anyhow::Error::msg));
                if let Err(error) = made {
                    print::note(&format!("{error:#}\nthe component before stays"));
                }
            }
            Happened::Typed(line) => match line.trim() {
                "" => {}
                "quit" | "exit" => return Ok(()),
                "help" | "?" => print::note(HELP),
                "skills" => skills(&bench),
                line => call(&mut bench, line, is_json)?,
            },
        }
    }
}

fn make(project: &Project, choice: Choice) -> anyhow::Result<stuga_mock::Mock> {
    let built = project.build(choice)?;
    let mock = component::open(&built.path)?;
    print::note(&build::line(&built, mock.manifest()));
    Ok(mock)
}

fn skills(bench: &Bench) {
    for skill in &bench.mock().manifest().skills {
        print::note(&format!("{}: {}", skill.name, skill.description));
    }
}

fn call(bench: &mut Bench, line: &str, is_json: bool) -> anyhow::Result<()> {
    let (skill, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    let called = arguments(rest.trim())
        .and_then(|input| bench.call(skill, input).map_err(anyhow::Error::msg));
    match called {
        Ok(called) if is_json => print::line(&serde_json::to_string(&called)?),
        Ok(called) => show(&called),
        Err(error) => {
            print::note(&format!("{error:#}"));
            Ok(())
        }
    }
}

fn arguments(text: &str) -> anyhow::Result<Value> {
    if text.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    if text.starts_with('{') {
        return serde_json::from_str(text).context("this is not JSON");
    }
    let sets: Vec<String> = text.split_whitespace().map(str::to_owned).collect();
    Ok(serde_json::from_str(&input::build(None, &sets)?)?)
}

fn show(called: &Called) -> anyhow::Result<()> {
    for line in &called.logs {
        print::note(&format!(
            "{:?} {} {}",
            line.level, line.message, line.fields
        ));
    }
    for part in &called.parts {
        print::note(&part.to_string());
    }
    match &called.ended {
        stuga_mock::Ended::Output(output) => print::line(&serde_json::to_string_pretty(output)?),
        failed => {
            print::note(&failed.to_string());
            Ok(())
        }
    }
}

/// Waits for what happens next; changes that come together are one.
fn next(happened: &Receiver<Happened>) -> Happened {
    let Ok(first) = happened.recv() else {
        return Happened::Ended;
    };
    if matches!(first, Happened::Changed) {
        while let Ok(Happened::Changed) = happened.recv_timeout(SETTLE) {}
    }
    first
}

/// Tells when a source changes, for as long as the watcher lives.
fn watch(folder: &Path, sender: Sender<Happened>) -> anyhow::Result<notify::RecommendedWatcher> {
    let cannot = || format!("{} cannot be watched", folder.display());
    let mut watcher = notify::recommended_watcher(move |event: notify::Result<notify::Event>| {
        let changes = event.is_ok_and(|event| !event.kind.is_access());
        if changes {
            // The prompt has ended when nobody listens.
            let _ = sender.send(Happened::Changed);
        }
    })
    .with_context(cannot)?;
    for entry in std::fs::read_dir(folder).with_context(cannot)? {
        let path = entry.with_context(cannot)?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if !NOT_WATCHED.contains(&&*name) {
            watcher
                .watch(&path, RecursiveMode::Recursive)
                .with_context(cannot)?;
        }
    }
    Ok(watcher)
}

/// Reads lines on a thread that ends with the input.
fn listen(sender: Sender<Happened>) -> anyhow::Result<()> {
    let read = move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.send(Happened::Typed(line)).is_err() {
                return;
            }
        }
        // The prompt has ended when nobody listens.
        let _ = sender.send(Happened::Ended);
    };
    thread::Builder::new()
        .name("stuga-prompt".into())
        .spawn(read)
        .map(drop)
        .context("the prompt cannot be started")
}
