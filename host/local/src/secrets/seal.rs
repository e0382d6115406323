//! AES-256-GCM with a random nonce, and what each sealed thing is bound to.
//!
//! A sealed thing is nonce, ciphertext and tag. The additional data says what it is: it opens only as that, so a row that
//! was changed, or moved to another tenant, name or version, does not open at all.

use aws_lc_rs::aead::{AES_256_GCM, Aad, NONCE_LEN, Nonce, RandomizedNonceKey};
use aws_lc_rs::{hmac, rand};
use stuga_core::keys::{KEY_BYTES, PlainKey};
use stuga_core::{Error, Result, TenantId};
use zeroize::Zeroizing;

/// A key of AES-256. Wiped when it is dropped.
pub(super) struct Key(PlainKey);

impl From<PlainKey> for Key {
    fn from(key: PlainKey) -> Self {
        Self(key)
    }
}

impl Key {
    /// A new one.
    ///
    /// # Errors
    /// `Internal` when the machine gives no randomness.
    pub(super) fn random(operation: &'static str) -> Result<Self> {
        let failed = || Error::internal(operation, "the machine gives no randomness");
        let mut key = Zeroizing::new([0; KEY_BYTES]);
        rand::fill(key.as_mut_slice()).map_err(|_| failed())?;
        Self::from_bytes(key.as_slice()).ok_or_else(failed)
    }

    /// The key of these bytes; none when there are not [`KEY_BYTES`].
    pub(super) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        PlainKey::from_bytes(bytes).map(Self)
    }

    pub(super) fn as_bytes(&self) -> &[u8; KEY_BYTES] {
        self.0.reveal()
    }

    /// Seals `plain` as what `bound` says it is.
    pub(super) fn seal(
        &self,
        operation: &'static str,
        bound: &Bound,
        plain: &[u8],
    ) -> Result<Vec<u8>> {
        let failed = |_| Error::internal(operation, "a secret cannot be encrypted");
        // With room for the tag: a buffer that moved would leave the plain text behind.
        let mut sealed = Vec::with_capacity(NONCE_LEN + plain.len() + AES_256_GCM.tag_len());
        sealed.extend_from_slice(plain);
        let nonce = self
            .aead(operation)?
            .seal_in_place_append_tag(Aad::from(&bound.0), &mut sealed)
            .map_err(failed)?;
        sealed.splice(..0, *nonce.as_ref());
        Ok(sealed)
    }

    /// Opens what was sealed as what `bound` says it is; none when it is not that, or was sealed by another key.
    pub(super) fn open(
        &self,
        operation: &'static str,
        bound: &Bound,
        sealed: &[u8],
    ) -> Result<Option<Zeroizing<Vec<u8>>>> {
        let Some((nonce, rest)) = sealed.split_at_checked(NONCE_LEN) else {
            return Ok(None);
        };
        let Ok(nonce) = Nonce::try_assume_unique_for_key(nonce) else {
            return Ok(None);
        };
        let mut plain = Zeroizing::new(rest.to_vec());
        let opened = self
            .aead(operation)?
            .open_in_place(nonce, Aad::from(&bound.0), plain.as_mut_slice())
            .map(|plain| plain.len());
        let Ok(len) = opened else { return Ok(None) };
        plain.truncate(len);
        Ok(Some(plain))
    }

    /// A digest of `value` that nobody without the key can check a guess against.
    pub(super) fn fingerprint(&self, value: &[u8]) -> hmac::Tag {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, self.as_bytes()), value)
    }

    fn aead(&self, operation: &'static str) -> Result<RandomizedNonceKey> {
        RandomizedNonceKey::new(&AES_256_GCM, self.as_bytes())
            .map_err(|_| Error::internal(operation, "a key cannot be used"))
    }
}

/// What a sealed thing is. Each part is preceded by its length, so that parts cannot run into each other.
pub(super) struct Bound(Vec<u8>);

impl Bound {
    /// The key of a tenant.
    pub(super) fn tenant_key(tenant: &TenantId) -> Self {
        Self::of(&[b"stuga tenant key 1", tenant.as_str().as_bytes()])
    }

    /// The value of one version of a tenant's secret.
    pub(super) fn value(tenant: &TenantId, name: &str, version: u64) -> Self {
        Self::of(&[
            b"stuga secret 1",
            tenant.as_str().as_bytes(),
            name.as_bytes(),
            &version.to_le_bytes(),
        ])
    }

    /// A key of a tenant's journal.
    pub(super) fn entry_key(tenant: &TenantId, id: u64) -> Self {
        let name = tenant.as_str().as_bytes();
        Self::of(&[b"stuga journal key 1", name, &id.to_le_bytes()])
    }

    /// An entry of a tenant's journal.
    pub(super) fn entry(tenant: &TenantId, parts: &[&[u8]]) -> Self {
        let name = tenant.as_str().as_bytes();
        let head: [&[u8]; 2] = [b"stuga journal entry 1", name];
        Self::of(&[&head, parts].concat())
    }

    fn of(parts: &[&[u8]]) -> Self {
        let mut bytes = Vec::new();
        for part in parts {
            bytes.extend_from_slice(&(part.len() as u64).to_le_bytes());
            bytes.extend_from_slice(part);
        }
        Self(bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OPERATION: &str = "secrets.reveal";

    fn value(tenant: &str, name: &str, version: u64) -> Bound {
        Bound::value(&TenantId::new(tenant).unwrap(), name, version)
    }

    #[test]
    fn what_was_sealed_opens_as_what_it_is_and_as_nothing_else() {
        let key = Key::random(OPERATION).unwrap();
        let sealed = key.seal(OPERATION, &value("a", "b", 1), b"plain").unwrap();
        let open = |key: &Key, bound: &Bound| key.open(OPERATION, bound, &sealed).unwrap();
        assert_eq!(**open(&key, &value("a", "b", 1)).unwrap(), *b"plain");
        for other in [value("a-b", "b", 1), value("a", "c", 1), value("a", "b", 2)] {
            assert!(open(&key, &other).is_none());
        }
        let tenant_key = Bound::tenant_key(&TenantId::new("a").unwrap());
        assert!(open(&key, &tenant_key).is_none());
        assert!(open(&Key::random(OPERATION).unwrap(), &value("a", "b", 1)).is_none());
    }

    #[test]
    fn any_flipped_bit_and_any_cut_keeps_it_shut() {
        let key = Key::random(OPERATION).unwrap();
        let bound = value("a", "b", 1);
        let sealed = key.seal(OPERATION, &bound, b"plain").unwrap();
        for at in 0..sealed.len() * 8 {
            let mut bent = sealed.clone();
            bent[at / 8] ^= 1 << (at % 8);
            assert!(key.open(OPERATION, &bound, &bent).unwrap().is_none());
        }
        for len in 0..sealed.len() {
            assert!(
                key.open(OPERATION, &bound, &sealed[..len])
                    .unwrap()
                    .is_none()
            );
        }
    }

    #[test]
    fn equal_values_are_sealed_differently() {
        let key = Key::random(OPERATION).unwrap();
        let seal = || key.seal(OPERATION, &value("a", "b", 1), b"plain").unwrap();
        assert_ne!(seal(), seal());
    }
}
