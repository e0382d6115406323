//! How Redis lets this host in. The password stands in a file or an environment variable, never in the configuration, which is
//! printed and handed about.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use stuga_core::{Error, Result};
use zeroize::Zeroizing;

use super::wrong;

/// Longest name of a user in bytes.
const USER_MAX_BYTES: usize = 128;
/// Longest password in bytes.
const PASSWORD_MAX_BYTES: usize = 4 << 10;
/// Largest file of certificates in bytes.
const CA_MAX_BYTES: usize = 1 << 20;

/// Who this host is to Redis, and whom it trusts to be Redis.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RedisAccess {
    /// The user of Redis's access control list; none for `default`, whom a password alone lets in.
    pub user: Option<String>,
    /// The file that holds the password.
    pub password_file: Option<PathBuf>,
    /// The environment variable that holds the password.
    pub password_env: Option<String>,
    /// The file with the certificates (PEM) of whom to trust with `rediss://`; none for those that the machine trusts.
    pub ca_file: Option<PathBuf>,
}

/// What [`RedisAccess`] names, read.
pub(crate) struct RedisLogin {
    pub(crate) user: Option<String>,
    pub(crate) password: Option<SecretString>,
    pub(crate) ca: Option<Vec<u8>>,
}

impl RedisAccess {
    /// Checks it against the address of Redis. Nothing is read.
    pub(super) fn check(&self, url: &str) -> Result<()> {
        if self.password_file.is_some() && self.password_env.is_some() {
            let what = "left out when there is a `password_file`";
            return Err(wrong("aws.memory.redis_access.password_env", what));
        }
        let has_password = self.password_file.is_some() || self.password_env.is_some();
        if let Some(user) = &self.user {
            let plain = |c: char| !c.is_whitespace() && !c.is_control();
            let fits = (1..=USER_MAX_BYTES).contains(&user.len()) && user.chars().all(plain);
            if !fits || !has_password {
                let what = "1 to 128 bytes without spaces, and have a `password_file` or `password_env` beside it";
                return Err(wrong("aws.memory.redis_access.user", what));
            }
        }
        if self.ca_file.is_some() && !url.starts_with("rediss://") {
            let what = "left out unless `aws.memory.redis` begins with rediss://";
            return Err(wrong("aws.memory.redis_access.ca_file", what));
        }
        Ok(())
    }

    /// Reads what it names. Blocks for a moment.
    ///
    /// # Errors
    /// `Invalid` naming the setting whose file or variable is missing, empty or too large; never what it holds.
    pub(crate) fn read(&self) -> Result<RedisLogin> {
        let password = match (&self.password_file, &self.password_env) {
            (Some(path), _) => Some(password_in(path)?),
            (None, Some(name)) => Some(password_from(name)?),
            (None, None) => None,
        };
        let ca = self.ca_file.as_deref().map(|path| {
            const SETTING: &str = "aws.memory.redis_access.ca_file";
            let bytes = read_file(path, CA_MAX_BYTES).map_err(|e| unread(SETTING, path, e))?;
            Ok(bytes.to_vec())
        });
        Ok(RedisLogin {
            user: self.user.clone(),
            password,
            ca: ca.transpose()?,
        })
    }
}

fn password_in(path: &Path) -> Result<SecretString> {
    const SETTING: &str = "aws.memory.redis_access.password_file";
    let bytes = read_file(path, PASSWORD_MAX_BYTES).map_err(|e| unread(SETTING, path, e))?;
    let text = std::str::from_utf8(&bytes).ok().map(str::trim);
    match text.filter(|text| !text.is_empty()) {
        Some(text) => Ok(text.into()),
        None => Err(wrong(SETTING, "a file with a password in it, as text")),
    }
}

fn password_from(name: &str) -> Result<SecretString> {
    const SETTING: &str = "aws.memory.redis_access.password_env";
    let value = std::env::var(name).map(Zeroizing::new).ok();
    let text = value.as_ref().map(|value| value.trim());
    match text.filter(|text| (1..=PASSWORD_MAX_BYTES).contains(&text.len())) {
        Some(text) => Ok(text.into()),
        None => Err(wrong(
            SETTING,
            "the name of an environment variable of this process that holds a password",
        )),
    }
}

/// A file of at most `max` bytes, which are wiped when they are dropped.
fn read_file(path: &Path, max: usize) -> io::Result<Zeroizing<Vec<u8>>> {
    // With room for all of it: a buffer that grew would leave copies behind.
    let mut bytes = Zeroizing::new(Vec::with_capacity(max + 1));
    File::open(path)?
        .take(max as u64 + 1)
        .read_to_end(&mut bytes)?;
    match bytes.len() > max {
        true => Err(io::Error::other(format!("it is larger than {max} bytes"))),
        false => Ok(bytes),
    }
}

fn unread(setting: &'static str, path: &Path, error: io::Error) -> Error {
    let what = format!(
        "a file that this host can read; {}: {error}",
        path.display()
    );
    wrong(setting, &what).with_source(error)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    fn access(json: &str) -> RedisAccess {
        serde_json::from_str(json).unwrap()
    }

    fn setting<T>(result: Result<T>) -> Option<String> {
        let refused = result.err()?;
        refused.context_value("setting").map(str::to_owned)
    }

    #[test]
    fn what_cannot_be_meant_is_refused_by_its_setting() {
        let (plain, tls) = ("redis://h", "rediss://h");
        for (json, url, refused) in [
            ("{}", plain, None),
            (r#"{"user": "a", "password_env": "B"}"#, plain, None),
            (r#"{"ca_file": "/ca.pem"}"#, tls, None),
            (
                r#"{"password_file": "/p", "password_env": "B"}"#,
                plain,
                Some("password_env"),
            ),
            (r#"{"user": "a"}"#, plain, Some("user")),
            (r#"{"user": "", "password_env": "B"}"#, plain, Some("user")),
            (
                r#"{"user": "a b", "password_env": "B"}"#,
                plain,
                Some("user"),
            ),
            (r#"{"ca_file": "/ca.pem"}"#, plain, Some("ca_file")),
        ] {
            let refused = refused.map(|part| format!("aws.memory.redis_access.{part}"));
            assert_eq!(setting(access(json).check(url)), refused, "{json}");
        }
        assert!(serde_json::from_str::<RedisAccess>(r#"{"password": "x"}"#).is_err());
    }

    #[test]
    fn a_place_without_a_password_is_told_and_what_it_holds_is_not() {
        let folder = std::env::temp_dir().join(format!("stuga-redis-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = folder.join(name);
            std::fs::write(&path, content).unwrap();
            RedisAccess {
                password_file: Some(path),
                ..RedisAccess::default()
            }
        };
        let read = |access: RedisAccess| access.read().map(|login| login.password);
        let good = read(file("good", b"hush hush\n")).unwrap().unwrap();
        assert_eq!(good.expose_secret(), "hush hush");
        for bad in [
            file("empty", b" \n"),
            file("binary", &[0xff, 0xfe]),
            file("large", &[b'x'; PASSWORD_MAX_BYTES + 1]),
            RedisAccess {
                password_file: Some(folder.join("none")),
                ..RedisAccess::default()
            },
        ] {
            let refused = read(bad).map(drop).unwrap_err();
            assert!(!refused.message().contains("xx"), "{refused}");
            let named = refused.context_value("setting").unwrap();
            assert_eq!(named, "aws.memory.redis_access.password_file");
        }
        let unset = access(r#"{"password_env": "STUGA_NO_SUCH_PASSWORD"}"#);
        assert!(setting(read(unset)).unwrap().ends_with("password_env"));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
