//! `cargo xtask demo`: the main job from nothing to a meeting's summary, through the surfaces that operators and
//! clients use.
//!
//! Everything lies in target/demo and begins anew with each run. The server is stopped however the demo ends.

mod server;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use stuga_author::toolchain::Choice;

use crate::steps::Steps;
use crate::{guests, shell};
use server::Server;

/// The tenant and the agent that are shown.
const TENANT: &str = "meetmind";
const AGENT: &str = "meetmind";
/// The meeting that is summarised when no other is named.
const TRANSCRIPT: &str = "plugins/meetmind/fixtures/ES2006a.vtt";

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask demo\n  cargo xtask demo --transcript minutes.txt\n  cargo xtask demo --debug            quicker to build, slower to run"
)]
pub(crate) struct Args {
    /// The transcript to summarise (WebVTT, SRT, text with speakers, or JSON)
    #[arg(long, value_name = "FILE", default_value = TRANSCRIPT)]
    transcript: PathBuf,

    /// Build the server without optimisation
    #[arg(long)]
    debug: bool,

    /// Which toolchain builds the guests: auto, rustup or debian
    #[arg(long, default_value_t)]
    toolchain: Choice,
}

/// The task `demo`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let mut steps = Steps::new(7);
    let transcript = read_transcript(&args.transcript)?;
    let guests = steps.step("Build the plugins", || guests::build_all(args.toolchain))?;
    let binary = steps.step("Build the server", || build_server(args.debug))?;
    let stage = steps.step("Lay out target/demo", || Stage::new(binary))?;
    let key = steps.step("Create an API key and load MeetMind", || {
        let created = stage.stuga_json(["tenant", "key", "create", TENANT, "--name", "demo"])?;
        let component = guests.join("meetmind.wasm");
        stage.stuga_json(["plugin", "load", TENANT, &component.to_string_lossy()])?;
        let key = created.get("key").and_then(Value::as_str);
        key.map(str::to_owned)
            .context("`stuga tenant key create` showed no key")
    })?;
    let server = steps.step("Start the server", || {
        Server::start(
            stage.stuga(["serve", "--listen", "127.0.0.1:0"]),
            &stage.folder,
        )
    })?;
    let answer = steps.step("Summarise the meeting over HTTP", || {
        stage.invoke(server.address(), &key, &transcript)
    })?;
    steps.step("Stop the server", || server.stop())?;
    show(&answer)?;
    explain(&stage, &key);
    Ok(())
}

fn read_transcript(path: &Path) -> Result<String> {
    let bytes = fs::read(path)
        .or_else(|_| fs::read(shell::root().join(path)))
        .with_context(|| format!("the transcript {} cannot be read", path.display()))?;
    String::from_utf8(bytes)
        .with_context(|| format!("the transcript {} is not UTF-8", path.display()))
}

fn build_server(debug: bool) -> Result<PathBuf> {
    let mut cargo = shell::cargo();
    cargo.args(["build", "--package", "stuga-server", "--bin", "stuga"]);
    cargo.arg("--message-format=json-render-diagnostics");
    if !debug {
        cargo.arg("--release");
    }
    shell::executable(&mut cargo, "stuga")
}

/// A folder with data and tenants of its own, and the binary that works on it.
struct Stage {
    binary: PathBuf,
    folder: PathBuf,
}

impl Stage {
    fn new(binary: PathBuf) -> Result<Self> {
        let folder = shell::target().join("demo");
        if folder.exists() {
            fs::remove_dir_all(&folder)
                .with_context(|| format!("cannot remove {}", folder.display()))?;
        }
        let tenants = folder.join("tenants");
        fs::create_dir_all(&tenants)
            .with_context(|| format!("cannot create {}", tenants.display()))?;
        for entry in fs::read_dir(shell::root().join("tenants")).context("tenants/ is missing")? {
            let file = entry.context("tenants/ cannot be read")?;
            fs::copy(file.path(), tenants.join(file.file_name()))
                .with_context(|| format!("cannot copy {}", file.path().display()))?;
        }
        Ok(Self { binary, folder })
    }

    /// A command of the binary, on the stage's data and tenants.
    fn stuga<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Command {
        let mut stuga = Command::new(&self.binary);
        stuga.arg("--data-dir").arg(self.folder.join("data"));
        stuga.arg("--tenants").arg(self.folder.join("tenants"));
        stuga.args(args);
        // What the person at the terminal set for a server of their own is not for this one.
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("STUGA_") {
                stuga.env_remove(name);
            }
        }
        stuga
    }

    fn stuga_json<'a>(&self, args: impl IntoIterator<Item = &'a str>) -> Result<Value> {
        json_of(self.stuga(args))
    }

    /// Calls the skill through the server, as any client would.
    fn invoke(&self, address: &str, key: &str, transcript: &str) -> Result<Value> {
        let input = json!({ "transcript": transcript });
        let request = json!({ "skill": "summarize", "input": input });
        let input_file = self.write("input.json", &input)?;
        self.write("request.json", &request)?;

        let agent = format!("{TENANT}/{AGENT}");
        let url = format!("http://{address}");
        let mut stuga = self.stuga(["invoke", &agent, "summarize", "--url", &url, "--input"]);
        stuga.arg(input_file).env("STUGA_KEY", key);
        json_of(stuga)
    }

    fn write(&self, name: &str, json: &Value) -> Result<PathBuf> {
        let path = self.folder.join(name);
        fs::write(&path, json.to_string())
            .with_context(|| format!("cannot write {}", path.display()))?;
        Ok(path)
    }
}

/// What a command of the binary answers with `--output json`.
fn json_of(mut stuga: Command) -> Result<Value> {
    let text = shell::read(stuga.args(["--output", "json"]))?;
    serde_json::from_str(&text).with_context(|| format!("`stuga` wrote what is not JSON: {text}"))
}

fn show(answer: &Value) -> Result<()> {
    let markdown = answer.pointer("/output/markdown").and_then(Value::as_str);
    println!(
        "\n{}\n",
        markdown
            .context("the answer holds no `markdown`")?
            .trim_end()
    );
    let receipt = answer
        .get("receipt")
        .context("the answer holds no `receipt`")?;
    println!("Receipt: {receipt:#}");
    Ok(())
}

/// Tells how to do the same by hand.
fn explain(stage: &Stage, key: &str) {
    let here = |path: &Path| {
        let path = path.strip_prefix(shell::root()).unwrap_or(path);
        path.display().to_string()
    };
    let (binary, folder) = (here(&stage.binary), here(&stage.folder));
    println!(
        "
The same by hand. In one terminal:

    {binary} serve --data-dir {folder}/data --tenants {folder}/tenants

In another:

    export STUGA_KEY={key}
    curl http://127.0.0.1:8080/v1/tenants/{TENANT}/agents/{AGENT}/invoke \\
        -H \"Authorization: Bearer $STUGA_KEY\" -H 'Content-Type: application/json' \\
        --data @{folder}/request.json

Add -H 'Accept: text/event-stream' to get the answer as a stream."
    );
}
