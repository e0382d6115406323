//! Over HTTP: Stuga warm and fresh, a bare axum handler and `wasmtime serve`, one after the other in several rounds.
//!
//! Each server runs on core 0 and the load (wrk) on core 1. The figure that counts is the server's own CPU time for a
//! request, because it depends least on what else the machine does. Prints one JSON object for `cargo xtask bench`.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Parser;
use serde::Serialize;
use serde_json::{Value, json};

/// Connections that wrk keeps open.
const CONNECTIONS: u32 = 32;
/// Longest start of a server.
const START: Duration = Duration::from_secs(60);
/// The kernel's clock ticks for a second of CPU time in /proc (fixed for user space on Linux).
const TICKS_PER_SECOND: f64 = 100.0;

#[derive(Parser)]
struct Args {
    /// The binary `stuga`.
    #[arg(long)]
    stuga: PathBuf,
    /// The component with the skill `echo`.
    #[arg(long)]
    guest: PathBuf,
    /// The bare axum server.
    #[arg(long)]
    axum: PathBuf,
    /// `wasmtime` 48, for `wasmtime serve`; left out when it is not given.
    #[arg(long)]
    wasmtime: Option<PathBuf>,
    /// The wasi:http component that `wasmtime serve` runs.
    #[arg(long)]
    wasi_guest: Option<PathBuf>,
    /// Rounds over all servers.
    #[arg(long, default_value_t = 3)]
    rounds: usize,
    /// Seconds of load for each server and round.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
}

/// A server under test.
struct Peer {
    name: &'static str,
    start: Box<dyn Fn(u16) -> Command>,
    path: String,
    key: Option<String>,
}

#[derive(Clone, Serialize)]
struct Figure {
    requests_per_second: f64,
    cpu_us_per_request: f64,
    p50_ms: f64,
    p99_ms: f64,
    errors: u64,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let scratch = tempfile::tempdir()?;
    let peers = peers(&args, scratch.path())?;
    let mut rounds: Vec<Vec<Figure>> = peers.iter().map(|_| Vec::new()).collect();
    for round in 0..args.rounds {
        for (peer, figures) in peers.iter().zip(&mut rounds) {
            eprintln!("round {} of {}: {}", round + 1, args.rounds, peer.name);
            figures.push(measure(peer, scratch.path(), args.seconds)?);
        }
    }
    let rows: Vec<Value> = peers
        .iter()
        .zip(&rounds)
        .map(|(peer, figures)| json!({ "server": peer.name, "median": median(figures), "rounds": figures }))
        .collect();
    println!(
        "{}",
        json!({ "connections": CONNECTIONS, "seconds": args.seconds, "servers": rows })
    );
    Ok(())
}

fn peers(args: &Args, scratch: &Path) -> Result<Vec<Peer>> {
    let axum = args.axum.clone();
    let mut peers = vec![Peer {
        name: "axum handler",
        start: Box::new(move |port| {
            let mut command = pinned(&axum);
            command.arg(format!("127.0.0.1:{port}"));
            command
        }),
        path: "/echo".into(),
        key: None,
    }];
    for (name, mode) in [
        ("stuga, warm", "warm"),
        ("stuga, fresh instance per call", "fresh"),
    ] {
        peers.push(stuga(args, scratch, name, mode)?);
    }
    if let (Some(wasmtime), Some(guest)) = (&args.wasmtime, &args.wasi_guest) {
        let modes: [(&str, &[&str]); 3] = [
            ("wasmtime serve, default", &[]),
            (
                "wasmtime serve, pooling + pagemap_scan",
                &[
                    "-Opooling-allocator=y",
                    "-Opooling-pagemap-scan=y",
                    "-Opooling-memory-keep-resident=262144",
                ],
            ),
            (
                "wasmtime serve, instance reused 1000 times",
                &["--max-instance-reuse-count=1000"],
            ),
        ];
        for (name, options) in modes {
            let (wasmtime, guest) = (wasmtime.clone(), guest.clone());
            let options: Vec<String> = options.iter().map(|o| (*o).to_owned()).collect();
            peers.push(Peer {
                name,
                start: Box::new(move |port| {
                    let mut command = pinned(&wasmtime);
                    command
                        .arg("serve")
                        .args(&options)
                        .arg(format!("--addr=127.0.0.1:{port}"))
                        .arg(&guest);
                    command
                }),
                path: "/".into(),
                key: None,
            });
        }
    }
    Ok(peers)
}

/// A tenant of its own for each mode, with everything on: key, limits, schema check, metrics, receipt.
fn stuga(args: &Args, scratch: &Path, name: &'static str, mode: &'static str) -> Result<Peer> {
    let home = scratch.join(mode);
    let tenants = home.join("tenants");
    fs::create_dir_all(&tenants)?;
    let file = format!(
        "id: bench\ndisplay_name: Bench\nplugins:\n  - name: fixture-echo\n    grants: [memory, files, sessions, records, model, jobs, search, secrets, a2a]\n    instance: {mode}\n    max_instances: 64\nlimits:\n  concurrent_calls: 256\n"
    );
    fs::write(tenants.join("bench.yaml"), file)?;
    let common = [
        "--data-dir".to_owned(),
        home.join("data").display().to_string(),
        "--tenants".to_owned(),
        tenants.display().to_string(),
    ];
    let stuga = |words: &[&str]| -> Result<String> {
        let output = Command::new(&args.stuga)
            .args(words)
            .args(&common)
            .output()?;
        if !output.status.success() {
            bail!(
                "stuga {} failed: {}",
                words.join(" "),
                String::from_utf8_lossy(&output.stderr)
            );
        }
        Ok(String::from_utf8(output.stdout)?)
    };
    let guest = args.guest.display().to_string();
    stuga(&["plugin", "load", "bench", &guest])?;
    let created: Value = serde_json::from_str(&stuga(&[
        "tenant", "key", "create", "bench", "--name", "bench", "--output", "json",
    ])?)?;
    let key = created
        .get("key")
        .and_then(Value::as_str)
        .context("`key create` printed no key")?
        .to_owned();
    let binary = args.stuga.clone();
    Ok(Peer {
        name,
        start: Box::new(move |port| {
            let mut command = pinned(&binary);
            command
                .arg("serve")
                .args(&common)
                .arg("--listen")
                .arg(format!("127.0.0.1:{port}"));
            command
        }),
        path: "/v1/tenants/bench/agents/fixture-echo/invoke".into(),
        key: Some(key),
    })
}

/// The server's core.
fn pinned(program: &Path) -> Command {
    let mut command = Command::new("taskset");
    command.args(["-c", "0"]).arg(program);
    command
}

fn measure(peer: &Peer, scratch: &Path, seconds: u64) -> Result<Figure> {
    let port = free_port()?;
    let mut command = (peer.start)(port);
    let server = Server(
        command
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot start the server; `taskset` comes with Debian's util-linux")?,
    );
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    wait_for(address)?;
    let script = scratch.join("post.lua");
    fs::write(&script, lua(peer))?;
    check_once(peer, address)?;
    load(peer, port, &script, 1)?;
    let before = cpu_seconds(server.0.id())?;
    let report = load(peer, port, &script, seconds)?;
    let used = cpu_seconds(server.0.id())? - before;
    let requests = report.requests.max(1) as f64;
    Ok(Figure {
        requests_per_second: (report.requests_per_second * 10.0).round() / 10.0,
        cpu_us_per_request: (used / requests * 1e8).round() / 100.0,
        p50_ms: report.p50_ms,
        p99_ms: report.p99_ms,
        errors: report.errors,
    })
}

fn body() -> String {
    json!({ "skill": "echo", "input": { "text": "x".repeat(1_000) } }).to_string()
}

fn lua(peer: &Peer) -> String {
    let key = peer.key.as_ref().map_or(String::new(), |key| {
        format!("wrk.headers[\"Authorization\"] = \"Bearer {key}\"\n")
    });
    format!(
        r#"wrk.method = "POST"
wrk.body = [[{}]]
wrk.headers["Content-Type"] = "application/json"
{key}done = function(summary, latency, requests)
  io.write(string.format("FIGURES %d %d %d %d %d\n", summary.requests, summary.duration,
    latency:percentile(50.0), latency:percentile(99.0),
    summary.errors.connect + summary.errors.read + summary.errors.write + summary.errors.status + summary.errors.timeout))
end
"#,
        body()
    )
}

/// A wrong answer would make a fast figure: one request is read and looked at.
fn check_once(peer: &Peer, address: SocketAddr) -> Result<()> {
    let body = body();
    let key = peer.key.as_ref().map_or(String::new(), |key| {
        format!("Authorization: Bearer {key}\r\n")
    });
    let mut stream = TcpStream::connect(address)?;
    write!(
        stream,
        "POST {} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n{key}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        peer.path,
        body.len()
    )?;
    let mut lines = BufReader::new(stream).lines();
    let status = lines.next().context("no answer")??;
    let rest: String = lines.map_while(Result::ok).collect();
    if !status.contains(" 200 ") || !rest.contains(&"x".repeat(1_000)) {
        bail!(
            "{} answered {status}: {}",
            peer.name,
            rest.chars().take(400).collect::<String>()
        );
    }
    Ok(())
}

struct Report {
    requests: u64,
    requests_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    errors: u64,
}

fn load(peer: &Peer, port: u16, script: &Path, seconds: u64) -> Result<Report> {
    let output = Command::new("taskset")
        .args([
            "-c",
            "1",
            "wrk",
            "-t1",
            &format!("-c{CONNECTIONS}"),
            &format!("-d{seconds}s"),
            "-s",
        ])
        .arg(script)
        .arg(format!("http://127.0.0.1:{port}{}", peer.path))
        .output()
        .context("cannot run wrk; `apt-get install wrk` brings it")?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let figures: Vec<u64> = text
        .lines()
        .find_map(|line| line.strip_prefix("FIGURES "))
        .context("wrk printed no figures")?
        .split_whitespace()
        .filter_map(|n| n.parse().ok())
        .collect();
    let [requests, duration_us, p50_us, p99_us, errors] = *figures.as_slice() else {
        bail!("wrk printed {text}")
    };
    Ok(Report {
        requests,
        requests_per_second: requests as f64 / (duration_us.max(1) as f64 / 1e6),
        p50_ms: p50_us as f64 / 1e3,
        p99_ms: p99_us as f64 / 1e3,
        errors,
    })
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}

fn wait_for(address: SocketAddr) -> Result<()> {
    let started = Instant::now();
    while started.elapsed() < START {
        if TcpStream::connect(address).is_ok() {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    bail!("the server did not listen within {START:?}")
}

/// User and system time of a process.
fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat"))?;
    let after_name = stat
        .rsplit_once(')')
        .map(|(_, rest)| rest)
        .context("unexpected /proc/stat")?;
    let ticks: f64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|field| field.parse::<f64>().ok())
        .sum();
    Ok(ticks / TICKS_PER_SECOND)
}

fn median(figures: &[Figure]) -> Option<Figure> {
    let mut sorted = figures.to_vec();
    sorted.sort_by(|a, b| a.cpu_us_per_request.total_cmp(&b.cpu_us_per_request));
    sorted.get(sorted.len() / 2).cloned()
}

/// Stops the server whatever happens.
struct Server(Child);

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
