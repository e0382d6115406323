//! The card of a stream, in Redis: what its end is, which writes of the last day are in it, and who may write next.
//!
//! A card is one hash, so that it is lost as a whole or not at all; one that is there remembers every write of the last day
//! that AgentCore holds. It is never the truth: what is lost is read from the stream again. All that changes a card is a
//! script, which Redis runs as a whole. Time here is Redis's own, the only clock that all hosts share.

use std::sync::LazyLock;
use std::time::Duration;

use redis::Script;
use redis::aio::ConnectionManager;
use stuga_core::{CallCtx, Error, Result};
use tokio::time::Instant;

use super::entry::Entry;
use super::redis::within;
use super::stream::Stream;

/// How long a writer may take before another one may write. Who takes longer loses nothing: see [`super::fold`].
pub(crate) const LEASE: Duration = Duration::from_secs(15);
/// What a lease lasts beyond the deadline of its call, so that an event may still land.
const LEASE_GRACE: Duration = Duration::from_millis(500);
/// How long applied writes are remembered. The contract asks for 24 hours.
pub(crate) const REMEMBERED: Duration = Duration::from_secs(25 * 3_600);
/// How long what nobody asks for stays in Redis. Longer than [`REMEMBERED`].
pub(crate) const KEPT: Duration = Duration::from_secs(7 * 24 * 3_600);
/// Most writes that a card remembers. Beyond it the oldest go, and AgentCore's own memory of tokens is what remains.
pub(crate) const APPLIED_MAX: u32 = 4_096;

/// What the mark of an index begins with that is being built. No member that stands for something begins as marks do.
pub(crate) const BUILDING: &str = "\0building:";

static BEGIN: LazyLock<Script> = LazyLock::new(|| script(include_str!("card/begin.lua")));
static SETTLE: LazyLock<Script> = LazyLock::new(|| script(include_str!("card/settle.lua")));
static RELEASE: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("card/release.lua")));
static INDEX: LazyLock<Script> = LazyLock::new(|| script(include_str!("card/index.lua")));
static HEADS: LazyLock<Script> = LazyLock::new(|| script(include_str!("card/heads.lua")));
static WHOLE: LazyLock<Script> = LazyLock::new(|| script(include_str!("card/whole.lua")));
static FILL: LazyLock<Script> = LazyLock::new(|| Script::new(include_str!("card/fill.lua")));
static BUILT: LazyLock<Script> = LazyLock::new(|| script(include_str!("card/built.lua")));

/// A script that knows of histories of data.
fn script(code: &str) -> Script {
    Script::new(&[include_str!("card/id.lua"), code].concat())
}

/// What a write does to an index.
#[derive(Clone, PartialEq, Debug)]
pub(crate) struct Change {
    /// The index's name within the agent.
    pub(crate) index: String,
    /// What is done.
    pub(crate) what: What,
}

/// What is done to an index.
#[derive(Clone, PartialEq, Debug)]
pub(crate) enum What {
    /// It begins, whole and without members.
    Begin,
    /// It goes.
    Drop,
    /// Nobody knows whether it says what the stream says, when the card hears here of writes beside the one that is settled, or
    /// when an event could land that this one displaced. Whoever made those writes has not said what they mean for it, and will
    /// find that the card knows of them; and who read the displaced event took it for the end. It is put right when it is read
    /// next.
    Doubt,
    /// A member is there, with its place.
    Add(u64, Vec<u8>),
    /// A member is gone.
    Remove(Vec<u8>),
    /// Something is known of a member.
    Keep(Vec<u8>, Vec<u8>),
    /// Nothing is known of a member any more.
    Forget(Vec<u8>),
}

impl What {
    /// What is done, the score or value, the member.
    fn args(&self) -> (&'static str, Vec<u8>, &[u8]) {
        match self {
            Self::Begin => ("begin", Vec::new(), b""),
            Self::Drop => ("drop", Vec::new(), b""),
            Self::Doubt => ("doubt", Vec::new(), b""),
            Self::Add(score, member) => ("add", score.to_string().into_bytes(), member),
            Self::Remove(member) => ("remove", Vec::new(), member),
            Self::Keep(member, value) => ("keep", value.clone(), member),
            Self::Forget(member) => ("forget", Vec::new(), member),
        }
    }
}

/// What a card says to who wants to write.
pub(crate) enum Begun {
    /// The write may be made.
    Go(Box<Lease>),
    /// It was made before, and this is its entry.
    Again(Box<Entry>),
    /// Another write was made under this id.
    Other,
    /// Somebody else writes, at most for that long.
    Busy(Duration),
}

/// What leave to write is asked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum For {
    /// A write that is made once: who has been here gets its entry.
    Making,
    /// A write that another side has acknowledged: who has been here gets leave as well, for what stands may not be what
    /// was acknowledged there.
    Adopting,
}

/// Leave to write.
pub(crate) struct Lease {
    /// Whose it is.
    pub(crate) token: String,
    /// The version of the write, over all that were handed out before.
    pub(crate) version: u64,
    /// The end of the stream as the card knows it; none when it must be read.
    pub(crate) head: Option<Head>,
    /// What the card knows of the write from before; never anything of one that is not adopted.
    pub(crate) known: Option<Entry>,
    /// What another side has come to with writes of the agent, whatever they were of, as far as it is known here: versions
    /// that callers see are given above.
    pub(crate) floor: u64,
}

/// The end of a stream: the entry of the highest version; none of a stream that is empty.
pub(crate) type Head = Option<Entry>;

/// The cards of one agent.
pub(crate) struct Cards {
    prefix: String,
    connection: ConnectionManager,
}

impl Cards {
    /// Cards whose keys begin with `prefix`.
    pub(crate) fn new(prefix: String, connection: ConnectionManager) -> Self {
        Self { prefix, connection }
    }

    /// The key of something of the agent's.
    pub(crate) fn key(&self, kind: &str, name: &str) -> String {
        format!("{}{kind}:{name}", self.prefix)
    }

    /// The key of an index.
    pub(crate) fn index(&self, name: &str) -> String {
        self.key("i", name)
    }

    pub(crate) fn connection(&self) -> ConnectionManager {
        self.connection.clone()
    }

    fn card(&self, stream: &Stream) -> String {
        self.key("c", &stream.name())
    }

    /// Asks for leave to write.
    pub(crate) async fn begin(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        stream: &Stream,
        write: &str,
        digest: &str,
        for_what: For,
    ) -> Result<Begun> {
        let left = ctx.deadline.saturating_duration_since(Instant::now());
        let lease = LEASE.min(left.saturating_add(LEASE_GRACE));
        let token = uuid::Uuid::new_v4().simple().to_string();
        let mut script = BEGIN.prepare_invoke();
        script
            .key(self.card(stream))
            .key(self.key("w", write))
            .key(self.key("v", ""))
            .arg(&token)
            .arg(millis(lease))
            .arg(write)
            .arg(digest)
            .arg(u8::from(for_what == For::Adopting));
        let mut connection = self.connection();
        let answer: Vec<String> =
            within(ctx, operation, script.invoke_async(&mut connection)).await?;
        let answer: Vec<&str> = answer.iter().map(String::as_str).collect();
        match answer.as_slice() {
            ["again", entry] => Ok(Begun::Again(Box::new(from_json(operation, entry)?))),
            ["other"] => Ok(Begun::Other),
            ["busy", left] => Ok(Begun::Busy(Duration::from_millis(
                left.parse().unwrap_or(0),
            ))),
            ["go", version, dirty, known, head, entry, floor] => Ok(Begun::Go(Box::new(Lease {
                token,
                floor: floor.parse().map_err(|_| broken(operation))?,
                known: head_from_json(operation, entry)?,
                version: version.parse().map_err(|_| broken(operation))?,
                head: match (*dirty, *known) {
                    ("0", "1") => Some(head_from_json(operation, head)?),
                    _ => None,
                },
            }))),
            _ => Err(broken(operation)),
        }
    }

    /// Says what the end of a stream is, unless the card knows of a later one, and which writes are in it. With a lease it
    /// also gives the lease back, and nothing is done when the lease is lost. Says whether it was done.
    pub(crate) async fn settle(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        stream: &Stream,
        end: End<'_>,
    ) -> Result<bool> {
        let version = end.head.as_ref().map_or(0, |head| head.version);
        let shared_now = end.lease.map_or(version, |lease| lease.version) >> 10;
        let remembered_since = shared_now.saturating_sub(millis(REMEMBERED));
        let mut script = SETTLE.prepare_invoke();
        script.key(self.card(stream));
        script.key(self.key("w", end.written.map_or("", |entry| entry.write.as_str())));
        script.key(self.key("v", ""));
        for change in end.changes {
            script.key(self.index(&change.index));
        }
        script
            .arg(end.lease.map_or("", |lease| lease.token.as_str()))
            .arg(version)
            .arg(head_to_json(operation, &end.head)?)
            .arg(millis(KEPT))
            .arg(remembered_since)
            .arg(APPLIED_MAX)
            .arg(end.written.map_or("", |entry| entry.digest.as_str()))
            .arg(millis(REMEMBERED))
            .arg(end.adopted)
            .arg(u8::from(
                end.lease.is_some_and(|lease| lease.head.is_none()),
            ))
            .arg(end.applied.len());
        for entry in end.applied {
            let value = format!("{}|{}", entry.shared_millis(), to_json(operation, entry)?);
            script.arg(&entry.write).arg(value);
        }
        for change in end.changes {
            let (what, score, member) = change.what.args();
            script.arg(what).arg(score).arg(member);
        }
        let mut connection = self.connection();
        within(ctx, operation, script.invoke_async(&mut connection)).await
    }

    /// Gives a lease back without a write. With `dirty` an event may still land, so the next writer reads the stream.
    pub(crate) async fn release(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        stream: &Stream,
        lease: &Lease,
        dirty: bool,
    ) -> Result<()> {
        let mut script = RELEASE.prepare_invoke();
        script
            .key(self.card(stream))
            .arg(&lease.token)
            .arg(u8::from(dirty));
        let mut connection = self.connection();
        within(ctx, operation, script.invoke_async::<u8>(&mut connection)).await?;
        Ok(())
    }

    /// The ends of streams, in their order; none of those whose cards are lost.
    pub(crate) async fn heads(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        streams: &[Stream],
    ) -> Result<Vec<Option<Head>>> {
        if streams.is_empty() {
            return Ok(Vec::new());
        }
        let mut script = HEADS.prepare_invoke();
        for stream in streams {
            script.key(self.card(stream));
        }
        let mut connection = self.connection();
        let heads: Vec<String> =
            within(ctx, operation, script.invoke_async(&mut connection)).await?;
        let head = |text: String| match text.strip_prefix('1') {
            Some(head) => head_from_json(operation, head).map(Some),
            None => Ok(None),
        };
        heads.into_iter().map(head).collect()
    }

    /// Whether an index is whole.
    pub(crate) async fn is_whole(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        index: &str,
    ) -> Result<bool> {
        let mut script = WHOLE.prepare_invoke();
        script.key(self.index(index)).arg(millis(KEPT));
        let mut connection = self.connection();
        within(ctx, operation, script.invoke_async(&mut connection)).await
    }

    /// Changes an index on what `head` says of a stream, unless the card has changed since.
    pub(crate) async fn change(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        stream: &Stream,
        head: &Head,
        change: &Change,
    ) -> Result<bool> {
        let (what, score, member) = change.what.args();
        let mut script = INDEX.prepare_invoke();
        script
            .key(self.card(stream))
            .key(self.index(&change.index))
            .arg(head.as_ref().map_or(0, |head| head.version))
            .arg(what)
            .arg(score)
            .arg(member);
        let mut connection = self.connection();
        within(ctx, operation, script.invoke_async(&mut connection)).await
    }

    /// Takes members from an index whose building `mark` stands for, and adds others with their places; false when it was lost
    /// meanwhile.
    pub(crate) async fn fill(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        index: &str,
        mark: &str,
        gone: &[Vec<u8>],
        members: &[(u64, Vec<u8>)],
    ) -> Result<bool> {
        let mut script = FILL.prepare_invoke();
        script.key(self.index(index)).arg(mark).arg(gone.len());
        for member in gone {
            script.arg(member);
        }
        for (score, member) in members {
            script.arg(*score).arg(member);
        }
        let mut connection = self.connection();
        within(ctx, operation, script.invoke_async(&mut connection)).await
    }

    /// Says that an index is whole whose building `mark` stands for; false when it was lost meanwhile.
    pub(crate) async fn built(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        index: &str,
        mark: &str,
    ) -> Result<bool> {
        let mut script = BUILT.prepare_invoke();
        script.key(self.index(index)).arg(mark).arg(millis(KEPT));
        let mut connection = self.connection();
        within(ctx, operation, script.invoke_async(&mut connection)).await
    }
}

/// What is known of the end of a stream.
pub(crate) struct End<'a> {
    /// The lease of who wrote; none of who read.
    pub(crate) lease: Option<&'a Lease>,
    /// What was written just now.
    pub(crate) written: Option<&'a Entry>,
    /// What another side had come to with it; 0 of what was made here.
    pub(crate) adopted: u64,
    /// The end.
    pub(crate) head: Head,
    /// Writes that are in the stream.
    pub(crate) applied: &'a [Entry],
    /// What follows for indexes.
    pub(crate) changes: &'a [Change],
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

fn to_json(operation: &'static str, entry: &Entry) -> Result<String> {
    serde_json::to_string(entry)
        .map_err(|e| Error::internal(operation, "an entry cannot be kept").with_source(e))
}

fn from_json(operation: &'static str, text: &str) -> Result<Entry> {
    let entry: Entry = serde_json::from_str(text).map_err(|e| broken(operation).with_source(e))?;
    Ok(entry.filled())
}

/// Nothing stands for the end of an empty stream.
fn head_to_json(operation: &'static str, head: &Head) -> Result<String> {
    head.as_ref()
        .map_or(Ok(String::new()), |entry| to_json(operation, entry))
}

fn head_from_json(operation: &'static str, text: &str) -> Result<Head> {
    match text {
        "" => Ok(None),
        text => from_json(operation, text).map(Some),
    }
}

/// Redis holds something that no host of this kind wrote.
fn broken(operation: &'static str) -> Error {
    Error::internal(operation, "the cache of the hosts holds something unknown")
}
