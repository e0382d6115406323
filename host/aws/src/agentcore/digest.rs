//! What tells writes apart that come under one id.

use sha2::{Digest as _, Sha256};
use stuga_core::metadata::Metadata;
use stuga_core::{CallCtx, CapabilityName};

/// Bytes of the digest that are kept.
const DIGEST_BYTES: usize = 16;

/// Collects everything that a write says. Each part is preceded by its length, so that parts cannot run into each other.
pub(crate) struct Digest(Sha256);

impl Digest {
    /// Begins with the agent, the capability and the operation.
    pub(crate) fn new(ctx: &CallCtx, capability: CapabilityName, operation: &str) -> Self {
        Self(Sha256::new())
            .part(ctx.agent.as_str())
            .part(capability.as_str())
            .part(operation)
    }

    /// Adds a part.
    pub(crate) fn part(mut self, bytes: impl AsRef<[u8]>) -> Self {
        let bytes = bytes.as_ref();
        self.0.update((bytes.len() as u64).to_le_bytes());
        self.0.update(bytes);
        self
    }

    /// Adds a number, or that there is none.
    pub(crate) fn number(self, number: Option<u64>) -> Self {
        match number {
            Some(number) => self.part(number.to_le_bytes()),
            None => self.part(b""),
        }
    }

    /// Adds metadata.
    pub(crate) fn metadata(self, metadata: &Metadata) -> Self {
        metadata
            .iter()
            .fold(self, |digest, (name, value)| digest.part(name).part(value))
    }

    /// The digest, in hex.
    pub(crate) fn finish(self) -> String {
        let digest = self.0.finalize();
        hex::encode(digest.get(..DIGEST_BYTES).unwrap_or(&digest))
    }
}
