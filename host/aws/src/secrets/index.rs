//! The versions of a secret, by their labels: `stuga.v3.1700000000000` is version 3, set at that millisecond.
//!
//! AWS keeps a version as long as it has a label. A secret has at most 20: 16 of ours, and three of AWS's own.

use std::collections::HashMap;

use aws_smithy_types::DateTime;
use stuga_core::Timestamp;
use stuga_core::secrets::SecretInfo;

/// What our labels begin with.
const LABEL: &str = "stuga.v";
/// AWS's label of the value that is valid now.
pub(super) const CURRENT: &str = "AWSCURRENT";
/// AWS's label of the value before it.
pub(super) const PREVIOUS: &str = "AWSPREVIOUS";

/// One version.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) struct Known {
    /// Its number.
    pub(super) version: u64,
    /// When it was set.
    pub(super) created_at: Timestamp,
    /// Its id in AWS.
    pub(super) id: String,
}

impl Known {
    pub(super) fn label(&self) -> String {
        format!("{LABEL}{}.{}", self.version, self.created_at.as_millis())
    }

    pub(super) fn info(&self, name: &str) -> SecretInfo {
        SecretInfo {
            name: name.to_owned(),
            version: self.version,
            created_at: self.created_at,
        }
    }

    fn of(id: &str, label: &str) -> Option<Self> {
        let (version, millis) = label.strip_prefix(LABEL)?.split_once('.')?;
        Some(Self {
            version: version.parse().ok()?,
            created_at: Timestamp::from_millis(millis.parse().ok()?),
            id: id.to_owned(),
        })
    }
}

/// All versions of a secret.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Index {
    /// The oldest first.
    versions: Vec<Known>,
    /// The id of AWS's current version.
    current: Option<String>,
    /// The id of AWS's previous version.
    previous: Option<String>,
}

impl Index {
    pub(super) fn of(stages: Option<&HashMap<String, Vec<String>>>) -> Self {
        let mut index = Self::default();
        for (id, labels) in stages.into_iter().flatten() {
            for label in labels {
                match label.as_str() {
                    CURRENT => index.current = Some(id.clone()),
                    PREVIOUS => index.previous = Some(id.clone()),
                    label => index.versions.extend(Known::of(id, label)),
                }
            }
        }
        index.versions.sort();
        index
    }

    /// Takes AWS's current version over when it has no number: somebody else set it, or a host died before it could. The
    /// caller labels what is answered.
    pub(super) fn adopt(&mut self, changed: Option<&DateTime>) -> Option<Known> {
        let current = self.current.as_ref()?;
        if self.versions.iter().any(|known| known.id == *current) {
            return None;
        }
        let millis = changed
            .and_then(|at| at.to_millis().ok())
            .unwrap_or_default();
        let adopted = Known {
            version: self.next(),
            created_at: Timestamp::from_millis(u64::try_from(millis).unwrap_or_default()),
            id: current.clone(),
        };
        self.versions.push(adopted.clone());
        Some(adopted)
    }

    /// The given version, or the latest.
    pub(super) fn find(&self, version: Option<u64>) -> Option<&Known> {
        match version {
            None => self.versions.last(),
            // Two hosts that set a secret in the same moment made two of one number: the later counts.
            Some(version) => self.versions.iter().rfind(|known| known.version == version),
        }
    }

    /// The number of the next version.
    pub(super) fn next(&self) -> u64 {
        self.find(None)
            .map_or(1, |known| known.version.saturating_add(1))
    }

    /// The oldest first.
    pub(super) fn versions(&self) -> &[Known] {
        &self.versions
    }

    /// Whether AWS has this version as the valid one.
    pub(super) fn is_current(&self, known: &Known) -> bool {
        self.current.as_deref() == Some(&known.id)
    }

    /// Whether AWS has this version as the one before.
    pub(super) fn is_previous(&self, known: &Known) -> bool {
        self.previous.as_deref() == Some(&known.id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stages(labels: &[(&str, &str)]) -> HashMap<String, Vec<String>> {
        let mut stages: HashMap<String, Vec<String>> = HashMap::new();
        for (id, label) in labels {
            stages
                .entry((*id).to_owned())
                .or_default()
                .push((*label).to_owned());
        }
        stages
    }

    #[test]
    fn versions_come_from_labels_and_foreign_labels_are_passed_over() {
        let stages = stages(&[
            ("b", "stuga.v2.2000"),
            ("b", CURRENT),
            ("a", "stuga.v1.1000"),
            ("a", PREVIOUS),
            ("a", "blue"),
            ("c", "stuga.vx.1"),
            ("c", "stuga.v9"),
        ]);
        let index = Index::of(Some(&stages));
        let numbers: Vec<u64> = index.versions().iter().map(|known| known.version).collect();
        assert_eq!(numbers, [1, 2]);
        assert_eq!(index.find(None).unwrap().label(), "stuga.v2.2000");
        assert!(index.is_current(&index.versions()[1]) && index.is_previous(&index.versions()[0]));
        assert_eq!(index.find(Some(9)), None);
    }

    #[test]
    fn a_value_that_was_rotated_in_aws_becomes_the_next_version_once() {
        let stages = stages(&[("a", "stuga.v4.1000"), ("a", PREVIOUS), ("b", CURRENT)]);
        let mut index = Index::of(Some(&stages));
        let adopted = index.adopt(Some(&DateTime::from_secs(7))).unwrap();
        assert_eq!(adopted.label(), "stuga.v5.7000");
        assert_eq!(index.find(None), Some(&adopted));
        assert_eq!(index.adopt(None), None);
        assert_eq!(Index::default().adopt(None), None);
    }
}
