//! `stuga record`: a real invocation of a running host as a scenario.

use std::fs::{self, File};
use std::io::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use futures::StreamExt;
use serde::Serialize;
use stuga_core::id::is_name;
use stuga_core::{InvocationId, TenantId};
use stuga_mock::{Mock, Run, State};
use stuga_recording::{RECORDING_MAX_BYTES, Recording, Redact};

use super::print::{self, Printer};
use super::{remote, show_time, tenant};
use crate::config::Config;
use crate::store::{self, Store};

/// Where scenarios lie in a project.
const SCENARIOS: &str = "scenarios";

/// Make a scenario of a real invocation. Exit code 0: made, and it replays to the same bytes if that was tried; 1: not.
#[derive(clap::Args)]
#[command(
    after_help = "The tenant's file must have `record: {keep: 50}` before the call is made. Secrets never stand in a recording.

Examples:
  stuga record 0198f7c2-a4d0-7cc3-b0a1-b6d2f4e5a6b7 --tenant meetmind --out scenarios
  stuga record 0198f7c2-a4d0-7cc3-b0a1-b6d2f4e5a6b7 --tenant meetmind --redact 'output.people[].name' --name people
  stuga test build/meetmind.wasm --scenarios scenarios --filter people"
)]
pub(crate) struct Args {
    /// The invocation, as the answer of the call named it
    invocation: String,
    /// The tenant [default: the only one in the tenants directory]
    #[arg(long)]
    tenant: Option<String>,
    /// The server [default: the one that listens where the configuration says]
    #[arg(long, env = "STUGA_URL", value_name = "URL")]
    url: Option<String>,
    /// API key of the tenant; better given in the environment, where other users cannot see it
    #[arg(long, env = "STUGA_KEY", value_name = "KEY", hide_env_values = true)]
    key: Option<String>,
    /// Replace the texts in this field by placeholders, here and wherever else they stand; may be repeated
    #[arg(long, value_name = "PATH")]
    redact: Vec<String>,
    /// The folder to write to [default: scenarios, if there is one, else this folder]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// The scenario's name [default: the skill with the end of the invocation's id]
    #[arg(long)]
    name: Option<String>,
    /// Replace files of that name
    #[arg(long)]
    force: bool,
    /// Replay against this component at once [default: the recorded one, if it is in the plugin store here]
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

#[derive(Serialize)]
struct Made {
    scenario: PathBuf,
    recording: PathBuf,
    agent: String,
    version: String,
    skill: String,
    calls: usize,
    redacted: Vec<String>,
    /// Whether it replayed to the same bytes; none when that was not tried.
    replays: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    run: Option<Run>,
}

pub(crate) async fn run(
    config: &Config,
    args: Args,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    let mut redact = Redact::default();
    for path in &args.redact {
        redact.add(path).map_err(told)?;
    }
    let text = fetch(config, &args).await?;
    let mut recording = Recording::read(&text).map_err(told)?;
    for path in redact.apply(&mut recording).map_err(told)? {
        print::note(&format!("--redact {path}: nothing stands there"));
    }
    let config = config.clone();
    let made = tokio::task::spawn_blocking(move || make(&config, &args, &recording)).await??;
    printer.print(&made, show)?;
    Ok(if made.replays == Some(false) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    })
}

/// The recording as the server hands it out.
async fn fetch(config: &Config, args: &Args) -> anyhow::Result<String> {
    let Ok(id) = args.invocation.parse::<InvocationId>() else {
        bail!(
            "{:?} is no invocation; name one by the `invocation_id` of its answer",
            args.invocation
        );
    };
    let tenant = match &args.tenant {
        Some(tenant) => TenantId::new(tenant).map_err(told)?,
        None => tenant::only(config)?,
    };
    let key = args.key.as_deref();
    let key =
        key.context("a server needs an API key of the tenant: set STUGA_KEY or give --key")?;
    let url = match &args.url {
        Some(url) => url.clone(),
        None => here(config.listen),
    };
    let path = format!(
        "{}/v1/tenants/{tenant}/invocations/{id}/recording",
        url.trim_end_matches('/')
    );
    let sent = reqwest::Client::new().get(path).bearer_auth(key).send();
    let response = sent
        .await
        .with_context(|| format!("{url} cannot be reached; name the server with --url"))?;
    let succeeded = response.status().is_success();
    let mut body = Vec::new();
    let mut chunks = response.bytes_stream();
    while let Some(chunk) = chunks.next().await {
        body.extend_from_slice(&chunk.context("the answer broke off")?);
        if body.len() > RECORDING_MAX_BYTES {
            bail!("the server sent more than {RECORDING_MAX_BYTES} bytes, which is no recording");
        }
    }
    let body = String::from_utf8(body).context("the answer is not text")?;
    if !succeeded {
        bail!(remote::explain(&body));
    }
    Ok(body)
}

/// Where a server on this machine answers.
fn here(mut listen: SocketAddr) -> String {
    if listen.ip().is_unspecified() {
        listen.set_ip(Ipv4Addr::LOCALHOST.into());
    }
    format!("http://{listen}")
}

fn told(error: stuga_core::Error) -> anyhow::Error {
    anyhow::anyhow!(error.message().to_owned())
}

/// Writes the files and replays them, if the component is at hand.
fn make(config: &Config, args: &Args, recording: &Recording) -> anyhow::Result<Made> {
    let folder = match &args.out {
        Some(folder) => folder.clone(),
        None if Path::new(SCENARIOS).is_dir() => PathBuf::from(SCENARIOS),
        None => PathBuf::from("."),
    };
    let name = match &args.name {
        Some(name) if !is_name(name) => {
            bail!("{name:?} is no name: write 1 to 63 characters of a-z, 0-9 and inner -")
        }
        Some(name) => name.clone(),
        None => {
            let id = recording.invocation.as_uuid().simple().to_string();
            let end = id.len().saturating_sub(8);
            let skill = recording.skill.as_str();
            let skill = if is_name(skill) { skill } else { "recorded" };
            format!("{skill}-{}", id.get(end..).unwrap_or_default())
        }
    };
    fs::create_dir_all(&folder).with_context(|| format!("{} cannot be made", folder.display()))?;
    let file = format!("{name}.recording.json");
    let (tape, scenario) = (folder.join(&file), folder.join(format!("{name}.yaml")));
    if !args.force
        && let Some(there) = [&tape, &scenario].into_iter().find(|path| path.exists())
    {
        bail!(
            "{} is there already; choose another --name or give --force",
            there.display()
        );
    }
    write(&tape, &recording.write())?;
    write(&scenario, &scenario_text(recording, &file))?;
    let run = replay(config, args, recording, &scenario)?;
    Ok(Made {
        scenario,
        recording: tape,
        agent: recording.agent.to_string(),
        version: recording.version.clone(),
        skill: recording.skill.clone(),
        calls: recording.calls.len(),
        redacted: recording.redacted.clone(),
        replays: run.as_ref().map(Run::is_fine),
        run: run.filter(|run| !run.is_fine()),
    })
}

fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    let written = File::create(path).and_then(|mut file| file.write_all(text.as_bytes()));
    written.with_context(|| format!("{} cannot be written", path.display()))
}

fn scenario_text(recording: &Recording, file: &str) -> String {
    let description = format!(
        "{} of {} {}, recorded {}",
        recording.skill,
        recording.agent,
        recording.version,
        show_time(recording.accepted_at)
    );
    // JSON texts are YAML texts.
    format!(
        "description: {}\nrecording: {}\n",
        serde_json::Value::from(description),
        serde_json::Value::from(file)
    )
}

/// Runs the scenario against the component that was asked for, or the one that was recorded.
fn replay(
    config: &Config,
    args: &Args,
    recording: &Recording,
    scenario: &Path,
) -> anyhow::Result<Option<Run>> {
    let mock = match &args.component {
        Some(path) => super::component::open(path)?,
        None => match recorded_component(config, recording) {
            // The server that shares the data directory has compiled it already.
            Some(component) => Mock::load(component, Some(config.data_dir.join("cache")))?,
            None => return Ok(None),
        },
    };
    let loaded = stuga_mock::load(scenario)?;
    let runs = loaded.scenarios.iter();
    let mut runs = runs.map(|scenario| mock.run(scenario, State::Local, None));
    Ok(runs.next())
}

/// The component that was recorded, when the plugin store of the data directory has it.
fn recorded_component(config: &Config, recording: &Recording) -> Option<Vec<u8>> {
    let version = recording.version.parse().ok()?;
    let component = Store::new(&config.data_dir).get(&recording.agent, &version);
    let component = component.ok()?;
    (store::digest(&component) == recording.component).then_some(component)
}

fn show(made: &Made) -> String {
    let mut text = format!(
        "{}: {} of {} {} with {} calls of the host, in {}",
        made.scenario.display(),
        made.skill,
        made.agent,
        made.version,
        made.calls,
        made.recording.display()
    );
    if !made.redacted.is_empty() {
        text.push_str(&format!("\nredacted: {}", made.redacted.join(", ")));
    }
    match (&made.run, made.replays) {
        (_, Some(true)) => text.push_str("\nreplayed: the same bytes"),
        (Some(run), _) => text.push_str(&format!(
            "\nit does not replay to the same bytes; the agent may work with what was redacted, or remember earlier calls\n{run}"
        )),
        (None, _) => text.push_str(&format!(
            "\nnot replayed, because the component is not here; run `stuga test COMPONENT --scenarios {}`",
            made.scenario.display()
        )),
    }
    text
}
