//! Most services of AWS in one process: the double that the backends are proved before.
//!
//! It speaks the protocols of S3, SQS, Secrets Manager, KMS, STS, Lambda, Bedrock, AgentCore and EventBridge and keeps everything in
//! memory. Lambda runs real bootstraps as long as `LAMBDA_STRICT` is unset. It checks no signatures and no policies.

use std::net::SocketAddr;
use std::process::Command;
use std::time::Duration;

use crate::{Result, Server, Shared, Venv, free_port, get};

/// What is installed. Without `cryptography` KMS fails.
const PACKAGES: [&str; 2] = ["ministack==1.5.33", "cryptography==50.0.2"];
/// Longest wait for it to come up, on a machine that is busy with a build.
const PATIENCE: Duration = Duration::from_secs(120);
/// The region it answers for.
const REGION: &str = "eu-north-1";

/// A running ministack.
pub struct Ministack {
    server: Server,
    address: SocketAddr,
}

impl Ministack {
    /// Installs it.
    ///
    /// # Errors
    /// When its packages cannot be had.
    pub fn install() -> Result<Venv> {
        Venv::install("ministack", &PACKAGES)
    }

    /// The one of this test binary.
    ///
    /// # Panics
    /// When it cannot be had, with the reason.
    pub async fn shared() -> &'static Self {
        static SHARED: Shared<Ministack> = Shared::new();
        SHARED.get(Self::start)
    }

    /// One of its own, for tests that stop it or change what all others would see.
    ///
    /// # Errors
    /// When it cannot be installed or does not come up.
    pub fn start() -> Result<Self> {
        let venv = Self::install()?;
        let port = free_port()?;
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        let mut command = Command::new(venv.program("ministack"));
        command
            .env("BIND_HOST", "127.0.0.1")
            .env("GATEWAY_PORT", port.to_string())
            .env("MINISTACK_REGION", REGION)
            .env("SFTP_ENABLED", "0")
            .env_remove("LAMBDA_STRICT");
        let server = Server::start("ministack", &command)?;
        server.wait(PATIENCE, || {
            matches!(get(address, "/_ministack/health"), Some((200, _)))
        })?;
        Ok(Self { server, address })
    }

    /// What it is, with its version.
    pub fn describe(&self) -> String {
        PACKAGES[0].replace("==", " ")
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint of all its services.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The region it answers for.
    pub fn region(&self) -> &'static str {
        REGION
    }

    /// The process.
    pub fn server(&self) -> &Server {
        &self.server
    }
}
