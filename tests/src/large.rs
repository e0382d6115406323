//! A file larger than a guest's memory, through the echo agent's skills, whoever keeps the file.

use serde_json::{Value, json};

/// Bytes of a part. A prime, so that no part begins where a part of the store's, or what is read at once, begins.
const PART_BYTES: u64 = 1_000_003;
/// Bytes that are read by one call: with the braces around them an answer stays below the least limit of a plugin's, one MiB.
const READ_BYTES: u64 = 1_000_000;

/// A content that is one part again and again.
pub struct Large {
    part: String,
    times: u64,
}

impl Large {
    /// One of at least `bytes`, by less than a part more.
    pub fn of(bytes: u64) -> Self {
        // Letters in an order that does not repeat within a part: a piece at a wrong place is seen.
        let mut state = 1_u64;
        let letter = |_| {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            char::from(b'a' + u8::try_from((state >> 33) % 26).unwrap_or_default())
        };
        Self {
            part: (0..PART_BYTES).map(letter).collect(),
            times: bytes.div_ceil(PART_BYTES),
        }
    }

    /// Its size in bytes.
    pub fn size(&self) -> u64 {
        self.times * PART_BYTES
    }

    /// The input of the skill `upload-file` that writes it.
    pub fn upload(&self, path: &str) -> Value {
        json!({ "path": path, "text": self.part, "times": self.times })
    }

    /// Uploads it in one call and reads all of it back, a range a call.
    ///
    /// # Panics
    /// When what comes back is not what went up.
    #[expect(clippy::panic, reason = "a test fails by panicking")]
    pub async fn passes(&self, path: &str, call: impl AsyncFn(&'static str, Value) -> Value) {
        let uploaded = call("upload-file", self.upload(path)).await;
        assert_eq!(value(&uploaded, "value"), &json!(self.size()));
        // The last one reaches over the end.
        for offset in (0..self.size()).step_by(READ_BYTES as usize) {
            let range = json!({ "path": path, "offset": offset, "len": READ_BYTES });
            let read = call("read-file", range).await;
            let Some(text) = value(&read, "text").as_str() else {
                panic!("nothing was read at {offset}: {read}");
            };
            let expected = READ_BYTES.min(self.size() - offset);
            assert_eq!(text.len() as u64, expected, "at {offset}");
            assert!(self.holds(offset, text), "other letters at {offset}");
        }
    }

    /// Whether `text` stands there.
    fn holds(&self, offset: u64, text: &str) -> bool {
        let (part, mut text) = (self.part.as_bytes(), text.as_bytes());
        let mut at = usize::try_from(offset % PART_BYTES).unwrap_or_default();
        while !text.is_empty() {
            let rest = part.get(at..).unwrap_or_default();
            let (here, beyond) = text.split_at(rest.len().min(text.len()));
            if !rest.starts_with(here) {
                return false;
            }
            (at, text) = (0, beyond);
        }
        true
    }
}

fn value<'v>(of: &'v Value, name: &str) -> &'v Value {
    of.get(name).unwrap_or(&Value::Null)
}

#[cfg(test)]
mod tests {
    use super::Large;

    #[test]
    fn a_piece_at_a_wrong_place_is_seen() {
        let large = Large::of(3_000_000);
        assert_eq!(large.size(), 3_000_009);
        let piece = &large.part[5..1_000];
        assert!(large.holds(5, piece) && large.holds(1_000_003 + 5, piece));
        assert!(!large.holds(6, piece));
        let over = format!("{}{}", &large.part[1_000_000..], &large.part[..7]);
        assert!(large.holds(1_000_000, &over) && !large.holds(999_999, &over));
    }
}
