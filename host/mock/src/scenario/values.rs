//! The values that scenarios write as text, and contents in their four shapes.

use std::path::Path;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Deserialize;
use serde_json::Value;
use stuga_core::sessions::Role;
use stuga_core::{CapabilityName, Timestamp};
use stuga_yaml::units;

/// Largest file that a scenario takes a content from.
const FILE_MAX_BYTES: u64 = 64 << 20;

macro_rules! text_type {
    ($name:ident, $inner:ty, $what:literal, $pattern:literal, $example:literal, $read:expr) => {
        #[derive(Clone, Copy, Debug, Deserialize)]
        #[serde(try_from = "String")]
        pub(crate) struct $name(pub(crate) $inner);

        impl TryFrom<String> for $name {
            type Error = String;

            fn try_from(text: String) -> Result<Self, String> {
                let read: fn(&str) -> Option<$inner> = $read;
                read(&text)
                    .map(Self)
                    .ok_or_else(|| format!(concat!("{:?} is no ", $what, " such as ", $example), text))
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "examples": [$example] })
            }
        }
    };
}

text_type!(
    Span,
    Duration,
    "time",
    "^[0-9]{1,12} ?(ms|s|m|h)$",
    "10s",
    units::parse_duration
);
text_type!(
    Size,
    u64,
    "size",
    "^[0-9]{1,15} ?(B|KiB|MiB|GiB|kB|MB|GB)$",
    "64MiB",
    units::parse_bytes
);
text_type!(
    Moment,
    Timestamp,
    "moment",
    "^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\\.[0-9]{1,3})?Z$",
    "2026-03-18T09:00:00Z",
    moment
);

fn moment(text: &str) -> Option<Timestamp> {
    let moment: jiff::Timestamp = text.parse().ok()?;
    let millis = u64::try_from(moment.as_millisecond()).ok()?;
    Some(Timestamp::from_millis(millis))
}

/// A moment as scenarios write it.
pub(crate) fn moment_text(at: Timestamp) -> String {
    let millis = i64::try_from(at.as_millis()).unwrap_or(i64::MAX);
    jiff::Timestamp::from_millisecond(millis)
        .map_or_else(|_| millis.to_string(), |at| at.to_string())
}

/// The schema of the kind of an agent's error.
pub(super) fn error_kinds(_: &mut SchemaGenerator) -> Schema {
    use stuga_core::ErrorKind as Kind;
    let names = [
        Kind::NotFound,
        Kind::Invalid,
        Kind::Denied,
        Kind::Conflict,
        Kind::QuotaExceeded,
        Kind::RateLimited,
        Kind::Timeout,
        Kind::Unavailable,
        Kind::Internal,
    ];
    let names = names.map(Kind::as_str);
    json_schema!({ "type": "string", "enum": names })
}

/// The schema of how far a job is.
pub(super) fn job_states(_: &mut SchemaGenerator) -> Schema {
    let names = stuga_core::jobs::State::ALL.map(stuga_core::jobs::State::as_str);
    json_schema!({ "type": ["string", "null"], "enum": names })
}

/// The schema of a list of capabilities.
pub(super) fn capabilities(_: &mut SchemaGenerator) -> Schema {
    let names = CapabilityName::ALL.map(CapabilityName::as_str);
    json_schema!({ "type": ["array", "null"], "items": { "type": "string", "enum": names } })
}

/// The schema of the role in a session.
pub(crate) fn role_names(_: &mut SchemaGenerator) -> Schema {
    let names = Role::ALL.map(Role::as_str);
    json_schema!({ "type": "string", "enum": names })
}

/// A content as a scenario writes it: exactly one of the four.
pub(crate) struct Content<'s> {
    pub(crate) json: Option<&'s Value>,
    pub(crate) text: Option<&'s str>,
    pub(crate) base64: Option<&'s str>,
    pub(crate) file: Option<&'s str>,
}

impl Content<'_> {
    /// How many of the four are given.
    pub(crate) fn given(&self) -> usize {
        [
            self.json.is_some(),
            self.text.is_some(),
            self.base64.is_some(),
            self.file.is_some(),
        ]
        .into_iter()
        .filter(|given| *given)
        .count()
    }

    /// Its bytes; files are found from `folder`.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn bytes(&self, folder: &Path) -> Result<Vec<u8>, String> {
        if let Some(json) = self.json {
            return Ok(json.to_string().into_bytes());
        }
        if let Some(text) = self.text {
            return Ok(text.as_bytes().to_vec());
        }
        if let Some(base64) = self.base64 {
            return STANDARD
                .decode(base64)
                .map_err(|error| format!("this is not Base64: {error}"));
        }
        read_file(folder, self.file.unwrap_or_default())
    }
}

/// The bytes of a file that a scenario names.
pub(crate) fn read_file(folder: &Path, name: &str) -> Result<Vec<u8>, String> {
    let path = folder.join(name);
    let shown = |error: std::io::Error| format!("{} cannot be read: {error}", path.display());
    let size = std::fs::metadata(&path).map_err(shown)?.len();
    if size > FILE_MAX_BYTES {
        return Err(format!(
            "{} has {size} bytes; a scenario takes at most {FILE_MAX_BYTES}",
            path.display()
        ));
    }
    std::fs::read(&path).map_err(shown)
}
