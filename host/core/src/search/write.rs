//! What changes search, and what is answered to it.

use serde::{Deserialize, Serialize};

use super::{Field, Fields, Value};
use crate::{CapabilityName, Write};

/// A change of one document.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Change {
    /// Stores a document, whatever stood there.
    Put {
        /// Under which id.
        id: String,
        /// What, in the order of the names.
        fields: Fields,
    },
    /// Changes some fields; `NotFound` when the document is absent.
    Update {
        /// Which document.
        id: String,
        /// Values to replace or to add, in the order of the names.
        set: Fields,
        /// Names to take away, in order.
        remove: Vec<String>,
    },
    /// Removes a document; that there is none is no error.
    Delete {
        /// Which document.
        id: String,
    },
}

impl Change {
    /// Which document is changed.
    pub fn id(&self) -> &str {
        match self {
            Self::Put { id, .. } | Self::Update { id, .. } | Self::Delete { id } => id,
        }
    }

    /// The values that it brings.
    pub fn values(&self) -> &[(String, Value)] {
        match self {
            Self::Put { fields, .. } => fields,
            Self::Update { set, .. } => set,
            Self::Delete { .. } => &[],
        }
    }
}

/// A change to search.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SearchWrite {
    /// Makes an index. One with equal fields stays as it is; one with others is a `Conflict`.
    CreateIndex {
        /// Its name.
        index: String,
        /// In the order of the names.
        fields: Vec<Field>,
    },
    /// Removes an index with its documents; that there is none is no error.
    DropIndex {
        /// Its name.
        index: String,
    },
    /// Changes documents, all or none. `NotFound` when there is no such index.
    Change {
        /// The index.
        index: String,
        /// In the order in which they are made.
        changes: Vec<Change>,
    },
}

impl Write for SearchWrite {
    type Ack = SearchAck;
    const CAPABILITY: CapabilityName = CapabilityName::Search;

    /// The index: what is written to it keeps its order.
    fn key(&self) -> &str {
        match self {
            Self::CreateIndex { index, .. }
            | Self::DropIndex { index }
            | Self::Change { index, .. } => index,
        }
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::CreateIndex { .. } => "search.create-index",
            Self::DropIndex { .. } => "search.drop-index",
            Self::Change { changes, .. } => match changes.as_slice() {
                [Change::Put { .. }] => "search.put",
                [Change::Update { .. }] => "search.update",
                [Change::Delete { .. }] => "search.delete",
                _ => "search.bulk",
            },
        }
    }

    fn version(ack: &SearchAck) -> u64 {
        match ack {
            SearchAck::Changed(outcomes) => {
                let versions = outcomes.iter().map(|outcome| outcome.version);
                versions.max().unwrap_or(0)
            }
            SearchAck::Created(_) | SearchAck::Dropped(_) => 0,
        }
    }
}

/// What a change to search answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SearchAck {
    /// Whether the index is new.
    Created(bool),
    /// Whether there was such an index.
    Dropped(bool),
    /// One for each change.
    Changed(Vec<Outcome>),
}

/// What the change of one document did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The document's version afterwards; after a delete that of what was deleted, 0 when there was nothing.
    pub version: u64,
    /// Whether a document stood there before.
    pub existed: bool,
}
