//! The words of a history: what clients ask for and what they get.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

/// Where something is kept. Each behaves as a register or as a log.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Store {
    /// Items: registers.
    Memory,
    /// Files: registers that keep their earlier versions.
    Files,
    /// Records: registers.
    Records,
    /// Sessions: logs.
    Sessions,
}

impl Store {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Memory, Self::Files, Self::Records, Self::Sessions];

    /// The capability's name, as in receipts and journals.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Memory => "memory",
            Self::Files => "files",
            Self::Records => "records",
            Self::Sessions => "sessions",
        }
    }
}

/// What a client wants of one thing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Action {
    /// Put a value.
    Write {
        /// Different in every write; see [`Mark`].
        value: String,
        /// The version that must stand, 0 for none; nothing to write in any case.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        expected: Option<u64>,
    },
    /// Remove it.
    Delete,
    /// Add a value at the end of a log.
    Append {
        /// Different in every append.
        value: String,
    },
    /// Read it; a log as a whole.
    Read,
}

impl Action {
    /// Whether it is done only where a certain version stands.
    pub fn is_conditional(&self) -> bool {
        matches!(
            self,
            Self::Write {
                expected: Some(_),
                ..
            }
        )
    }
}

/// One thing of one tenant.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Thing {
    /// Whose it is.
    pub tenant: String,
    /// Where it is kept.
    pub store: Store,
    /// Its name there.
    pub key: String,
}

impl std::fmt::Display for Thing {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {} {}", self.tenant, self.store.name(), self.key)
    }
}

/// Who answered, as the receipt says.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Served {
    /// Whether this host answered and not the cloud.
    pub local: bool,
    /// The breaker's state, when there is a breaker.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub breaker: Option<String>,
    /// Whether the write waits for the cloud.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub pending: bool,
}

/// How an operation ended.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// A write was acknowledged with this version; of an append it is its time.
    Written(u64),
    /// A removal was acknowledged.
    Deleted {
        /// Whether there was something.
        existed: bool,
    },
    /// A register was read.
    Found {
        /// Nothing stood there when there is none.
        value: Option<String>,
        /// Its version.
        version: Option<u64>,
    },
    /// A log was read, the oldest first.
    Heard(Vec<String>),
    /// Another version stood than the one that was expected.
    Conflict,
    /// The client gave up: the operation may have happened.
    Unknown(String),
}

/// What a value says of itself: `TENANT/CLIENT/NUMBER`, then whatever fills it up after a colon.
///
/// So a value that turns up anywhere tells whose it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Mark {
    /// Whose value it is.
    pub tenant: String,
    /// Which client wrote it.
    pub client: u32,
    /// The number of the operation that wrote it.
    pub number: u64,
}

impl Mark {
    /// A value with this mark and so many bytes after it.
    pub fn value(&self, filled: usize) -> String {
        let Self {
            tenant,
            client,
            number,
        } = self;
        format!("{tenant}/{client}/{number}:{}", "x".repeat(filled))
    }

    /// The mark of a value; none when it has none.
    pub fn of(value: &str) -> Option<Self> {
        let (mark, _) = value.split_once(':')?;
        let mut parts = mark.split('/');
        let mark = Self {
            tenant: parts.next()?.to_owned(),
            client: parts.next()?.parse().ok()?,
            number: parts.next()?.parse().ok()?,
        };
        parts.next().is_none().then_some(mark)
    }
}

/// The skill of the echo agent that does `action`, and its input; none for what no skill does.
pub fn request(thing: &Thing, action: &Action) -> Option<(&'static str, Value)> {
    let key = &thing.key;
    // Sessions and records have names of two parts.
    let (owner, name) = key.split_once('/').unwrap_or(("all", key));
    Some(match (thing.store, action) {
        (Store::Memory, Action::Write { value, expected }) => match expected {
            None => ("put", json!({"key": key, "text": value})),
            Some(expected) => (
                "swap",
                json!({"key": key, "text": value, "expected": expected}),
            ),
        },
        (Store::Memory, Action::Delete) => ("delete", json!({"key": key})),
        (Store::Memory, Action::Read) => ("get", json!({"key": key})),
        (Store::Files, Action::Write { value, expected }) => (
            "put-file",
            json!({"path": key, "text": value, "expected": expected}),
        ),
        (Store::Files, Action::Delete) => ("delete-file", json!({"path": key})),
        (Store::Files, Action::Read) => ("get-file", json!({"path": key})),
        (Store::Records, Action::Write { value, .. }) => (
            "learn",
            json!({"namespace": format!("/{owner}"), "id": name, "text": value}),
        ),
        (Store::Records, Action::Read) => (
            "learned",
            json!({"namespace": format!("/{owner}"), "id": name}),
        ),
        (Store::Sessions, Action::Append { value }) => (
            "say",
            json!({"actor": owner, "session": name, "text": value}),
        ),
        (Store::Sessions, Action::Read) => ("said", json!({"actor": owner, "session": name})),
        _ => return None,
    })
}

/// What the agent's answer means; none when it does not fit the action.
pub fn outcome(thing: &Thing, action: &Action, output: &Value) -> Option<Outcome> {
    Some(match action {
        Action::Write { .. } | Action::Append { .. } => {
            Outcome::Written(output.get("value")?.as_u64()?)
        }
        Action::Delete => Outcome::Deleted {
            existed: output.get("existed")?.as_bool()?,
        },
        Action::Read if thing.store == Store::Sessions => {
            let texts = output.get("texts")?.as_array()?.iter();
            Outcome::Heard(
                texts
                    .map(|text| text.as_str().map(str::to_owned))
                    .collect::<Option<_>>()?,
            )
        }
        Action::Read => Outcome::Found {
            value: output.get("text")?.as_str().map(str::to_owned),
            version: output.get("version")?.as_u64(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_tells_who_wrote_it() {
        let mark = Mark {
            tenant: "acme".to_owned(),
            client: 3,
            number: 17,
        };
        assert_eq!(Mark::of(&mark.value(5)), Some(mark));
        for other in ["", "acme/3/17", "acme/3:", "acme/x/17:", "a/1/2/3:"] {
            assert_eq!(Mark::of(other), None, "{other}");
        }
    }

    #[test]
    fn every_answer_that_does_not_fit_is_noticed() {
        let thing = Thing {
            tenant: "acme".to_owned(),
            store: Store::Memory,
            key: "k".to_owned(),
        };
        let read = outcome(
            &thing,
            &Action::Read,
            &json!({"text": null, "version": null}),
        );
        let nothing = Outcome::Found {
            value: None,
            version: None,
        };
        assert_eq!(read, Some(nothing));
        assert_eq!(outcome(&thing, &Action::Read, &json!({"value": 1})), None);
        assert_eq!(outcome(&thing, &Action::Delete, &json!({"value": 1})), None);
    }
}
