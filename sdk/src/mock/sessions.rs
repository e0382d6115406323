//! Sessions of a mock host: the host's own checks over a list in the order of creation.

use stuga_core::Write;
use stuga_core::embed::{dot, embed};
use stuga_core::records::check_recall;
use stuga_core::sessions::{
    PAGE_MAX_BYTES, Role as CoreRole, SessionWrite, check_actor, check_limit, check_session_id,
};

use super::state::State;
use crate::sessions::{Appended, CreateOptions, Event, EventHit, Order, Page, Role, Session};
use crate::{Capability, Error, Result};

#[derive(Default)]
pub(crate) struct Store {
    sessions: Vec<Held>,
    /// Numbers sessions and events in their order.
    last: u64,
}

struct Held {
    number: u64,
    session: Session,
    events: Vec<(u64, Event)>,
}

impl Store {
    fn next(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Nothing refers to what has expired, so it can go at once.
    fn expire(&mut self, now: u64) {
        self.sessions
            .retain(|held| held.session.expires_at.is_none_or(|end| now < end));
    }

    fn find(&self, actor: &str, id: &str) -> Option<&Held> {
        self.sessions.iter().find(|held| held.is(actor, id))
    }
}

impl Held {
    fn is(&self, actor: &str, id: &str) -> bool {
        self.session.actor == actor && self.session.id == id
    }
}

fn absent() -> Error {
    Error::not_found("the actor has no session of that id, or it has expired; create it first")
}

/// What comes before every write.
fn admit<'s>(state: &'s mut State, write: &SessionWrite) -> Result<&'s mut Store> {
    state.admit(Capability::Sessions, write.operation())?;
    write.check()?;
    let now = state.now;
    state.sessions.expire(now);
    Ok(&mut state.sessions)
}

pub(crate) fn create(state: &mut State, actor: &str, options: &CreateOptions) -> Result<Session> {
    let now = state.now;
    let mut metadata = options.metadata.clone();
    metadata.sort();
    let write = SessionWrite::Create {
        actor: actor.to_owned(),
        id: options.id.clone(),
        ttl: options.ttl,
        metadata: metadata.clone(),
    };
    let store = admit(state, &write)?;
    let number = store.next();
    let id = options
        .id
        .clone()
        .unwrap_or_else(|| format!("{number:032x}-0"));
    if store.find(actor, &id).is_some() {
        return Err(Error::conflict(
            "the actor has a session of that id; choose another or give none",
        ));
    }
    let ttl = options
        .ttl
        .map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
    let session = Session {
        actor: actor.to_owned(),
        id,
        metadata,
        created_at: now,
        expires_at: ttl.map(|ttl| now.saturating_add(ttl)),
        closed_at: None,
    };
    store.sessions.push(Held {
        number,
        session: session.clone(),
        events: Vec::new(),
    });
    Ok(session)
}

pub(crate) fn get(state: &mut State, actor: &str, id: &str) -> Result<Option<Session>> {
    state.admit(Capability::Sessions, "sessions.get")?;
    check_actor("sessions.get", actor)?;
    check_session_id("sessions.get", id)?;
    let now = state.now;
    state.sessions.expire(now);
    Ok(state
        .sessions
        .find(actor, id)
        .map(|held| held.session.clone()))
}

pub(crate) fn list(
    state: &mut State,
    actor: &str,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<Session>> {
    state.admit(Capability::Sessions, "sessions.list")?;
    check_actor("sessions.list", actor)?;
    check_limit("sessions.list", limit)?;
    let listing = format!("{actor}:");
    let after = after(&listing, cursor)?.unwrap_or(u64::MAX);
    let now = state.now;
    state.sessions.expire(now);
    let sessions = state
        .sessions
        .sessions
        .iter()
        .rev()
        .filter(|held| held.session.actor == actor && held.number < after)
        .map(|held| (held.number, &held.session));
    Ok(page(&listing, sessions, limit, |session| {
        bytes_of(&session.metadata)
    }))
}

pub(crate) fn append(
    state: &mut State,
    actor: &str,
    session: &str,
    role: Role,
    content: &str,
    metadata: &[(String, String)],
) -> Result<Appended> {
    let now = state.now;
    let mut metadata = metadata.to_vec();
    metadata.sort();
    let write = SessionWrite::Append {
        actor: actor.to_owned(),
        session: session.to_owned(),
        role: CoreRole::from_name("sessions.append", role.as_str())?,
        content: content.to_owned(),
        metadata: metadata.clone(),
    };
    let store = admit(state, &write)?;
    let number = store.next();
    let held = store
        .sessions
        .iter_mut()
        .find(|held| held.is(actor, session))
        .ok_or_else(absent)?;
    if held.session.closed_at.is_some() {
        return Err(Error::conflict("the session is closed; create another one"));
    }
    let event = Event {
        id: format!("{number:032x}-0"),
        role,
        content: content.to_owned(),
        metadata,
        time: held
            .events
            .last()
            .map_or(now, |(_, before)| before.time.max(now)),
    };
    let appended = Appended {
        id: event.id.clone(),
        time: event.time,
    };
    held.events.push((number, event));
    Ok(appended)
}

pub(crate) fn events(
    state: &mut State,
    actor: &str,
    session: &str,
    order: Order,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<Event>> {
    state.admit(Capability::Sessions, "sessions.events")?;
    check_actor("sessions.events", actor)?;
    check_session_id("sessions.events", session)?;
    check_limit("sessions.events", limit)?;
    let listing = format!("{actor}:{session}:{order:?}:");
    let after = after(&listing, cursor)?;
    let now = state.now;
    state.sessions.expire(now);
    let held = state.sessions.find(actor, session).ok_or_else(absent)?;
    let size = |event: &Event| event.content.len() + bytes_of(&event.metadata);
    let all = held.events.iter().map(|(number, event)| (*number, event));
    Ok(match order {
        Order::OldestFirst => {
            let after = after.unwrap_or(0);
            page(&listing, all.filter(|(n, _)| *n > after), limit, size)
        }
        Order::NewestFirst => {
            let after = after.unwrap_or(u64::MAX);
            page(&listing, all.rev().filter(|(n, _)| *n < after), limit, size)
        }
    })
}

pub(crate) fn recall(state: &mut State, actor: &str, query: &str, k: u32) -> Result<Vec<EventHit>> {
    state.admit(Capability::Sessions, "sessions.recall")?;
    check_actor("sessions.recall", actor)?;
    check_recall("sessions.recall", query, k)?;
    let now = state.now;
    state.sessions.expire(now);
    let query = embed(query);
    let sessions = state.sessions.sessions.iter();
    let mut hits: Vec<(u64, EventHit)> = sessions
        .filter(|held| held.session.actor == actor)
        .flat_map(|held| held.events.iter().map(move |(n, event)| (*n, held, event)))
        .map(|(number, held, event)| {
            let hit = EventHit {
                session: held.session.id.clone(),
                event: event.clone(),
                score: dot(&query, &embed(&event.content)).min(1.0),
            };
            (number, hit)
        })
        .filter(|(_, hit)| hit.score > 0.0)
        .collect();
    hits.sort_by(|(a_number, a), (b_number, b)| {
        b.score
            .total_cmp(&a.score)
            .then_with(|| b_number.cmp(a_number))
    });
    hits.truncate(k as usize);
    Ok(hits.into_iter().map(|(_, hit)| hit).collect())
}

pub(crate) fn close(state: &mut State, actor: &str, session: &str) -> Result<bool> {
    let now = state.now;
    let write = SessionWrite::Close {
        actor: actor.to_owned(),
        session: session.to_owned(),
    };
    let store = admit(state, &write)?;
    let held = store
        .sessions
        .iter_mut()
        .find(|held| held.is(actor, session))
        .ok_or_else(absent)?;
    let was_open = held.session.closed_at.is_none();
    held.session.closed_at.get_or_insert(now);
    Ok(was_open)
}

pub(crate) fn delete(state: &mut State, actor: &str, session: &str) -> Result<bool> {
    let write = SessionWrite::Delete {
        actor: actor.to_owned(),
        session: session.to_owned(),
    };
    let store = admit(state, &write)?;
    let existed = store.find(actor, session).is_some();
    store.sessions.retain(|held| !held.is(actor, session));
    Ok(existed)
}

fn bytes_of(metadata: &[(String, String)]) -> usize {
    metadata.iter().map(|(n, v)| n.len() + v.len()).sum()
}

/// The first entries within both bounds, at least one.
fn page<'s, T: Clone + 's>(
    listing: &str,
    entries: impl Iterator<Item = (u64, &'s T)>,
    limit: u32,
    size: impl Fn(&T) -> usize,
) -> Page<T> {
    let mut page = Page {
        entries: Vec::new(),
        next_cursor: None,
    };
    let (mut last, mut bytes) = (0, 0);
    for (number, entry) in entries {
        bytes += size(entry);
        let full = page.entries.len() == limit as usize || bytes > PAGE_MAX_BYTES;
        if full && !page.entries.is_empty() {
            page.next_cursor = Some(format!("{listing}{last}"));
            break;
        }
        last = number;
        page.entries.push(entry.clone());
    }
    page
}

/// The number after which a listing goes on.
fn after(listing: &str, cursor: Option<&str>) -> Result<Option<u64>> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let number = cursor
        .strip_prefix(listing)
        .and_then(|number| number.parse().ok());
    number.map(Some).ok_or_else(|| {
        Error::invalid("the cursor is malformed or belongs to another listing; list from the start")
    })
}
