//! Redis, which stands for ElastiCache: one process without persistence, so that what it loses is lost.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use crate::process::free_port;
use crate::{Problem, Result, Server, Shared, debian, folder};

/// The program, from Debian's package of the same name, or from Valkey's.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];
/// Longest wait for it to come up, on a machine that is busy with a build.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for one answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// A running Redis.
pub struct Redis {
    server: Server,
    address: SocketAddr,
}

impl Redis {
    /// Finds the program, or installs Debian's package; says where it is.
    ///
    /// # Errors
    /// When there is none and the package cannot be had.
    pub fn install() -> Result<PathBuf> {
        if let Some(program) = PROGRAMS.iter().find_map(|name| debian::found(name)) {
            return Ok(program);
        }
        debian::install(&["redis-server"]).map_err(|why| {
            Problem::new(format!(
                "there is no Redis; install redis-server or valkey-server: {why}"
            ))
        })?;
        debian::found("redis-server").ok_or_else(|| {
            Problem::new("redis-server was installed and is not in the path; see PATH")
        })
    }

    /// The one of this test binary.
    ///
    /// # Panics
    /// When it cannot be had, with the reason.
    pub async fn shared() -> &'static Self {
        static SHARED: Shared<Redis> = Shared::new();
        SHARED.get(Self::start)
    }

    /// One of its own, for tests that stop or empty it.
    ///
    /// # Errors
    /// When it cannot be installed or does not come up.
    pub fn start() -> Result<Self> {
        Self::start_on(free_port()?)
    }

    /// The same at a port, such as that of one that was killed.
    ///
    /// # Errors
    /// When it cannot be installed or does not come up.
    pub fn start_on(port: u16) -> Result<Self> {
        let program = Self::install()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        // A replica's copy is written here, and nowhere else.
        let folder = folder::data(&format!("redis-{port}"))?;
        let mut command = Command::new(program);
        command.current_dir(&folder);
        // ElastiCache's own policy and some room: what has a time to live may go when it is full.
        command.args(["--bind", "127.0.0.1", "--port", &port.to_string()]);
        command.args(["--save", "", "--appendonly", "no"]);
        command.args(["--maxmemory", "256mb", "--maxmemory-policy", "volatile-lru"]);
        let server = Server::start("redis", &command)?;
        server.wait(PATIENCE, || {
            ask(address, "PING").is_some_and(|answer| answer.starts_with("+PONG"))
        })?;
        Ok(Self { server, address })
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The address as clients take it.
    pub fn url(&self) -> String {
        format!("redis://{}", self.address)
    }

    /// The process.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The beginning of the answer to a command without binary arguments, such as `REPLICAOF NO ONE`.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn command(&self, command: &str) -> Result<String> {
        ask(self.address, command)
            .ok_or_else(|| Problem::new(format!("redis did not answer to {command}")))
    }

    /// Forgets everything.
    ///
    /// # Errors
    /// When it does not answer.
    pub fn flush(&self) -> Result<()> {
        match ask(self.address, "FLUSHALL SYNC") {
            Some(answer) if answer.starts_with("+OK") => Ok(()),
            answer => Err(Problem::new(format!("redis was not flushed: {answer:?}"))),
        }
    }
}

/// The beginning of the answer to a command without binary arguments; none when there is no answer.
fn ask(address: SocketAddr, command: &str) -> Option<String> {
    let mut stream = TcpStream::connect_timeout(&address, ANSWER_PATIENCE).ok()?;
    stream.set_read_timeout(Some(ANSWER_PATIENCE)).ok()?;
    stream.set_write_timeout(Some(ANSWER_PATIENCE)).ok()?;
    stream.write_all(format!("{command}\r\n").as_bytes()).ok()?;
    let mut answer = [0; 256];
    let length = stream.read(&mut answer).ok()?;
    let answer = answer.get(..length).unwrap_or_default();
    Some(String::from_utf8_lossy(answer).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redis_comes_up_and_can_be_emptied() {
        let redis = Redis::start().unwrap();
        assert!(ask(redis.address(), "SET a b").unwrap().starts_with("+OK"));
        redis.flush().unwrap();
        assert!(ask(redis.address(), "GET a").unwrap().starts_with("$-1"));
    }
}
