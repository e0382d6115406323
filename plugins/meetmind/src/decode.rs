//! Bytes of unknown encoding to text: BOM, else UTF-8, else Windows-1252 with a warning.
//!
//! Written out because the one crate for this carries tables of every legacy encoding (some 300 KB in a guest), and
//! these three need thirty-two table entries.

/// What Windows-1252 has in 0x80..=0x9F; the five unassigned bytes map to themselves, as the WHATWG standard says.
const WINDOWS_1252_HIGH: [char; 32] = [
    '€', '\u{81}', '‚', 'ƒ', '„', '…', '†', '‡', 'ˆ', '‰', 'Š', '‹', 'Œ', '\u{8d}', 'Ž', '\u{8f}',
    '\u{90}', '‘', '’', '“', '”', '•', '–', '—', '˜', '™', 'š', '›', 'œ', '\u{9d}', 'ž', 'Ÿ',
];

/// Text and, when a guess was needed, a sentence that says so.
pub(crate) struct Decoded {
    pub(crate) text: String,
    pub(crate) warning: Option<String>,
}

/// Never fails: whatever is not UTF-16 by its mark or UTF-8 is read as Windows-1252, in which every byte is something.
pub(crate) fn decode(bytes: Vec<u8>) -> Decoded {
    match bytes.as_slice() {
        [0xFF, 0xFE, rest @ ..] => return utf16(rest, u16::from_le_bytes),
        [0xFE, 0xFF, rest @ ..] => return utf16(rest, u16::from_be_bytes),
        _ => {}
    }
    match String::from_utf8(bytes) {
        Ok(text) => Decoded {
            text,
            warning: None,
        },
        Err(error) => {
            let offset = error.utf8_error().valid_up_to();
            Decoded {
                text: error.into_bytes().into_iter().map(windows_1252).collect(),
                warning: Some(format!(
                    "the transcript is not UTF-8 (first bad byte at {offset}); it was read as Windows-1252"
                )),
            }
        }
    }
}

fn utf16(bytes: &[u8], unit: fn([u8; 2]) -> u16) -> Decoded {
    let (pairs, odd) = bytes.as_chunks::<2>();
    let mut replaced = !odd.is_empty();
    let text = char::decode_utf16(pairs.iter().map(|pair| unit(*pair)))
        .map(|unit| {
            unit.unwrap_or_else(|_| {
                replaced = true;
                char::REPLACEMENT_CHARACTER
            })
        })
        .collect();
    Decoded {
        text,
        warning: replaced.then(|| {
            "the transcript is broken UTF-16; unreadable parts became \u{fffd}".to_owned()
        }),
    }
}

fn windows_1252(byte: u8) -> char {
    byte.checked_sub(0x80)
        .and_then(|high| WINDOWS_1252_HIGH.get(usize::from(high)).copied())
        .unwrap_or(char::from(byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn utf8_passes_without_a_warning() {
        let decoded = decode("möte".as_bytes().to_vec());
        assert_eq!(decoded.text, "möte");
        assert_eq!(decoded.warning, None);
    }

    #[test]
    fn windows_1252_is_read_and_the_first_bad_byte_named() {
        let decoded = decode(b"m\xf6te \x93ja\x94".to_vec());
        assert_eq!(decoded.text, "möte “ja”");
        assert!(decoded.warning.unwrap().contains("first bad byte at 1"));
    }

    #[test]
    fn utf16_follows_its_mark_in_both_orders() {
        assert_eq!(decode(b"\xff\xfem\0\xf6\0".to_vec()).text, "mö");
        assert_eq!(decode(b"\xfe\xff\0m\0\xf6".to_vec()).text, "mö");
    }

    #[test]
    fn half_a_utf16_unit_is_warned_of() {
        let decoded = decode(b"\xff\xfem\0\xf6".to_vec());
        assert_eq!(decoded.text, "m");
        assert!(decoded.warning.is_some());
    }
}
