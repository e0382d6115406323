//! `stuga status`: what every tenant runs, by the files, whether a server is ready, and what stands between it and AWS.

use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;
use stuga_core::{AgentName, TenantId};

use super::operator::{Operator, Where};
use super::print::{self, Printer, table};
use super::{breaker, show_time, tenant};
use crate::admin::Served;
use crate::config::Config;
use crate::fallback::view::HostStatus;
use crate::store::Store;

/// Show what every tenant runs; of a server that runs also whether it takes calls, and how its capabilities on AWS are.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  stuga status\n  stuga status --url http://127.0.0.1:8080 --output json"
)]
pub(crate) struct Args {
    #[command(flatten)]
    at: Where,
}

#[derive(Serialize)]
struct Status {
    agents: Vec<AgentStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Value>,
    /// None when no server runs, or the admin key is not at hand.
    #[serde(skip_serializing_if = "Option::is_none")]
    failover: Option<HostStatus>,
}

#[derive(Serialize)]
struct AgentStatus {
    tenant: TenantId,
    agent: AgentName,
    version: Option<String>,
    loaded_at: String,
    /// `runs`, `not loaded`, or why it cannot run.
    state: String,
}

pub(crate) async fn run(
    config: &Config,
    args: &Args,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    let store = Store::new(&config.data_dir);
    let mut agents = Vec::new();
    for tenant in tenant::all(config)?.into_values() {
        let running = store.running(&tenant.id)?;
        for entry in &tenant.plugins {
            let resolved = store.resolve(running.as_ref(), entry);
            let loaded_at = running
                .as_ref()
                .and_then(|set| set.get(&entry.name))
                .map(|r| show_time(r.loaded_at));
            agents.push(AgentStatus {
                tenant: tenant.id.clone(),
                agent: entry.name.clone(),
                version: resolved
                    .as_ref()
                    .ok()
                    .and_then(Option::as_ref)
                    .map(ToString::to_string),
                loaded_at: loaded_at.unwrap_or_default(),
                state: match resolved {
                    Ok(Some(_)) => "runs".to_owned(),
                    Ok(None) => "not loaded".to_owned(),
                    Err(error) => error.message().to_owned(),
                },
            });
        }
    }
    let (server, failover) = running(config, &args.at).await?;
    let status = Status {
        agents,
        server,
        failover,
    };
    printer.print(&status, show)?;
    Ok(ExitCode::SUCCESS)
}

/// What the server says of itself. One that was named must answer; one that only left its address may be gone.
async fn running(
    config: &Config,
    at: &Where,
) -> anyhow::Result<(Option<Value>, Option<HostStatus>)> {
    let server = match (&at.url, Served::url(&config.data_dir)) {
        (Some(url), _) => readiness(url).await?,
        (None, Some(url)) => match readiness(&url).await {
            Ok(server) => server,
            Err(_) => return Ok((None, None)),
        },
        (None, None) => return Ok((None, None)),
    };
    let asked = async { Operator::find(config, at)?.get("breakers").await };
    let failover = asked.await.map_err(|error| {
        print::note(&format!("what lies on AWS cannot be shown: {error:#}"));
    });
    Ok((Some(server), failover.ok()))
}

async fn readiness(url: &str) -> anyhow::Result<Value> {
    let response = reqwest::get(format!("{}/readyz", url.trim_end_matches('/'))).await;
    let text = response
        .with_context(|| format!("{url} cannot be reached"))?
        .text()
        .await?;
    serde_json::from_str(&text).with_context(|| format!("{url} is no stuga server"))
}

fn show(status: &Status) -> String {
    let row = |a: &AgentStatus| {
        let version = a.version.clone().unwrap_or_default();
        vec![
            a.tenant.to_string(),
            a.agent.to_string(),
            version,
            a.loaded_at.clone(),
            a.state.clone(),
        ]
    };
    let agents = table(
        &["TENANT", "AGENT", "VERSION", "LOADED", "STATE"],
        status.agents.iter().map(row).collect(),
        "no tenant has a plugin",
    );
    let mut shown = agents;
    if let Some(server) = &status.server {
        let state = server.get("state").and_then(Value::as_str);
        shown.push_str(&format!("\n\nserver: {}", state.unwrap_or("unknown")));
    }
    match &status.failover {
        Some(failover) if !failover.capabilities.is_empty() => {
            shown.push_str("\n\n");
            shown.push_str(&breaker::show(failover));
        }
        _ => {}
    }
    shown
}
