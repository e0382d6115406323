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
    agentcore: FaultProxy,
    s3: FaultProxy,
    redis_way: FaultProxy,
    bucket: String,
    memory: String,
    /// A site without a cloud, from which all others are copied.
    bare: Site,
}

/// How a site reaches the cloud.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Through the proxies.
    Proxied,
    /// Straight.
    Straight,
    /// Not at all: the host keeps everything itself.
    Never,
}

impl Stage {
    /// Starts everything in an empty folder.
    ///
    /// # Errors
    /// When a server cannot be had or a command of the host fails.
    pub async fn set(folder: &Path, tools: &Tools) -> Result<Self> {
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
        Ok(Self {
            agentcore: FaultProxy::start(ministack.address()).await?,
            s3: FaultProxy::start(ministack.address()).await?,
            redis_way: FaultProxy::start(redis_address).await?,
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
        let at = |proxy: &FaultProxy, server| match reach {
            Reach::Proxied => Some(proxy.address()),
            Reach::Straight => Some(server),
            Reach::Never => None,
        };
        let server = self.ministack.address();
        let agentcore = at(&self.agentcore, server)?;
        let s3 = at(&self.s3, server)?;
        let redis = at(&self.redis_way, self.redis_address)?;
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

    /// Breaks or mends the ways of a place.
    pub fn set_way(&self, place: Place, fault: &Fault) {
        let ways: &[&FaultProxy] = match place {
            Place::AgentCore => &[&self.agentcore],
            Place::S3 => &[&self.s3],
            Place::Redis => &[&self.redis_way],
            Place::Everything => &[&self.agentcore, &self.s3, &self.redis_way],
        };
        for way in ways {
            // Redis speaks no HTTP: for it, a service that is out of order refuses.
            let redis = std::ptr::eq(*way, &raw const self.redis_way);
            let fault = match fault {
                Fault::Status { .. } if redis => Fault::Refuse,
                fault => fault.clone(),
            };
            way.set(fault);
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
