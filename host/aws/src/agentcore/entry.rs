//! What stands beside each event in its metadata: what the write was, what it built on, and what holds after it. The entry
//! of the highest version says all that is known of its stream, so a stream is read from its end and no further.
//!
//! AgentCore takes at most 15 pairs of metadata, with values of at most 256 characters of a small alphabet; hence numbers
//! between dots, and keys in base64.

use std::collections::HashMap;

use aws_sdk_bedrockagentcore::types::{Event, MetadataValue};
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use stuga_core::{Timestamp, version_time};

/// What an entry is written as. Entries of another form are not ours, or of a later host, and are passed over.
const FORM: &str = "1";
/// Longest value of a metadata entry.
const VALUE_MAX_CHARS: usize = 256;
/// Names of the parts of the key.
const KEY_PARTS: [&str; 4] = ["k0", "k1", "k2", "k3"];

/// What was done.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) enum Kind {
    /// An item or a record was put.
    #[serde(rename = "p")]
    Put,
    /// An item, a record or a session was deleted, or found absent.
    #[serde(rename = "d")]
    Delete,
    /// A session was begun.
    #[serde(rename = "c")]
    Create,
    /// An event was appended to a session.
    #[serde(rename = "a")]
    Append,
    /// A session was closed.
    #[serde(rename = "x")]
    Close,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Put,
        Self::Delete,
        Self::Create,
        Self::Append,
        Self::Close,
    ];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Put => "p",
            Self::Delete => "d",
            Self::Create => "c",
            Self::Append => "a",
            Self::Close => "x",
        }
    }
}

/// A write as its event tells it. Times are the host's; the version is of the clock that all hosts share.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// Grows with each write of the stream.
    pub(crate) version: u64,
    /// The version on which the write built; 0 when nothing was there. Of two that built on the same the higher counts.
    pub(crate) base: u64,
    /// The version that callers see: of an item that was deleted the last one, 0 when there was none; of an event its place
    /// in its session. It stays when a host says again what holds, which takes a version of its own, and it is another
    /// side's when the write was acknowledged there.
    pub(crate) shown: u64,
    /// Where writes of all sides have come to, by the rule of [`stuga_core::next_version`]: no less than any that is in the
    /// stream, so that what is given next is larger.
    #[serde(default)]
    pub(crate) stamp: u64,
    /// What was done.
    pub(crate) kind: Kind,
    /// Whether something stood there before, or the session was open: a part of what the write answered.
    pub(crate) existed: bool,
    /// When it was done.
    pub(crate) at: Timestamp,
    /// Since when what holds now is there.
    pub(crate) created_at: Timestamp,
    /// From when on it is absent.
    pub(crate) expires_at: Option<Timestamp>,
    /// When the session was closed.
    pub(crate) closed_at: Option<Timestamp>,
    /// The version of the session's beginning; 0 of what is no session.
    pub(crate) incarnation: u64,
    /// Where what holds now stands among the writes of all sides, by which the later one wins: an item or its removal, or
    /// the beginning of a session.
    #[serde(default)]
    pub(crate) place: u64,
    /// Bytes of the content.
    pub(crate) bytes: u64,
    /// The id of the write, as [`stuga_core::WriteId::to_name`] has it.
    pub(crate) write: String,
    /// The digest of the write, in hex.
    pub(crate) digest: String,
    /// The event that began the session; empty of what is no session.
    pub(crate) origin: String,
    /// The event that this one only confirms, and which holds the content; empty of a write that stands by itself.
    pub(crate) confirms: String,
    /// What the stream holds: the item's key, the session's id.
    pub(crate) key: String,
    /// The id that AgentCore gave the event; empty before it is written.
    #[serde(default)]
    pub(crate) event: String,
}

impl Entry {
    /// Milliseconds since 1970 on the clock that the hosts share.
    pub(crate) const fn shared_millis(&self) -> u64 {
        version_time(self.version).as_millis()
    }

    /// The event that holds the content.
    pub(crate) fn content_event(&self) -> &str {
        match self.confirms.as_str() {
            "" => &self.event,
            confirmed => confirmed,
        }
    }

    /// With what entries did not say that were written before there were two sides: then all came in the order of versions.
    pub(crate) fn filled(mut self) -> Self {
        if self.stamp == 0 {
            self.stamp = self.version;
        }
        if self.place == 0 {
            self.place = match self.incarnation {
                0 => self.version,
                began => began,
            };
        }
        self
    }

    /// Whether what the entry tells of is there at `now`.
    pub(crate) fn is_live(&self, now: Timestamp) -> bool {
        self.kind != Kind::Delete && self.expires_at.is_none_or(|at| at > now)
    }

    /// As metadata of an event.
    pub(crate) fn to_metadata(&self) -> HashMap<String, MetadataValue> {
        let optional = |at: Option<Timestamp>| {
            at.map_or_else(|| "-".to_owned(), |at| at.as_millis().to_string())
        };
        let head = [
            FORM.to_owned(),
            self.version.to_string(),
            self.base.to_string(),
            self.shown.to_string(),
            self.kind.as_str().to_owned(),
            u8::from(self.existed).to_string(),
            self.at.as_millis().to_string(),
            self.created_at.as_millis().to_string(),
            optional(self.expires_at),
            optional(self.closed_at),
            self.incarnation.to_string(),
            self.bytes.to_string(),
            self.stamp.to_string(),
            self.place.to_string(),
        ];
        let key = URL_SAFE_NO_PAD.encode(&self.key);
        let key_parts = key.as_bytes().chunks(VALUE_MAX_CHARS);
        let mut pairs = vec![
            ("h", head.join(".")),
            ("w", self.write.clone()),
            ("d", self.digest.clone()),
            // `#` is not taken in metadata.
            ("o", self.origin.replace('#', ":")),
            ("s", self.confirms.replace('#', ":")),
        ];
        pairs.extend(
            KEY_PARTS
                .into_iter()
                .zip(key_parts.map(|part| String::from_utf8_lossy(part).into_owned())),
        );
        pairs
            .into_iter()
            .map(|(name, value)| (name.to_owned(), MetadataValue::StringValue(value)))
            .collect()
    }

    /// What an event tells; none when this host did not write it or a later one did.
    pub(crate) fn of(event: &Event) -> Option<Self> {
        let metadata = event.metadata()?;
        let text = |name: &str| match metadata.get(name) {
            Some(MetadataValue::StringValue(text)) => Some(text.as_str()),
            _ => None,
        };
        let mut head = text("h")?.split('.');
        if head.next() != Some(FORM) {
            return None;
        }
        let number = |head: &mut std::str::Split<'_, char>| head.next()?.parse::<u64>().ok();
        let (version, base) = (number(&mut head)?, number(&mut head)?);
        let shown = number(&mut head)?;
        let kind = head.next()?;
        let kind = Kind::ALL.into_iter().find(|known| known.as_str() == kind)?;
        let existed = head.next()? == "1";
        let moment =
            |head: &mut std::str::Split<'_, char>| number(head).map(Timestamp::from_millis);
        let (at, created_at) = (moment(&mut head)?, moment(&mut head)?);
        let optional = |head: &mut std::str::Split<'_, char>| match head.next()? {
            "-" => Some(None),
            millis => millis.parse().ok().map(Timestamp::from_millis).map(Some),
        };
        let (expires_at, closed_at) = (optional(&mut head)?, optional(&mut head)?);
        let (incarnation, bytes) = (number(&mut head)?, number(&mut head)?);
        let (stamp, place) = (number(&mut head), number(&mut head));
        let key: String = KEY_PARTS.into_iter().map_while(text).collect();
        let entry = Self {
            version,
            base,
            shown,
            stamp: stamp.unwrap_or_default(),
            kind,
            existed,
            at,
            created_at,
            expires_at,
            closed_at,
            incarnation,
            place: place.unwrap_or_default(),
            bytes,
            write: text("w")?.to_owned(),
            digest: text("d")?.to_owned(),
            origin: text("o")?.replace(':', "#"),
            confirms: text("s")?.replace(':', "#"),
            key: String::from_utf8(URL_SAFE_NO_PAD.decode(key).ok()?).ok()?,
            event: event.event_id().to_owned(),
        };
        Some(entry.filled())
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use aws_smithy_types::DateTime;

    use super::*;

    pub(crate) fn entry(version: u64, base: u64, write: &str) -> Entry {
        Entry {
            version,
            base,
            shown: version,
            stamp: version,
            kind: Kind::Put,
            existed: base > 0,
            at: Timestamp::from_millis(5),
            created_at: Timestamp::from_millis(4),
            expires_at: None,
            closed_at: None,
            incarnation: 0,
            place: version,
            bytes: 3,
            write: write.to_owned(),
            digest: "00".repeat(16),
            origin: String::new(),
            confirms: String::new(),
            key: "k".to_owned(),
            event: format!("{version}#ab"),
        }
    }

    fn event(entry: &Entry) -> Event {
        Event::builder()
            .memory_id("m")
            .actor_id("a")
            .session_id("s")
            .event_id(&entry.event)
            .event_timestamp(DateTime::from_secs(0))
            .set_payload(Some(Vec::new()))
            .set_metadata(Some(entry.to_metadata()))
            .build()
            .unwrap()
    }

    #[test]
    fn an_entry_comes_back_from_its_metadata() {
        let plain = entry(7 << 10, 0, "w-0");
        let full = Entry {
            kind: Kind::Close,
            expires_at: Some(Timestamp::from_millis(u64::MAX)),
            closed_at: Some(Timestamp::from_millis(9)),
            incarnation: u64::MAX,
            origin: "0001#ab".to_owned(),
            confirms: "0002#cd".to_owned(),
            key: format!("{}\u{1}{}", "å".repeat(256), "i".repeat(100)),
            version: u64::MAX,
            base: u64::MAX,
            shown: u64::MAX,
            stamp: u64::MAX,
            place: 7,
            bytes: u64::MAX,
            at: Timestamp::from_millis(u64::MAX),
            created_at: Timestamp::from_millis(u64::MAX),
            ..plain.clone()
        };
        for entry in [plain, full] {
            assert_eq!(Entry::of(&event(&entry)), Some(entry));
        }
    }

    #[test]
    fn an_entry_from_before_there_were_two_sides_stands_where_its_version_does() {
        let mut session = entry(7 << 10, 0, "w-0");
        session.incarnation = 5 << 10;
        let mut metadata = session.to_metadata();
        let Some(MetadataValue::StringValue(head)) = metadata.get_mut("h") else {
            panic!("no head");
        };
        *head = head.split('.').take(12).collect::<Vec<_>>().join(".");
        let mut event = event(&session);
        event.metadata = Some(metadata);
        let read = Entry::of(&event).unwrap();
        assert_eq!((read.stamp, read.place), (7 << 10, 5 << 10));
        let card = serde_json::to_string(&session).unwrap();
        let card = card
            .replace("\"stamp\"", "\"x\"")
            .replace("\"place\"", "\"y\"");
        let read: Entry = serde_json::from_str(&card).unwrap();
        let read = read.filled();
        assert_eq!((read.stamp, read.place), (7 << 10, 5 << 10));
    }

    #[test]
    fn metadata_keeps_to_what_agentcore_takes() {
        const LATEST: Timestamp = Timestamp::from_millis(u64::MAX);
        let mut entry = entry(u64::MAX, u64::MAX, &"f".repeat(43));
        entry.key = "\u{10ffff}".repeat(153);
        entry.origin = format!("{}#{}", "9".repeat(20), "f".repeat(16));
        (entry.shown, entry.stamp, entry.bytes) = (u64::MAX, u64::MAX, u64::MAX);
        (entry.incarnation, entry.place) = (u64::MAX, u64::MAX);
        (entry.at, entry.created_at) = (LATEST, LATEST);
        (entry.expires_at, entry.closed_at) = (Some(LATEST), Some(LATEST));
        let metadata = entry.to_metadata();
        assert!(metadata.len() <= 15);
        for value in metadata.values() {
            let MetadataValue::StringValue(value) = value else {
                panic!("not a string");
            };
            let taken = |b: u8| b.is_ascii_alphanumeric() || b" ._:/=+@-".contains(&b);
            assert!(
                value.len() <= VALUE_MAX_CHARS && value.bytes().all(taken),
                "{value}"
            );
        }
        assert_eq!(Entry::of(&event(&entry)), Some(entry));
    }

    #[test]
    fn what_somebody_else_wrote_is_passed_over() {
        let entry = entry(1, 0, "w-0");
        for (name, value) in [
            ("h", "2.1.0.1.p.0.0.0.-.-.0.0"),
            ("h", "1.x"),
            ("h", ""),
            ("k0", "!"),
        ] {
            let mut metadata = entry.to_metadata();
            metadata.insert(
                name.to_owned(),
                MetadataValue::StringValue(value.to_owned()),
            );
            let mut event = event(&entry);
            event.metadata = Some(metadata);
            assert_eq!(Entry::of(&event), None, "{name} {value}");
        }
    }
}
