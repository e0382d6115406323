//! `sessions` of the real host: bindings on one side, the records of this crate on the other.

use std::time::Duration;

use super::{Result, host::sessions as wit};
use crate::sessions::{Appended, CreateOptions, Event, EventHit, Order, Page, Role, Session};

fn session(session: wit::Session) -> Session {
    Session {
        actor: session.actor,
        id: session.id,
        metadata: session.metadata,
        created_at: session.created_at,
        expires_at: session.expires_at,
        closed_at: session.closed_at,
    }
}

/// What a later host may add is [`Role::Other`].
fn role(name: &str) -> Role {
    [Role::User, Role::Assistant, Role::Tool]
        .into_iter()
        .find(|role| role.as_str() == name)
        .unwrap_or(Role::Other)
}

fn event(event: wit::Event) -> Event {
    Event {
        id: event.id,
        role: role(&event.role),
        content: event.content,
        metadata: event.metadata,
        time: event.time,
    }
}

pub(crate) fn create(actor: &str, options: &CreateOptions) -> Result<Session> {
    let ttl = options.ttl.as_ref().map(Duration::as_millis);
    let ttl = ttl.map(|ttl| u64::try_from(ttl).unwrap_or(u64::MAX));
    let created = wit::create(actor, options.id.as_deref(), ttl, &options.metadata)?;
    Ok(session(created))
}

pub(crate) fn get(actor: &str, id: &str) -> Result<Option<Session>> {
    Ok(wit::get(actor, id)?.map(session))
}

pub(crate) fn list(actor: &str, cursor: Option<&str>, limit: u32) -> Result<Page<Session>> {
    let page = wit::list(actor, cursor, limit)?;
    Ok(Page {
        entries: page.sessions.into_iter().map(session).collect(),
        next_cursor: page.next_cursor,
    })
}

pub(crate) fn append(
    actor: &str,
    session: &str,
    role: Role,
    content: &str,
    metadata: &[(String, String)],
) -> Result<Appended> {
    let appended = wit::append(actor, session, role.as_str(), content, metadata)?;
    Ok(Appended {
        id: appended.id,
        time: appended.time,
    })
}

pub(crate) fn events(
    actor: &str,
    session: &str,
    order: Order,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<Event>> {
    let order = match order {
        Order::OldestFirst => wit::Order::OldestFirst,
        Order::NewestFirst => wit::Order::NewestFirst,
    };
    let page = wit::events(actor, session, order, cursor, limit)?;
    Ok(Page {
        entries: page.events.into_iter().map(event).collect(),
        next_cursor: page.next_cursor,
    })
}

pub(crate) fn recall(actor: &str, query: &str, k: u32) -> Result<Vec<EventHit>> {
    let hits = wit::recall(actor, query, k)?.into_iter();
    Ok(hits
        .map(|hit| EventHit {
            session: hit.session,
            event: event(hit.event),
            score: hit.score,
        })
        .collect())
}

pub(crate) fn close(actor: &str, session: &str) -> Result<bool> {
    Ok(wit::close(actor, session)?)
}

pub(crate) fn delete(actor: &str, session: &str) -> Result<bool> {
    Ok(wit::delete(actor, session)?)
}
