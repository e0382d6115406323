//! Write and answer of an entry in one piece, before it is sealed.
//!
//! Both are JSON, which later versions can still read, but for bytes: they are text in Base64, a third longer than they are,
//! where JSON's own list of numbers is three to four times as long. Entries of the time when they were lists are read as well.

use std::io;

use base64::display::Base64Display;
use base64::engine::general_purpose::STANDARD;
use serde::Serialize;
use serde_json::Serializer;
use serde_json::ser::Formatter;
use stuga_core::{Error, Result, Write};

/// Bytes that say how long the write is, before it.
const LENGTH_BYTES: usize = 4;

/// JSON as `serde_json` writes it, with bytes in Base64.
struct BytesAsText;

impl Formatter for BytesAsText {
    fn write_byte_array<W: ?Sized + io::Write>(
        &mut self,
        to: &mut W,
        bytes: &[u8],
    ) -> io::Result<()> {
        write!(to, "\"{}\"", Base64Display::new(bytes, &STANDARD))
    }
}

/// Write and answer in one piece.
pub(super) fn of<W: Write>(operation: &'static str, write: &W, ack: &W::Ack) -> Result<Vec<u8>> {
    let failed = |e| Error::internal(operation, "a write cannot be noted").with_source(e);
    let mut plain = vec![0; LENGTH_BYTES];
    add(&mut plain, write).map_err(failed)?;
    let length = u32::try_from(plain.len().saturating_sub(LENGTH_BYTES))
        .map_err(|_| Error::internal(operation, "a write is too large to be noted"))?;
    if let Some(head) = plain.first_chunk_mut::<LENGTH_BYTES>() {
        *head = length.to_le_bytes();
    }
    add(&mut plain, ack).map_err(failed)?;
    Ok(plain)
}

fn add<T: Serialize>(plain: &mut Vec<u8>, value: &T) -> serde_json::Result<()> {
    value.serialize(&mut Serializer::with_formatter(plain, BytesAsText))
}

/// The two apart; none when they cannot be what was written.
pub(super) fn apart(plain: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let (length, rest) = plain.split_first_chunk::<LENGTH_BYTES>()?;
    let length = usize::try_from(u32::from_le_bytes(*length)).ok()?;
    let (write, ack) = rest.split_at_checked(length)?;
    Some((write.to_vec(), ack.to_vec()))
}

#[cfg(test)]
mod tests {
    use stuga_core::memory::{Expected, MemoryAck, MemoryWrite};

    use super::*;

    fn put(value: Vec<u8>) -> MemoryWrite {
        MemoryWrite::Put {
            key: "k".to_owned(),
            value,
            ttl: None,
            expected: Expected::Any,
        }
    }

    const ACK: MemoryAck = MemoryAck {
        version: 7,
        existed: true,
    };

    #[test]
    fn a_write_takes_a_third_more_than_its_bytes_and_reads_the_same() {
        let value: Vec<u8> = (0..=255).cycle().take(6_000).collect();
        let write = put(value);
        let plain = of("test", &write, &ACK).unwrap();
        assert!(plain.len() < 8_200, "{}", plain.len());
        let (read, ack) = apart(&plain).unwrap();
        assert_eq!(serde_json::from_slice::<MemoryWrite>(&read).unwrap(), write);
        assert_eq!(serde_json::from_slice::<MemoryAck>(&ack).unwrap(), ACK);
    }

    #[test]
    fn an_entry_of_the_earlier_form_is_read() {
        let write = br#"{"put":{"key":"k","value":[104,101,106],"ttl":null,"expected":"any"}}"#;
        let mut plain = u32::try_from(write.len()).unwrap().to_le_bytes().to_vec();
        plain.extend(write);
        plain.extend(br#"{"version":7,"existed":true}"#);
        let (read, ack) = apart(&plain).unwrap();
        let read: MemoryWrite = serde_json::from_slice(&read).unwrap();
        assert_eq!(read, put(b"hej".to_vec()));
        assert_eq!(serde_json::from_slice::<MemoryAck>(&ack).unwrap(), ACK);
    }
}
