//! Keys of tenants at rest, wrapped by KMS: what lies on this host's disk opens only with the tenant's KMS key.
//!
//! Each is a data key (`GenerateDataKey`), stored as KMS wrapped it and opened with `Decrypt`, both with the tenant's
//! credentials. The tenant and what the key is for stand in the encryption context, which KMS checks and logs: a wrapped key
//! that was moved to another tenant does not open. What was opened is kept in this process and nowhere else.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_kms::types::DataKeySpec;
use aws_smithy_types::Blob;
use moka::sync::Cache;
use sha2::{Digest, Sha256};
use stuga_core::keys::{KeyUse, KeyWrap, MadeKey, PlainKey, WRAPPED_MAX_BYTES};
use stuga_core::{Error, ErrorKind, Result, TenantId};
use zeroize::Zeroizing;

use crate::Shared;
use crate::call::call_until;
use crate::error::{CLOUD, DAMAGED, FORBIDDEN, MISSING, damaged};

/// Where the tenant stands in the encryption context.
const TENANT_CONTEXT: &str = "stuga:tenant";
/// What the key is for stands there.
const PURPOSE_CONTEXT: (&str, &str) = ("stuga:purpose", "local-secrets");
/// Most keys that are kept in this process; those longest unused go first.
const KEYS_MAX: u64 = 16_384;
/// How long a key is kept that nobody uses or renews: one that a rotation has replaced.
const KEY_IDLE: Duration = Duration::from_secs(24 * 3_600);

/// Whose key it is, and a digest of it as it is stored.
type Held = (TenantId, [u8; 32]);

/// Keys wrapped by KMS.
pub(crate) struct KmsKeys {
    shared: Arc<Shared>,
    held: Cache<Held, PlainKey>,
}

impl KmsKeys {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let held = Cache::builder()
            .max_capacity(KEYS_MAX)
            .time_to_idle(KEY_IDLE)
            .build();
        Self { shared, held }
    }

    /// `Decrypt`. Answered as what KMS said, and kept.
    async fn decrypt(&self, used: KeyUse<'_>, wrapped: &[u8]) -> Result<PlainKey> {
        let clients = self.shared.clients.of(used.tenant);
        let decrypt = clients
            .kms()
            .decrypt()
            // Named, so that a key that somebody wrapped under a key of his own opens nothing.
            .key_id(self.shared.scope(used.tenant).local_key()?)
            .ciphertext_blob(Blob::new(wrapped))
            .encryption_context(TENANT_CONTEXT, used.tenant.as_str())
            .encryption_context(PURPOSE_CONTEXT.0, PURPOSE_CONTEXT.1)
            .send();
        let opened = call_until(used.deadline, used.operation, decrypt).await?;
        let plain = plain(used, opened.plaintext)?;
        self.held.insert(held(used.tenant, wrapped), plain.clone());
        Ok(plain)
    }
}

#[async_trait]
impl KeyWrap for KmsKeys {
    fn name(&self) -> &'static str {
        "aws-kms"
    }

    async fn make(&self, used: KeyUse<'_>) -> Result<MadeKey> {
        let clients = self.shared.clients.of(used.tenant);
        let generate = clients
            .kms()
            .generate_data_key()
            .key_id(self.shared.scope(used.tenant).local_key()?)
            .key_spec(DataKeySpec::Aes256)
            .encryption_context(TENANT_CONTEXT, used.tenant.as_str())
            .encryption_context(PURPOSE_CONTEXT.0, PURPOSE_CONTEXT.1)
            .send();
        let made = call_until(used.deadline, used.operation, generate).await;
        let made = made.map_err(explained)?;
        let plain = plain(used, made.plaintext)?;
        let wrapped = made.ciphertext_blob.map(Blob::into_inner);
        let wrapped = wrapped.filter(|wrapped| is_wrapped(wrapped));
        let wrapped = wrapped.ok_or_else(|| damaged(used.operation))?;
        self.held.insert(held(used.tenant, &wrapped), plain.clone());
        Ok(MadeKey { plain, wrapped })
    }

    async fn open(&self, used: KeyUse<'_>, wrapped: &[u8]) -> Result<PlainKey> {
        if !is_wrapped(wrapped) {
            return Err(foreign(used.operation));
        }
        if let Some(plain) = self.held.get(&held(used.tenant, wrapped)) {
            return Ok(plain);
        }
        self.decrypt(used, wrapped).await.map_err(explained)
    }

    async fn renew(&self, used: KeyUse<'_>, wrapped: &[u8]) -> Result<()> {
        if !is_wrapped(wrapped) {
            return Err(foreign(used.operation));
        }
        let held = held(used.tenant, wrapped);
        // A look, so that a key is not idle that only an outage keeps from being renewed.
        let _kept = self.held.get(&held);
        let decrypted = self.decrypt(used, wrapped).await;
        if decrypted.as_ref().is_err_and(is_refusal) {
            self.held.invalidate(&held);
        }
        decrypted.map(drop).map_err(explained)
    }
}

/// Whether it could have been wrapped by KMS at all.
fn is_wrapped(wrapped: &[u8]) -> bool {
    (1..=WRAPPED_MAX_BYTES).contains(&wrapped.len())
}

/// Whether KMS answered, and the answer is no: not allowed, switched off, or not its own.
fn is_refusal(error: &Error) -> bool {
    let said = error.context_value(CLOUD);
    matches!(said, Some(FORBIDDEN | MISSING | DAMAGED))
}

/// The same error, in words that say what is shut and what opens it.
fn explained(error: Error) -> Error {
    let said = error.context_value(CLOUD).map(str::to_owned);
    let message = match (error.kind(), said.as_deref()) {
        (_, Some(DAMAGED)) => return foreign(error.operation()).with_source(error),
        (ErrorKind::Timeout, _) => "KMS did not open the tenant's key in time; try again later",
        (ErrorKind::Unavailable, Some(FORBIDDEN | MISSING)) => {
            "KMS does not open the tenant's key; the operator runs `stuga check aws` and enables `aws.kms.key` or allows it"
        }
        (ErrorKind::Unavailable, _) => {
            "the tenant's key stays shut until KMS answers; the operator checks the way to it with `stuga check aws`"
        }
        _ => return error,
    };
    let mut told = Error::new(error.kind(), error.operation(), message);
    if let Some(said) = said {
        told = told.with_context(CLOUD, said);
    }
    if let Some(after) = error.retry_after() {
        told = told.with_retry_after(after);
    }
    told.with_source(error)
}

fn foreign(operation: &'static str) -> Error {
    Error::internal(
        operation,
        "the tenant's key was changed or moved, or was wrapped by another key than `aws.kms.key`",
    )
}

fn plain(used: KeyUse<'_>, answered: Option<Blob>) -> Result<PlainKey> {
    let bytes = answered.map(|blob| Zeroizing::new(blob.into_inner()));
    let plain = bytes.and_then(|bytes| PlainKey::from_bytes(&bytes));
    plain.ok_or_else(|| damaged(used.operation))
}

fn held(tenant: &TenantId, wrapped: &[u8]) -> Held {
    (tenant.clone(), Sha256::digest(wrapped).into())
}
