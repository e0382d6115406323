//! Conversations of one agent of one tenant: an actor has sessions, a session has events in their order.
//!
//! An actor is whoever the agent talks with, as the agent names it: 1 to 255 characters of `A-Z a-z 0-9 - _ /`, the first
//! a letter or digit. A session's id is 1 to 100 characters of `A-Z a-z 0-9 - _` and belongs to its actor. A session that
//! has expired or was deleted is absent at once, with its events.
//! Wants [`Capability::Sessions`](crate::Capability::Sessions).
//!
//! ```
//! use stuga_sdk::{mock, sessions, sessions::{CreateOptions, Order, Role}};
//!
//! # mock::Host::new().run(|| -> stuga_sdk::Result<()> {
//! let session = sessions::create("astrid", &CreateOptions::new())?;
//! sessions::append("astrid", &session.id, Role::User, "Hur öppnar jag stugan?")?;
//! sessions::append("astrid", &session.id, Role::Assistant, "Nyckeln ligger under stenen.")?;
//! let last = sessions::events("astrid", &session.id, Order::NewestFirst, None, 1)?;
//! assert_eq!(last.entries[0].role, Role::Assistant);
//! # Ok(())
//! # }).unwrap();
//! ```

use std::time::Duration;

use crate::backend::sessions as backend;
use crate::{Pages, Result};

/// What is known of a session. Times are milliseconds since 1970-01-01 UTC.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Session {
    /// Whose it is.
    pub actor: String,
    /// Its id, unique among the actor's sessions.
    pub id: String,
    /// In the order of the names.
    pub metadata: Vec<(String, String)>,
    /// When it began.
    pub created_at: u64,
    /// From when on it is absent with its events; none when it stays until it is deleted.
    pub expires_at: Option<u64>,
    /// When it was closed; none while it is open.
    pub closed_at: Option<u64>,
}

/// Who said or did something.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
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
    /// The role as the host names it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Assistant => "assistant",
            Self::Tool => "tool",
            Self::Other => "other",
        }
    }
}

/// One thing that was said or done in a session.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Event {
    /// Its id, unique in the tenant.
    pub id: String,
    /// Who.
    pub role: Role,
    /// What.
    pub content: String,
    /// In the order of the names.
    pub metadata: Vec<(String, String)>,
    /// When it was appended, in milliseconds since 1970-01-01 UTC; never earlier than the event before it.
    pub time: u64,
}

/// What [`append`] made.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Appended {
    /// The event's id.
    pub id: String,
    /// The event's time.
    pub time: u64,
}

/// One page of sessions or events.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Page<T> {
    /// The sessions or events.
    pub entries: Vec<T>,
    /// Give this to the same listing to read on; none when it is complete.
    pub next_cursor: Option<String>,
}

/// An event that answers a query.
#[derive(Clone, PartialEq, Debug)]
pub struct EventHit {
    /// The session that it belongs to.
    pub session: String,
    /// The event.
    pub event: Event,
    /// How near it is: over 0, at most 1. Comparable within one answer only.
    pub score: f32,
}

/// In which order events are read.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Order {
    /// As they happened.
    OldestFirst,
    /// The latest first.
    NewestFirst,
}

/// How a session begins.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct CreateOptions {
    pub(crate) id: Option<String>,
    pub(crate) ttl: Option<Duration>,
    pub(crate) metadata: Vec<(String, String)>,
}

impl CreateOptions {
    /// An id made by the host, no end, no metadata.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the session.
    #[must_use]
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Lets it expire with its events that long (at least 1 ms) after it was created, whatever happens in it.
    #[must_use]
    pub fn ttl(mut self, ttl: Duration) -> Self {
        self.ttl = Some(ttl);
        self
    }

    /// Adds metadata: at most 32 names of 1 to 64 bytes, values of at most 1,024. A name given twice is `Invalid`.
    #[must_use]
    pub fn metadata(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.metadata.push((name.into(), value.into()));
        self
    }
}

/// Begins a session of `actor`.
///
/// # Errors
/// `Conflict` when the actor has a session of that id, open or closed.
pub fn create(actor: &str, options: &CreateOptions) -> Result<Session> {
    backend::create(actor, options)
}

/// The session, or none when it is absent.
pub fn get(actor: &str, id: &str) -> Result<Option<Session>> {
    backend::get(actor, id)
}

/// The actor's sessions, those created last first, at most `limit` (1 to 1,000) a page.
pub fn list(actor: &str, cursor: Option<&str>, limit: u32) -> Result<Page<Session>> {
    backend::list(actor, cursor, limit)
}

/// All sessions of the actor, those created last first, page after page.
pub fn list_all(actor: &str) -> Pages<Session> {
    Pages::new(actor, |actor, cursor, limit| {
        list(actor, cursor, limit).map(|page| (page.entries, page.next_cursor))
    })
}

/// Appends an event: 1 byte to 64 KiB of content.
///
/// # Errors
/// `NotFound` when the session is absent, `Conflict` when it was closed.
pub fn append(actor: &str, session: &str, role: Role, content: &str) -> Result<Appended> {
    append_with(actor, session, role, content, &[])
}

/// Appends an event with metadata: as [`CreateOptions::metadata`]. Errors as [`append`].
pub fn append_with(
    actor: &str,
    session: &str,
    role: Role,
    content: &str,
    metadata: &[(String, String)],
) -> Result<Appended> {
    backend::append(actor, session, role, content, metadata)
}

/// The session's events in the order of their times, at most `limit` (1 to 1,000) and 4 MiB a page.
///
/// # Errors
/// `NotFound` when the session is absent.
pub fn events(
    actor: &str,
    session: &str,
    order: Order,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<Event>> {
    backend::events(actor, session, order, cursor, limit)
}

/// All events of the session, page after page. Errors as [`events`].
pub fn events_all(actor: &str, session: &str, order: Order) -> Pages<Event> {
    let (actor, session) = (actor.to_owned(), session.to_owned());
    Pages::of(move |cursor, limit| {
        events(&actor, &session, order, cursor, limit).map(|page| (page.entries, page.next_cursor))
    })
}

/// The at most `k` (1 to 100) events of all the actor's sessions that are nearest to `query` in meaning, the nearest
/// first.
///
/// ```
/// use stuga_sdk::{mock, sessions, sessions::{CreateOptions, Role}};
///
/// # mock::Host::new().run(|| -> stuga_sdk::Result<()> {
/// for (id, said) in [("may", "The stove smokes when the wind is from the north."), ("june", "The boat is painted.")] {
///     sessions::create("astrid", &CreateOptions::new().id(id))?;
///     sessions::append("astrid", id, Role::User, said)?;
/// }
/// let hits = sessions::recall("astrid", "what was it about the stove", 1)?;
/// assert_eq!(hits[0].session, "may");
/// # Ok(())
/// # }).unwrap();
/// ```
pub fn recall(actor: &str, query: &str, k: u32) -> Result<Vec<EventHit>> {
    backend::recall(actor, query, k)
}

/// Closes the session: it keeps its events and takes no more. Says whether it was open.
///
/// # Errors
/// `NotFound` when the session is absent.
pub fn close(actor: &str, session: &str) -> Result<bool> {
    backend::close(actor, session)
}

/// Removes the session with its events and says whether there was one. Deleting what is absent succeeds.
pub fn delete(actor: &str, session: &str) -> Result<bool> {
    backend::delete(actor, session)
}
