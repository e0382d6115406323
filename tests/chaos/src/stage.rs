//! The world of a run: the servers of the cloud, the ways to them, and sites for hosts.

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use stuga_fault_proxy::{Fault, FaultProxy};
use stuga_test_servers::{Ministack, Redis, unique};

use crate::nemesis::Place;
use crate::site::{Site, Tools};

/// The variable with the settings of AWS.
const SETTINGS: &str = "STUGA_AWS";
/// Days that the memory keeps events, as long as AgentCore allows.
const EVENTS_DAYS: u32 = 365;

/// The cloud and the ways to it.
pub struct Stage {
    ministack: Ministack,
    redis: Option<Redis>,
    redis_address: SocketAddr,
    /// Those of each host.
    ways: Vec<Ways>,
    bucket: String,
    memory: String,
    /// A site without a cloud, from which all others are copied.
    bare: Site,
}

/// One host's ways to the cloud.
struct Ways {
    agentcore: FaultProxy,
    s3: FaultProxy,
    redis: FaultProxy,
}

/// How a site reaches the cloud.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Through the proxies of the host with this number.
    Proxied(usize),
    /// Straight.
    Straight,
    /// Not at all: the host keeps everything itself.
    Never,
}

impl Stage {
    /// Starts everything in an empty folder, with ways for so many hosts.
    ///
    /// # Errors
    /// When a server cannot be had or a command of the host fails.
    pub async fn set(folder: &Path, tools: &Tools, hosts: u32) -> Result<Self> {
        let ministack = Ministack::start()?;
        let redis = Redis::start()?;
        let redis_address = redis.address();
        let client = reqwest::Client::new();
        let bucket = unique("chaos");
        let url = format!("{}/{bucket}", ministack.endpoint());
        let made = client.put(url).send().await?;
        ensure!(
            made.status().is_success(),
            "the bucket was not made: {made:?}"
        );
        let memory = new_memory(&client, &ministack).await?;
        let bare = Site::make(&folder.join("bare"), tools)?;
        let mut ways = Vec::new();
        for _ in 0..hosts {
            ways.push(Ways {
                agentcore: FaultProxy::start(ministack.address()).await?,
                s3: FaultProxy::start(ministack.address()).await?,
                redis: FaultProxy::start(redis_address).await?,
            });
        }
        Ok(Self {
            ways,
            redis: Some(redis),
            redis_address,
            ministack,
            bucket,
            memory,
            bare,
        })
    }

    /// A new site in `folder`, with `settings` as its configuration file when they are not empty.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn site(&self, folder: &Path, reach: Reach, settings: &str) -> Result<Site> {
        let mut site = self.bare.copy(folder)?;
        if !settings.is_empty() {
            let file = site.folder.join("stuga.yaml");
            std::fs::write(&file, settings)
                .with_context(|| format!("{} cannot be written", file.display()))?;
        }
        if let Some(aws) = self.aws(reach) {
            for (name, value) in [
                (SETTINGS, aws.to_string().as_str()),
                ("AWS_ACCESS_KEY_ID", "test"),
                ("AWS_SECRET_ACCESS_KEY", "test"),
            ] {
                site.environment.push((name.to_owned(), value.to_owned()));
            }
        }
        Ok(site)
    }

    /// The settings of AWS.
    fn aws(&self, reach: Reach) -> Option<Value> {
        let server = self.ministack.address();
        let (agentcore, s3, redis) = match reach {
            Reach::Never => return None,
            Reach::Straight => (server, server, self.redis_address),
            Reach::Proxied(host) => {
                let ways = self.ways.get(host)?;
                (
                    ways.agentcore.address(),
                    ways.s3.address(),
                    ways.redis.address(),
                )
            }
        };
        Some(json!({
            "region": self.ministack.region(),
            "endpoints": {
                "all": self.ministack.endpoint(),
                "agentcore": format!("http://{agentcore}"),
                "s3": format!("http://{s3}"),
            },
            "memory": {"memory_id": self.memory, "redis": format!("redis://{redis}")},
            "files": {"bucket": self.bucket, "path_style": true},
        }))
    }

    /// Breaks or mends the ways of a host to a place.
    pub fn set_way(&self, host: u32, place: Place, fault: &Fault) {
        let ways = usize::try_from(host)
            .ok()
            .and_then(|host| self.ways.get(host));
        let Some(ways) = ways else { return };
        if matches!(place, Place::AgentCore | Place::Everything) {
            ways.agentcore.set(fault.clone());
        }
        if matches!(place, Place::S3 | Place::Everything) {
            ways.s3.set(fault.clone());
        }
        if matches!(place, Place::Redis | Place::Everything) {
            // Redis speaks no HTTP: for it, a service that is out of order refuses.
            ways.redis.set(match fault {
                Fault::Status { .. } => Fault::Refuse,
                fault => fault.clone(),
            });
        }
    }

    /// Stops the server of AgentCore and S3 as it is, or lets it go on.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn freeze(&self, frozen: bool) -> Result<()> {
        let signal = if frozen { "-STOP" } else { "-CONT" };
        let group = format!("-{}", self.ministack.server().group());
        let told = Command::new("kill").args([signal, "--", &group]).status();
        ensure!(
            told?.success(),
            "the cloud's server cannot be told {signal}"
        );
        Ok(())
    }

    /// Kills Redis and starts it again without what it knew.
    ///
    /// # Errors
    /// When it does not come up again.
    pub fn lose_redis(&mut self) -> Result<()> {
        drop(self.redis.take());
        self.redis = Some(Redis::start_on(self.redis_address.port())?);
        Ok(())
    }
}

/// Makes a memory and answers with its id.
async fn new_memory(client: &reqwest::Client, ministack: &Ministack) -> Result<String> {
    let wanted = json!({
        "name": unique("chaos").replace('-', "_"),
        "eventExpiryDuration": EVENTS_DAYS,
        "clientToken": unique("chaos-memory-of-at-least-33-characters"),
    });
    // What decides among the services behind one address is the name in the signature, which nobody checks.
    let scope = format!(
        "test/20260101/{}/bedrock-agentcore/aws4_request",
        ministack.region()
    );
    let authorization =
        format!("AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0");
    let made = client
        .post(format!("{}/memories/create", ministack.endpoint()))
        .header("Authorization", authorization)
        .json(&wanted)
        .send()
        .await?;
    let text = made.error_for_status()?.text().await?;
    let made: Value = serde_json::from_str(&text).context("the new memory is not told in JSON")?;
    let id = made.pointer("/memory/id").and_then(Value::as_str);
    id.map(str::to_owned).context("the new memory has no id")
}
