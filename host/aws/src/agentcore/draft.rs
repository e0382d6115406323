//! What a write makes of its stream, before it is there: what is decided and what it is decided on. Nothing is sent here.

use stuga_core::{Result, Timestamp, WriteId, next_version};

use super::adopt::Adopting;
use super::card::{Change, Lease};
use super::entry::{Entry, Kind};
use super::stream::{Content, Stream};

/// A write that is to be made once.
pub(crate) struct Writing<'w> {
    /// Where.
    pub(crate) stream: &'w Stream,
    /// Under which id.
    pub(crate) id: WriteId,
    /// What tells it from any other write.
    pub(crate) digest: &'w str,
    /// Whether the end of the stream is asked of AgentCore whatever the card says: for what must not rest on a cache.
    pub(crate) strict: bool,
    /// What is known of it when another side has acknowledged it.
    pub(crate) adopts: Option<Adopting>,
}

/// What a write makes of its stream.
pub(crate) struct Draft {
    /// As in [`Entry`].
    pub(crate) kind: Kind,
    pub(crate) existed: bool,
    /// None for the next one.
    pub(crate) stamp: Option<u64>,
    /// None for the stamp.
    pub(crate) shown: Option<u64>,
    pub(crate) at: Timestamp,
    pub(crate) created_at: Timestamp,
    pub(crate) expires_at: Option<Timestamp>,
    pub(crate) closed_at: Option<Timestamp>,
    /// None for what begins with this write.
    pub(crate) incarnation: Option<u64>,
    /// None for the stamp.
    pub(crate) place: Option<u64>,
    pub(crate) origin: String,
    pub(crate) key: String,
    pub(crate) content: Content,
}

/// Whether an entry was written just now, or is only found again.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fresh {
    Yes,
    No,
    /// It was written just now, and takes the place of another one of the same write.
    Anew,
}

/// What is known under the lease of a write.
pub(crate) struct Seen<'s> {
    /// The end of the stream; none when nothing was ever written.
    pub(crate) head: Option<&'s Entry>,
    /// The latest entry of the write itself that counts, when there is one.
    pub(crate) found: Option<&'s Entry>,
}

/// What comes of a write.
pub(crate) enum Verdict {
    /// It becomes the end of the stream.
    Make(Draft),
    /// Nothing: this entry of it is in the stream and right as it is.
    Stands(Entry),
    /// Nothing: what it would make is so already.
    Already(Draft),
    /// Nothing: a later write stands.
    Superseded(Draft),
}

/// How to decide what comes of a write.
pub(super) type Judge<'j> = dyn Fn(&Seen<'_>) -> Result<Verdict> + Sync + 'j;
/// What an entry means for indexes, beside what [`super::ledger::Rules`] say of every end.
pub(super) type Follow<'f> = dyn Fn(&Entry, Fresh) -> Vec<Change> + Sync + 'f;

impl Draft {
    /// What a write at that moment makes of a stream where nothing stands. It holds nothing.
    pub(crate) fn alone(kind: Kind, key: &str, at: Timestamp) -> Self {
        Self {
            kind,
            existed: false,
            stamp: None,
            shown: None,
            at,
            created_at: at,
            expires_at: None,
            closed_at: None,
            incarnation: None,
            place: None,
            origin: String::new(),
            key: key.to_owned(),
            content: Content::default(),
        }
    }

    /// The same of a key where `live` stands: a thing stays as old as it is, and a removal answers with the version of what it
    /// removes.
    pub(crate) fn at_key(self, live: Option<&Entry>) -> Self {
        let removed = || live.map_or(0, |live| live.shown);
        Self {
            existed: live.is_some(),
            shown: (self.kind == Kind::Delete).then(removed),
            created_at: live.map_or(self.at, |live| live.created_at),
            ..self
        }
    }

    /// The entry that it becomes, on the end of its stream, with what it holds.
    pub(super) fn into_entry(
        self,
        writing: &Writing<'_>,
        write: &str,
        lease: &Lease,
        head: Option<&Entry>,
    ) -> (Entry, Content) {
        let base = head.map_or(0, |head| head.version);
        let version = lease.version.max(base.saturating_add(1));
        let last = head.map_or(0, |head| head.stamp).max(lease.floor);
        let next = || version.max(next_version(last, self.at));
        let stamp = self.stamp.unwrap_or_else(next);
        let said = self.content.said.as_ref().map_or(0, |(_, said)| said.len());
        let entry = Entry {
            version,
            base,
            shown: self.shown.unwrap_or(stamp),
            stamp,
            kind: self.kind,
            existed: self.existed,
            at: self.at,
            created_at: self.created_at,
            expires_at: self.expires_at,
            closed_at: self.closed_at,
            incarnation: self.incarnation.unwrap_or(version),
            place: self.place.unwrap_or(stamp),
            bytes: (said + self.content.data.len()) as u64,
            write: write.to_owned(),
            digest: writing.digest.to_owned(),
            origin: self.origin,
            confirms: String::new(),
            key: self.key,
            event: String::new(),
        };
        (entry, self.content)
    }
}
