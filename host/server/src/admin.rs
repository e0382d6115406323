//! How operators reach a running host: the key that opens `/v1/admin`, and the address at which commands on the same data
//! directory find it.
//!
//! The key lies in the data directory, readable by its owner alone, beside the pepper: who can read it could change
//! everything by hand. No key of a tenant opens `/v1/admin`.

use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use stuga_core::{Error, Result};

use crate::atomic;
use crate::tenants::keys::{self, HASH_BYTES, Pepper};

/// The environment variable that replaces the key's file, for the server and for commands.
pub const KEY_ENV: &str = "STUGA_ADMIN_KEY";

const OPERATION: &str = "admin.key";

/// The operator's key, as the host keeps it: without its secret.
pub struct AdminKey {
    id: String,
    hash: [u8; HASH_BYTES],
}

impl AdminKey {
    /// Takes the key from [`KEY_ENV`], else from `data_dir/admin.key`, which is made when it is missing.
    ///
    /// # Errors
    /// `Invalid` when it has not the form of a key, `Internal` when the file cannot be read or written.
    pub fn open(data_dir: &Path, pepper: &Pepper) -> Result<Self> {
        if let Some(text) = given()? {
            return Self::of(&text, KEY_ENV, pepper);
        }
        let path = path(data_dir);
        let failed = |error| {
            let message = format!("{} cannot be read or written", path.display());
            Error::internal(OPERATION, message).with_source(error)
        };
        let _lock = atomic::lock(data_dir).map_err(failed)?;
        if !path.exists() {
            let (text, _) = pepper.create("admin", "")?;
            atomic::write(&path, format!("{text}\n").as_bytes()).map_err(failed)?;
        }
        let text = fs::read_to_string(&path).map_err(failed)?;
        Self::of(text.trim(), &path.display().to_string(), pepper)
    }

    fn of(text: &str, whence: &str, pepper: &Pepper) -> Result<Self> {
        let id = keys::id_of(text).ok_or_else(|| {
            let message = format!(
                "{whence} holds no key such as `stuga_` with 12 and 64 hexadecimal digits; remove the file to have one made"
            );
            Error::invalid(OPERATION, message)
        })?;
        Ok(Self {
            id: id.to_owned(),
            hash: pepper.hash(text),
        })
    }

    /// Its id, which may stand in logs.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// Whether `text` is it, in constant time.
    pub fn verify(&self, text: &str, pepper: &Pepper) -> bool {
        pepper.verify(text, &self.hash)
    }
}

/// The key's text, for a command.
///
/// # Errors
/// `NotFound` when there is none, saying where it is looked for.
pub(crate) fn key(data_dir: &Path) -> Result<String> {
    if let Some(text) = given()? {
        return Ok(text);
    }
    let path = path(data_dir);
    let text = fs::read_to_string(&path).map_err(|error| {
        let message = format!(
            "there is no admin key: {} cannot be read; name the server's data directory with --data-dir, or set {KEY_ENV}",
            path.display()
        );
        Error::not_found(OPERATION, message).with_source(error)
    })?;
    Ok(text.trim().to_owned())
}

fn path(data_dir: &Path) -> PathBuf {
    data_dir.join("admin.key")
}

fn given() -> Result<Option<String>> {
    match std::env::var(KEY_ENV) {
        Ok(text) => Ok(Some(text.trim().to_owned())),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(_) => Err(Error::invalid(OPERATION, format!("{KEY_ENV} is not text"))),
    }
}

/// Where a server takes calls, as it says in its data directory for as long as it runs.
pub(crate) struct Served {
    path: PathBuf,
    address: SocketAddr,
}

impl Served {
    /// Says it. What another server said before is replaced.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn write(data_dir: &Path, address: SocketAddr) -> std::io::Result<Self> {
        let path = data_dir.join("serve.json");
        let text = serde_json::json!({ "address": address }).to_string();
        atomic::write(&path, text.as_bytes())?;
        Ok(Self { path, address })
    }

    /// The address of the server that says so last, as it is called from this machine; none when nobody does.
    pub(crate) fn url(data_dir: &Path) -> Option<String> {
        let mut address = Self::read(&data_dir.join("serve.json"))?;
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        Some(format!("http://{address}"))
    }

    fn read(path: &Path) -> Option<SocketAddr> {
        #[derive(Deserialize)]
        struct Said {
            address: SocketAddr,
        }
        let text = fs::read(path).ok()?;
        serde_json::from_slice::<Said>(&text)
            .ok()
            .map(|said| said.address)
    }
}

impl Drop for Served {
    /// Takes it back, unless another server has said something else since.
    fn drop(&mut self) {
        if Self::read(&self.path) == Some(self.address) {
            // A server that is gone is noticed by whoever calls it.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn the_key_is_made_once_and_is_its_owners_alone() {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir().unwrap();
        let pepper = Pepper::open(dir.path()).unwrap();
        assert!(
            key(dir.path())
                .unwrap_err()
                .message()
                .contains("--data-dir")
        );
        let first = AdminKey::open(dir.path(), &pepper).unwrap();
        let text = key(dir.path()).unwrap();
        assert!(first.verify(&text, &pepper));
        assert_eq!(keys::id_of(&text), Some(first.id()));
        let again = AdminKey::open(dir.path(), &pepper).unwrap();
        assert!(again.verify(&text, &pepper), "the key stays");
        let (other, _) = pepper.create("ci", "").unwrap();
        assert!(!first.verify(&other, &pepper), "a tenant's key is none");
        let mode = fs::metadata(path(dir.path())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn a_file_without_a_key_is_named() {
        let dir = tempfile::tempdir().unwrap();
        let pepper = Pepper::open(dir.path()).unwrap();
        fs::write(path(dir.path()), "hunter2\n").unwrap();
        let refused = AdminKey::open(dir.path(), &pepper).err().unwrap();
        assert!(refused.message().contains("admin.key"), "{refused}");
        assert!(!refused.message().contains("hunter2"), "{refused}");
    }

    #[test]
    fn a_server_says_where_it_is_and_takes_back_only_its_own_word() {
        let dir = tempfile::tempdir().unwrap();
        let at = |text: &str| text.parse::<SocketAddr>().unwrap();
        assert_eq!(Served::url(dir.path()), None);
        let first = Served::write(dir.path(), at("0.0.0.0:81")).unwrap();
        let url = Served::url(dir.path());
        assert_eq!(url.as_deref(), Some("http://127.0.0.1:81"));
        let second = Served::write(dir.path(), at("[::]:82")).unwrap();
        drop(first);
        assert_eq!(Served::url(dir.path()).as_deref(), Some("http://[::1]:82"));
        drop(second);
        assert_eq!(Served::url(dir.path()), None);
    }
}
