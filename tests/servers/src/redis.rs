//! Redis, which stands for ElastiCache: one process without persistence, so that what it loses is lost. One that is locked
//! wants a password, knows users, and speaks TLS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::process::free_port;
use crate::python::run;
use crate::{Problem, Result, Server, Shared, debian, folder};

/// The program, from Debian's package of the same name, or from Valkey's.
const PROGRAMS: [&str; 2] = ["redis-server", "valkey-server"];
/// The file of a certificate's key.
const KEY: &str = "key.pem";
/// Longest wait for it to come up, on a machine that is busy with a build.
const PATIENCE: Duration = Duration::from_secs(60);
/// Longest wait for one answer.
const ANSWER_PATIENCE: Duration = Duration::from_secs(5);

/// What openssl makes the certificate of: of this address, and no authority.
const CERTIFICATE: &str = "[req]
distinguished_name = name
prompt = no
x509_extensions = extensions
[name]
CN = redis
[extensions]
subjectAltName = IP:127.0.0.1
basicConstraints = critical, CA:FALSE
";

/// Whom a Redis lets in.
#[derive(Clone, Copy, Debug, Default)]
pub struct Locks<'a> {
    /// The password of the default user.
    pub password: Option<&'a str>,
    /// The name and the password of one more user.
    pub user: Option<(&'a str, &'a str)>,
    /// Whether it speaks TLS as well, at [`Redis::tls_url`].
    pub tls: bool,
}

/// A running Redis.
pub struct Redis {
    server: Server,
    address: SocketAddr,
    tls: Option<(u16, PathBuf)>,
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
        Self::start_at(port, Locks::default())
    }

    /// One of its own that does not let everybody in.
    ///
    /// # Errors
    /// As [`Redis::start`], and when there is no certificate to be had.
    pub fn start_locked(locks: Locks<'_>) -> Result<Self> {
        Self::start_at(free_port()?, locks)
    }

    fn start_at(port: u16, locks: Locks<'_>) -> Result<Self> {
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
        if let Some(password) = locks.password {
            command.args(["--requirepass", password]);
        }
        if let Some((name, password)) = locks.user {
            let password = format!(">{password}");
            // What docs/aws.md says that a host needs.
            command.args(["--user", name, "on", &password, "~{*"]);
            command.args(["+@all", "-@dangerous"]);
        }
        let tls = match locks.tls {
            true => Some((free_port()?, certificate(&folder)?)),
            false => None,
        };
        if let Some((port, certificate)) = &tls {
            command.args(["--tls-port", &port.to_string(), "--tls-auth-clients", "no"]);
            command.arg("--tls-cert-file").arg(certificate);
            command.arg("--tls-ca-cert-file").arg(certificate);
            command.arg("--tls-key-file").arg(folder.join(KEY));
        }
        let server = Server::start("redis", &command)?;
        server.wait(PATIENCE, || {
            let is_up =
                |answer: String| answer.starts_with("+PONG") || answer.starts_with("-NOAUTH");
            ask(address, "PING").is_some_and(is_up)
        })?;
        Ok(Self {
            server,
            address,
            tls,
        })
    }

    /// The address for TLS as clients take it; none when it was started without.
    pub fn tls_url(&self) -> Option<String> {
        let (port, _) = self.tls.as_ref()?;
        Some(format!("rediss://127.0.0.1:{port}"))
    }

    /// The file with its certificate, which nobody else vouches for.
    pub fn certificate(&self) -> Option<&Path> {
        self.tls.as_ref().map(|(_, certificate)| &**certificate)
    }

    /// What it is, with its version as far as it tells.
    pub fn describe(&self) -> String {
        let told = self.command("INFO server").unwrap_or_default();
        let version = told
            .lines()
            .find_map(|line| line.strip_prefix("redis_version:"));
        format!("Redis {}", version.unwrap_or("?").trim())
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

/// Makes a certificate and its key in `folder`; says where the certificate is.
fn certificate(folder: &Path) -> Result<PathBuf> {
    let openssl = match debian::found("openssl") {
        Some(openssl) => openssl,
        None => {
            debian::install(&["openssl"])?;
            debian::found("openssl").ok_or_else(|| Problem::new("there is no openssl"))?
        }
    };
    let (wanted, made) = (
        folder.join("certificate.cnf"),
        folder.join("certificate.pem"),
    );
    std::fs::write(&wanted, CERTIFICATE)
        .map_err(|e| Problem::new(format!("{} cannot be written: {e}", wanted.display())))?;
    let mut command = Command::new(openssl);
    command.args(["req", "-x509", "-nodes", "-days", "2", "-newkey", "ec"]);
    command.args(["-pkeyopt", "ec_paramgen_curve:prime256v1", "-config"]);
    command.arg(&wanted).arg("-out").arg(&made);
    command.arg("-keyout").arg(folder.join(KEY));
    run(&mut command)?;
    Ok(made)
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
        let name = redis.describe();
        assert!(name.contains('.') && !name.contains('?'), "{name}");
    }
}
