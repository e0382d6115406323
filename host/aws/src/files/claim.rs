//! The memory of write ids: a small object for each, written before anything of the write takes effect.
//!
//! The claim says which write came under the id; what it answered stands in the manifest of its path, and here once there
//! is no more room there. It lies with what passes: the bucket's lifecycle removes it after two days, the contract asks for
//! one.

use serde::{Deserialize, Serialize};
use stuga_core::{CallCtx, Error, Result, WriteId};

use super::manifest::{Mark, Recent};
use super::store::{Condition, Key, Store};

/// Largest claim in bytes: a path and the metadata of a restored version.
const CLAIM_MAX_BYTES: usize = 256 << 10;
/// How often a claim is tried again that others write at the same moment.
const ROUNDS_MAX: u32 = 8;

/// What is known of a write id.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Claim {
    /// Tells the write from any other.
    pub(super) digest: String,
    /// Which path it changes.
    pub(super) path: String,
    /// What it answered; none as long as that stands in the manifest of its path, or nowhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mark: Option<Mark>,
}

/// A claim as it lies in the bucket.
pub(super) struct Claimed {
    pub(super) claim: Claim,
    etag: String,
}

fn key(store: &Store, id: WriteId) -> Key {
    store.passing(&format!("w/{}", id.to_name()))
}

/// Claims an id for a write. None when nobody had it; what is known of it otherwise.
pub(super) async fn claim(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    id: WriteId,
    claim: &Claim,
) -> Result<Option<Claimed>> {
    for _ in 0..ROUNDS_MAX {
        if put(store, ctx, operation, id, claim, &Condition::Absent).await? {
            return Ok(None);
        }
        if let Some(known) = read(store, ctx, operation, id).await? {
            return Ok(Some(known));
        }
    }
    Err(busy(operation))
}

/// What is known of an id.
pub(super) async fn read(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    id: WriteId,
) -> Result<Option<Claimed>> {
    let object = store
        .read(ctx, operation, &key(store, id), CLAIM_MAX_BYTES)
        .await?;
    let claimed = object.map(|object| {
        let claim = serde_json::from_slice(&object.bytes).map_err(|e| {
            Error::internal(operation, "what the cloud keeps of the write is no claim")
                .with_source(e)
        })?;
        Ok(Claimed {
            claim,
            etag: object.etag,
        })
    });
    claimed.transpose()
}

/// Gives an id to another write, whose first one never took effect. False when somebody else changed the claim.
pub(super) async fn take_over(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    id: WriteId,
    from: &Claimed,
    claim: &Claim,
) -> Result<bool> {
    let condition = Condition::Is(from.etag.clone());
    put(store, ctx, operation, id, claim, &condition).await
}

/// Keeps what a write answered, for as long as its claim lies.
pub(super) async fn settle(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    path: &str,
    recent: Recent,
) -> Result<()> {
    let claim = Claim {
        digest: recent.digest,
        path: path.to_owned(),
        mark: Some(recent.mark),
    };
    put(store, ctx, operation, recent.id, &claim, &Condition::Any).await?;
    Ok(())
}

async fn put(
    store: &Store,
    ctx: &CallCtx,
    operation: &'static str,
    id: WriteId,
    claim: &Claim,
    condition: &Condition,
) -> Result<bool> {
    let body = serde_json::to_vec(claim)
        .map_err(|e| Error::internal(operation, "the claim cannot be written").with_source(e))?;
    let written = store
        .write(ctx, operation, &key(store, id), body, condition)
        .await?;
    Ok(written.is_some())
}

/// Too many others write the same thing at the same moment.
pub(super) fn busy(operation: &'static str) -> Error {
    Error::unavailable(
        operation,
        "too many others write the same path at this moment; try again",
    )
}
