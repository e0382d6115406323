//! Names and values that an agent attaches to what it stores: the same rules for every capability.

use crate::{Error, Result};

/// Most metadata entries of one thing.
pub const METADATA_MAX_ENTRIES: usize = 32;
/// Longest metadata name in bytes.
pub const METADATA_NAME_MAX_BYTES: usize = 64;
/// Longest metadata value in bytes.
pub const METADATA_VALUE_MAX_BYTES: usize = 1_024;

/// Names with their values, in the order of the names.
pub type Metadata = Vec<(String, String)>;

/// Checks number, names, values and order.
pub fn check_metadata(operation: &'static str, metadata: &[(String, String)]) -> Result<()> {
    if metadata.len() > METADATA_MAX_ENTRIES {
        return Err(Error::invalid(
            operation,
            format!(
                "{} metadata entries; the limit is {METADATA_MAX_ENTRIES}",
                metadata.len()
            ),
        ));
    }
    for (name, value) in metadata {
        if !(1..=METADATA_NAME_MAX_BYTES).contains(&name.len()) || !is_visible(name) {
            return Err(Error::invalid(
                operation,
                "a metadata name is not 1 to 64 visible ASCII characters",
            ));
        }
        if value.len() > METADATA_VALUE_MAX_BYTES || value.chars().any(char::is_control) {
            return Err(Error::invalid(
                operation,
                format!(
                    "the metadata value of {name:?} is over 1,024 bytes or has a control character"
                ),
            ));
        }
    }
    if metadata
        .windows(2)
        .any(|pair| matches!(pair, [(a, _), (b, _)] if a >= b))
    {
        return Err(Error::invalid(
            operation,
            "metadata names are not unique or not in order",
        ));
    }
    Ok(())
}

/// Whether `text` is visible ASCII, the space included.
fn is_visible(text: &str) -> bool {
    text.bytes().all(|b| (0x20..0x7f).contains(&b))
}
