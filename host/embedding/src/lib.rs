//! Text to vector with a sentence-transformer from a local folder, on the CPU.
//!
//! The folder has the usual layout (`model.safetensors`, `tokenizer.json`, `config.json`), such as that of all-MiniLM-L6-v2:
//! a BERT whose token vectors are averaged and brought to length 1. Nothing is downloaded. This crate knows no tenant.

mod folder;
mod network;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use stuga_core::embed::{Embedder, check_texts};
use stuga_core::{Error, Result};
use tokio::sync::Semaphore;

use network::Network;

const OPERATION: &str = "embed";
/// Batches that are embedded at the same time: one uses all the cores that there are.
const RUNNING_MAX: usize = 1;
/// Batches that run or wait.
const WAITING_MAX: usize = 64;
/// When to try again after too many batches.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// A sentence-transformer, loaded.
pub struct SentenceTransformer {
    network: Arc<Network>,
    name: String,
    running: Arc<Semaphore>,
    admitted: Arc<Semaphore>,
}

impl SentenceTransformer {
    /// Loads the model in `folder`. Blocks for as long as its weights take to be read.
    ///
    /// # Errors
    /// `Invalid` naming the file that is missing or wrong.
    pub fn load(folder: &Path) -> Result<Self> {
        let (network, digest) = folder::load(folder)?;
        let digest = digest.get(..16).unwrap_or_default();
        Ok(Self {
            network: Arc::new(network),
            name: format!("sentence-transformer/{digest}"),
            running: Arc::new(Semaphore::new(RUNNING_MAX)),
            admitted: Arc::new(Semaphore::new(WAITING_MAX)),
        })
    }
}

/// Tells the work that nobody waits for it any more.
struct GiveUpOnDrop(Arc<AtomicBool>);

impl Drop for GiveUpOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[async_trait]
impl Embedder for SentenceTransformer {
    /// By the digest of weights, tokenizer and length: another model never has the same name.
    fn model(&self) -> &str {
        &self.name
    }

    fn dimension(&self) -> usize {
        self.network.dimension()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        check_texts(OPERATION, texts)?;
        let admitted = Arc::clone(&self.admitted)
            .try_acquire_owned()
            .map_err(|_| {
                Error::rate_limited(OPERATION, "too many texts wait to be embedded; try again")
                    .with_context("limit", WAITING_MAX)
                    .with_retry_after(RETRY_AFTER)
            })?;
        let turn = Arc::clone(&self.running)
            .acquire_owned()
            .await
            .map_err(|_| Error::internal(OPERATION, "the embedder is closed"))?;
        let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
        let network = Arc::clone(&self.network);
        let given_up = GiveUpOnDrop(Arc::default());
        let stop = Arc::clone(&given_up.0);
        let work = move || {
            // Held to the end, also when the caller has gone meanwhile.
            let _held = (admitted, turn);
            network.embed(&texts, &stop)
        };
        let made = tokio::task::spawn_blocking(work)
            .await
            .map_err(|e| Error::internal(OPERATION, "embedding a text died").with_source(e))?;
        drop(given_up);
        made
    }
}
