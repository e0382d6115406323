//! What an operator sees of a running host, and may do.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use reqwest::{Method, RequestBuilder};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::host::Host;
use crate::words::Store;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The operator's desk of one host.
pub struct Desk {
    http: reqwest::Client,
    address: SocketAddr,
    /// The file with the admin key, which the host makes when it starts.
    key: PathBuf,
}

/// One capability of a tenant.
#[derive(Clone, Debug, Deserialize)]
pub struct Standing {
    /// Its name.
    pub capability: String,
    /// Who would answer a read now: `cloud` or `local`.
    pub reads: String,
    /// The breaker's state.
    pub breaker: String,
    /// What waits for the cloud.
    pub backlog: Backlog,
    /// The same in a sentence.
    pub says: String,
}

/// What waits for the cloud.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
pub struct Backlog {
    /// Entries that wait.
    pub waiting: u64,
    /// Entries that the cloud refuses for good.
    pub parked: u64,
}

#[derive(Deserialize)]
struct Explanation {
    capabilities: Vec<Standing>,
}

impl Desk {
    /// That of a host, whether it runs or not.
    pub fn of(host: &Host) -> Self {
        Self {
            http: reqwest::Client::new(),
            address: host.address(),
            key: host.site().folder.join("data/admin.key"),
        }
    }

    /// How each capability of a tenant stands that lies in the cloud.
    ///
    /// # Errors
    /// When the host does not say.
    pub async fn explain(&self, tenant: &str) -> Result<Vec<Standing>> {
        let path = format!("tenants/{tenant}/explain");
        let said = self.answer(self.request(Method::GET, &path)?).await?;
        let said: Explanation =
            serde_json::from_value(said).context("the host explains in words not known here")?;
        Ok(said.capabilities)
    }

    /// What of a tenant waits for the cloud, and what the cloud refuses, over all capabilities.
    ///
    /// # Errors
    /// When the host does not say.
    pub async fn backlog(&self, tenant: &str) -> Result<Backlog> {
        let all = self.explain(tenant).await?;
        Ok(all.iter().fold(Backlog::default(), |sum, one| Backlog {
            waiting: sum.waiting + one.backlog.waiting,
            parked: sum.parked + one.backlog.parked,
        }))
    }

    /// Starts a drill: keeps a store of one tenant from the cloud for a while.
    ///
    /// # Errors
    /// When the host refuses.
    pub async fn start_drill(&self, tenant: &str, store: Store, length: Duration) -> Result<()> {
        let drill = json!({
            "tenant": tenant,
            "capability": store.name(),
            "for_ms": u64::try_from(length.as_millis()).unwrap_or(u64::MAX),
            "why": "demonstration",
        });
        let request = self.request(Method::POST, "drills")?.json(&drill);
        self.answer(request).await.map(drop)
    }

    /// Ends a drill before its time.
    ///
    /// # Errors
    /// When the host refuses.
    pub async fn stop_drill(&self, tenant: &str, store: Store) -> Result<()> {
        let path = format!("drills/{tenant}/{}", store.name());
        let request = self.request(Method::DELETE, &path)?;
        self.answer(request).await.map(drop)
    }

    fn request(&self, method: Method, path: &str) -> Result<RequestBuilder> {
        let key = std::fs::read_to_string(&self.key)
            .with_context(|| format!("{} cannot be read", self.key.display()))?;
        let url = format!("http://{}/v1/admin/{path}", self.address);
        let request = self.http.request(method, url).bearer_auth(key.trim());
        Ok(request.timeout(PATIENCE))
    }

    async fn answer(&self, request: RequestBuilder) -> Result<Value> {
        let answer = request.send().await.context("the host does not answer")?;
        let status = answer.status();
        let text = answer.text().await.context("the answer broke off")?;
        if !status.is_success() {
            bail!("the host refuses: {status} {text}");
        }
        serde_json::from_str(&text).context("the answer is not JSON")
    }
}
