//! A server as a process that cannot outlive the tests.

use std::fs::{self, File};
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Mutex, PoisonError};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::{Problem, Result, folder};

/// Runs the server in the wrapper's own process group, and ends the group when the server ends or when the standard input
/// closes, which the kernel does however the test process ends.
const WRAPPER: &str = r#"{ "$@" </dev/null; kill -KILL 0; } & cat >/dev/null; kill -KILL 0"#;
/// Between two questions whether a server can be asked.
const PAUSE: Duration = Duration::from_millis(50);
/// How much of a log is shown when a server does not come up, in bytes.
const LOG_SHOWN_BYTES: usize = 2_000;

/// A server that runs. Dropped, it is killed.
pub struct Server {
    name: &'static str,
    wrapper: Mutex<Child>,
    _alive: ChildStdin,
    log: PathBuf,
}

/// A port of the loopback interface that was free a moment ago.
pub fn free_port() -> Result<u16> {
    let port = |listener: TcpListener| listener.local_addr().map(|address| address.port());
    TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0)))
        .and_then(port)
        .map_err(|e| Problem::new(format!("no free port on 127.0.0.1: {e}")))
}

impl Server {
    /// Starts `command`, whose output goes to `target/servers/logs`.
    pub fn start(name: &'static str, command: &Command) -> Result<Self> {
        let log = folder::log(name)?;
        let cannot = |e: io::Error| Problem::new(format!("{name} cannot be started: {e}"));
        let output = File::create(&log).map_err(cannot)?;
        let errors = output.try_clone().map_err(cannot)?;
        let mut wrapper = Command::new("sh");
        wrapper
            .args(["-c", WRAPPER, "sh"])
            .arg(command.get_program())
            .args(command.get_args())
            .stdin(Stdio::piped())
            .stdout(output)
            .stderr(errors)
            .process_group(0);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => wrapper.env(name, value),
                None => wrapper.env_remove(name),
            };
        }
        if let Some(folder) = command.get_current_dir() {
            wrapper.current_dir(folder);
        }
        let mut wrapper = wrapper.spawn().map_err(cannot)?;
        let alive = wrapper.stdin.take();
        let alive = alive.ok_or_else(|| Problem::new(format!("{name} has no standard input")))?;
        Ok(Self {
            name,
            wrapper: Mutex::new(wrapper),
            _alive: alive,
            log,
        })
    }

    /// Waits until `ready` says so.
    pub fn wait(&self, patience: Duration, mut ready: impl FnMut() -> bool) -> Result<()> {
        let end = Instant::now() + patience;
        loop {
            if ready() {
                return Ok(());
            }
            if self.has_ended() {
                return Err(self.problem("ended before it could be asked"));
            }
            if Instant::now() >= end {
                return Err(self.problem(&format!("could not be asked within {patience:?}")));
            }
            sleep(PAUSE);
        }
    }

    /// What it has written so far.
    pub fn output(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        String::from_utf8_lossy(&bytes).into_owned()
    }

    /// The id of its process group, for tests that stop it for a while.
    pub fn group(&self) -> u32 {
        let wrapper = self.wrapper.lock();
        wrapper.unwrap_or_else(PoisonError::into_inner).id()
    }

    /// Whether it has ended by itself.
    pub fn has_ended(&self) -> bool {
        let wrapper = self.wrapper.lock();
        let mut wrapper = wrapper.unwrap_or_else(PoisonError::into_inner);
        !matches!(wrapper.try_wait(), Ok(None))
    }

    fn problem(&self, what: &str) -> Problem {
        let output = self.output();
        let mut from = output.len().saturating_sub(LOG_SHOWN_BYTES);
        while !output.is_char_boundary(from) {
            from += 1;
        }
        let end = output.get(from..).unwrap_or_default();
        let log = self.log.display();
        Problem::new(format!("{} {what}; the end of {log}:\n{end}", self.name))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let wrapper = self.wrapper.get_mut();
        let wrapper = wrapper.unwrap_or_else(PoisonError::into_inner);
        // The whole group: killing the wrapper alone would leave the server.
        let group = format!("-{}", wrapper.id());
        Command::new("kill")
            .args(["-KILL", "--", &group])
            .status()
            .ok();
        wrapper.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether a process has ended, seen from outside. One that nobody has waited for counts as ended.
    fn ended(id: &str) -> bool {
        let stat = fs::read_to_string(format!("/proc/{id}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(')').map(|(_, rest)| rest.trim_start());
        state.is_none_or(|rest| rest.starts_with('Z'))
    }

    fn sleeper(name: &'static str) -> (Server, String) {
        let mut command = Command::new("sh");
        command.args(["-c", "echo $$; exec sleep 600"]);
        let server = Server::start(name, &command).unwrap();
        let written = || !server.output().trim().is_empty();
        server.wait(Duration::from_secs(60), written).unwrap();
        let id = server.output().trim().to_owned();
        (server, id)
    }

    #[test]
    fn a_server_ends_when_nobody_holds_it_any_more() {
        let (server, id) = sleeper("sleeper");
        assert!(!ended(&id));
        drop(server);
        let end = Instant::now() + Duration::from_secs(60);
        while !ended(&id) {
            assert!(Instant::now() < end, "the server outlived its holder");
            sleep(PAUSE);
        }
    }

    #[test]
    fn a_server_that_ends_by_itself_is_told_with_what_it_said() {
        let mut command = Command::new("sh");
        command.args(["-c", "echo no such option; exit 3"]);
        let server = Server::start("broken", &command).unwrap();
        let refused = server.wait(Duration::from_secs(60), || false).unwrap_err();
        assert!(refused.to_string().contains("no such option"), "{refused}");
    }
}
