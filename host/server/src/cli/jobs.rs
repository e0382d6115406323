//! `stuga jobs`: what agents left for later, on the data directory. A server that runs on it notices within a second.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use serde_json::{Value, json};
use stuga_core::jobs::State;
use stuga_core::{AgentName, Clock, SystemClock};

use super::print::{self, Printer, table};
use super::{invoke, show_time, tenant};
use crate::config::{Config, ModelSettings};
use crate::host::{Desk, JobOf};
use crate::wire::Backends;

/// Longest failure or note that a table shows, in characters.
const SHOWN_MAX_CHARS: usize = 60;

#[derive(clap::Subcommand)]
pub(crate) enum Command {
    /// List jobs, the latest first
    #[command(after_help = "Examples:
  stuga jobs list meetmind
  stuga jobs list meetmind/meetmind --state dead --output json")]
    List(List),
    /// Show a job with its input and output
    #[command(after_help = "Examples:
  stuga jobs show meetmind/meetmind 0198c0de000070008000000000000001-0")]
    Show(One),
    /// Cancel a job, also one that runs
    #[command(after_help = "Examples:
  stuga jobs cancel meetmind 0198c0de000070008000000000000001-0")]
    Cancel(One),
    /// Queue a dead job again, with all its attempts
    #[command(after_help = "Examples:
  stuga jobs requeue meetmind 0198c0de000070008000000000000001-0
  stuga jobs list meetmind --state dead --output json | jq -r '.jobs[].id' | xargs -n1 stuga jobs requeue meetmind")]
    Requeue(One),
}

#[derive(clap::Args)]
pub(crate) struct List {
    /// The tenant, or one of its agents
    #[arg(value_name = "TENANT[/AGENT]")]
    target: String,
    /// Of this state alone
    #[arg(long, value_parser = state)]
    state: Option<State>,
    /// At most so many, 1 to 1000
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..=1000))]
    limit: u32,
    /// Read on after the page that named this cursor
    #[arg(long)]
    cursor: Option<String>,
}

#[derive(clap::Args)]
pub(crate) struct One {
    /// The tenant, or one of its agents
    #[arg(value_name = "TENANT[/AGENT]")]
    target: String,
    /// The job, as `stuga jobs list` shows it
    id: String,
}

fn state(name: &str) -> Result<State, String> {
    State::from_name(name)
        .ok_or_else(|| format!("there is {}", State::ALL.map(State::as_str).join(", ")))
}

pub(crate) async fn run(
    config: &Config,
    command: Command,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    let (Command::List(List { target, .. })
    | Command::Show(One { target, .. })
    | Command::Cancel(One { target, .. })
    | Command::Requeue(One { target, .. })) = &command;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);
    let now = clock.now();
    let (tenant, agents) = resolve(config, target)?;
    // No model is asked anything here, so none is loaded.
    let config = Config {
        model: ModelSettings::default(),
        ..config.clone()
    };
    let backends = Backends::open(&config, clock)?;
    let desk = Desk::new(backends.capabilities().jobs, tenant, agents, now);
    let done = act(&desk, &command, printer).await;
    backends.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

/// The tenant and the agents that are meant.
fn resolve(
    config: &Config,
    target: &str,
) -> anyhow::Result<(stuga_core::TenantId, Vec<AgentName>)> {
    let (tenant, agent) = match target.split_once('/') {
        Some((tenant, agent)) => (tenant, Some(agent)),
        None => (target, None),
    };
    let tenant = tenant::find(config, tenant)?;
    let all = tenant.plugins.iter().map(|plugin| plugin.name.clone());
    let agents: Vec<AgentName> = match agent {
        None => all.collect(),
        Some(agent) if tenant.plugin(agent).is_some() => vec![AgentName::new(agent)?],
        Some(agent) => {
            let known: Vec<_> = all.collect();
            bail!(invoke::unknown(
                "agent",
                agent,
                known.iter().map(AgentName::as_str)
            ))
        }
    };
    Ok((tenant.id, agents))
}

async fn act(desk: &Desk, command: &Command, printer: &Printer) -> anyhow::Result<()> {
    match command {
        Command::List(list) => {
            let (jobs, next_cursor) = desk
                .list(list.state, list.cursor.as_deref(), list.limit)
                .await?;
            let listed = json!({ "jobs": jobs, "next_cursor": next_cursor });
            printer.print(&listed, |_| show_list(&jobs))?;
            if let (Some(cursor), false) = (next_cursor, printer.is_json()) {
                print::note(&format!("there are more: --cursor {cursor}"));
            }
            Ok(())
        }
        Command::Show(one) => {
            let (job, input, output) = desk.show(&one.id).await?;
            let mut shown = serde_json::to_value(&job)?;
            if let Value::Object(fields) = &mut shown {
                fields.insert("input".to_owned(), serde_json::from_str(&input)?);
                if let Some(output) = &output {
                    fields.insert("output".to_owned(), serde_json::from_str(output)?);
                }
            }
            printer.print(&shown, |shown| show_job(&job, shown))
        }
        Command::Cancel(one) => {
            let was_open = desk.cancel(&one.id).await?;
            let done = json!({ "id": one.id, "was_open": was_open });
            printer.print(&done, |_| match was_open {
                true => format!("cancelled {}", one.id),
                false => format!("{} had ended before", one.id),
            })
        }
        Command::Requeue(one) => {
            desk.requeue(&one.id).await?;
            let done = json!({ "id": one.id, "state": "waiting" });
            printer.print(&done, |_| format!("queued {} again", one.id))
        }
    }
}

fn show_list(jobs: &[JobOf]) -> String {
    let row = |job: &JobOf| {
        let remark = match (&job.failure, &job.note) {
            (Some(failure), _) => format!("{}: {}", failure.kind, failure.message),
            (None, Some(note)) => format!("{} % {note}", job.percent.unwrap_or_default()),
            (None, None) => String::new(),
        };
        vec![
            job.id.clone(),
            job.agent.to_string(),
            job.kind.clone(),
            job.state.to_owned(),
            job.attempt.to_string(),
            show_time(job.submitted_at),
            remark.chars().take(SHOWN_MAX_CHARS).collect(),
        ]
    };
    table(
        &["JOB", "AGENT", "KIND", "STATE", "ATTEMPT", "SUBMITTED", ""],
        jobs.iter().map(row).collect(),
        "there are no jobs",
    )
}

fn show_job(job: &JobOf, shown: &Value) -> String {
    let mut lines = vec![
        format!("{} of {}, {}, {}", job.id, job.agent, job.kind, job.state),
        format!("attempt {}", job.attempt),
        format!("submitted {}", show_time(job.submitted_at)),
    ];
    match (job.began_at, job.ended_at) {
        (_, Some(ended)) => lines.push(format!("ended {}", show_time(ended))),
        (Some(began), None) => lines.push(format!("runs since {}", show_time(began))),
        (None, None) => lines.push(format!("due {}", show_time(job.due_at))),
    }
    if let Some(note) = &job.note {
        let percent = job.percent.unwrap_or_default();
        lines.push(format!("progress {percent} % {note}"));
    }
    if let Some(failure) = &job.failure {
        lines.push(format!("failed with {}: {}", failure.kind, failure.message));
    }
    for side in ["input", "output"] {
        if let Some(value) = shown.get(side) {
            lines.push(format!("{side} {value}"));
        }
    }
    lines.join("\n")
}
