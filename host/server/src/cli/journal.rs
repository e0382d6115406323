//! `stuga journal`: what this host took in the place of AWS, and what AWS refuses to take over.

use std::process::ExitCode;

use anyhow::bail;
use serde_json::json;
use stuga_core::TenantId;
use stuga_core::journal::{EntryInfo, EntryState};

use super::operator::{Operator, Where};
use super::print::{self, Printer, table};
use super::show_time;
use crate::api::{Changed, EntryDetail};
use crate::config::Config;
use crate::fallback::view::JournalPage;
use crate::units;

/// Longest remark in a listing, in characters.
const REMARK_MAX_CHARS: usize = 80;
/// Entries that are read at a time when all are meant.
const PAGE: u32 = 1_000;

#[derive(clap::Subcommand)]
#[command(after_help = "Examples:
  stuga journal list --tenant meetmind
  stuga journal list --tenant meetmind --state parked --output json
  stuga journal show --tenant meetmind 17 --content
  stuga journal retry --tenant meetmind 17
  stuga journal retry --tenant meetmind --all
  stuga journal discard --tenant meetmind 17")]
pub(crate) enum Command {
    /// List a tenant's entries, the oldest first
    List {
        /// The tenant
        #[arg(long)]
        tenant: TenantId,
        /// waiting: not yet in AWS; parked: AWS refuses it for good; superseded: AWS had a later write
        #[arg(long, value_parser = state, default_value = "waiting")]
        state: EntryState,
        /// At most so many, 1 to 1000
        #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..=1_000))]
        limit: u32,
        /// Go on after this entry
        #[arg(long, value_name = "ENTRY", default_value_t = 0)]
        after: u64,
        #[command(flatten)]
        at: Where,
    },
    /// Show an entry
    Show {
        /// The tenant
        #[arg(long)]
        tenant: TenantId,
        /// The entry, as `stuga journal list` shows it
        entry: u64,
        /// Also what was written and answered, which is the tenant's; it is noted who looked
        #[arg(long)]
        content: bool,
        #[command(flatten)]
        at: Where,
    },
    /// Put parked entries back to those that wait
    Retry {
        /// The tenant
        #[arg(long)]
        tenant: TenantId,
        /// The entries
        #[arg(value_name = "ENTRY", required_unless_present = "all")]
        entries: Vec<u64>,
        /// All parked entries of the tenant
        #[arg(long, conflicts_with = "entries")]
        all: bool,
        #[command(flatten)]
        at: Where,
    },
    /// Remove parked or superseded entries for good: what they wrote stays on this host alone
    Discard {
        /// The tenant
        #[arg(long)]
        tenant: TenantId,
        /// The entries
        #[arg(value_name = "ENTRY", required = true)]
        entries: Vec<u64>,
        #[command(flatten)]
        at: Where,
    },
}

fn state(name: &str) -> Result<EntryState, String> {
    EntryState::from_name(name).ok_or_else(|| "there is waiting, parked, superseded".to_owned())
}

pub(crate) async fn run(
    config: &Config,
    command: Command,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    match command {
        Command::List {
            tenant,
            state,
            limit,
            after,
            at,
        } => {
            let operator = Operator::find(config, &at)?;
            let page = page(&operator, &tenant, state, after, limit).await?;
            printer.print(&page, show_page)?;
            if let (Some(next), false) = (page.next, printer.is_json()) {
                print::note(&format!("there are more: --after {next}"));
            }
        }
        Command::Show {
            tenant,
            entry,
            content,
            at,
        } => {
            let path = format!("tenants/{tenant}/journal/{entry}?content={content}");
            let entry: EntryDetail = Operator::find(config, &at)?.get(&path).await?;
            printer.print(&entry, show_entry)?;
        }
        Command::Retry {
            tenant,
            mut entries,
            all,
            at,
        } => {
            let operator = Operator::find(config, &at)?;
            if all {
                entries = parked(&operator, &tenant).await?;
            }
            let mut done = Vec::new();
            for entry in &entries {
                let path = format!("tenants/{tenant}/journal/{entry}/retry");
                let Changed { changed } = operator.post(&path, &json!({})).await?;
                if changed {
                    done.push(*entry);
                }
            }
            return changed(
                &entries,
                &done,
                "is not parked",
                "retried",
                "wait again",
                printer,
            );
        }
        Command::Discard {
            tenant,
            entries,
            at,
        } => {
            let operator = Operator::find(config, &at)?;
            let mut done = Vec::new();
            for entry in &entries {
                let path = format!("tenants/{tenant}/journal/{entry}");
                let Changed { changed } = operator.delete(&path).await?;
                if changed {
                    done.push(*entry);
                }
            }
            let not = "is neither parked nor superseded";
            return changed(&entries, &done, not, "discarded", "are removed", printer);
        }
    }
    Ok(ExitCode::SUCCESS)
}

async fn page(
    operator: &Operator,
    tenant: &TenantId,
    state: EntryState,
    after: u64,
    limit: u32,
) -> anyhow::Result<JournalPage> {
    let state = state.as_str();
    let path = format!("tenants/{tenant}/journal?state={state}&after={after}&limit={limit}");
    operator.get(&path).await
}

/// All parked entries.
async fn parked(operator: &Operator, tenant: &TenantId) -> anyhow::Result<Vec<u64>> {
    let (mut entries, mut after) = (Vec::new(), Some(0));
    while let Some(from) = after {
        let page = page(operator, tenant, EntryState::Parked, from, PAGE).await?;
        entries.extend(page.entries.iter().map(|entry| entry.seq));
        after = page.next;
    }
    Ok(entries)
}

/// Says what was changed. That something else was meant is a failure.
fn changed(
    asked: &[u64],
    done: &[u64],
    not: &str,
    verb: &str,
    what: &str,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    printer.print(&json!({ verb: done }), |_| {
        format!("{} entries {what}", done.len())
    })?;
    let left: Vec<String> = asked
        .iter()
        .filter(|entry| !done.contains(entry))
        .map(u64::to_string)
        .collect();
    if left.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    bail!("{} {not}, or is no longer there", left.join(", "))
}

fn show_page(page: &JournalPage) -> String {
    let row = |entry: &EntryInfo| {
        let remark = entry.reason.as_deref().unwrap_or_default();
        vec![
            entry.seq.to_string(),
            entry.operation.clone(),
            entry.agent.to_string(),
            entry.key.clone(),
            show_time(entry.at),
            units::about_bytes(entry.bytes),
            entry.refusals.to_string(),
            remark.chars().take(REMARK_MAX_CHARS).collect(),
        ]
    };
    let header = [
        "ENTRY",
        "OPERATION",
        "AGENT",
        "KEY",
        "WRITTEN",
        "SIZE",
        "REFUSED",
        "",
    ];
    table(
        &header,
        page.entries.iter().map(row).collect(),
        "there are no such entries",
    )
}

fn show_entry(entry: &EntryDetail) -> String {
    let info = &entry.info;
    let mut lines = vec![
        format!("entry {}, {}", info.seq, info.state.as_str()),
        format!("{} of {} by {}", info.operation, info.key, info.agent),
        format!("written {}, id {}", show_time(info.at), info.id.to_name()),
        units::about_bytes(info.bytes),
    ];
    if let Some(reason) = &info.reason {
        lines.push(format!(
            "refused {} times, at last: {reason}",
            info.refusals
        ));
    }
    for (name, value) in [("write", &entry.write), ("answer", &entry.answer)] {
        if let Some(value) = value {
            lines.push(format!("{name} {value}"));
        }
    }
    lines.join("\n")
}
