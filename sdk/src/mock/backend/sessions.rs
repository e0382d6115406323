//! `sessions` of the mock host that is running on this thread.

use super::with;
use crate::Result;
use crate::mock::sessions as store;
use crate::sessions::{Appended, CreateOptions, Event, EventHit, Order, Page, Role, Session};

pub(crate) fn create(actor: &str, options: &CreateOptions) -> Result<Session> {
    with(|state| store::create(state, actor, options))
}

pub(crate) fn get(actor: &str, id: &str) -> Result<Option<Session>> {
    with(|state| store::get(state, actor, id))
}

pub(crate) fn list(actor: &str, cursor: Option<&str>, limit: u32) -> Result<Page<Session>> {
    with(|state| store::list(state, actor, cursor, limit))
}

pub(crate) fn append(
    actor: &str,
    session: &str,
    role: Role,
    content: &str,
    metadata: &[(String, String)],
) -> Result<Appended> {
    with(|state| store::append(state, actor, session, role, content, metadata))
}

pub(crate) fn events(
    actor: &str,
    session: &str,
    order: Order,
    cursor: Option<&str>,
    limit: u32,
) -> Result<Page<Event>> {
    with(|state| store::events(state, actor, session, order, cursor, limit))
}

pub(crate) fn recall(actor: &str, query: &str, k: u32) -> Result<Vec<EventHit>> {
    with(|state| store::recall(state, actor, query, k))
}

pub(crate) fn close(actor: &str, session: &str) -> Result<bool> {
    with(|state| store::close(state, actor, session))
}

pub(crate) fn delete(actor: &str, session: &str) -> Result<bool> {
    with(|state| store::delete(state, actor, session))
}
