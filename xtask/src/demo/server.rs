//! A `stuga serve` that never outlives the demo: stopped at the end, on an error, and on a signal.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// How long the server may take until it answers.
const READY_PATIENCE: Duration = Duration::from_secs(120);
/// How long the server may take to end once it was told to.
const STOP_PATIENCE: Duration = Duration::from_secs(40);
/// How often we look.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// How many lines of its log an error shows.
const LOG_LINES_SHOWN: usize = 20;
/// The exit code of a program that a signal ended, as shells have it for Ctrl-C.
const INTERRUPTED: i32 = 130;

/// The process; none once it has ended.
type Process = Arc<Mutex<Option<Child>>>;

/// A running server.
pub(crate) struct Server {
    process: Process,
    address: String,
    log: PathBuf,
}

impl Server {
    /// Starts the server and waits until it takes calls. It writes its log into `folder`.
    pub(crate) fn start(mut serve: Command, folder: &Path) -> Result<Self> {
        let (ready, log) = (folder.join("ready.json"), folder.join("server.log"));
        let output =
            File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let errors = output.try_clone().context("cannot share the log file")?;
        serve.arg("--ready-file").arg(&ready);
        serve.stdin(Stdio::null()).stdout(output).stderr(errors);

        let process = Process::default();
        stop_on_signal(&process)?;
        // Locked while it starts, so that a signal in between finds the child.
        let mut slot = process.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(serve.spawn().context("cannot start `stuga serve`")?);
        drop(slot);
        let mut server = Self {
            process,
            address: String::new(),
            log,
        };
        server.address = server.wait_until_ready(&ready)?;
        Ok(server)
    }

    /// Where it listens, as `host:port`.
    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    /// Lets running calls end, then ends the server. Fails when that takes too long or the server ends with an error.
    pub(crate) fn stop(self) -> Result<()> {
        match stop(&self.process)? {
            Some(status) if !status.success() => {
                bail!("the server ended with {status}\n{}", self.last_words())
            }
            _ => Ok(()),
        }
    }

    fn wait_until_ready(&self, ready: &Path) -> Result<String> {
        let begin = Instant::now();
        while begin.elapsed() < READY_PATIENCE {
            if let Ok(text) = fs::read_to_string(ready) {
                let ready: Value = serde_json::from_str(&text).context("ready.json is not JSON")?;
                let address = ready.get("address").and_then(Value::as_str);
                return address
                    .map(str::to_owned)
                    .context("ready.json names no address");
            }
            let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
            let ended = match process.as_mut() {
                Some(child) => child.try_wait().context("the server was lost")?,
                None => bail!("the server was stopped before it was ready"),
            };
            drop(process);
            if let Some(status) = ended {
                bail!(
                    "the server ended at once with {status}\n{}",
                    self.last_words()
                );
            }
            thread::sleep(LOOK_EVERY);
        }
        bail!(
            "the server was not ready after {} s\n{}",
            READY_PATIENCE.as_secs(),
            self.last_words()
        )
    }

    /// The end of the log, to show why it failed.
    fn last_words(&self) -> String {
        let log = fs::read_to_string(&self.log).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        let from = lines.len().saturating_sub(LOG_LINES_SHOWN);
        let shown = lines.get(from..).unwrap_or_default().join("\n");
        format!("{shown}\n(the whole log: {})", self.log.display())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Err(error) = stop(&self.process) {
            eprintln!("error: {error:#}");
        }
    }
}

/// Stops the server and exits when we are told to end.
fn stop_on_signal(process: &Process) -> Result<()> {
    let process = Arc::clone(process);
    ctrlc::set_handler(move || {
        if let Err(error) = stop(&process) {
            eprintln!("error: {error:#}");
        }
        std::process::exit(INTERRUPTED);
    })
    .context("cannot listen for signals")
}

/// Ends the process, politely first. None when it was ended before.
fn stop(process: &Process) -> Result<Option<ExitStatus>> {
    // Held to the end: whoever comes second finds nothing left to stop.
    let mut process = process.lock().unwrap_or_else(PoisonError::into_inner);
    let Some(mut child) = process.take() else {
        return Ok(None);
    };
    let begin = Instant::now();
    // An error means that it has ended; then waiting for it returns at once.
    let _ = kill_process(Pid::from_child(&child), Signal::TERM);
    while begin.elapsed() < STOP_PATIENCE {
        if let Some(status) = child.try_wait().context("the server was lost")? {
            return Ok(Some(status));
        }
        thread::sleep(LOOK_EVERY);
    }
    child.kill().context("the server cannot be killed")?;
    child.wait().context("the server was lost")?;
    bail!(
        "the server did not end within {} s and was killed",
        STOP_PATIENCE.as_secs()
    )
}
