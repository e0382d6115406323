//! A running host: started, killed, stopped, and never left behind.

use std::fs;
use std::net::{SocketAddr, TcpListener};
use std::ops::Range;
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use stuga_test_servers::{Server, get};

use crate::site::Site;

/// How long a host may take to start.
const START_PATIENCE: Duration = Duration::from_secs(120);
/// How long it may take to stop.
const STOP_PATIENCE: Duration = Duration::from_secs(60);
/// How long running calls have to end when the host is stopped.
const DRAIN: &str = "10s";
/// How often we look.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// Ports below those that the kernel gives to clients: while a host is down, one of the clients that try to reach it could
/// be given its port.
const PORTS: Range<u16> = 20_000..32_000;
/// Tells its process, keeps its log over restarts, and becomes the host.
const SCRIPT: &str = r#"echo $$ >process; exec "$@" 2>>host.log"#;

/// A host at an address that stays the same over its restarts. Dropped, it is killed.
pub struct Host {
    site: Site,
    address: SocketAddr,
    server: Option<Server>,
}

impl Host {
    /// A host in `site`, at a free port; not started yet.
    ///
    /// # Errors
    /// When there is no free port.
    pub fn new(site: Site) -> Result<Self> {
        Ok(Self {
            site,
            address: steady_address()?,
            server: None,
        })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its site.
    pub fn site(&self) -> &Site {
        &self.site
    }

    /// Starts it and waits until it takes calls.
    ///
    /// # Errors
    /// When it does not come up; its log says why.
    pub fn start(&mut self) -> Result<()> {
        self.wait_until_gone()?;
        let address = self.address.to_string();
        let host = self.site.command();
        let mut command = Command::new("sh");
        command
            .args(["-c", SCRIPT, "sh", "env", "-i"])
            .current_dir(&self.site.folder);
        // Nothing of our own environment, such as somebody's credentials for AWS.
        for (name, value) in host.get_envs() {
            let (name, value) = (name.to_string_lossy(), value.unwrap_or_default());
            command.arg(format!("{name}={}", value.to_string_lossy()));
        }
        command
            .arg(host.get_program())
            .args(["serve", "--listen", &address])
            .args(["--log", "json", "--log-filter", "info", "--drain", DRAIN]);
        let server = Server::start("chaos-host", &command)?;
        let ready = server.wait(START_PATIENCE, || {
            matches!(get(self.address, "/readyz"), Some((200, _)))
        });
        ready.with_context(|| {
            let log = self.site.folder.join("host.log");
            format!("the host did not start; see {}", log.display())
        })?;
        self.server = Some(server);
        Ok(())
    }

    /// Waits until what was killed before holds nothing any more: its port is the last to go that we can ask for.
    fn wait_until_gone(&self) -> Result<()> {
        let end = Instant::now() + STOP_PATIENCE;
        while TcpListener::bind(self.address).is_err() {
            if Instant::now() >= end {
                bail!("{} is still taken after {STOP_PATIENCE:?}", self.address);
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }

    /// Kills it as a power cut would.
    pub fn kill(&mut self) {
        self.server = None;
    }

    /// Asks it to stop and waits until it has.
    ///
    /// # Errors
    /// When it does not stop in time; then it is killed.
    pub fn stop(&mut self) -> Result<()> {
        let Some(server) = self.server.take() else {
            return Ok(());
        };
        let process = self.site.folder.join("process");
        let process = fs::read_to_string(&process)
            .with_context(|| format!("{} cannot be read", process.display()))?;
        let told = Command::new("kill")
            .args(["-TERM", process.trim()])
            .status();
        told.context("the host cannot be told to stop")?;
        let end = Instant::now() + STOP_PATIENCE;
        while !server.has_ended() {
            if Instant::now() >= end {
                bail!("the host did not stop within {STOP_PATIENCE:?}");
            }
            std::thread::sleep(LOOK_EVERY);
        }
        Ok(())
    }
}

/// An address that nobody else takes while its host is down.
fn steady_address() -> Result<SocketAddr> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let count = PORTS.end - PORTS.start;
    // Other processes begin elsewhere.
    let begin = u16::try_from(std::process::id() % u32::from(count))?;
    for _ in 0..count {
        let next = NEXT.fetch_add(1, Ordering::Relaxed);
        let port = PORTS.start + begin.wrapping_add(next) % count;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(address).is_ok() {
            return Ok(address);
        }
    }
    bail!("there is no free port among {PORTS:?}")
}
