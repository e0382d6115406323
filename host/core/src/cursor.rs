//! Where a listing reads on: the last key of a page and the prefix it belongs to, as opaque text.
//!
//! A cursor carries no authority: it only says after which key of the caller's own scope to begin. Every backend makes it
//! the same way, so that a listing that began in the cloud reads on locally.

use crate::{Error, Result};

/// Which listing a cursor belongs to.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[repr(u8)]
pub enum Listing {
    /// Items of memory.
    Memory = b'm',
    /// Files.
    Files = b'f',
    /// Versions of a file.
    FileVersions = b'v',
    /// Sessions of an actor.
    Sessions = b's',
    /// Events of a session.
    Events = b'e',
    /// Jobs.
    Jobs = b'j',
    /// Records.
    Records = b'r',
}

/// Kind and length of the prefix, before the key.
const HEADER_BYTES: usize = 3;

/// The cursor after `last`, which begins with `prefix`.
pub fn encode(listing: Listing, prefix: &str, last: &str) -> String {
    let mut bytes = Vec::with_capacity(HEADER_BYTES + last.len());
    bytes.push(listing as u8);
    // Prefixes are bounded far below 64 KiB where they enter.
    bytes.extend(
        u16::try_from(prefix.len())
            .unwrap_or(u16::MAX)
            .to_be_bytes(),
    );
    bytes.extend_from_slice(last.as_bytes());
    hex::encode(bytes)
}

/// The key after which to read on.
///
/// # Errors
/// `Invalid` when the text is no cursor of this listing, names a key over `max_bytes` or belongs to another prefix.
pub fn decode(
    operation: &'static str,
    listing: Listing,
    prefix: &str,
    cursor: &str,
    max_bytes: usize,
) -> Result<String> {
    let malformed = || malformed(operation);
    if cursor.len() > 2 * (HEADER_BYTES + max_bytes) {
        return Err(malformed());
    }
    let bytes = hex::decode(cursor).map_err(|_| malformed())?;
    let [kind, high, low, last @ ..] = bytes.as_slice() else {
        return Err(malformed());
    };
    let last = std::str::from_utf8(last).map_err(|_| malformed())?;
    let of_prefix = usize::from(u16::from_be_bytes([*high, *low])) == prefix.len()
        && last.starts_with(prefix)
        && !last.is_empty();
    if *kind != listing as u8 || !of_prefix {
        return Err(malformed());
    }
    Ok(last.to_owned())
}

/// The error of text that is no cursor of this listing.
pub fn malformed(operation: &'static str) -> Error {
    Error::invalid(
        operation,
        "the cursor is not one that this listing returned; begin without a cursor",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_back_to_its_key_and_only_with_its_prefix() {
        let cursor = encode(Listing::Memory, "må", "måndag");
        let decode =
            |listing, prefix, cursor: &str| decode("memory.list", listing, prefix, cursor, 512);
        assert_eq!(decode(Listing::Memory, "må", &cursor).unwrap(), "måndag");
        assert!(decode(Listing::Files, "må", &cursor).is_err());
        assert!(decode(Listing::Memory, "mån", &cursor).is_err());
        assert!(decode(Listing::Memory, "", &cursor).is_err());
    }

    #[test]
    fn text_that_is_no_cursor_is_invalid() {
        for bad in ["", "6d", "6d0000", "zz", "6d0000ff", &"6d0000".repeat(400)] {
            let result = decode("memory.list", Listing::Memory, "", bad, 512);
            assert!(result.is_err(), "{bad:?}");
        }
    }
}
