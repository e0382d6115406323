//! The client side of what operators see and do on a running host.

use std::time::Duration;

use anyhow::{Context, bail};
use reqwest::{Client, Method, RequestBuilder};
use serde::Serialize;
use serde::de::DeserializeOwned;
use stuga_core::CapabilityName;

use super::remote::explain;
use crate::admin::{self, Served};
use crate::config::Config;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Longest name that is sent of who acts, in bytes.
const NAME_MAX_BYTES: usize = 64;

/// Which server.
#[derive(clap::Args, Clone, Debug)]
pub(crate) struct Where {
    /// The server [default: the one that runs on the data directory]
    #[arg(long, env = "STUGA_URL", value_name = "URL")]
    pub(crate) url: Option<String>,
}

/// A running server, as an operator reaches it.
pub(crate) struct Operator {
    url: String,
    key: String,
    name: Option<String>,
    client: Client,
}

impl Operator {
    /// The server that is meant; nothing is asked yet.
    ///
    /// # Errors
    /// When no server runs on the data directory and none is named, or there is no admin key.
    pub(crate) fn find(config: &Config, at: &Where) -> anyhow::Result<Self> {
        let known = || Served::url(&config.data_dir);
        let Some(url) = at.url.clone().or_else(known) else {
            bail!(
                "no server runs on {}; start one with `stuga serve`, or name one with --url or --data-dir",
                config.data_dir.display()
            );
        };
        let key = admin::key(&config.data_dir);
        Ok(Self {
            url: url.trim_end_matches('/').to_owned(),
            key: key.map_err(|error| anyhow::anyhow!(error.message().to_owned()))?,
            name: name(),
            client: Client::builder().timeout(PATIENCE).build()?,
        })
    }

    /// Asks for a path below `/v1/admin/`.
    ///
    /// # Errors
    /// What the server refuses, or that it cannot be reached.
    pub(crate) async fn get<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.answer(self.request(Method::GET, path)).await
    }

    /// Changes something.
    ///
    /// # Errors
    /// As [`Operator::get`].
    pub(crate) async fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        body: &impl Serialize,
    ) -> anyhow::Result<T> {
        self.answer(self.request(Method::POST, path).json(body))
            .await
    }

    /// Ends something.
    ///
    /// # Errors
    /// As [`Operator::get`].
    pub(crate) async fn delete<T: DeserializeOwned>(&self, path: &str) -> anyhow::Result<T> {
        self.answer(self.request(Method::DELETE, path)).await
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/v1/admin/{path}", self.url);
        let request = self.client.request(method, url).bearer_auth(&self.key);
        match &self.name {
            Some(name) => request.header("x-stuga-operator", name),
            None => request,
        }
    }

    async fn answer<T: DeserializeOwned>(&self, request: RequestBuilder) -> anyhow::Result<T> {
        let response = request.send().await;
        let response = response.with_context(|| {
            format!(
                "{} cannot be reached; is `stuga serve` running there?",
                self.url
            )
        })?;
        let succeeded = response.status().is_success();
        let text = response.text().await.context("the answer broke off")?;
        if !succeeded {
            bail!(explain(&text));
        }
        serde_json::from_str(&text)
            .with_context(|| format!("{} is no stuga server of this version", self.url))
    }
}

/// The capability of that name, for the command line.
pub(crate) fn capability(name: &str) -> Result<CapabilityName, String> {
    CapabilityName::from_name(name).ok_or_else(|| {
        let there = CapabilityName::ALL.map(CapabilityName::as_str);
        format!("there is {}", there.join(", "))
    })
}

/// Who acts, as the machine knows them. The server writes it down and does not believe it.
fn name() -> Option<String> {
    let name = std::env::var("USER").ok()?;
    let shown = name.chars().all(|c| c.is_ascii_graphic());
    (shown && (1..=NAME_MAX_BYTES).contains(&name.len())).then_some(name)
}
