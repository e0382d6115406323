//! Bytes in JSON as people can read them.
//!
//! Bytes come as lists of numbers. They are written as `{"$text": ...}` when they are UTF-8, else as `{"$base64": ...}`.
//! A field's name that begins with a dollar sign gets another one, so that nothing else looks like that.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;

pub(crate) const TEXT: &str = "$text";
pub(crate) const BASE64: &str = "$base64";

/// Writes the bytes in `json`, which is as serde_json writes it: without space between its parts.
pub(crate) fn pack(json: &str) -> String {
    let mut packed = String::with_capacity(json.len());
    let mut rest = json;
    while let Some(at) = rest.find(['"', '[']) {
        let (before, here) = rest.split_at(at);
        packed.push_str(before);
        rest = if here.starts_with('[') {
            match bytes(here) {
                Some((bytes, after)) => {
                    packed.push_str(&written(bytes));
                    after
                }
                None => {
                    packed.push('[');
                    here.get(1..).unwrap_or_default()
                }
            }
        } else {
            let (text, after) = here.split_at(text_len(here));
            if after.starts_with(':') && text.starts_with("\"$") {
                packed.push_str("\"$");
                packed.push_str(text.get(1..).unwrap_or_default());
            } else {
                packed.push_str(text);
            }
            after
        };
    }
    packed.push_str(rest);
    packed
}

/// Bytes that `json` begins with, and what comes after them.
fn bytes(json: &str) -> Option<(Vec<u8>, &str)> {
    let list = json.strip_prefix('[')?;
    let end = list.find(|c: char| !matches!(c, ',' | '0'..='9'))?;
    let (list, after) = list.split_at(end);
    let after = after.strip_prefix(']')?;
    let bytes: Option<Vec<u8>> = list.split(',').map(|number| number.parse().ok()).collect();
    bytes.map(|bytes| (bytes, after))
}

fn written(bytes: Vec<u8>) -> String {
    match String::from_utf8(bytes) {
        Ok(text) => format!("{{\"{TEXT}\":{}}}", Value::String(text)),
        Err(error) => format!(
            "{{\"{BASE64}\":\"{}\"}}",
            STANDARD.encode(error.into_bytes())
        ),
    }
}

fn text_len(json: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in json.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    json.len()
}

/// Brings back the JSON that was packed.
pub(crate) fn unpack(packed: &Value) -> String {
    let mut json = String::new();
    unpack_into(packed, &mut json);
    json
}

fn unpack_into(packed: &Value, json: &mut String) {
    match packed {
        Value::Array(items) => {
            json.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    json.push(',');
                }
                unpack_into(item, json);
            }
            json.push(']');
        }
        Value::Object(fields) => {
            if let Some(bytes) = packed_bytes(fields) {
                let numbers: Vec<String> = bytes.iter().map(u8::to_string).collect();
                json.push('[');
                json.push_str(&numbers.join(","));
                json.push(']');
                return;
            }
            json.push('{');
            for (at, (name, field)) in fields.iter().enumerate() {
                if at > 0 {
                    json.push(',');
                }
                let name = name.strip_prefix('$').unwrap_or(name);
                json.push_str(&Value::from(name).to_string());
                json.push(':');
                unpack_into(field, json);
            }
            json.push('}');
        }
        other => json.push_str(&other.to_string()),
    }
}

/// The bytes that stand here, when these are packed bytes.
pub(crate) fn bytes_of(packed: &Value) -> Option<Vec<u8>> {
    packed_bytes(packed.as_object()?)
}

fn packed_bytes(fields: &serde_json::Map<String, Value>) -> Option<Vec<u8>> {
    let mut fields = fields.iter();
    let (Some((name, Value::String(text))), None) = (fields.next(), fields.next()) else {
        return None;
    };
    match name.as_str() {
        TEXT => Some(text.as_bytes().to_vec()),
        BASE64 => STANDARD.decode(text).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round(json: &str) -> (String, Value) {
        let packed = pack(json);
        let back = unpack(&serde_json::from_str(&packed).unwrap());
        (packed, serde_json::from_str(&back).unwrap())
    }

    #[test]
    fn bytes_are_written_as_text_or_base64_and_nothing_else_is_touched() {
        let json = r#"{"value":[104,101,106],"raw":[255,0],"none":[],"large":[256],"f":[0.5,1.0],"s":"[1,2]\"[3]","n":-1}"#;
        let (packed, back) = round(json);
        assert_eq!(
            packed,
            r#"{"value":{"$text":"hej"},"raw":{"$base64":"/wA="},"none":[],"large":[256],"f":[0.5,1.0],"s":"[1,2]\"[3]","n":-1}"#
        );
        assert_eq!(back, serde_json::from_str::<Value>(json).unwrap());
    }

    #[test]
    fn what_only_looks_like_bytes_comes_back_as_it_was() {
        for json in [
            r#"{"$text":"a"}"#,
            r#"{"$$base64":"AA=="}"#,
            r#"{"$":[{"$text":[1]}]}"#,
        ] {
            assert_eq!(round(json).1, serde_json::from_str::<Value>(json).unwrap());
        }
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            "[$\\[\\]\",a-c:{}\\\\]{0,6}".prop_map(Value::from),
            proptest::collection::vec(any::<u8>(), 0..6).prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 32, 4, |inner| {
            prop_oneof![
                proptest::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
                proptest::collection::btree_map("[$]{0,2}(text|base64|a)", inner, 0..4)
                    .prop_map(|fields| fields.into_iter().collect()),
            ]
        })
    }

    proptest! {
        #[test]
        fn any_json_comes_back(json in any_json()) {
            prop_assert_eq!(round(&json.to_string()).1, json);
        }
    }
}
