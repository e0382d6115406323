//! What the hosts that share a cloud tell each other of it, over the Redis that they share.

use async_trait::async_trait;
use futures::StreamExt;
use futures::stream::BoxStream;
use stuga_aws::Hosts;
use stuga_core::{Error, Result};
use stuga_resilience::{Gossip, Observation};

/// The hosts at one Redis.
pub(super) struct RedisGossip(pub(super) Hosts);

#[async_trait]
impl Gossip for RedisGossip {
    async fn publish(&self, observation: Observation) -> Result<()> {
        const OPERATION: &str = "gossip.publish";
        let word = serde_json::to_vec(&observation).map_err(|error| {
            Error::internal(OPERATION, "the observation cannot be written").with_source(error)
        })?;
        self.0.tell(&word).await
    }

    /// Words that are none of ours, as another version of this host may tell them, are passed over.
    async fn observations(&self) -> Result<BoxStream<'static, Observation>> {
        let words = self.0.listen().await?;
        let read = |word: Vec<u8>| async move { serde_json::from_slice(&word).ok() };
        Ok(words.filter_map(read).boxed())
    }
}
