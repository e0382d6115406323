//! The durable side of `Idempotency-Key`: which invocation a key stands for, and what it answered.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::{Error, InvocationId, Result, TenantId, Timestamp};

/// Longest idempotency key in bytes.
pub const IDEMPOTENCY_KEY_MAX_BYTES: usize = 255;

/// How long a key and its answer are kept at least.
pub const IDEMPOTENCY_RETENTION: std::time::Duration = std::time::Duration::from_secs(24 * 3_600);

/// Longer than any run of an invocation lasts, whatever its tenant's deadline.
pub const RUN_LONGEST: std::time::Duration = std::time::Duration::from_secs(15 * 60);

/// Which invocation a key stands for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Claim {
    /// The key is new and now stands for the invocation that was handed in.
    New,
    /// An earlier attempt did not come to an end. Run it again under its own id and time, so that no effect is doubled.
    Unfinished {
        /// The id of the first attempt.
        invocation: InvocationId,
        /// When the first attempt was accepted.
        accepted_at: Timestamp,
    },
    /// The invocation has ended; this is what it answered.
    Finished(Answer),
    /// The key was used with another request.
    Mismatch,
}

/// What an invocation answered, as it went out.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Answer {
    /// Which invocation.
    pub invocation: InvocationId,
    /// HTTP status code.
    pub status: u16,
    /// JSON body.
    pub body: Vec<u8>,
}

/// Remembers idempotency keys and answers per tenant.
#[async_trait]
pub trait InvocationStore: Send + Sync + 'static {
    /// Ties `key` to `invocation`, unless it is tied already. Durable when it returns.
    ///
    /// `request_digest` tells requests apart that use the same key.
    async fn claim(
        &self,
        tenant: &TenantId,
        key: &str,
        request_digest: &[u8; 32],
        invocation: InvocationId,
        accepted_at: Timestamp,
    ) -> Result<Claim>;

    /// Keeps the answer of the invocation that `key` stands for. Durable when it returns. The first answer stays.
    ///
    /// No run of the invocation begins after that. Those that are under way end within [`RUN_LONGEST`]; from then on, what is
    /// remembered of its writes may go.
    async fn finish(&self, tenant: &TenantId, key: &str, answer: &Answer) -> Result<()>;

    /// Says of an invocation without a key that it has ended: nothing of it runs and nothing repeats it, so what is
    /// remembered of its writes may go before its time. A hint, which returns at once and may be lost.
    fn forget(&self, tenant: &TenantId, invocation: InvocationId) {
        let _ = (tenant, invocation);
    }

    /// The kept answer of an invocation, or none when it had no key, is unknown, or its retention has passed.
    async fn find(&self, tenant: &TenantId, invocation: InvocationId) -> Result<Option<Answer>>;
}

/// Checks a key: 1 to [`IDEMPOTENCY_KEY_MAX_BYTES`] visible ASCII characters.
pub fn check_idempotency_key(key: &str) -> Result<()> {
    if (1..=IDEMPOTENCY_KEY_MAX_BYTES).contains(&key.len())
        && key.bytes().all(|b| b.is_ascii_graphic())
    {
        return Ok(());
    }
    Err(Error::invalid(
        "invoke",
        "Idempotency-Key is not 1 to 255 visible ASCII characters",
    ))
}
