//! `stuga serve`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Context;
use tokio::signal::unix::{SignalKind, signal};

use crate::admin::Served;
use crate::api::{self, Server};
use crate::config::Config;
use crate::host::Host;
use crate::{atomic, units};

/// Run the server until SIGTERM or Ctrl-C, then let running calls end.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  stuga serve\n  stuga serve --listen 0.0.0.0:8080 --data-dir /var/lib/stuga --tenants /etc/stuga/tenants --log json"
)]
pub(crate) struct Args {
    /// Address to listen on; port 0 takes a free one [default: 127.0.0.1:8080]
    #[arg(long, env = "STUGA_LISTEN", value_name = "ADDRESS")]
    listen: Option<SocketAddr>,
    /// How long calls may take to end once the server is told to stop, such as 30s [default: 30s]
    #[arg(long, env = "STUGA_DRAIN", value_name = "TIME", value_parser = time)]
    drain: Option<Duration>,
    /// Write {"address": ...} to this file once calls are taken
    #[arg(long, value_name = "FILE")]
    ready_file: Option<PathBuf>,
}

fn time(text: &str) -> Result<Duration, String> {
    units::parse_duration(text)
        .ok_or_else(|| "write a time such as 10s (ms, s, m, h, d)".to_owned())
}

pub(crate) async fn run(mut config: Config, args: Args) -> anyhow::Result<ExitCode> {
    config.listen = args.listen.unwrap_or(config.listen);
    config.drain = args.drain.unwrap_or(config.drain);
    tracing::info!(config = %serde_json::to_string(&config)?, "starting");
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;

    let gateway = config.http.gateway.as_ref();
    let gateway = gateway.map(api::Gateway::open).transpose()?;

    // Listen first: an address in use is the commonest mistake, and starting agents takes longer.
    let server = Server::bind(config.listen, config.max_connections)
        .await
        .with_context(|| format!("cannot listen on {}", config.listen))?;
    let address = server.address();
    let host = Host::open(&config, None).await?;
    host.tend()?;
    let totals = host.snapshot().totals();
    let _served = Served::write(&config.data_dir, address)
        .with_context(|| format!("{} cannot be written", config.data_dir.display()))?;
    if let Some(path) = &args.ready_file {
        let ready = serde_json::json!({ "address": address }).to_string();
        atomic::write(path, ready.as_bytes())
            .with_context(|| format!("{} cannot be written", path.display()))?;
    }
    tracing::info!(%address, tenants = totals.tenants, agents = totals.agents, failed = totals.agents_failed, "ready");

    let stopping = std::sync::Arc::clone(&host);
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        tracing::info!("stopping: no new calls, running ones may end");
        stopping.drain();
    };
    let cut_off = api::serve(
        server,
        api::router(std::sync::Arc::clone(&host), gateway),
        stop,
        config.drain,
    )
    .await;
    // Invocations that outlive their client have as much time as those with one.
    host.close(config.drain).await;
    if cut_off > 0 {
        tracing::warn!(
            cut_off,
            "stopped; connections were cut off because the time to drain was over"
        );
    } else {
        tracing::info!("stopped");
    }
    Ok(ExitCode::SUCCESS)
}
