//! The contract of sessions.
//!
//! Every sentence of `wit/sessions.wit` and of [`crate::sessions`] that a backend must keep is a case here.

mod bounds;
pub mod conversations;
mod events;
mod isolation;
mod lifetime;
mod recall;
mod repetition;

use std::time::Duration;

use super::suite::{Case, Fixture};
use crate::sessions::{Event, Order, Role, Session, SessionAck, SessionWrite, Sessions};
use crate::{CallCtx, Result, Timestamp};

/// All cases.
pub fn cases() -> Vec<Case<dyn Sessions>> {
    let mut all = lifetime::cases();
    all.extend(events::cases());
    all.extend(recall::cases());
    all.extend(bounds::cases());
    all.extend(repetition::cases());
    all.extend(isolation::cases());
    all
}

type Houses = Fixture<dyn Sessions>;

const ACTOR: &str = "astrid";

/// A new invocation of the tenant and agent that a case uses when it does not matter which.
fn ctx() -> CallCtx {
    super::ctx("acme", "scribe")
}

fn create(id: &str) -> SessionWrite {
    create_for(None, ACTOR, id)
}

fn create_for(ttl: Option<Duration>, actor: &str, id: &str) -> SessionWrite {
    SessionWrite::Create {
        actor: actor.to_owned(),
        id: Some(id.to_owned()),
        ttl,
        metadata: Vec::new(),
    }
}

fn say(session: &str, content: &str) -> SessionWrite {
    SessionWrite::Append {
        actor: ACTOR.to_owned(),
        session: session.to_owned(),
        role: Role::User,
        content: content.to_owned(),
        metadata: Vec::new(),
    }
}

fn close(session: &str) -> SessionWrite {
    SessionWrite::Close {
        actor: ACTOR.to_owned(),
        session: session.to_owned(),
    }
}

fn delete(session: &str) -> SessionWrite {
    SessionWrite::Delete {
        actor: ACTOR.to_owned(),
        session: session.to_owned(),
    }
}

/// The id and the time of an appended event.
fn appended(ack: SessionAck) -> (String, Timestamp) {
    match ack {
        SessionAck::Appended { id, at, .. } => (id, at),
        other => panic!("an append was answered with {other:?}"),
    }
}

impl Houses {
    /// Applies a write in an invocation of its own.
    async fn try_apply(&self, write: &SessionWrite) -> Result<SessionAck> {
        self.try_apply_as(&ctx(), write).await
    }

    async fn try_apply_as(&self, ctx: &CallCtx, write: &SessionWrite) -> Result<SessionAck> {
        let id = ctx.next_write_id()?;
        self.backend.apply(ctx, id, write).await
    }

    async fn apply(&self, write: &SessionWrite) -> SessionAck {
        self.try_apply(write).await.unwrap()
    }

    async fn get(&self, id: &str) -> Option<Session> {
        self.backend.get(&ctx(), ACTOR, id).await.unwrap()
    }

    /// Reads the actor's sessions page by page.
    async fn ids(&self, limit: u32) -> Vec<String> {
        let mut ids = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..10_000 {
            let ctx = ctx();
            let listing = self.backend.list(&ctx, ACTOR, cursor.as_deref(), limit);
            let page = listing.await.unwrap();
            assert!(page.entries.len() <= limit as usize, "over the limit");
            ids.extend(page.entries.into_iter().map(|session| session.id));
            cursor = page.next_cursor;
            if cursor.is_none() {
                return ids;
            }
        }
        panic!("the listing does not end");
    }

    /// Reads a session's events page by page.
    async fn events(&self, session: &str, order: Order, limit: u32) -> Vec<Event> {
        let mut events = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..10_000 {
            let ctx = ctx();
            let cursor_now = cursor.as_deref();
            let listing = self
                .backend
                .events(&ctx, ACTOR, session, order, cursor_now, limit);
            let page = listing.await.unwrap();
            assert!(page.entries.len() <= limit as usize, "over the limit");
            events.extend(page.entries);
            cursor = page.next_cursor;
            if cursor.is_none() {
                return events;
            }
        }
        panic!("the listing does not end");
    }

    /// What was said, oldest first.
    async fn said(&self, session: &str) -> Vec<String> {
        let events = self.events(session, Order::OldestFirst, 2).await;
        events.into_iter().map(|event| event.content).collect()
    }
}
