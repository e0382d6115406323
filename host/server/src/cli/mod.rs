//! The command line. Each command is a function over the same library that the server uses.

mod breaker;
mod build;
#[cfg(feature = "aws")]
mod check;
mod component;
mod dev;
mod drill;
mod explain;
mod input;
mod inspect;
mod invoke;
mod jobs;
mod journal;
#[cfg(feature = "aws")]
mod lambda;
mod messages;
mod new;
mod operator;
mod plugin;
mod print;
#[cfg(feature = "aws")]
mod provision;
mod record;
mod remote;
mod secret;
mod serve;
mod status;
mod tenant;
mod test;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Overrides};
use crate::telemetry;

use print::{Output, Printer};

/// Runs domain agents as sandboxed WASM components, each tenant with its own instances, stores and keys.
#[derive(Parser)]
#[command(
    name = "stuga",
    version,
    propagate_version = true,
    max_term_width = 100
)]
struct Cli {
    #[command(flatten)]
    overrides: Overrides,
    /// How results are printed
    #[arg(long, value_enum, default_value_t = Output::Text, global = true)]
    output: Output,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run the server
    Serve(serve::Args),
    /// Call a skill of an agent, here or on a server
    Invoke(invoke::Args),
    /// Messages between agents that wait or could not be delivered
    #[command(subcommand)]
    Messages(messages::Command),
    /// Plugins: what is there, and what a tenant runs
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Tenants: their files and API keys
    #[command(subcommand)]
    Tenant(tenant::Command),
    /// Jobs: what agents left for later
    #[command(subcommand)]
    Jobs(jobs::Command),
    /// Run as a function of Lambda
    #[cfg(feature = "aws")]
    Lambda(lambda::Args),
    /// Secrets: values that a tenant's agents may read
    #[command(subcommand)]
    Secret(secret::Command),
    /// Check what the host relies on elsewhere
    #[cfg(feature = "aws")]
    #[command(subcommand)]
    Check(check::Command),
    /// Show what every tenant runs, and what stands between this host and AWS
    Status(status::Args),
    /// Say who answers a tenant, and why
    Explain(explain::Args),
    /// What stands between this host and AWS
    #[command(subcommand)]
    Breaker(breaker::Command),
    /// What this host took in the place of AWS, and what AWS refuses
    #[command(subcommand)]
    Journal(journal::Command),
    /// Outages on purpose, which end by themselves
    #[command(subcommand)]
    Drill(drill::Command),
    /// Make a project for a new agent
    New(new::Args),
    /// Make an agent's component
    Build(build::Args),
    /// Show what a component is, and whether this host takes it
    Inspect(inspect::Args),
    /// Run scenarios against a component, without a server
    Test(test::Args),
    /// Make a scenario of a real invocation
    Record(record::Args),
    /// Rebuild an agent whenever it changes and call it from a prompt
    Dev(dev::Args),
}

impl Command {
    /// Whether it runs until it is stopped, so that its log is what there is to see.
    fn is_service(&self) -> bool {
        match self {
            Self::Serve(_) => true,
            #[cfg(feature = "aws")]
            Self::Lambda(_) => true,
            _ => false,
        }
    }
}

#[cfg(feature = "aws")]
use lambda::arguments;
#[cfg(not(feature = "aws"))]
use std::env::args_os as arguments;

/// Runs the command that the process was started with. 0: done, 1: failed, 2: wrong usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse_from(arguments());
    let printer = Printer::new(cli.output);
    match run(cli, &printer) {
        Ok(code) => code,
        Err(error) => {
            printer.error(&error);
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli, printer: &Printer) -> anyhow::Result<ExitCode> {
    let config = Config::load(&cli.overrides)?;
    let quiet = if cli.command.is_service() {
        "info"
    } else {
        "warn"
    };
    telemetry::start(config.log, config.log_filter.as_deref().unwrap_or(quiet))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        match cli.command {
            Command::Serve(args) => serve::run(config, args).await,
            Command::Invoke(args) => invoke::run(&config, args, printer).await,
            Command::Messages(command) => messages::run(&config, command, printer).await,
            Command::Plugin(command) => plugin::run(&config, command, printer).await,
            Command::Tenant(command) => tenant::run(&config, command, printer).await,
            Command::Jobs(command) => jobs::run(&config, command, printer).await,
            #[cfg(feature = "aws")]
            Command::Lambda(lambda::Args {}) => lambda::run(config).await,
            Command::Secret(command) => secret::run(&config, command, printer).await,
            #[cfg(feature = "aws")]
            Command::Check(command) => check::run(&config, command, printer).await,
            Command::Status(args) => status::run(&config, &args, printer).await,
            Command::Explain(args) => explain::run(&config, &args, printer).await,
            Command::Breaker(command) => breaker::run(&config, command, printer).await,
            Command::Journal(command) => journal::run(&config, command, printer).await,
            Command::Drill(command) => drill::run(&config, command, printer).await,
            Command::New(args) => new::run(args, printer),
            Command::Build(args) => build::run(args, printer).await,
            Command::Inspect(args) => inspect::run(args, printer).await,
            Command::Test(args) => test::run(args, printer).await,
            Command::Record(args) => record::run(&config, args, printer).await,
            Command::Dev(args) => dev::run(args, printer).await,
        }
    })
}

/// Today, as it stands beside a key.
fn today() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%d").to_string()
}

/// A moment as people read it; empty for the beginning of time, which stands for "not by command".
fn show_time(time: stuga_core::Timestamp) -> String {
    let millis = i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    match jiff::Timestamp::from_millisecond(millis) {
        Ok(time) if millis > 0 => time.strftime("%Y-%m-%d %H:%M:%SZ").to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
