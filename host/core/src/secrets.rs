//! Secrets: values that an operator gives to a tenant, and that an agent reads by name and never writes.
//!
//! Two sides of one store: [`Secrets`] is what an invocation reaches, [`SecretStore`] what the operator does. Which names
//! an agent may ask for is decided before either is called.

use std::fmt;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::id::is_name;
use crate::{
    CallCtx, Capability, CapabilityName, Error, Result, TenantId, Timestamp, Write, WriteId,
};

/// Longest value in bytes.
pub const VALUE_MAX_BYTES: usize = 64 << 10;
/// Most versions of one secret that are kept: the newest.
pub const VERSIONS_MAX: usize = 16;
/// Most secrets of a tenant.
pub const SECRETS_MAX: usize = 1_000;

/// A secret's value. It is wiped from memory when it is dropped, and nothing prints it.
pub struct SecretValue(Zeroizing<Vec<u8>>);

impl SecretValue {
    /// Takes a value over.
    ///
    /// # Errors
    /// `Invalid` when it is empty or longer than [`VALUE_MAX_BYTES`].
    pub fn new(bytes: Vec<u8>) -> Result<Self> {
        // Taken over first, so that a value that is refused is wiped as well.
        let bytes = Zeroizing::new(bytes);
        if (1..=VALUE_MAX_BYTES).contains(&bytes.len()) {
            return Ok(Self(bytes));
        }
        Err(Error::invalid(
            "secrets.set",
            format!(
                "the secret's value has {} bytes; 1 to {VALUE_MAX_BYTES} are taken",
                bytes.len()
            ),
        )
        .with_context("limit", VALUE_MAX_BYTES))
    }

    /// The value itself. Who calls this answers for where it goes.
    pub fn reveal(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SecretValue(..)")
    }
}

/// What is known of one version of a secret without its value.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub struct SecretInfo {
    /// The secret's name.
    pub name: String,
    /// 1 for the first value since the secret was last absent, and each time one more.
    pub version: u64,
    /// When this version was set.
    pub created_at: Timestamp,
}

/// The changes that an invocation can make to secrets: none. There is no value of this type.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum SecretWrite {}

impl Write for SecretWrite {
    type Ack = ();
    const CAPABILITY: CapabilityName = CapabilityName::Secrets;

    fn key(&self) -> &str {
        match *self {}
    }

    fn operation(&self) -> &'static str {
        match *self {}
    }
}

/// Reads of secrets, for an invocation. Object safe.
///
/// Every backend checks its arguments with the functions of this module before anything else and sees only secrets of
/// `ctx.tenant`. All agents of a tenant read the same secrets here: the names that one of them may use are checked before.
#[async_trait]
pub trait Secrets: Capability<Write = SecretWrite> {
    /// The latest version of a secret, or the given one; none when there is none or it is not kept.
    async fn find(
        &self,
        ctx: &CallCtx,
        name: &str,
        version: Option<u64>,
    ) -> Result<Option<SecretInfo>>;

    /// The value of one version, or none when it is not kept.
    ///
    /// `Internal` when what is stored is not what was stored for this tenant, name and version: no value that was
    /// damaged or moved is ever handed out.
    async fn reveal(&self, ctx: &CallCtx, name: &str, version: u64) -> Result<Option<SecretValue>>;
}

/// What the operator does with a tenant's secrets.
///
/// Changes are idempotent by `id` as those of a [`Capability`] and durable when they return. Values never stand in a
/// digest, an error or a name that somebody without the key could check a guess against.
#[async_trait]
pub trait SecretStore: Send + Sync + 'static {
    /// Gives a secret a value, as its next version. Earlier versions stay until they are removed, the newest
    /// [`VERSIONS_MAX`] of them. A tenant has at most [`SECRETS_MAX`] secrets; one more is `QuotaExceeded`.
    async fn set(
        &self,
        tenant: &TenantId,
        id: WriteId,
        name: &str,
        value: &SecretValue,
    ) -> Result<SecretInfo>;

    /// All versions of all secrets, by name, the newest version first.
    async fn list(&self, tenant: &TenantId) -> Result<Vec<SecretInfo>>;

    /// Removes versions for good and says how many there were. Removing what is not there succeeds.
    async fn remove(
        &self,
        tenant: &TenantId,
        id: WriteId,
        name: &str,
        what: Removal,
    ) -> Result<u64>;

    /// Encrypts all values of a tenant anew, under a new key of the tenant and the host's current one; says how many
    /// versions there were. Values and versions stay as they are.
    async fn rotate(&self, tenant: &TenantId, id: WriteId) -> Result<u64>;
}

/// Which versions of a secret are removed.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Removal {
    /// All of them: the secret is gone.
    All,
    /// All but the latest: what it replaced is no longer valid.
    Older,
    /// This one.
    Version(u64),
}

/// What stands in the place of a secret's value wherever the host writes down what an agent said.
pub fn placeholder(name: &str) -> String {
    format!("[secret {name}]")
}

/// Checks a secret's name: as that of an agent.
pub fn check_name(operation: &'static str, name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        "the secret's name is not 1 to 63 characters of a-z, 0-9 and inner -",
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_is_bounded_and_never_printed() {
        assert!(SecretValue::new(Vec::new()).is_err());
        assert!(SecretValue::new(vec![0; VALUE_MAX_BYTES + 1]).is_err());
        let value = SecretValue::new(b"hunter2".to_vec()).unwrap();
        assert_eq!(value.reveal(), b"hunter2");
        assert!(!format!("{value:?}").contains("hunter2"));
    }
}
