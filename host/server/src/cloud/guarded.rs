//! What goes to AWS beside the capabilities, and asks their breakers first.

use std::sync::{Arc, OnceLock};

use async_trait::async_trait;
use stuga_aws::Aws;
use stuga_core::embed::Embedder;
use stuga_core::{CapabilityName, Error, Result};
use stuga_resilience::{Probe, Route};
use tokio::time::Instant;

/// Asks AWS how it is.
pub(super) struct AwsProbe(pub(super) Aws);

#[async_trait]
impl Probe for AwsProbe {
    async fn probe(&self, capability: CapabilityName, deadline: Instant) -> Result<()> {
        self.0.probe(capability, deadline).await
    }
}

/// An embedder on AWS that answers at once while the models there are away: a write that can do without vectors for a
/// while must not wait for them.
pub(super) struct GuardedEmbedder {
    pub(super) embedder: Arc<dyn Embedder>,
    /// The way to the models; set once it is known.
    pub(super) route: Arc<OnceLock<Arc<Route>>>,
}

#[async_trait]
impl Embedder for GuardedEmbedder {
    fn model(&self) -> &str {
        self.embedder.model()
    }

    fn dimension(&self) -> usize {
        self.embedder.dimension()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        let Some(route) = self.route.get() else {
            return self.embedder.embed(texts).await;
        };
        let embedded = route.errand(None, self.embedder.embed(texts)).await;
        embedded.unwrap_or_else(|| {
            Err(Error::unavailable(
                "embed",
                "the models on AWS are away, and with them what makes vectors",
            ))
        })
    }
}
