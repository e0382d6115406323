//! `stuga check`: whether what the host relies on elsewhere can be reached and does what it should.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::Context;
use futures::future::join_all;
use serde_json::{Value, json};
use stuga_aws::{Aws, Probed};
use stuga_core::SystemClock;

use super::print::{Printer, table};
use super::tenant;
use crate::cloud::Cloud;
use crate::config::Config;

#[derive(clap::Subcommand)]
#[command(after_help = "Examples:
  stuga check aws meetmind
  stuga check aws meetmind --output json

The exit code is 0 when everything works and 1 otherwise. Nothing is changed, and no data of the tenant is read.")]
pub(crate) enum Command {
    /// Ask each configured service of AWS, with a tenant's credentials, and say what is missing and how to mend it
    Aws {
        /// The tenant
        tenant: String,
    },
}

pub(crate) async fn run(
    config: &Config,
    command: Command,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    let Command::Aws { tenant } = command;
    let tenant = tenant::find(config, &tenant)?.id;
    let probes = open(config)?.probes(&tenant)?;
    let found = join_all(probes.into_iter().map(|probe| probe.run())).await;
    let works = found.iter().all(|probed| probed.problem.is_none());
    let shown: Vec<Value> = found.iter().map(describe).collect();
    printer.print(&shown, |_| {
        let row = |probed: &Probed| {
            let state = match &probed.problem {
                None => "works".to_owned(),
                Some(error) => error.message().to_owned(),
            };
            let fix = probed.fix.clone().unwrap_or_default();
            let (section, action) = (probed.section.to_owned(), probed.action.to_owned());
            vec![section, probed.what.clone(), action, state, fix]
        };
        let rows: Vec<Vec<String>> = found.iter().map(row).collect();
        table(
            &["section", "what", "needs", "state", "what to do"],
            rows,
            "nothing is configured",
        )
    })?;
    Ok(match works {
        true => ExitCode::SUCCESS,
        false => ExitCode::FAILURE,
    })
}

/// AWS as it is configured, or what to write so that it is.
pub(super) fn open(config: &Config) -> anyhow::Result<Aws> {
    let cloud = Cloud::open(&config.aws, Arc::new(SystemClock))?;
    let aws = cloud.aws().cloned();
    aws.context(
        "AWS is not configured; write `aws:` with its `region` into stuga.yaml (docs/aws.md)",
    )
}

fn describe(probed: &Probed) -> Value {
    json!({
        "section": probed.section,
        "service": probed.service.as_str(),
        "action": probed.action,
        "what": probed.what,
        "works": probed.problem.is_none(),
        "problem": probed.problem.as_ref().map(|error| error.message()),
        "cause": probed.problem.as_ref().map(|error| error.causes()),
        "fix": probed.fix,
    })
}
