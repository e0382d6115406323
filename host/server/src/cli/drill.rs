//! `stuga drill`: an outage on purpose, for one tenant and capability, that ends by itself.

use std::process::ExitCode;
use std::time::Duration;

use serde_json::json;
use stuga_core::{CapabilityName, TenantId};
use stuga_resilience::Isolation;

use super::operator::{Operator, Where, capability};
use super::print::{Printer, table};
use super::show_time;
use crate::api::Changed;
use crate::config::Config;
use crate::fallback::view::HostStatus;
use crate::units;

#[derive(clap::Subcommand)]
#[command(after_help = "Examples:
  stuga drill start --tenant meetmind --capability memory --for 10m --why 'yearly drill'
  stuga drill list
  stuga drill stop --tenant meetmind --capability memory")]
pub(crate) enum Command {
    /// Have this host answer in the place of AWS for a while; the clients of the tenant notice nothing but their receipts
    Start {
        /// Whose calls
        #[arg(long)]
        tenant: TenantId,
        /// Which of its capabilities
        #[arg(long, value_parser = capability)]
        capability: CapabilityName,
        /// For how long, such as 10m; from 1s to 24h
        #[arg(long = "for", value_name = "TIME", value_parser = time)]
        lasts: Duration,
        /// What for; it is shown to whoever asks why
        #[arg(long)]
        why: String,
        #[command(flatten)]
        at: Where,
    },
    /// End a drill before its time
    Stop {
        /// Whose calls
        #[arg(long)]
        tenant: TenantId,
        /// Which of its capabilities
        #[arg(long, value_parser = capability)]
        capability: CapabilityName,
        #[command(flatten)]
        at: Where,
    },
    /// List the drills that run
    List {
        #[command(flatten)]
        at: Where,
    },
}

fn time(text: &str) -> Result<Duration, String> {
    units::parse_duration(text)
        .ok_or_else(|| "write a time such as 10m (ms, s, m, h, d)".to_owned())
}

pub(crate) async fn run(
    config: &Config,
    command: Command,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    match command {
        Command::Start {
            tenant,
            capability,
            lasts,
            why,
            at,
        } => {
            let for_ms = u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX);
            let body =
                json!({ "tenant": tenant, "capability": capability, "for_ms": for_ms, "why": why });
            let drill: Isolation = Operator::find(config, &at)?.post("drills", &body).await?;
            printer.print(&drill, |drill| {
                let until = drill.until.map(show_time).unwrap_or_default();
                format!("{capability} of {tenant} is answered by this host until {until}")
            })?;
        }
        Command::Stop {
            tenant,
            capability,
            at,
        } => {
            let path = format!("drills/{tenant}/{capability}");
            let Changed { changed } = Operator::find(config, &at)?.delete(&path).await?;
            let done = json!({ "tenant": tenant, "capability": capability, "stopped": changed });
            printer.print(&done, |_| match changed {
                true => format!("{capability} of {tenant} goes back to AWS"),
                false => format!("no drill of {capability} of {tenant} runs"),
            })?;
        }
        Command::List { at } => {
            let status: HostStatus = Operator::find(config, &at)?.get("breakers").await?;
            let drills: Vec<Isolation> = status.isolations;
            let drills: Vec<&Isolation> = drills.iter().filter(|one| one.until.is_some()).collect();
            printer.print(&drills, |drills| {
                let row = |drill: &&Isolation| {
                    vec![
                        drill.tenant.to_string(),
                        drill.capability.to_string(),
                        show_time(drill.since),
                        drill.until.map(show_time).unwrap_or_default(),
                        drill.why.clone(),
                    ]
                };
                table(
                    &["TENANT", "CAPABILITY", "SINCE", "UNTIL", "WHY"],
                    drills.iter().map(row).collect(),
                    "no drill runs",
                )
            })?;
        }
    }
    Ok(ExitCode::SUCCESS)
}
