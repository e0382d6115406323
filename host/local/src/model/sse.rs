//! Server-sent events out of the bytes of a response, each of bounded size.
//!
//! Only `data` counts here; names, ids and comments are passed over. What reconnects is a browser's business, not this one's.

/// Largest event in bytes, and longest line.
const EVENT_MAX_BYTES: usize = 256 << 10;

/// Cuts bytes into events.
#[derive(Default)]
pub(super) struct Events {
    /// Bytes that are no whole line yet, from `begin` on.
    buffer: Vec<u8>,
    begin: usize,
    /// The data of the event that is being read.
    data: String,
}

/// Why bytes are no events.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// An event or a line is over the limit.
    TooLarge,
    /// A line is not UTF-8.
    NotText,
}

impl Events {
    /// Takes bytes in. Call [`Events::next`] until it answers none before the next ones.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.drain(..self.begin);
        self.begin = 0;
        self.buffer.extend_from_slice(bytes);
    }

    /// The data of the next event that is complete; none when more bytes are needed.
    pub(super) fn next(&mut self) -> Result<Option<String>, Broken> {
        loop {
            let rest = self.buffer.get(self.begin..).unwrap_or_default();
            let Some(end) = rest.iter().position(|byte| *byte == b'\n') else {
                if rest.len() > EVENT_MAX_BYTES {
                    return Err(Broken::TooLarge);
                }
                return Ok(None);
            };
            let line = rest.get(..end).unwrap_or_default();
            let line = line.strip_suffix(b"\r").unwrap_or(line);
            let line = std::str::from_utf8(line).map_err(|_| Broken::NotText)?;
            self.begin += end + 1;
            if line.is_empty() {
                if !self.data.is_empty() {
                    return Ok(Some(std::mem::take(&mut self.data)));
                }
            } else if let Some(data) = line.strip_prefix("data:") {
                if self.data.len() + data.len() > EVENT_MAX_BYTES {
                    return Err(Broken::TooLarge);
                }
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(data.strip_prefix(' ').unwrap_or(data));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What comes out when the bytes come in parts of that size.
    fn read(bytes: &[u8], part: usize) -> Result<Vec<String>, Broken> {
        let mut events = Events::default();
        let mut read = Vec::new();
        for part in bytes.chunks(part) {
            events.push(part);
            while let Some(event) = events.next()? {
                read.push(event);
            }
        }
        Ok(read)
    }

    #[test]
    fn events_come_out_whole_however_their_bytes_are_cut() {
        let bytes = ": hello\r\n\r\nevent: x\ndata: {\"å\": 1}\n\ndata:two\r\ndata: lines\r\n\r\n\n\ndata: [DONE]\n\ndata: cut";
        for part in 1..bytes.len() {
            let events = read(bytes.as_bytes(), part).unwrap();
            assert_eq!(events, ["{\"å\": 1}", "two\nlines", "[DONE]"], "{part}");
        }
    }

    #[test]
    fn what_is_too_large_or_no_text_is_refused() {
        let line = vec![b'x'; EVENT_MAX_BYTES + 2];
        assert_eq!(read(&line, 1_000), Err(Broken::TooLarge));
        let lines = format!("data: {}\n", "x".repeat(1_000)).repeat(300);
        assert_eq!(read(lines.as_bytes(), 999), Err(Broken::TooLarge));
        assert_eq!(read(b"data: \xff\n\n", 3), Err(Broken::NotText));
    }
}
