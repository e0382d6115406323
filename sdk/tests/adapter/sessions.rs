//! Sessions over the SDK's functions.

use async_trait::async_trait;
use stuga_core::sessions::{
    Event, EventHit, Order, Page, Role, Session, SessionAck, SessionWrite, Sessions,
};
use stuga_core::{CallCtx, Capability, Result, Timestamp, Write, WriteId};
use stuga_sdk::sessions as sdk;

use super::Mock;

/// Sessions of the mock hosts.
pub(crate) struct SessionsOf(pub(crate) Mock);

#[async_trait]
impl Capability for SessionsOf {
    type Write = SessionWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &SessionWrite) -> Result<SessionAck> {
        self.0.once(ctx, id, write, || {
            self.0.run(ctx, write.operation(), || apply(write))
        })
    }
}

fn apply(write: &SessionWrite) -> stuga_sdk::Result<SessionAck> {
    match write {
        SessionWrite::Create {
            actor,
            id,
            ttl,
            metadata,
        } => {
            let mut options = sdk::CreateOptions::new();
            if let Some(id) = id {
                options = options.id(id);
            }
            if let Some(ttl) = ttl {
                options = options.ttl(*ttl);
            }
            for (name, value) in metadata {
                options = options.metadata(name, value);
            }
            let session = sdk::create(actor, &options)?;
            Ok(SessionAck::Created {
                id: session.id,
                at: Timestamp::from_millis(session.created_at),
                expires_at: session.expires_at.map(Timestamp::from_millis),
                // Guests are told of no places.
                place: 0,
            })
        }
        SessionWrite::Append {
            actor,
            session,
            role,
            content,
            metadata,
        } => {
            let role = match role {
                Role::User => sdk::Role::User,
                Role::Assistant => sdk::Role::Assistant,
                Role::Tool => sdk::Role::Tool,
                Role::Other => sdk::Role::Other,
            };
            let appended = sdk::append_with(actor, session, role, content, metadata)?;
            Ok(SessionAck::Appended {
                id: appended.id,
                at: Timestamp::from_millis(appended.time),
                place: 0,
            })
        }
        SessionWrite::Close { actor, session } => {
            let was_open = sdk::close(actor, session)?;
            Ok(SessionAck::Closed { was_open })
        }
        SessionWrite::Delete { actor, session } => {
            let existed = sdk::delete(actor, session)?;
            Ok(SessionAck::Deleted { existed })
        }
    }
}

#[async_trait]
impl Sessions for SessionsOf {
    async fn get(&self, ctx: &CallCtx, actor: &str, id: &str) -> Result<Option<Session>> {
        let get = || sdk::get(actor, id);
        Ok(self.0.run(ctx, "sessions.get", get)?.map(session))
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        actor: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Session>> {
        let list = || sdk::list(actor, cursor, limit);
        let page = self.0.run(ctx, "sessions.list", list)?;
        Ok(Page {
            entries: page.entries.into_iter().map(session).collect(),
            next_cursor: page.next_cursor,
        })
    }

    async fn events(
        &self,
        ctx: &CallCtx,
        actor: &str,
        session: &str,
        order: Order,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Event>> {
        let order = match order {
            Order::OldestFirst => sdk::Order::OldestFirst,
            Order::NewestFirst => sdk::Order::NewestFirst,
        };
        let events = || sdk::events(actor, session, order, cursor, limit);
        let page = self.0.run(ctx, "sessions.events", events)?;
        Ok(Page {
            entries: page.entries.into_iter().map(event).collect(),
            next_cursor: page.next_cursor,
        })
    }

    async fn recall(
        &self,
        ctx: &CallCtx,
        actor: &str,
        query: &str,
        k: u32,
    ) -> Result<Vec<EventHit>> {
        let recall = || sdk::recall(actor, query, k);
        let hits = self.0.run(ctx, "sessions.recall", recall)?.into_iter();
        Ok(hits
            .map(|hit| EventHit {
                session: hit.session,
                event: event(hit.event),
                score: hit.score,
            })
            .collect())
    }
}

fn session(session: sdk::Session) -> Session {
    Session {
        actor: session.actor,
        id: session.id,
        metadata: session.metadata,
        created_at: Timestamp::from_millis(session.created_at),
        expires_at: session.expires_at.map(Timestamp::from_millis),
        closed_at: session.closed_at.map(Timestamp::from_millis),
    }
}

fn event(event: sdk::Event) -> Event {
    Event {
        id: event.id,
        role: Role::from_name("sessions.events", event.role.as_str()).unwrap(),
        content: event.content,
        metadata: event.metadata,
        at: Timestamp::from_millis(event.time),
    }
}
