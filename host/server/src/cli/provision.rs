//! `stuga tenant provision` and `deprovision`: what a tenant needs in AWS.

use std::process::ExitCode;

use anyhow::bail;
use stuga_aws::{Planned, State};

use super::check;
use super::print::{Printer, note, table};
use super::tenant;
use crate::config::Config;

#[derive(clap::Args)]
#[command(after_help = "Examples:
  stuga tenant provision meetmind --plan       # what is there and what would be made
  stuga tenant provision meetmind --apply      # make what is missing; safe to repeat

The host's own credentials make what a tenant needs. Roles, domains and functions belong to your infrastructure as code;
`stuga check aws` tells when they are missing.")]
pub(crate) struct Provision {
    /// The tenant
    tenant: String,
    /// Show what is there and what would be made, and change nothing
    #[arg(long, required_unless_present = "apply", conflicts_with = "apply")]
    plan: bool,
    /// Make what is missing
    #[arg(long)]
    apply: bool,
}

#[derive(clap::Args)]
#[command(after_help = "Examples:
  stuga tenant deprovision meetmind                       # what would be removed
  stuga tenant deprovision meetmind --confirm meetmind    # remove it, with all data, for good")]
pub(crate) struct Deprovision {
    /// The tenant
    tenant: String,
    /// The tenant's name once more: removes its data in AWS for good
    #[arg(long, value_name = "TENANT")]
    confirm: Option<String>,
}

pub(crate) async fn provision(
    config: &Config,
    args: Provision,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    let tenant = tenant::find(config, &args.tenant)?.id;
    let aws = check::open(config)?;
    let lines = match args.apply {
        true => aws.provision(&tenant).await?,
        false => aws.plan(&tenant).await?,
    };
    show(&lines, printer)?;
    let count = |state| lines.iter().filter(|line| line.state == state).count();
    match (args.apply, count(State::Made), count(State::Missing)) {
        (true, 0, _) | (false, _, 0) => note("nothing to do: everything is there"),
        (true, made, _) => note(&format!("{made} made")),
        (false, _, missing) => note(&format!(
            "{missing} to be made; to make them: stuga tenant provision {tenant} --apply"
        )),
    }
    Ok(ExitCode::SUCCESS)
}

pub(crate) async fn deprovision(
    config: &Config,
    args: Deprovision,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    // Not looked up: a tenant whose file is gone may still have resources.
    let tenant = stuga_core::TenantId::new(&args.tenant)?;
    let aws = check::open(config)?;
    let Some(confirmed) = args.confirm else {
        show(&aws.plan(&tenant).await?, printer)?;
        bail!("to remove all of this for good, with its data, add --confirm {tenant}");
    };
    if confirmed != tenant.as_str() {
        bail!("--confirm {confirmed} is not the tenant {tenant}; nothing was removed");
    }
    show(&aws.deprovision(&tenant).await?, printer)?;
    Ok(ExitCode::SUCCESS)
}

fn show(lines: &[Planned], printer: &Printer) -> anyhow::Result<()> {
    printer.print(lines, |lines| {
        let row = |line: &Planned| {
            let state = match line.state {
                State::There => "is there",
                State::Missing => "to be made",
                State::Made => "made",
                State::Removed => "removed",
                State::Shared => "stays: shared with other tenants",
            };
            vec![line.section.to_owned(), line.what.clone(), state.to_owned()]
        };
        let rows = lines.iter().map(row).collect();
        let empty = "nothing: no capability that is on AWS needs resources of a tenant's own";
        table(&["section", "what", "state"], rows, empty)
    })
}
