//! Where a secret is that the configuration needs and does not hold: the configuration is printed and handed about.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde::ser::SerializeMap;
use serde::{Serialize, Serializer};
use stuga_core::{Error, Result};
use zeroize::Zeroizing;

use crate::yaml::{Fields, Report};

/// Largest secret, or text with several, in bytes.
const SECRET_MAX_BYTES: usize = 16 << 10;

/// Where a secret is, and which setting says so. It is read at the start and shown nowhere.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct SecretPlace {
    /// In full, such as `model.api_key_file`.
    setting: &'static str,
    place: Place,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Place {
    File(PathBuf),
    Variable(String),
}

impl SecretPlace {
    /// What one of two settings says, which are given in full: the one for a file and the one for an environment variable. None
    /// when neither is there; both are a mistake, which is reported.
    pub(super) fn find(
        fields: &mut Fields<'_>,
        report: &mut Report,
        [file, variable]: [&'static str; 2],
    ) -> Option<Self> {
        let (in_file, in_variable) = (fields.optional(key(file)), fields.optional(key(variable)));
        if let (Some(_), Some(node)) = (in_file, in_variable) {
            let section = file.rsplit_once('.').map_or(file, |(section, _)| section);
            let (file, variable) = (key(file), key(variable));
            let what = format!("{section} has both `{file}` and `{variable}`");
            report.add(node.at, what, "keep one of them");
        }
        let in_file = in_file.and_then(|node| report.text(node, file));
        let in_variable = in_variable.and_then(|node| report.text(node, variable));
        in_file
            .map(|path| Self::file(file, path))
            .or_else(|| in_variable.map(|name| Self::variable(variable, name)))
    }

    /// In a file.
    pub(crate) fn file(setting: &'static str, path: impl Into<PathBuf>) -> Self {
        let place = Place::File(path.into());
        Self { setting, place }
    }

    /// In an environment variable.
    pub(crate) fn variable(setting: &'static str, name: &str) -> Self {
        let place = Place::Variable(name.to_owned());
        Self { setting, place }
    }

    /// Reads it as it stands there. Blocks for a moment.
    ///
    /// # Errors
    /// As [`SecretPlace::wrong`], when it cannot be read, is too large or is no text.
    pub(crate) fn read(&self, operation: &'static str) -> Result<SecretString> {
        let text = match &self.place {
            Place::File(path) => {
                read_file(path).map_err(|e| self.wrong(operation, "cannot be read").with_source(e))
            }
            Place::Variable(name) => std::env::var(name)
                .map(Zeroizing::new)
                .map_err(|_| self.wrong(operation, "is not set or not UTF-8")),
        }?;
        match text.len() > SECRET_MAX_BYTES {
            true => Err(self.wrong(operation, "is too large for a secret")),
            false => Ok(text.as_str().into()),
        }
    }

    /// `Invalid` that says what is wrong with the place and names its setting; never what it holds.
    pub(crate) fn wrong(&self, operation: &'static str, what: &str) -> Error {
        let setting = self.setting;
        let place = match &self.place {
            Place::File(path) => format!("the file of `{setting}`, {},", path.display()),
            Place::Variable(name) => format!("the environment variable {name} of `{setting}`"),
        };
        Error::invalid(operation, format!("{place} {what}")).with_context("setting", setting)
    }
}

impl Serialize for SecretPlace {
    /// As it stands in the configuration.
    fn serialize<S: Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(1))?;
        match &self.place {
            Place::File(path) => map.serialize_entry(key(self.setting), path)?,
            Place::Variable(name) => map.serialize_entry(key(self.setting), name)?,
        }
        map.end()
    }
}

/// The name of a setting in its section.
fn key(setting: &'static str) -> &'static str {
    setting.rsplit_once('.').map_or(setting, |(_, key)| key)
}

/// A file's text, up to what is too large.
fn read_file(path: &Path) -> io::Result<Zeroizing<String>> {
    // With room for all of it: a text that grew would leave copies behind.
    let mut text = Zeroizing::new(String::with_capacity(2 * SECRET_MAX_BYTES));
    let file = File::open(path)?;
    file.take(SECRET_MAX_BYTES as u64 + 1)
        .read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret;

    use super::*;

    const SETTING: &str = "model.api_key_file";

    fn found(text: &str) -> std::result::Result<Option<SecretPlace>, String> {
        let mut report = Report::new(Path::new("stuga.yaml"));
        let node = report.parse(text).unwrap();
        let mut fields = report.fields(&node, "model").unwrap();
        let settings = [SETTING, "model.api_key_env"];
        let place = SecretPlace::find(&mut fields, &mut report, settings);
        fields.finish(&mut report);
        match report.into_diagnostics().first() {
            None => Ok(place),
            Some(mistake) => Err(mistake.to_string()),
        }
    }

    #[test]
    fn a_place_is_a_file_or_a_variable_and_is_shown_as_it_was_written() {
        assert_eq!(found("{}").unwrap(), None);
        for (text, shown) in [
            ("api_key_file: /run/key\n", r#"{"api_key_file":"/run/key"}"#),
            ("api_key_env: KEY\n", r#"{"api_key_env":"KEY"}"#),
        ] {
            let place = found(text).unwrap().unwrap();
            assert_eq!(serde_json::to_string(&place).unwrap(), shown);
        }
        let both = found("api_key_file: /run/key\napi_key_env: KEY\n").unwrap_err();
        let told = "2:14: model has both `api_key_file` and `api_key_env`";
        assert!(both.contains(told), "{both}");
        assert!(found("api_key_file: [a]\n").is_err());
    }

    #[test]
    fn a_secret_is_read_and_a_place_without_one_is_told_but_not_what_it_holds() {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            SecretPlace::file(SETTING, path)
        };
        let secret = place("good", b"hush hush\n").read("test").unwrap();
        assert_eq!(secret.expose_secret(), "hush hush\n");
        assert!(!format!("{secret:?}").contains("hush"));
        for (bad, told) in [
            (
                SecretPlace::file(SETTING, folder.path().join("none")),
                "cannot be read",
            ),
            (place("binary", b"xx\xff"), "cannot be read"),
            (
                place("large", &[b'x'; SECRET_MAX_BYTES + 1]),
                "is too large",
            ),
            (
                SecretPlace::variable(SETTING, "STUGA_NO_SUCH_SECRET"),
                "STUGA_NO_SUCH_SECRET of `model.api_key_file` is not set",
            ),
        ] {
            let refused = bad.read("test").unwrap_err();
            assert!(refused.message().contains(told), "{refused}");
            assert!(!refused.message().contains("xx"), "{refused}");
            assert_eq!(refused.context_value("setting"), Some(SETTING));
        }
    }
}
