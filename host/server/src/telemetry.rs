//! Logs: one line per event on stderr, for people on a terminal and as JSON elsewhere.
//!
//! The spans that mark a line with request, tenant, agent and invocation are opened where the request is handled.

use std::io::{self, IsTerminal};

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt;

/// How log lines look.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, clap::ValueEnum)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// Pretty on a terminal, JSON otherwise.
    #[default]
    Auto,
    /// One JSON object a line.
    Json,
    /// For people.
    Pretty,
}

/// Starts logging for the whole process. A second call changes nothing.
///
/// # Errors
/// When `filter` is no list of `target=level` directives.
pub fn start(format: LogFormat, filter: &str) -> anyhow::Result<()> {
    let filter = EnvFilter::try_new(filter).map_err(|error| {
        anyhow::anyhow!("log filter {filter:?}: {error}; write for example info,audit=debug")
    })?;
    let pretty = match format {
        LogFormat::Auto => io::stderr().is_terminal(),
        LogFormat::Json => false,
        LogFormat::Pretty => true,
    };
    let builder = fmt().with_env_filter(filter).with_writer(io::stderr);
    // It fails only when a subscriber is set already, as in tests that share a process.
    let _ = if pretty {
        builder
            .with_ansi(io::stderr().is_terminal())
            .compact()
            .try_init()
    } else {
        builder
            .json()
            .flatten_event(true)
            .with_current_span(true)
            .with_span_list(false)
            .try_init()
    };
    Ok(())
}
