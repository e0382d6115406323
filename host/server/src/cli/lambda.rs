//! `stuga lambda`: this binary as a function of Lambda.

use std::ffi::OsString;
use std::process::ExitCode;

use crate::config::Config;
use crate::lambda;

/// Run as a function of Lambda: take attempts of jobs that a host has offered. Needs STUGA_AWS, the host's AWS settings as
/// JSON; keeps compiled code in the data directory, such as /tmp/stuga.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  STUGA_AWS='{\"region\": \"eu-north-1\", ...}' stuga lambda --data-dir /tmp/stuga
  As the executable `bootstrap` of a provided.al2023 function it needs no arguments.")]
pub(crate) struct Args {}

pub(crate) async fn run(config: Config) -> anyhow::Result<ExitCode> {
    lambda::serve(&config).await?;
    Ok(ExitCode::SUCCESS)
}

/// The arguments of this process: those of `stuga lambda` when Lambda started it under the name that it gives.
pub(crate) fn arguments() -> Vec<OsString> {
    let mut given: Vec<OsString> = std::env::args_os().collect();
    let in_lambda = std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_some();
    if in_lambda && given.len() <= 1 {
        given.push("lambda".into());
        if std::env::var_os("STUGA_DATA_DIR").is_none() {
            // The one directory of a function that can be written.
            given.extend(["--data-dir".into(), "/tmp/stuga".into()]);
        }
    }
    given
}
