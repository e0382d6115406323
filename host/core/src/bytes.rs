//! Bytes of a write as serde sees them: for `#[serde(with = "crate::bytes")]`.
//!
//! They are written as bytes, for which JSON has no form of its own: plain `serde_json` makes a list of numbers of them, and
//! whoever keeps writes for long may choose a shorter form, as the journal does. Read is every form: a list, text in Base64,
//! and bytes.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{Error, SeqAccess, Visitor};
use serde::{Deserializer, Serializer};

/// Most room that is made for a list before its numbers have come.
const ROOM_AHEAD: usize = 4_096;

pub(crate) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
    to.serialize_bytes(bytes)
}

pub(crate) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
    from.deserialize_any(AnyForm)
}

struct AnyForm;

impl<'de> Visitor<'de> for AnyForm {
    type Value = Vec<u8>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("bytes, as a list of numbers or as text in Base64")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Vec<u8>, A::Error> {
        let mut bytes = Vec::with_capacity(list.size_hint().unwrap_or(0).min(ROOM_AHEAD));
        while let Some(byte) = list.next_element()? {
            bytes.push(byte);
        }
        Ok(bytes)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Vec<u8>, E> {
        STANDARD.decode(text).map_err(E::custom)
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Vec<u8>, E> {
        Ok(bytes.to_vec())
    }

    fn visit_byte_buf<E: Error>(self, bytes: Vec<u8>) -> Result<Vec<u8>, E> {
        Ok(bytes)
    }
}

#[cfg(test)]
mod tests {
    use crate::memory::{Expected, MemoryWrite};

    fn put(value: &[u8]) -> MemoryWrite {
        MemoryWrite::Put {
            key: "k".to_owned(),
            value: value.to_vec(),
            ttl: None,
            expected: Expected::Any,
        }
    }

    #[test]
    fn bytes_are_a_list_in_plain_json_and_read_in_every_form() {
        let plain = serde_json::to_string(&put(&[0, 104, 255])).unwrap();
        assert!(
            plain.contains("[0,104,255]"),
            "recordings have lists: {plain}"
        );
        for form in ["[0,104,255]", "\"AGj/\""] {
            let text = plain.replace("[0,104,255]", form);
            let read: MemoryWrite = serde_json::from_str(&text).unwrap();
            assert_eq!(read, put(&[0, 104, 255]), "{form}");
        }
        for wrong in ["[256]", "\"no Base64\"", "7"] {
            let text = plain.replace("[0,104,255]", wrong);
            assert!(
                serde_json::from_str::<MemoryWrite>(&text).is_err(),
                "{wrong}"
            );
        }
    }
}
