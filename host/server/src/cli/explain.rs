//! `stuga explain`: who answers a tenant, and why.

use std::process::ExitCode;

use stuga_core::TenantId;

use super::operator::{Operator, Where};
use super::print::Printer;
use crate::config::Config;
use crate::fallback::view::Explanation;

/// Say who answers a tenant, AWS or this host, why, since when, and what waits for AWS.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stuga explain meetmind
  stuga explain meetmind --output json | jq '.capabilities[] | select(.reads == \"local\")'")]
pub(crate) struct Args {
    /// The tenant
    tenant: TenantId,
    #[command(flatten)]
    at: Where,
}

pub(crate) async fn run(
    config: &Config,
    args: &Args,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    let operator = Operator::find(config, &args.at)?;
    let path = format!("tenants/{}/explain", args.tenant);
    let explained: Explanation = operator.get(&path).await?;
    printer.print(&explained, show)?;
    Ok(ExitCode::SUCCESS)
}

fn show(explained: &Explanation) -> String {
    let said = explained.capabilities.iter().map(|one| one.says.clone());
    let mut said: Vec<String> = said.collect();
    if said.is_empty() && !explained.unreadable {
        said.push(format!(
            "everything of {} lies on this host: no capability lies on AWS",
            explained.tenant
        ));
    }
    said.extend(explained.store.clone());
    said.join("\n")
}
