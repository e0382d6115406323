//! API keys: how they are made, kept and compared.
//!
//! A key is `stuga_<id>_<secret>`. The secret has 256 random bits, so a fast keyed hash is enough: there is nothing to
//! guess. The pepper stands apart from the tenant files, so that a leaked file verifies nothing.

use std::fmt;
use std::fs;
use std::path::Path;

use aws_lc_rs::{hmac, rand};
use stuga_core::{Error, Result};

use super::ApiKey;
use crate::atomic;

/// Bytes of a key's hash.
pub const HASH_BYTES: usize = 32;
/// The environment variable that replaces the pepper file: 64 hexadecimal digits.
pub const PEPPER_ENV: &str = "STUGA_KEY_PEPPER";

const PREFIX: &str = "stuga_";
const ID_BYTES: usize = 6;
const SECRET_BYTES: usize = 32;
const HASH_PREFIX: &str = "hmac-sha256:";

/// What keys are hashed with. One for a data directory; losing it makes every key invalid.
pub struct Pepper(hmac::Key);

impl fmt::Debug for Pepper {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Pepper(..)")
    }
}

impl Pepper {
    /// Takes the pepper from [`PEPPER_ENV`], else from `data_dir/pepper`, which is made when it is missing.
    ///
    /// # Errors
    /// `Invalid` when the value is not 64 hexadecimal digits, `Internal` when the file cannot be read or written.
    pub fn open(data_dir: &Path) -> Result<Self> {
        if let Ok(text) = std::env::var(PEPPER_ENV) {
            return Self::parse(&text, PEPPER_ENV);
        }
        let path = data_dir.join("pepper");
        let failed = |error| {
            Error::internal(
                "keys.pepper",
                format!("{} cannot be read or written", path.display()),
            )
            .with_source(error)
        };
        let _lock = atomic::lock(data_dir).map_err(failed)?;
        if !path.exists() {
            let secret = random::<SECRET_BYTES>()?;
            atomic::write(&path, format!("{}\n", hex::encode(secret)).as_bytes())
                .map_err(failed)?;
        }
        Self::parse(
            fs::read_to_string(&path).map_err(failed)?.trim(),
            &path.display().to_string(),
        )
    }

    fn parse(text: &str, whence: &str) -> Result<Self> {
        let mut secret = [0; SECRET_BYTES];
        hex::decode_to_slice(text, &mut secret).map_err(|_| {
            Error::invalid(
                "keys.pepper",
                format!("{whence} is not 64 hexadecimal digits"),
            )
        })?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &secret)))
    }

    /// Whether `text` is the key whose hash is `hash`, in constant time.
    pub fn verify(&self, text: &str, hash: &[u8; HASH_BYTES]) -> bool {
        hmac::verify(&self.0, text.as_bytes(), hash).is_ok()
    }

    /// Makes a key. The text is shown once and kept nowhere.
    ///
    /// # Errors
    /// `Internal` when the machine has no randomness to give.
    pub fn create(&self, name: &str, created: &str) -> Result<(String, ApiKey)> {
        let id = hex::encode(random::<ID_BYTES>()?);
        let text = format!("{PREFIX}{id}_{}", hex::encode(random::<SECRET_BYTES>()?));
        let key = ApiKey {
            id,
            name: name.to_owned(),
            hash: self.hash(&text),
            created: created.to_owned(),
        };
        Ok((text, key))
    }

    /// What is kept of a key.
    pub(crate) fn hash(&self, text: &str) -> [u8; HASH_BYTES] {
        let mut hash = [0; HASH_BYTES];
        hash.copy_from_slice(hmac::sign(&self.0, text.as_bytes()).as_ref());
        hash
    }
}

fn random<const N: usize>() -> Result<[u8; N]> {
    let mut bytes = [0; N];
    rand::fill(&mut bytes)
        .map_err(|_| Error::internal("keys.create", "the machine gives no randomness"))?;
    Ok(bytes)
}

/// The id in a key's text; none when the text has not the form of a key.
pub fn id_of(text: &str) -> Option<&str> {
    let (id, secret) = text.strip_prefix(PREFIX)?.split_once('_')?;
    (is_hex(id, ID_BYTES) && is_hex(secret, SECRET_BYTES)).then_some(id)
}

/// Checks the id of a key as it stands in a tenant's file.
///
/// # Errors
/// `Invalid` when it is not 12 lowercase hexadecimal digits.
pub fn parse_id(text: &str) -> Result<String> {
    if is_hex(text, ID_BYTES) {
        return Ok(text.to_owned());
    }
    Err(Error::invalid(
        "key.id",
        "a key's id is 12 lowercase hexadecimal digits, as `stuga tenant key create` wrote it",
    ))
}

/// Reads the hash of a key as it stands in a tenant's file.
///
/// # Errors
/// `Invalid` when it is not `hmac-sha256:` and 64 lowercase hexadecimal digits.
pub fn parse_hash(text: &str) -> Result<[u8; HASH_BYTES]> {
    let mut hash = [0; HASH_BYTES];
    let digits = text
        .strip_prefix(HASH_PREFIX)
        .filter(|digits| is_hex(digits, HASH_BYTES));
    match digits.map(|digits| hex::decode_to_slice(digits, &mut hash)) {
        Some(Ok(())) => Ok(hash),
        _ => Err(Error::invalid(
            "key.hash",
            "a hash is hmac-sha256: and 64 lowercase hexadecimal digits, as `stuga tenant key create` wrote it",
        )),
    }
}

/// The hash as it stands in a tenant's file.
pub fn show_hash(hash: &[u8; HASH_BYTES]) -> String {
    format!("{HASH_PREFIX}{}", hex::encode(hash))
}

fn is_hex(text: &str, bytes: usize) -> bool {
    text.len() == bytes * 2
        && text
            .bytes()
            .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_verifies_only_itself_and_only_under_its_pepper() {
        let (dir, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let pepper = Pepper::open(dir.path()).unwrap();
        let (text, key) = pepper.create("ci", "2026-11-22").unwrap();
        assert_eq!(id_of(&text), Some(key.id.as_str()));
        assert!(pepper.verify(&text, &key.hash));
        assert!(!pepper.verify(&text.replace("stuga_", "stuga-"), &key.hash));
        assert!(!Pepper::open(other.path()).unwrap().verify(&text, &key.hash));
        assert!(
            Pepper::open(dir.path()).unwrap().verify(&text, &key.hash),
            "the pepper stays"
        );
        assert_eq!(parse_hash(&show_hash(&key.hash)).unwrap(), key.hash);
    }

    #[cfg(unix)]
    #[test]
    fn the_pepper_is_readable_by_its_owner_only() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        Pepper::open(dir.path()).unwrap();
        let mode = fs::metadata(dir.path().join("pepper"))
            .unwrap()
            .permissions()
            .mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn what_is_no_key_has_no_id() {
        for bad in [
            "",
            "stuga_",
            "stuga_abc_def",
            "Bearer x",
            "stuga_0123456789ab_",
            "stuga_0123456789AB_00",
        ] {
            assert_eq!(id_of(bad), None, "{bad:?}");
        }
    }
}
