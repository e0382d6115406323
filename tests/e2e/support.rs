//! A server for one test: the binary in a directory of its own, with two tenants and their keys.

use std::fs;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use reqwest::{Client, RequestBuilder, Response, StatusCode};
use serde_json::{Value, json};
use stuga_test_servers::{Ministack, unique};
use tempfile::TempDir;

/// How long a test waits for something that must happen before it gives up.
const PATIENCE: Duration = Duration::from_secs(60);

/// Two tenants with the same two agents. Small limits, so that tests reach them.
const TENANT: &str = "plugins:
  - name: fixture-echo
    grants: [memory, files, sessions, records, model, jobs, search, secrets, a2a]
    config: {greeting: hej}
    max_instances: 4
  - name: fixture-hostile
    grants: [files]
    max_instances: 2
limits:
  memory: 16MiB
  deadline: 2s
  concurrent_calls: 8
  request_bytes: 256KiB
  answer_bytes: 128KiB
  jobs: {concurrent: 3, deadline: 20s}
";

/// The binary under test.
pub(crate) fn binary() -> PathBuf {
    let path = std::env::var_os("STUGA_BIN")
        .map_or_else(|| root().join("target/debug/stuga"), PathBuf::from);
    assert!(
        path.exists(),
        "{} is missing; run `cargo build -p stuga-server` or set STUGA_BIN",
        path.display()
    );
    path
}

/// A component made by `cargo xtask guests`.
pub(crate) fn guest(name: &str) -> PathBuf {
    let directory = std::env::var_os("STUGA_GUESTS")
        .map_or_else(|| root().join("target/guests"), PathBuf::from);
    let path = directory.join(format!("{name}.wasm"));
    assert!(
        path.exists(),
        "{} is missing; run `cargo xtask guests` or set STUGA_GUESTS",
        path.display()
    );
    path
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the tests lie in the workspace")
}

/// A directory with tenants, plugins and keys.
pub(crate) struct Site {
    dir: TempDir,
    environment: Mutex<Vec<(String, String)>>,
}

impl Site {
    /// The site of all tests, copied from one that was set up by commands, so that components are compiled once.
    pub(crate) fn new() -> Self {
        static MODEL: OnceLock<Site> = OnceLock::new();
        let model = MODEL.get_or_init(|| {
            let site = Self::empty();
            for tenant in ["acme", "globex"] {
                site.write_tenant(tenant, &format!("id: {tenant}\n{TENANT}"));
                for plugin in ["fixture-echo", "fixture-hostile"] {
                    site.stuga(&["plugin", "load", tenant, guest(plugin).to_str().unwrap()]);
                }
            }
            site
        });
        let site = Self::empty();
        copy(model.dir.path(), site.dir.path());
        site
    }

    /// A directory with nothing in it yet.
    pub(crate) fn empty() -> Self {
        Self {
            dir: TempDir::new().unwrap(),
            environment: Mutex::default(),
        }
    }

    /// Sets a variable in the environment of commands and servers from now on.
    #[allow(
        dead_code,
        reason = "only the tests of AWS, which share this file, need it"
    )]
    pub(crate) fn set(&self, name: &str, value: &str) {
        let mut environment = self.environment.lock().unwrap();
        environment.push((name.to_owned(), value.to_owned()));
    }

    /// Writes a tenant's file.
    pub(crate) fn write_tenant(&self, id: &str, text: &str) {
        let tenants = self.tenants();
        fs::create_dir_all(&tenants).unwrap();
        fs::write(tenants.join(format!("{id}.yaml")), text).unwrap();
    }

    /// Changes a tenant's file.
    pub(crate) fn edit_tenant(&self, id: &str, edit: impl FnOnce(String) -> String) {
        let text = fs::read_to_string(self.tenants().join(format!("{id}.yaml"))).unwrap();
        self.write_tenant(id, &edit(text));
    }

    pub(crate) fn tenants(&self) -> PathBuf {
        self.dir.path().join("tenants")
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }

    fn command(&self) -> Command {
        let mut command = Command::new(binary());
        command
            .env_clear()
            .env("PATH", "/usr/bin:/bin")
            .env("XDG_CACHE_HOME", self.dir.path().join("user-cache"))
            .envs(self.environment.lock().unwrap().iter().cloned())
            .current_dir(self.dir.path());
        command
    }

    /// Runs a command that may fail.
    pub(crate) fn try_stuga(&self, args: &[&str]) -> Output {
        self.command().args(args).output().unwrap()
    }

    /// Runs a command that must succeed and returns what it printed.
    pub(crate) fn stuga(&self, args: &[&str]) -> String {
        let output = self.try_stuga(args);
        assert!(
            output.status.success(),
            "stuga {args:?} failed: {}",
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// Makes an API key.
    pub(crate) fn key(&self, tenant: &str) -> String {
        self.stuga(&["tenant", "key", "create", tenant, "--name", "test"])
            .trim()
            .to_owned()
    }

    /// Starts the server and waits until it takes calls.
    pub(crate) fn start(&self) -> Server {
        let mut child = self
            .command()
            .args([
                "serve",
                "--listen",
                "127.0.0.1:0",
                "--log",
                "json",
                "--drain",
                "10s",
            ])
            .env("STUGA_LOG_FILTER", "info")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stderr = child.stderr.take().unwrap();
        let (sender, lines) = mpsc::channel();
        // The thread ends with the server, whose stderr it reads.
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let mut server = Server {
            child,
            lines: Mutex::new(lines),
            address: String::new(),
            client: Client::new(),
        };
        server.address = server.log(|line| line["message"] == "ready")["address"]
            .as_str()
            .unwrap()
            .to_owned();
        server
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), target).unwrap();
        }
    }
}

/// A running server. Killed when dropped.
pub(crate) struct Server {
    child: Child,
    lines: Mutex<Receiver<String>>,
    pub(crate) address: String,
    client: Client,
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Server {
    /// Waits for a line of the log that is not read yet.
    pub(crate) fn log(&self, matches: impl Fn(&Value) -> bool) -> Value {
        let lines = self.lines.lock().unwrap();
        let mut seen = Vec::new();
        loop {
            let Ok(line) = lines.recv_timeout(PATIENCE) else {
                panic!("the line did not come; the log was\n{}", seen.join("\n"));
            };
            if let Ok(value) = serde_json::from_str::<Value>(&line)
                && matches(&value)
            {
                return value;
            }
            seen.push(line);
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    pub(crate) fn get(&self, path: &str) -> RequestBuilder {
        self.client.get(self.url(path)).timeout(PATIENCE)
    }

    pub(crate) fn post(&self, path: &str) -> RequestBuilder {
        self.client.post(self.url(path)).timeout(PATIENCE)
    }

    /// A call of a skill of the echo agent.
    pub(crate) fn echo(
        &self,
        tenant: &str,
        key: &str,
        skill: &str,
        input: Value,
    ) -> RequestBuilder {
        self.call(tenant, "fixture-echo", key, skill, input)
    }

    /// A call of a skill of the hostile agent.
    pub(crate) fn hostile(
        &self,
        tenant: &str,
        key: &str,
        skill: &str,
        input: Value,
    ) -> RequestBuilder {
        self.call(tenant, "fixture-hostile", key, skill, input)
    }

    pub(crate) fn call(
        &self,
        tenant: &str,
        agent: &str,
        key: &str,
        skill: &str,
        input: Value,
    ) -> RequestBuilder {
        self.post(&format!("/v1/tenants/{tenant}/agents/{agent}/invoke"))
            .bearer_auth(key)
            .body(json!({ "skill": skill, "input": input }).to_string())
    }

    /// The id of its process.
    #[allow(
        dead_code,
        reason = "only the tests of AWS, which share this file, need it"
    )]
    pub(crate) fn process(&self) -> u32 {
        self.child.id()
    }

    /// Kills the server as a power cut would.
    pub(crate) fn kill(mut self) {
        self.cut_down();
    }

    /// The same for one in whose place another is started.
    pub(crate) fn cut_down(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Asks the server to stop.
    pub(crate) fn terminate(&self) {
        let status = Command::new("kill")
            .args(["-TERM", &self.child.id().to_string()])
            .status()
            .unwrap();
        assert!(status.success());
    }

    /// Waits until the server has ended by itself, and says whether it did so cleanly.
    pub(crate) fn wait(mut self) -> bool {
        self.child.wait().unwrap().success()
    }
}

/// Sends a request and expects a status and JSON.
pub(crate) async fn expect(request: RequestBuilder, status: u16) -> Value {
    let response = request.send().await.unwrap();
    let (got, id) = (response.status(), header(&response, "x-request-id"));
    let kind = header(&response, "content-type");
    let text = response.text().await.unwrap();
    assert_eq!(got, StatusCode::from_u16(status).unwrap(), "{text}");
    assert!(!id.is_empty(), "every answer has a request id");
    let value: Value =
        serde_json::from_str(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    if status >= 400 {
        assert_eq!(kind, "application/problem+json", "{text}");
        assert_eq!(value["status"], status, "{text}");
        assert!(
            value["type"]
                .as_str()
                .unwrap()
                .starts_with("urn:stuga:problem:"),
            "{text}"
        );
        for internal in ["/tmp", "src/", "wasm", "sqlite", "panicked"] {
            assert!(
                !text.contains(internal),
                "a problem tells internals: {text}"
            );
        }
    }
    value
}

/// Sends a request and expects a problem of that type.
pub(crate) async fn problem(request: RequestBuilder, status: u16, slug: &str) -> Value {
    let value = expect(request, status).await;
    assert_eq!(
        value["type"],
        format!("urn:stuga:problem:{slug}"),
        "{value}"
    );
    value
}

/// A header of a response as text, empty when it is not there.
pub(crate) fn header(response: &Response, name: &str) -> String {
    response
        .headers()
        .get(name)
        .map(|value| value.to_str().unwrap().to_owned())
        .unwrap_or_default()
}

/// The id of a new AgentCore memory.
#[allow(
    dead_code,
    reason = "only the tests of AWS, which share this file, need it"
)]
pub(crate) async fn new_memory(ministack: &Ministack) -> String {
    let name = unique("memory").replace('-', "_");
    let made = Client::new()
        .post(format!("{}/memories/create", ministack.endpoint()))
        // ministack checks no signature; it reads there which service is meant.
        .header("authorization", "AWS4-HMAC-SHA256 Credential=test/20260101/eu-north-1/bedrock-agentcore/aws4_request, SignedHeaders=host, Signature=0")
        .body(json!({"name": name, "eventExpiryDuration": 365}).to_string());
    let made: Value = made.send().await.unwrap().json().await.unwrap();
    let id = made["memory"]["id"].as_str();
    id.unwrap_or_else(|| panic!("{made}")).to_owned()
}
