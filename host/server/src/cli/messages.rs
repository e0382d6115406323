//! `stuga messages`: what waits in a tenant's mailboxes and what could not be delivered. Works on the data directory; a
//! running server sees a change at once.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use serde_json::{Value, json};
use stuga_core::a2a::delivery::{Filter, Letter, MailDesk, State};
use stuga_core::{AgentName, SystemClock, WriteId};

use super::print::{Printer, table};
use super::{invoke, show_time, tenant};
use crate::config::Config;
use crate::host::new_invocation;
use crate::tenants::Tenant;
use crate::wire::Backends;

/// Most messages that a listing shows when it is not told.
const SHOWN: u32 = 100;

#[derive(clap::Subcommand)]
#[command(after_help = "Examples:
  stuga messages list meetmind
  stuga messages list meetmind/svea --state dead
  stuga messages show meetmind 0198f7c2a4d07cc3b0a1b6d2f4e5a6b7-0
  stuga messages requeue meetmind 0198f7c2a4d07cc3b0a1b6d2f4e5a6b7-0
  stuga messages drop meetmind 0198f7c2a4d07cc3b0a1b6d2f4e5a6b7-0")]
pub(crate) enum Command {
    /// List messages that wait, are being delivered or are dead, the oldest first
    List {
        /// The tenant, or one of its agents
        #[arg(value_name = "TENANT[/AGENT]")]
        target: String,
        /// Only those in this state
        #[arg(long, value_enum)]
        state: Option<Shown>,
        /// Most messages to list
        #[arg(long, default_value_t = SHOWN, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
        /// Go on after this place, which the listing before named
        #[arg(long, value_name = "PLACE")]
        after: Option<u64>,
    },
    /// Show one message with its input and why it failed
    Show {
        /// The tenant
        tenant: String,
        /// The message
        id: String,
    },
    /// Deliver a dead message again, with all its attempts
    Requeue {
        /// The tenant
        tenant: String,
        /// The message
        id: String,
    },
    /// Remove a message that is not being delivered, for good
    Drop {
        /// The tenant
        tenant: String,
        /// The message
        id: String,
    },
}

#[derive(Clone, Copy, clap::ValueEnum)]
pub(crate) enum Shown {
    Waiting,
    Running,
    Dead,
}

pub(crate) async fn run(
    config: &Config,
    command: Command,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    let target = match &command {
        Command::List { target, .. } => target,
        Command::Show { tenant, .. }
        | Command::Requeue { tenant, .. }
        | Command::Drop { tenant, .. } => tenant,
    };
    let (name, agent) = match target.split_once('/') {
        Some((tenant, agent)) => (tenant, Some(agent)),
        None => (target.as_str(), None),
    };
    let tenant = tenant::find(config, name)?;
    let agent = agent.map(|agent| known(&tenant, agent)).transpose()?;
    let backends = Backends::open(config, Arc::new(SystemClock))?;
    let done = apply(&*backends.mail_desk(), &tenant, agent, command, printer).await;
    backends.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

fn known(tenant: &Tenant, agent: &str) -> anyhow::Result<AgentName> {
    match tenant.plugin(agent) {
        Some(entry) => Ok(entry.name.clone()),
        None => {
            let names = tenant.plugins.iter().map(|entry| entry.name.as_str());
            bail!(invoke::unknown("agent", agent, names))
        }
    }
}

async fn apply(
    desk: &dyn MailDesk,
    tenant: &Tenant,
    agent: Option<AgentName>,
    command: Command,
    printer: &Printer,
) -> anyhow::Result<()> {
    let write = WriteId {
        invocation: new_invocation(),
        call: 0,
    };
    match command {
        Command::List {
            state,
            limit,
            after,
            ..
        } => {
            let state = state.map(|state| match state {
                Shown::Waiting => State::Waiting,
                Shown::Running => State::Running,
                Shown::Dead => State::Dead,
            });
            let filter = Filter { agent, state };
            let page = desk.list(&tenant.id, &filter, after, limit).await;
            let (letters, next) = page.map_err(told)?;
            list(tenant, &letters, next, printer)
        }
        Command::Show { id, .. } => match desk.find(&tenant.id, &id).await.map_err(told)? {
            Some(letter) => printer.print(&letter, show),
            None => bail!(missing(tenant, &id)),
        },
        Command::Requeue { id, .. } => {
            if !desk.requeue(&tenant.id, write, &id).await.map_err(told)? {
                bail!(not_now(desk, tenant, &id, "only a dead message is put back").await?);
            }
            done(tenant, &id, "is queued again", printer)
        }
        Command::Drop { id, .. } => {
            if !desk.discard(&tenant.id, write, &id).await.map_err(told)? {
                bail!(not_now(desk, tenant, &id, "try again when it has ended").await?);
            }
            done(tenant, &id, "is removed", printer)
        }
    }
}

fn told(error: stuga_core::Error) -> anyhow::Error {
    anyhow::anyhow!(error.message().to_owned())
}

fn missing(tenant: &Tenant, id: &str) -> String {
    format!(
        "there is no message {id:?} in the mailboxes of {0}; `stuga messages list {0}` shows those there are",
        tenant.id
    )
}

/// Why a message could not be changed.
async fn not_now(
    desk: &dyn MailDesk,
    tenant: &Tenant,
    id: &str,
    rule: &str,
) -> anyhow::Result<String> {
    let found = desk.find(&tenant.id, id).await.map_err(told)?;
    Ok(match found {
        Some(letter) => format!("message {id} is {}; {rule}", state(&letter)),
        None => missing(tenant, id),
    })
}

fn done(tenant: &Tenant, id: &str, what: &str, printer: &Printer) -> anyhow::Result<()> {
    printer.print(&json!({ "tenant": tenant.id, "id": id }), |_| {
        format!("message {id} of {} {what}", tenant.id)
    })
}

fn state(letter: &Letter) -> &'static str {
    match letter.state {
        State::Waiting => "waiting",
        State::Running => "running",
        State::Dead => "dead",
    }
}

fn list(
    tenant: &Tenant,
    letters: &[Letter],
    next: Option<u64>,
    printer: &Printer,
) -> anyhow::Result<()> {
    let shown: Value = json!({ "messages": letters, "next": next });
    printer.print(&shown, |_| {
        let row = |letter: &Letter| {
            let failure = letter.failure.as_ref();
            vec![
                letter.id.clone(),
                letter.sender.seen_from(&tenant.id),
                letter.agent.to_string(),
                letter.message.skill.clone(),
                state(letter).to_owned(),
                letter.attempt.to_string(),
                show_time(letter.posted_at),
                failure.map(|why| why.message.clone()).unwrap_or_default(),
            ]
        };
        let header = [
            "MESSAGE",
            "FROM",
            "TO",
            "SKILL",
            "STATE",
            "ATTEMPT",
            "POSTED",
            "LATEST FAILURE",
        ];
        let rows = letters.iter().map(row).collect();
        let more = next.map_or_else(String::new, |next| {
            format!("\n\nthere are more; go on with --after {next}")
        });
        table(&header, rows, "no such messages") + &more
    })
}

fn show(letter: &Letter) -> String {
    let failure = match &letter.failure {
        Some(why) => format!("\nlatest failure: {}: {}", why.kind, why.message),
        None => String::new(),
    };
    let session = letter.message.session.as_deref().unwrap_or("none");
    format!(
        "message {} from {} to {}\nstate: {}, attempt {}, depth {}\nposted: {}\nskill: {}, session: {session}{failure}\n\n{}",
        letter.id,
        letter.sender,
        letter.agent,
        state(letter),
        letter.attempt,
        letter.depth,
        show_time(letter.posted_at),
        letter.message.skill,
        letter.message.input,
    )
}
