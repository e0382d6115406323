//! Sessions: conversations of an agent with an actor, as events in their order.
//!
//! The shape is that of Amazon Bedrock AgentCore memory: actor, session and event with role and text. Ids are a subset
//! of what is allowed there.

mod place;

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use crate::memory::check_ttl;
use crate::metadata::{Metadata, check_metadata};
use crate::{CallCtx, Capability, CapabilityName, Error, Result, Timestamp, Write};
pub use place::{Listed, Place};

/// Longest name of an actor in bytes.
pub const ACTOR_MAX_BYTES: usize = 255;
/// Longest id of a session in bytes.
pub const SESSION_ID_MAX_BYTES: usize = 100;
/// Longest content of an event in bytes.
pub const CONTENT_MAX_BYTES: usize = 64 << 10;
/// Most sessions or events on a page.
pub const PAGE_MAX_ENTRIES: u32 = 1_000;
/// Most bytes of contents and metadata on a page; a page holds at least one entry.
pub const PAGE_MAX_BYTES: usize = 4 << 20;

/// What is known of a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Session {
    /// Whose it is.
    pub actor: String,
    /// Its id, unique among the actor's sessions.
    pub id: String,
    /// In the order of the names.
    pub metadata: Metadata,
    /// When it began.
    pub created_at: Timestamp,
    /// From when on it is absent with its events; none when it stays.
    pub expires_at: Option<Timestamp>,
    /// When it was closed; none while it is open.
    pub closed_at: Option<Timestamp>,
}

/// Who said or did something.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// The actor.
    User,
    /// The agent.
    Assistant,
    /// Something that the agent used.
    Tool,
    /// Anything else.
    Other,
}

impl Role {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::User, Self::Assistant, Self::Tool, Self::Other];

    /// The role as text.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Other => "other",
        }
    }

    /// The role of that name.
    ///
    /// # Errors
    /// `Invalid`, naming those that there are.
    pub fn from_name(operation: &'static str, name: &str) -> Result<Self> {
        Self::ALL
            .into_iter()
            .find(|role| role.as_str() == name)
            .ok_or_else(|| {
                Error::invalid(
                    operation,
                    "the role is not one of user, assistant, tool, other",
                )
            })
    }
}

/// One thing that was said or done in a session.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Event {
    /// Its id, unique in the tenant.
    pub id: String,
    /// Who.
    pub role: Role,
    /// What.
    pub content: String,
    /// In the order of the names.
    pub metadata: Metadata,
    /// When it was appended; never earlier than the event before it.
    pub at: Timestamp,
}

/// An event that answers a query.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct EventHit {
    /// The session that it belongs to.
    pub session: String,
    /// The event.
    pub event: Event,
    /// Cosine of query and content: over 0, at most 1. Comparable within one answer only.
    pub score: f32,
}

/// Something with where it stands in its listing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Placed<T> {
    /// The number of its [`Place`]; its id is the other part.
    pub place: u64,
    /// The session or the event.
    pub what: T,
}

/// A session with what was said in it, or the latest part of that: what one side tells the other of a whole.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Conversation {
    /// The session.
    pub session: Placed<Session>,
    /// In the order of their places.
    pub events: Vec<Placed<Event>>,
    /// Whether nothing was said before them.
    pub is_whole: bool,
}

/// One page of a listing.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Page<T> {
    /// Sessions or events.
    pub entries: Vec<T>,
    /// Where to read on; none when the listing is complete.
    pub next_cursor: Option<String>,
}

/// In which order events are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// As they happened.
    OldestFirst,
    /// The latest first.
    NewestFirst,
}

/// A change to sessions.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionWrite {
    /// Begins a session. `Conflict` when the actor has one of that id, open or closed.
    Create {
        /// Whose.
        actor: String,
        /// Under which id; none for one that is made from the write's id.
        id: Option<String>,
        /// When it goes by itself, counted from when the write is applied first; none to stay.
        ttl: Option<Duration>,
        /// In the order of the names.
        metadata: Metadata,
    },
    /// Appends an event. `NotFound` when the session is absent, `Conflict` when it was closed.
    Append {
        /// Whose.
        actor: String,
        /// To which session.
        session: String,
        /// Who.
        role: Role,
        /// What.
        content: String,
        /// In the order of the names.
        metadata: Metadata,
    },
    /// Closes a session; that it is closed is no error. `NotFound` when it is absent.
    Close {
        /// Whose.
        actor: String,
        /// Which.
        session: String,
    },
    /// Removes a session with its events; that there is none is no error.
    Delete {
        /// Whose.
        actor: String,
        /// Which.
        session: String,
    },
}

impl Write for SessionWrite {
    type Ack = SessionAck;
    const CAPABILITY: CapabilityName = CapabilityName::Sessions;

    /// The actor: what happens in an actor's sessions keeps its order.
    fn key(&self) -> &str {
        match self {
            Self::Create { actor, .. }
            | Self::Append { actor, .. }
            | Self::Close { actor, .. }
            | Self::Delete { actor, .. } => actor,
        }
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::Create { .. } => "sessions.create",
            Self::Append { .. } => "sessions.append",
            Self::Close { .. } => "sessions.close",
            Self::Delete { .. } => "sessions.delete",
        }
    }

    fn version(ack: &SessionAck) -> u64 {
        ack.place().unwrap_or_default()
    }
}

/// What a change to sessions answers: what the caller does not know. It repeats no content, because it is kept.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SessionAck {
    /// Of a create.
    Created {
        /// The session's id.
        id: String,
        /// When it began.
        at: Timestamp,
        /// When it expires.
        expires_at: Option<Timestamp>,
        /// Where it stands in listings, given like a version.
        #[serde(default)]
        place: u64,
    },
    /// Of an append.
    Appended {
        /// The event's id.
        id: String,
        /// The event's time.
        at: Timestamp,
        /// Where it stands in listings, given like a version.
        #[serde(default)]
        place: u64,
    },
    /// Of a close.
    Closed {
        /// Whether it was open before.
        was_open: bool,
    },
    /// Of a delete.
    Deleted {
        /// Whether it was there before.
        existed: bool,
    },
}

impl SessionAck {
    /// Where what was begun or said stands in listings, on every side; none of what has no place, and of an answer that was kept
    /// before answers said it.
    pub fn place(&self) -> Option<u64> {
        match self {
            Self::Created { place, .. } | Self::Appended { place, .. } => {
                Some(*place).filter(|place| *place > 0)
            }
            Self::Closed { .. } | Self::Deleted { .. } => None,
        }
    }
}

/// Reads of sessions. Object safe.
///
/// Every backend checks its arguments with the functions of this module before anything else, sees only what belongs to
/// `ctx.tenant` and `ctx.agent`, and treats a session that has expired as absent, with its events, from its moment of
/// expiry on. Listings show what is written beside them or not, and nothing twice; a cursor that is malformed or belongs
/// to another listing is `Invalid`. Every backend orders by [`Place`] and makes cursors with [`Listed`], so that a listing
/// that began on one side reads on at another.
#[async_trait]
pub trait Sessions: Capability<Write = SessionWrite> {
    /// The session, or none when it is absent.
    async fn get(&self, ctx: &CallCtx, actor: &str, id: &str) -> Result<Option<Session>>;

    /// The actor's sessions, those created last first, at most `limit` (1 to [`PAGE_MAX_ENTRIES`]) and
    /// [`PAGE_MAX_BYTES`] of metadata. A page can be
    /// shorter than `limit` and still have a cursor.
    async fn list(
        &self,
        ctx: &CallCtx,
        actor: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Session>>;

    /// The session's events in `order`, at most `limit` (1 to [`PAGE_MAX_ENTRIES`]) and [`PAGE_MAX_BYTES`] of contents
    /// and metadata.
    /// `NotFound` when the session is absent.
    async fn events(
        &self,
        ctx: &CallCtx,
        actor: &str,
        session: &str,
        order: Order,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Event>>;

    /// The at most `k` (1 to [`RECALL_MAX_HITS`](crate::records::RECALL_MAX_HITS)) events of all the actor's sessions that
    /// are nearest to `query`, by falling score, of equal ones the later first. Scores of 0 and below are left out. Closed
    /// sessions count, absent ones do not. An event is found from the moment on at which its append was acknowledged. At
    /// most the [`RECALL_MAX_COMPARED`](crate::records::RECALL_MAX_COMPARED) events appended last are compared; to find
    /// those, a backend looks at no less than [`RECALL_MAX_SEEN`](crate::records::RECALL_MAX_SEEN), those of the sessions
    /// created last.
    async fn recall(
        &self,
        ctx: &CallCtx,
        actor: &str,
        query: &str,
        k: u32,
    ) -> Result<Vec<EventHit>>;
}

/// What another side may [learn](crate::standby::Learns) of sessions. No guest reaches it.
#[async_trait]
pub trait Conversations: Send + Sync + 'static {
    /// The session with its last events, at most `latest` (1 to [`PAGE_MAX_ENTRIES`]) and [`PAGE_MAX_BYTES`], and where all of
    /// it stands; none when the session is absent.
    async fn conversation(
        &self,
        ctx: &CallCtx,
        actor: &str,
        session: &str,
        latest: u32,
    ) -> Result<Option<Conversation>>;
}

/// Checks an actor: 1 to [`ACTOR_MAX_BYTES`] of `A-Z a-z 0-9 - _ /`, the first a letter or digit.
pub fn check_actor(operation: &'static str, actor: &str) -> Result<()> {
    if is_id(actor, ACTOR_MAX_BYTES, b"-_/") {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        "the actor is not 1 to 255 characters of A-Z a-z 0-9 - _ / that begin with a letter or digit",
    )
    .with_context("limit", ACTOR_MAX_BYTES))
}

/// Checks a session's id: 1 to [`SESSION_ID_MAX_BYTES`] of `A-Z a-z 0-9 - _`, the first a letter or digit.
pub fn check_session_id(operation: &'static str, id: &str) -> Result<()> {
    if is_id(id, SESSION_ID_MAX_BYTES, b"-_") {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        "the session id is not 1 to 100 characters of A-Z a-z 0-9 - _ that begin with a letter or digit",
    )
    .with_context("limit", SESSION_ID_MAX_BYTES))
}

/// Checks how many entries a page may hold.
pub fn check_limit(operation: &'static str, limit: u32) -> Result<()> {
    if (1..=PAGE_MAX_ENTRIES).contains(&limit) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!("limit {limit} is not between 1 and {PAGE_MAX_ENTRIES}"),
    )
    .with_context("limit", PAGE_MAX_ENTRIES))
}

fn is_id(id: &str, max: usize, inner: &[u8]) -> bool {
    id.len() <= max
        && id
            .bytes()
            .next()
            .is_some_and(|first| first.is_ascii_alphanumeric())
        && id
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || inner.contains(&b))
}

impl SessionWrite {
    /// Checks ids, content, metadata and time to live.
    pub fn check(&self) -> Result<()> {
        let operation = self.operation();
        check_actor(operation, self.key())?;
        match self {
            Self::Create {
                id, ttl, metadata, ..
            } => {
                id.iter()
                    .try_for_each(|id| check_session_id(operation, id))?;
                check_ttl(operation, *ttl)?;
                check_metadata(operation, metadata)
            }
            Self::Append {
                session,
                content,
                metadata,
                ..
            } => {
                check_session_id(operation, session)?;
                check_content(operation, content)?;
                check_metadata(operation, metadata)
            }
            Self::Close { session, .. } | Self::Delete { session, .. } => {
                check_session_id(operation, session)
            }
        }
    }
}

fn check_content(operation: &'static str, content: &str) -> Result<()> {
    match content.len() {
        0 => Err(Error::invalid(
            operation,
            "the content is empty; an event says something",
        )),
        1..=CONTENT_MAX_BYTES => Ok(()),
        bytes => Err(Error::invalid(
            operation,
            format!("the content has {bytes} bytes; the limit is {CONTENT_MAX_BYTES}, larger content belongs into files"),
        )
        .with_context("limit", CONTENT_MAX_BYTES)),
    }
}
