//! `stuga status`: what every tenant runs, by the files, and whether a server is ready.

use std::process::ExitCode;

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;
use stuga_core::{AgentName, TenantId};

use super::print::{Printer, table};
use super::{show_time, tenant};
use crate::config::Config;
use crate::store::Store;

/// Show what every tenant runs; with --url also whether that server takes calls.
#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  stuga status\n  stuga status --url http://127.0.0.1:8080 --output json"
)]
pub(crate) struct Args {
    /// Ask this server whether it is ready
    #[arg(long, env = "STUGA_URL", value_name = "URL")]
    url: Option<String>,
}

#[derive(Serialize)]
struct Status {
    agents: Vec<AgentStatus>,
    #[serde(skip_serializing_if = "Option::is_none")]
    server: Option<Value>,
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
    let server = match &args.url {
        Some(url) => Some(readiness(url).await?),
        None => None,
    };
    printer.print(&Status { agents, server }, show)?;
    Ok(ExitCode::SUCCESS)
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
    match &status.server {
        None => agents,
        Some(server) => format!(
            "{agents}\n\nserver: {}",
            server
                .get("state")
                .and_then(Value::as_str)
                .unwrap_or("unknown")
        ),
    }
}
