//! `stuga invoke`: in process on the data directory, or on a server.

use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, bail};
use serde_json::Value;
use serde_json::value::RawValue;
use stuga_core::{Receipt, RequestId, TenantId};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::print::{self, Printer};
use super::{input, remote};
use crate::config::Config;
use crate::host::{Call, Completed, Host, new_invocation};
use crate::tenants::suggestion;

/// Parts that wait to be printed before the agent has to.
const PARTS_WAITING_MAX: usize = 16;

/// Call a skill of an agent: in process on the data directory, or on a server with --url.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stuga invoke meetmind/meetmind summarize --set transcript=@meeting.vtt
  stuga invoke meetmind/meetmind recall --input query.json --output json
  echo '{\"limit\": 3}' | stuga invoke meetmind/meetmind recall --input -
  STUGA_KEY=stuga_... stuga invoke meetmind/meetmind recall --url http://127.0.0.1:8080 --stream")]
pub(crate) struct Args {
    /// The tenant and its agent
    #[arg(value_name = "TENANT/AGENT")]
    target: String,
    /// The skill
    skill: String,
    /// File with the input as JSON, - for standard input [default: {}]
    #[arg(long, value_name = "FILE|-")]
    input: Option<String>,
    /// Put into the input: name=text, name:=JSON, name=@FILE, name=@base64:FILE; may be repeated
    #[arg(long, value_name = "NAME=VALUE")]
    set: Vec<String>,
    /// Groups calls that belong together
    #[arg(long)]
    session: Option<String>,
    /// Print what the agent emits while it runs
    #[arg(long)]
    stream: bool,
    /// Call a server instead of working on the data directory
    #[arg(long, env = "STUGA_URL", value_name = "URL")]
    url: Option<String>,
    /// API key for the server; better given in the environment, where other users cannot see it
    #[arg(
        long,
        env = "STUGA_KEY",
        value_name = "KEY",
        hide_env_values = true,
        requires = "url"
    )]
    key: Option<String>,
    /// Makes a retry safe: the same key and input give the same answer (server only)
    #[arg(long, value_name = "KEY", requires = "url")]
    idempotency_key: Option<String>,
}

pub(crate) async fn run(
    config: &Config,
    args: Args,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    let Some((tenant, agent)) = args.target.split_once('/') else {
        bail!("{:?} is not TENANT/AGENT", args.target);
    };
    let input = input::build(args.input.as_deref(), &args.set)?;
    let Some(url) = &args.url else {
        return in_process(config, tenant, agent, &args, input, printer).await;
    };
    let key = args
        .key
        .as_deref()
        .context("a server needs an API key: set STUGA_KEY or give --key")?;
    let call = remote::Call {
        url,
        key,
        tenant,
        agent,
        skill: &args.skill,
        input: &input,
        session: args.session.as_deref(),
        idempotency_key: args.idempotency_key.as_deref(),
    };
    remote::invoke(&call, args.stream, printer).await
}

async fn in_process(
    config: &Config,
    tenant: &str,
    agent: &str,
    args: &Args,
    input: String,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    let id = TenantId::new(tenant)?;
    super::tenant::find(config, tenant)?;
    let host = Host::open(config, Some(id)).await?;
    // Nobody else may be there to run what the skill waits for.
    host.run_jobs(Some(stuga_core::AgentName::new(agent)?));
    let result = call(&host, tenant, agent, args, input, printer).await;
    host.close(config.drain).await;
    let (invocation, completed) = result?;
    if printer.is_json() {
        let output: &RawValue = serde_json::from_str(&completed.output)?;
        let answer = serde_json::json!({ "invocation_id": invocation, "output": output, "receipt": completed.receipt });
        print::line(&answer.to_string())?;
    } else {
        show(&completed.output, &completed.receipt)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn call(
    host: &Arc<Host>,
    tenant: &str,
    agent: &str,
    args: &Args,
    input: String,
    printer: &Printer,
) -> anyhow::Result<(String, Completed)> {
    let snapshot = host.snapshot();
    let running = snapshot
        .tenant(tenant)
        .with_context(|| format!("tenant {tenant} cannot be run; see `stuga tenant check`"))?;
    if let Some((_, reason)) = running
        .failed()
        .iter()
        .find(|(name, _)| name.as_str() == agent)
    {
        bail!("agent {agent} cannot be readied: {reason}");
    }
    let running_agent = running.agent(agent)?;
    running_agent.check(&args.skill, &input)?;
    let (parts, mut emitted) = mpsc::channel(PARTS_WAITING_MAX);
    let invocation = new_invocation();
    let call = host.invoke(Call {
        tenant: Arc::clone(running),
        agent: Arc::clone(running_agent),
        skill: args.skill.clone(),
        input,
        session: args.session.clone(),
        request: RequestId::from_uuid(Uuid::now_v7()),
        invocation,
        accepted_at: host.clock().now(),
        repeatable: false,
        message: None,
        deadline: None,
        parts: args.stream.then_some(parts),
    });
    let printing = async {
        while let Some(part) = emitted.recv().await {
            show_part(&part, printer);
        }
    };
    let (completed, ()) = tokio::join!(call, printing);
    Ok((invocation.to_string(), completed?))
}

/// Prints one part of a stream.
pub(crate) fn show_part(part: &str, printer: &Printer) {
    if printer.is_json() {
        // A closed stdout shows when the answer is printed.
        let _ = print::line(&format!("{{\"part\":{}}}", part.replace(['\r', '\n'], " ")));
    } else {
        print::note(part);
    }
}

/// Prints an answer for people: its Markdown when it has some, else its JSON, and the receipt as a remark.
pub(crate) fn show(output: &str, receipt: &Receipt) -> anyhow::Result<()> {
    let value: Value = serde_json::from_str(output)?;
    match value.get("markdown").and_then(Value::as_str) {
        Some(markdown) => print::line(markdown.trim_end())?,
        None => print::line(&serde_json::to_string_pretty(&value)?)?,
    }
    print::note(&receipt_line(receipt));
    Ok(())
}

fn receipt_line(receipt: &Receipt) -> String {
    let mut line = format!(
        "receipt: version {}, {:.1} ms, {} KiB of memory",
        receipt.agent_version,
        receipt.cost.duration_us as f64 / 1_000.0,
        receipt.cost.memory_bytes / 1_024,
    );
    for used in &receipt.capabilities {
        let backend = match used.backend {
            stuga_core::Backend::Local => "local",
            stuga_core::Backend::Cloud => "cloud",
        };
        line.push_str(&format!(
            ", {} {backend} ({} reads, {} writes)",
            used.capability, used.reads, used.writes
        ));
    }
    line
}

/// What to say when a name is not known.
pub(crate) fn unknown<'k>(
    what: &str,
    asked: &str,
    known: impl IntoIterator<Item = &'k str> + Clone,
) -> String {
    let list: Vec<&str> = known.clone().into_iter().collect();
    let there = if list.is_empty() {
        "there is none".to_owned()
    } else {
        format!("there is {}", list.join(", "))
    };
    format!(
        "there is no {what} {asked:?}{}; {there}",
        suggestion(asked, known)
    )
}
