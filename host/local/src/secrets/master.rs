//! The host's master keys: a file that stands outside of all tenants' stores and seals their keys, where no key service does.
//!
//! One key a line, 64 hexadecimal digits, the current one first; lines that begin with `#` are remarks. The file is read
//! when it is needed and held no longer, so a key that is put on top is used from the next call on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use stuga_core::keys::KEY_BYTES;
use stuga_core::{Error, Result};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::seal::Key;

/// Most keys in the file: the current one and those that it replaced.
const KEYS_MAX: usize = 32;
/// Largest file in bytes, remarks included.
const FILE_MAX_BYTES: usize = 16 << 10;
/// Bytes of a key's id.
const ID_BYTES: usize = 16;

/// Where the master keys are.
#[derive(Clone, Debug)]
pub(crate) struct MasterKeyFile(PathBuf);

/// Tells master keys apart; says nothing of the key.
pub(super) type MasterId = [u8; ID_BYTES];

/// The keys of the file, the current one first.
pub(super) struct MasterKeys(Vec<(MasterId, Key)>);

impl MasterKeyFile {
    /// The file at `path`. Nothing is read yet.
    pub(crate) fn at(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The keys, of which there must be one. Blocks.
    pub(super) fn read(&self, operation: &'static str) -> Result<MasterKeys> {
        match self.open()? {
            Some(keys) => Ok(keys),
            None => Err(Error::unavailable(
                operation,
                "the host's master key is missing; the operator must restore its file or name it in STUGA_MASTER_KEY_FILE",
            )
            .with_source(io::Error::other(format!("{} is missing", self.0.display())))),
        }
    }

    /// The keys; makes the file with a new one when it is missing. Blocks.
    pub(super) fn read_or_create(&self, operation: &'static str) -> Result<MasterKeys> {
        if let Some(keys) = self.open()? {
            return Ok(keys);
        }
        let key = Key::random(operation)?;
        create(&self.0, &key).map_err(|e| self.failed(e))?;
        // Not the one just made: another process may have been faster.
        self.read(operation)
    }

    fn open(&self) -> Result<Option<MasterKeys>> {
        let file = match File::open(&self.0) {
            Ok(file) => file,
            Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(e) => return Err(self.failed(e)),
        };
        self.check_mode(&file)?;
        // With room for all of it: a text that grew would leave copies behind.
        let mut text = Zeroizing::new(String::with_capacity(2 * FILE_MAX_BYTES));
        file.take(FILE_MAX_BYTES as u64 + 1)
            .read_to_string(&mut text)
            .map_err(|e| self.failed(e))?;
        if text.len() > FILE_MAX_BYTES {
            return Err(self.failed(io::Error::other("the file is too large")));
        }
        self.parse(&text).map(Some)
    }

    fn parse(&self, text: &str) -> Result<MasterKeys> {
        let mut keys = Vec::new();
        let lines = text.lines().map(str::trim);
        for line in lines.filter(|line| !line.is_empty() && !line.starts_with('#')) {
            let mut bytes = Zeroizing::new([0; KEY_BYTES]);
            let decoded = hex::decode_to_slice(line, bytes.as_mut_slice());
            let key = decoded
                .ok()
                .and_then(|()| Key::from_bytes(bytes.as_slice()));
            let Some(key) = key.filter(|_| keys.len() < KEYS_MAX) else {
                return Err(self.malformed());
            };
            keys.push((id_of(&key), key));
        }
        if keys.is_empty() {
            return Err(self.malformed());
        }
        Ok(MasterKeys(keys))
    }

    #[cfg(unix)]
    fn check_mode(&self, file: &File) -> Result<()> {
        use std::os::unix::fs::PermissionsExt;
        /// Anything for the group or for others.
        const FOREIGN: u32 = 0o077;
        let mode = file.metadata().map_err(|e| self.failed(e))?.permissions();
        if mode.mode() & FOREIGN == 0 {
            return Ok(());
        }
        Err(Error::unavailable(
            "secrets.master-key",
            "the host's master key can be read by others; the operator must make its file the host's alone (chmod 600)",
        )
        .with_source(io::Error::other(format!(
            "{} has mode {:o}",
            self.0.display(),
            mode.mode() & 0o777
        ))))
    }

    #[cfg(not(unix))]
    fn check_mode(&self, _: &File) -> Result<()> {
        Ok(())
    }

    fn malformed(&self) -> Error {
        Error::unavailable(
            "secrets.master-key",
            "the host's master key file is damaged; it holds 1 to 32 lines of 64 hexadecimal digits",
        )
        .with_source(io::Error::other(format!("{} is damaged", self.0.display())))
    }

    fn failed(&self, error: io::Error) -> Error {
        let message = match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
                "the host's master key cannot be made: its disk is full; the operator must make room"
            }
            _ => "the host's master key cannot be read or made; see the host's log",
        };
        Error::unavailable("secrets.master-key", message)
            .with_source(io::Error::other(format!("{}: {error}", self.0.display())))
    }
}

impl MasterKeys {
    /// The one that new things are sealed with.
    pub(super) fn current(&self, operation: &'static str) -> Result<&(MasterId, Key)> {
        self.0
            .first()
            .ok_or_else(|| Error::internal(operation, "there is no master key"))
    }

    /// The one of that id.
    ///
    /// # Errors
    /// `Unavailable` when it is not in the file.
    pub(super) fn find(&self, operation: &'static str, id: &[u8]) -> Result<&Key> {
        let found = self.0.iter().find(|(known, _)| known == id);
        found.map(|(_, key)| key).ok_or_else(|| {
            Error::unavailable(
                operation,
                "the master key that sealed a key of the tenant's is not in the host's key file; the operator must put it back",
            )
        })
    }
}

fn id_of(key: &Key) -> MasterId {
    let digest = Sha256::new()
        .chain_update(b"stuga master key id 1")
        .chain_update(key.as_bytes())
        .finalize();
    let mut id = [0; ID_BYTES];
    id.iter_mut().zip(digest).for_each(|(to, from)| *to = from);
    id
}

/// Makes the file, whole or not at all, readable by its owner alone. That there is one already is no error.
fn create(path: &Path, key: &Key) -> io::Result<()> {
    let directory = path
        .parent()
        .filter(|directory| !directory.as_os_str().is_empty())
        .unwrap_or(Path::new("."));
    create_private_dir(directory)?;
    let beside = directory.join(format!(".new-{}", Uuid::new_v4().as_simple()));
    let mut text = Zeroizing::new(hex::encode(key.as_bytes()));
    text.push('\n');
    let made = write_private(&beside, text.as_bytes())
        .and_then(|()| match fs::hard_link(&beside, path) {
            // A link replaces nothing: the first of several stays.
            Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            linked => linked,
        })
        .and_then(|()| File::open(directory)?.sync_all());
    fs::remove_file(&beside).and(made)
}

fn create_private_dir(directory: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::DirBuilderExt;
        builder.mode(0o700);
    }
    builder.create(directory)
}

fn write_private(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.mode(0o600);
    }
    let mut file = options.open(path)?;
    file.write_all(content)?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;
    use stuga_core::ErrorKind;

    const OPERATION: &str = "secrets.set";

    #[test]
    fn the_file_is_made_once_for_its_owner_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys/master.key");
        let file = MasterKeyFile::at(&path);
        assert!(file.read(OPERATION).is_err(), "reading makes no key");
        let made: Vec<MasterId> = std::thread::scope(|scope| {
            let make = || file.read_or_create(OPERATION).unwrap();
            let all: Vec<_> = (0..4).map(|_| scope.spawn(make)).collect();
            let id = |keys: MasterKeys| keys.current(OPERATION).unwrap().0;
            all.into_iter().map(|one| id(one.join().unwrap())).collect()
        });
        assert!(made.iter().all(|id| *id == made[0]));
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
            let directory = fs::metadata(path.parent().unwrap()).unwrap();
            assert_eq!(directory.permissions().mode() & 0o777, 0o700);
        }
        let beside = fs::read_dir(path.parent().unwrap()).unwrap().count();
        assert_eq!(beside, 1, "nothing is left beside it");
    }

    #[cfg(unix)]
    #[test]
    fn a_file_that_others_can_read_is_refused_with_the_fix() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("master.key");
        let file = MasterKeyFile::at(&path);
        file.read_or_create(OPERATION).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let refused = file.read(OPERATION).map(drop).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Unavailable);
        assert!(refused.message().contains("chmod 600"), "{refused}");
    }

    #[test]
    fn the_first_key_is_current_and_the_others_are_found() {
        let directory = tempfile::tempdir().unwrap();
        let file = MasterKeyFile::at(directory.path().join("master.key"));
        let (new, old) = ("11".repeat(KEY_BYTES), "22".repeat(KEY_BYTES));
        let keys = file
            .parse(&format!("# since May\n{new}\n\n{old}\n"))
            .unwrap();
        let old = id_of(&Key::from_bytes(&[0x22; KEY_BYTES]).unwrap());
        let current = keys.current(OPERATION).unwrap();
        assert_eq!(current.1.as_bytes(), &[0x11; KEY_BYTES]);
        assert!(keys.find(OPERATION, &old).is_ok());
        assert!(keys.find(OPERATION, &[0; ID_BYTES]).is_err());
        for bad in [
            "",
            "# nothing\n",
            "xy\n",
            &new[1..],
            &format!("{new}\n").repeat(33),
        ] {
            let refused = file.parse(bad).map(drop).unwrap_err();
            assert!(
                !refused.to_string().contains(&new[2..]),
                "no key in an error"
            );
        }
    }
}
