//! How long and how much of a tenant's data is kept: the `retention` of its file.

use std::time::Duration;

use serde::Serialize;

use crate::units;
use crate::yaml::{Node, Report};

/// Ages from an hour, far more than a sweep takes, to a hundred years.
const AGE_LEAST: Duration = Duration::from_secs(3_600);
const AGE_MOST: Duration = Duration::from_secs(36_500 * 24 * 3_600);

/// What is kept of one kind of data. Beyond it, what was written longest ago goes first. None keeps all.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Keep {
    /// How long since it was written.
    #[serde(serialize_with = "as_text")]
    pub age: Option<Duration>,
    /// How many.
    pub count: Option<u64>,
    /// How many bytes.
    pub bytes: Option<u64>,
}

/// What is kept of a tenant's data, of all its agents together.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Retention {
    /// Items of memory.
    pub memory: Keep,
    /// Events of sessions.
    pub sessions: Keep,
    /// Records.
    pub records: Keep,
}

impl Retention {
    /// Whether something goes by the passing of time alone.
    pub fn has_age(&self) -> bool {
        [self.memory, self.sessions, self.records]
            .iter()
            .any(|keep| keep.age.is_some())
    }

    /// Reads the `retention` of a tenant's file. What is wrong keeps all and is reported.
    pub(super) fn read(node: &Node, report: &mut Report) -> Self {
        let Some(mut fields) = report.fields(node, "retention") else {
            return Self::default();
        };
        let mut keep = |name| {
            fields
                .optional(name)
                .map(|node| Keep::read(node, name, report))
                .unwrap_or_default()
        };
        let retention = Self {
            memory: keep("memory"),
            sessions: keep("sessions"),
            records: keep("records"),
        };
        fields.finish(report);
        retention
    }
}

impl Keep {
    fn read(node: &Node, what: &str, report: &mut Report) -> Self {
        let Some(mut fields) = report.fields(node, format!("retention of {what}")) else {
            return Self::default();
        };
        let age = fields
            .optional("age")
            .and_then(|node| report.duration(node, "age", AGE_LEAST..=AGE_MOST));
        let count = fields
            .optional("count")
            .and_then(|node| report.integer(node, "count", 1..=100_000_000));
        let bytes = fields
            .optional("bytes")
            .and_then(|node| report.bytes(node, "bytes", 1 << 10..=1 << 40));
        fields.finish(report);
        Self { age, count, bytes }
    }
}

fn as_text<S: serde::Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.serialize_some(&units::show_duration(*time)),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tenants::check::read_text;
    use std::path::Path;

    const DAY: Duration = Duration::from_secs(24 * 3_600);

    #[test]
    fn each_kind_of_data_has_bounds_of_its_own() {
        let text = "id: acme\nretention:\n  memory: { age: 90d, count: 1000 }\n  sessions: { bytes: 64MiB }\n";
        let tenant = read_text(Path::new("acme.yaml"), text).unwrap();
        let expected = Retention {
            memory: Keep {
                age: Some(90 * DAY),
                count: Some(1_000),
                bytes: None,
            },
            sessions: Keep {
                bytes: Some(64 << 20),
                ..Keep::default()
            },
            records: Keep::default(),
        };
        assert_eq!(tenant.retention, expected);
    }

    #[test]
    fn without_retention_everything_is_kept() {
        let tenant = read_text(Path::new("acme.yaml"), "id: acme\n").unwrap();
        assert_eq!(tenant.retention, Retention::default());
    }

    #[test]
    fn mistakes_are_named_with_their_place_and_the_fix() {
        let text = "id: acme\nretention:\n  memory: { age: 5m }\n  session: { age: 1d }\n  records: { days: 3 }\n";
        let found = read_text(Path::new("acme.yaml"), text).unwrap_err();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        let expected = [
            "acme.yaml:3:18: age is \"5m\"; write a time from 1h to ",
            "acme.yaml:4:3: unknown key \"session\" in retention; did you mean \"sessions\"?",
            "acme.yaml:5:14: unknown key \"days\" in retention of records",
        ];
        assert_eq!(found.len(), expected.len(), "{found:#?}");
        for (found, expected) in found.iter().zip(expected) {
            assert!(
                found.starts_with(expected),
                "{found}\nshould begin with\n{expected}"
            );
        }
    }
}
