//! Whether a tenant's invocations are recorded: the `record` of its file.

use serde::{Serialize, Serializer};
use stuga_recording::{RECORDING_MAX_BYTES, Redact};

use crate::yaml::{Node, Report};

/// How many recordings are kept when the file does not say.
const KEEP: u64 = 50;
/// Most recordings that a tenant keeps.
const KEEP_MAX: u64 = 1_000;
/// How many bytes of recordings are kept when the file does not say.
const BYTES: u64 = 16 << 20;
/// Most bytes of recordings that a tenant keeps.
const BYTES_MAX: u64 = 256 << 20;

/// How a tenant's invocations are recorded.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Record {
    /// How many are kept: the latest.
    pub keep: usize,
    /// How many bytes they have together at most.
    pub bytes: usize,
    /// What is left out of them.
    #[serde(serialize_with = "as_paths")]
    pub redact: Redact,
}

impl Record {
    /// Reads the `record` of a tenant's file. What is wrong is reported, and nothing is recorded.
    pub(super) fn read(node: &Node, report: &mut Report) -> Option<Self> {
        let mut fields = report.fields(node, "record")?;
        let keep = fields
            .optional("keep")
            .and_then(|node| report.integer(node, "keep", 1..=KEEP_MAX));
        let least = RECORDING_MAX_BYTES as u64;
        let bytes = fields
            .optional("bytes")
            .and_then(|node| report.bytes(node, "bytes", least..=BYTES_MAX));
        let mut redact = Redact::default();
        if let Some(node) = fields.optional("redact") {
            for node in report.list(node, "redact").unwrap_or_default() {
                let Some(path) = report.text(node, "the path") else {
                    continue;
                };
                if let Err(error) = redact.add(path) {
                    report.add(node.at, error.message().to_owned(), "");
                }
            }
        }
        fields.finish(report);
        let size = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Some(Self {
            keep: size(keep.unwrap_or(KEEP)),
            bytes: size(bytes.unwrap_or(BYTES)),
            redact,
        })
    }
}

fn as_paths<S: Serializer>(redact: &Redact, to: S) -> Result<S::Ok, S::Error> {
    to.collect_seq(redact.paths())
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tenants::check::read_text;

    fn read(record: &str) -> Result<Option<Record>, String> {
        let text = format!("id: acme\n{record}");
        let read = read_text(Path::new("acme.yaml"), &text);
        let shown = |mistakes: Vec<crate::yaml::Diagnostic>| {
            let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
            shown.join("\n")
        };
        read.map(|tenant| tenant.record).map_err(shown)
    }

    #[test]
    fn nothing_is_recorded_unless_the_file_says_so() {
        assert_eq!(read("").unwrap(), None);
        let bare = read("record: {}\n").unwrap().unwrap();
        assert_eq!((bare.keep, bare.bytes), (50, 16 << 20));
        let text = "record:\n  keep: 5\n  bytes: 32MiB\n  redact: [input.transcript, \"output.people[].name\"]\n";
        let record = read(text).unwrap().unwrap();
        assert_eq!((record.keep, record.bytes), (5, 32 << 20));
        let paths: Vec<&str> = record.redact.paths().collect();
        assert_eq!(paths, ["input.transcript", "output.people[].name"]);
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (text, told) in [
            ("record: {kep: 5}\n", "did you mean \"keep\"?"),
            ("record: {keep: 0}\n", "acme.yaml:2:"),
            ("record: {bytes: 1KiB}\n", "acme.yaml:2:"),
            (
                "record: {redact: [people]}\n",
                "begins with none of input, output",
            ),
        ] {
            let mistakes = read(text).unwrap_err();
            assert!(mistakes.contains(told), "{text}: {mistakes}");
        }
    }
}
