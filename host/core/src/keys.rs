//! Keys that lie on a disk, shut by a key service: who has the disk alone opens nothing.
//!
//! The service keeps a key of its own that never leaves it. What a host stores is a key that was wrapped under that one,
//! bound to a tenant; only the service opens it again. Backends that keep such keys see this trait alone.

use std::fmt;

use async_trait::async_trait;
use tokio::time::Instant;
use zeroize::Zeroizing;

use crate::{Result, TenantId};

/// Bytes of a key.
pub const KEY_BYTES: usize = 32;
/// Longest wrapped key in bytes. What is longer was not made by a [`KeyWrap`] and is not sent to one.
pub const WRAPPED_MAX_BYTES: usize = 8 << 10;

/// A key in the clear. Wiped when it is dropped, and nothing prints it.
#[derive(Clone)]
pub struct PlainKey(Zeroizing<[u8; KEY_BYTES]>);

impl PlainKey {
    /// Takes a key over; none when there are not [`KEY_BYTES`]. The caller wipes `bytes`.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; KEY_BYTES] = bytes.try_into().ok()?;
        Some(Self(Zeroizing::new(*bytes)))
    }

    /// The key itself. Who calls this answers for where it goes.
    pub fn reveal(&self) -> &[u8; KEY_BYTES] {
        &self.0
    }
}

impl fmt::Debug for PlainKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PlainKey(..)")
    }
}

/// A new key: as it is used, and as it is stored.
#[derive(Clone, Debug)]
pub struct MadeKey {
    /// In the clear: for memory alone.
    pub plain: PlainKey,
    /// Wrapped, at most [`WRAPPED_MAX_BYTES`]: for the disk.
    pub wrapped: Vec<u8>,
}

/// For what a key is opened, and how long its service is waited for.
#[derive(Clone, Copy, Debug)]
pub struct KeyUse<'a> {
    /// What is being done, such as `secrets.reveal`, for errors.
    pub operation: &'static str,
    /// Whose key it is.
    pub tenant: &'a TenantId,
    /// When the answer must have come.
    pub deadline: Instant,
}

/// A key service, as far as keys at rest need it. Object safe.
///
/// Keys that were opened are kept in this process, so that an outage of the service shuts nothing that was open before. They
/// are never written down. [`KeyWrap::renew`] is what makes a withdrawn permission felt.
#[async_trait]
pub trait KeyWrap: Send + Sync + 'static {
    /// What the service is called in a store, such as `aws-kms`: at most 15 bytes, and never another for the same keys.
    fn name(&self) -> &'static str;

    /// A new key of the tenant. Each call makes another one.
    ///
    /// # Errors
    /// `Unavailable` when the service cannot be reached or does not allow it, `Timeout` at the deadline.
    async fn make(&self, used: KeyUse<'_>) -> Result<MadeKey>;

    /// The key that [`KeyWrap::make`] wrapped for this tenant: from this process when it was opened here before, else by the
    /// service.
    ///
    /// # Errors
    /// `Internal` when it is not that, as one of another tenant or one that was changed; a changed one may also open as another
    /// key. Otherwise as [`KeyWrap::make`], naming what the operator does.
    async fn open(&self, used: KeyUse<'_>, wrapped: &[u8]) -> Result<PlainKey>;

    /// Asks the service whether the key still opens, and keeps it in this process if so. A service that refuses makes this
    /// process forget it; one that is away changes nothing.
    ///
    /// # Errors
    /// As [`KeyWrap::open`].
    async fn renew(&self, used: KeyUse<'_>, wrapped: &[u8]) -> Result<()>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_has_32_bytes_and_is_never_printed() {
        assert!(PlainKey::from_bytes(&[7; KEY_BYTES - 1]).is_none());
        assert!(PlainKey::from_bytes(&[7; KEY_BYTES + 1]).is_none());
        let plain = PlainKey::from_bytes(&[7; KEY_BYTES]).unwrap();
        assert_eq!(plain.reveal(), &[7; KEY_BYTES]);
        let made = MadeKey {
            plain,
            wrapped: Vec::new(),
        };
        assert!(!format!("{made:?}").contains("7, 7"));
    }
}
