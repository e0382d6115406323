//! What a document is: values by the names of their fields.

use serde::{Deserialize, Serialize};

use super::FieldKind;
use crate::Timestamp;

/// What a field of a document holds.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Value {
    /// Of a text field.
    Text(String),
    /// Of a keyword field.
    Keywords(Vec<String>),
    /// Of a number field.
    Number(#[serde(with = "exact")] f64),
    /// Of a date field.
    Date(i64),
    /// Of a vector field.
    Vector(Vec<f32>),
}

impl Value {
    /// Whether a field of `kind` holds such values.
    pub const fn is_of(&self, kind: &FieldKind) -> bool {
        matches!(
            (self, kind),
            (Self::Text(_), FieldKind::Text(_))
                | (Self::Keywords(_), FieldKind::Keyword)
                | (Self::Number(_), FieldKind::Number)
                | (Self::Date(_), FieldKind::Date)
                | (Self::Vector(_), FieldKind::Vector(_))
        )
    }

    /// Its size as the bounds and quotas count it.
    pub fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Keywords(words) => words.iter().map(String::len).sum(),
            Self::Number(_) | Self::Date(_) => 8,
            Self::Vector(numbers) => numbers.len().saturating_mul(4),
        }
    }
}

/// Names with their values, in the order of the names.
pub type Fields = Vec<(String, Value)>;

/// The value of that name.
pub fn value<'a>(fields: &'a [(String, Value)], name: &str) -> Option<&'a Value> {
    let at = fields
        .binary_search_by(|(other, _)| other.as_str().cmp(name))
        .ok()?;
    fields.get(at).map(|(_, value)| value)
}

/// A document as it is stored.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Document {
    /// Its id, unique in the index.
    pub id: String,
    /// What it holds, without what the host made.
    pub fields: Fields,
    /// Changes with every write of the document and only grows.
    pub version: u64,
    /// When it was first written since it was last absent.
    pub created_at: Timestamp,
    /// When it was written.
    pub updated_at: Timestamp,
}

/// Numbers as text: what is read is bit for bit what was written, which JSON numbers do not promise.
mod exact {
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(super) fn serialize<S: Serializer>(number: &f64, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(&format_args!("{number:e}"))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        let text = std::borrow::Cow::<'de, str>::deserialize(from)?;
        text.parse().map_err(D::Error::custom)
    }
}
