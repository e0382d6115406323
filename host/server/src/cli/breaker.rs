//! `stuga breaker`: what stands between this host and AWS.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use stuga_core::{CapabilityName, TenantId};

use super::operator::{Operator, Where, capability};
use super::print::{Printer, table};
use super::show_time;
use crate::api::Changed;
use crate::config::Config;
use crate::fallback::name;
use crate::fallback::view::{CapabilityStatus, HostStatus, Waiting};
use crate::units;

#[derive(clap::Subcommand)]
#[command(after_help = "Examples:
  stuga breaker list
  stuga breaker isolate files --why 'the bucket moves'
  stuga breaker isolate memory --tenant meetmind --why 'repair, ticket 12'
  stuga breaker release files")]
pub(crate) enum Command {
    /// List the capabilities on AWS: their breakers, what was counted, what waits
    List {
        #[command(flatten)]
        at: Where,
    },
    /// Keep a capability from AWS, of all tenants or of one, until it is released; this host answers
    Isolate {
        /// The capability
        #[arg(value_parser = capability)]
        capability: CapabilityName,
        /// Of this tenant alone
        #[arg(long)]
        tenant: Option<TenantId>,
        /// What for; it is shown to whoever asks why
        #[arg(long, default_value = "")]
        why: String,
        #[command(flatten)]
        at: Where,
    },
    /// Let a capability back to AWS; what this host took meanwhile goes there
    Release {
        /// The capability
        #[arg(value_parser = capability)]
        capability: CapabilityName,
        /// Of this tenant alone
        #[arg(long)]
        tenant: Option<TenantId>,
        #[command(flatten)]
        at: Where,
    },
}

pub(crate) async fn run(
    config: &Config,
    command: Command,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    match command {
        Command::List { at } => {
            let status: HostStatus = Operator::find(config, &at)?.get("breakers").await?;
            printer.print(&status, show)?;
        }
        Command::Isolate {
            capability,
            tenant,
            why,
            at,
        } => {
            let body = json!({ "tenant": tenant, "why": why });
            let path = format!("breakers/{capability}/isolate");
            let _: Changed = Operator::find(config, &at)?.post(&path, &body).await?;
            let who = whose(tenant.as_ref());
            let done = json!({ "capability": capability, "tenant": tenant, "isolated": true });
            printer.print(&done, |_| {
                format!("{capability} of {who} is kept from AWS until it is released")
            })?;
        }
        Command::Release {
            capability,
            tenant,
            at,
        } => {
            let body = json!({ "tenant": tenant });
            let path = format!("breakers/{capability}/release");
            let Changed { changed } = Operator::find(config, &at)?.post(&path, &body).await?;
            let who = whose(tenant.as_ref());
            let done = json!({ "capability": capability, "tenant": tenant, "released": changed });
            printer.print(&done, |_| match changed {
                true => format!("{capability} of {who} goes back to AWS as soon as it answers"),
                false => format!("{capability} of {who} was not isolated"),
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn whose(tenant: Option<&TenantId>) -> &str {
    tenant.map_or("all tenants", TenantId::as_str)
}

/// The capabilities on AWS as a table, and who is kept from it.
pub(crate) fn show(status: &HostStatus) -> String {
    let header = [
        "CAPABILITY",
        "BREAKER",
        "FOR",
        "ASKED IN",
        "FAILED",
        "HEARD",
        "WAITING",
        "OLDEST",
        "DRAINED/S",
        "PARKED",
    ];
    let rows = status.capabilities.iter().map(row).collect();
    let mut shown = table(&header, rows, "no capability lies on AWS");
    for one in &status.capabilities {
        if let Some(word) = &one.isolated {
            let since = show_time(word.since);
            shown.push_str(&format!(
                "\n\n{} of all tenants is kept from AWS since {since}: {}",
                one.capability, word.why
            ));
        }
    }
    for isolation in &status.isolations {
        let until = isolation.until.map_or_else(
            || "until it is released".to_owned(),
            |until| format!("until {}", show_time(until)),
        );
        shown.push_str(&format!(
            "\n\n{} of {} is kept from AWS {until}: {}",
            isolation.capability, isolation.tenant, isolation.why
        ));
    }
    shown
}

fn row(one: &CapabilityStatus) -> Vec<String> {
    let breaker = &one.breaker;
    let waiting = one.waiting.unwrap_or_default();
    let failed = match breaker.calls {
        0 => String::new(),
        calls => format!("{} of {calls}", breaker.failures),
    };
    vec![
        one.capability.to_string(),
        name(breaker.state).to_owned(),
        time(breaker.for_ms),
        breaker.open_for_ms.map(time).unwrap_or_default(),
        failed,
        format!("{} ago", time(one.heard_ms)),
        one.waiting.map_or_else(|| "-".to_owned(), count),
        waiting.oldest.map(show_time).unwrap_or_default(),
        format!("{:.1}", one.drained_per_second),
        waiting.parked.to_string(),
    ]
}

fn count(waiting: Waiting) -> String {
    let more = if waiting.more { "more than " } else { "" };
    format!("{more}{}", waiting.waiting)
}

/// About how long.
fn time(millis: u64) -> String {
    units::about_duration(Duration::from_millis(millis))
}
