//! The tree: every value with its line and column.

use std::fmt;

use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::Spanned;

/// Deepest nesting of a file. The tree is walked recursively, so this bounds the stack.
const MAX_DEPTH: usize = 32;
/// Largest file in bytes.
pub(super) const MAX_FILE_BYTES: usize = 1 << 20;

/// Line and column, both from 1; 0 when the place is not known.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, serde::Serialize)]
pub struct Place {
    /// The line.
    pub line: u64,
    /// The column, in characters.
    pub column: u64,
}

impl From<serde_saphyr::Location> for Place {
    fn from(location: serde_saphyr::Location) -> Self {
        Self {
            line: location.line(),
            column: location.column(),
        }
    }
}

/// A value and where it stands.
#[derive(Clone, PartialEq, Debug)]
pub struct Node {
    /// Where it begins.
    pub at: Place,
    /// What it is.
    pub value: Value,
}

/// What a node is.
#[derive(Clone, PartialEq, Debug)]
pub enum Value {
    /// Nothing: `~`, `null` or an empty value.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Another number.
    Float(f64),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the file's order.
    Map(Vec<Entry>),
}

/// One key and its value.
#[derive(Clone, PartialEq, Debug)]
pub struct Entry {
    /// The key.
    pub key: String,
    /// Where the key stands.
    pub at: Place,
    /// Its value.
    pub node: Node,
}

impl Value {
    /// The kind of value in words, for messages.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Null => "nothing",
            Self::Bool(_) => "true or false",
            Self::Int(_) | Self::Float(_) => "a number",
            Self::Text(_) => "text",
            Self::List(_) => "a list",
            Self::Map(_) => "a mapping",
        }
    }

    /// The value as JSON. A number that JSON does not have becomes null.
    pub fn to_json(&self) -> serde_json::Value {
        match self {
            Self::Null => serde_json::Value::Null,
            Self::Bool(value) => (*value).into(),
            Self::Int(value) => (*value).into(),
            Self::Float(value) => (*value).into(),
            Self::Text(value) => value.as_str().into(),
            Self::List(nodes) => nodes.iter().map(|node| node.value.to_json()).collect(),
            Self::Map(entries) => serde_json::Value::Object(
                entries
                    .iter()
                    .map(|entry| (entry.key.clone(), entry.node.value.to_json()))
                    .collect(),
            ),
        }
    }
}

/// Reads one YAML document.
///
/// # Errors
/// The message and the place of the first mistake in the YAML itself.
pub fn parse(text: &str) -> Result<Node, (Place, String)> {
    if text.len() > MAX_FILE_BYTES {
        return Err((
            Place::default(),
            format!(
                "the file has {} bytes; the limit is {MAX_FILE_BYTES}",
                text.len()
            ),
        ));
    }
    let mut budget = serde_saphyr::Budget::default();
    budget.max_depth = MAX_DEPTH;
    let options =
        serde_saphyr::options! { budget: Some(budget), with_snippet: false, strict_booleans: true };
    serde_saphyr::from_str_with_options::<Located>(text, options)
        .map(|located| located.0)
        .map_err(|error| {
            let place = error.location().map(Place::from).unwrap_or_default();
            let message = error.without_snippet().to_string();
            (
                place,
                message
                    .lines()
                    .next()
                    .unwrap_or("this is not YAML")
                    .to_owned(),
            )
        })
}

/// Wraps [`Node`] so that the reader's span type stays out of the tree.
struct Located(Node);

impl<'de> Deserialize<'de> for Located {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let spanned = Spanned::<Value>::deserialize(deserializer)?;
        Ok(Self(Node {
            at: spanned.referenced.into(),
            value: spanned.value,
        }))
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a YAML value")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_none<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        Value::deserialize(deserializer)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut nodes = Vec::new();
        while let Some(Located(node)) = access.next_element()? {
            nodes.push(node);
        }
        Ok(Value::List(nodes))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Value, A::Error> {
        let mut entries = Vec::new();
        while let Some((key, Located(node))) = access.next_entry::<Spanned<String>, Located>()? {
            entries.push(Entry {
                key: key.value,
                at: key.referenced.into(),
                node,
            });
        }
        Ok(Value::Map(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_knows_its_place() {
        let node = parse("a: 1\nb:\n  - x: yes\n    y: 2s\n").unwrap();
        let Value::Map(entries) = &node.value else {
            panic!("{node:?}")
        };
        assert_eq!(
            (entries[0].at, entries[0].node.at),
            (Place { line: 1, column: 1 }, Place { line: 1, column: 4 })
        );
        let Value::List(items) = &entries[1].node.value else {
            panic!("{node:?}")
        };
        let Value::Map(inner) = &items[0].value else {
            panic!("{node:?}")
        };
        assert_eq!(inner[1].key, "y");
        assert_eq!(inner[1].at, Place { line: 4, column: 5 });
        assert_eq!(inner[1].node.value, Value::Text("2s".into()));
    }

    #[test]
    fn only_true_and_false_are_no_text() {
        let node = parse("[n, yes, on, true]").unwrap();
        let json = node.value.to_json();
        assert_eq!(json, serde_json::json!(["n", "yes", "on", true]));
    }

    #[test]
    fn hostile_yaml_is_an_error_and_not_a_crash() {
        let deep = "[".repeat(100_000);
        let bomb = "a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n";
        assert!(parse(&deep).is_err());
        assert!(parse("a: 1\na: 2\n").is_err(), "a key given twice");
        assert!(parse("a: [1, 2\n").is_err());
        assert!(parse(bomb).is_ok());
        assert!(parse(&format!("x: {}", "y".repeat(MAX_FILE_BYTES))).is_err());
    }
}
