//! Sessions on SQLite.

use async_trait::async_trait;
use stuga_core::records::check_recall;
use stuga_core::sessions::{
    Conversation, Conversations, Event, EventHit, Listed, Order, Page, Session, SessionWrite,
    Sessions, check_actor, check_limit, check_session_id,
};
use stuga_core::{CallCtx, Error, Result};

use crate::Local;
use crate::call::Failure;
use crate::effects::sides;
use crate::vectors::Embedded;

mod adopt;
mod effects;
mod learn;
mod queries;
mod recall;

/// Sessions of all tenants on this host.
pub struct LocalSessions {
    pub(crate) local: Local,
}

sides!(LocalSessions, SessionWrite);

#[async_trait]
impl Sessions for LocalSessions {
    async fn get(&self, ctx: &CallCtx, actor: &str, id: &str) -> Result<Option<Session>> {
        const OPERATION: &str = "sessions.get";
        check_actor(OPERATION, actor)?;
        check_session_id(OPERATION, id)?;
        let (actor, id) = (actor.to_owned(), id.to_owned());
        self.local
            .read(ctx, OPERATION, move |reading| {
                queries::get(reading.conn, &reading.scope, &actor, &id, reading.now())
            })
            .await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        actor: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Session>> {
        const OPERATION: &str = "sessions.list";
        check_actor(OPERATION, actor)?;
        check_limit(OPERATION, limit)?;
        let listing = Listed::sessions(actor);
        let after = listing.decode(OPERATION, cursor)?;
        let actor = actor.to_owned();
        self.local
            .read(ctx, OPERATION, move |reading| {
                queries::list(
                    reading.conn,
                    &reading.scope,
                    &actor,
                    &listing,
                    after,
                    limit,
                    reading.now(),
                )
            })
            .await
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
        const OPERATION: &str = "sessions.events";
        check_actor(OPERATION, actor)?;
        check_session_id(OPERATION, session)?;
        check_limit(OPERATION, limit)?;
        let listing = Listed::events(actor, session, order);
        let after = listing.decode(OPERATION, cursor)?;
        let (actor, session) = (actor.to_owned(), session.to_owned());
        self.local
            .read(ctx, OPERATION, move |reading| {
                let found = queries::find(
                    reading.conn,
                    &reading.scope,
                    &actor,
                    &session,
                    reading.now(),
                )?;
                let id = found.ok_or_else(|| absent(OPERATION))?;
                Ok::<_, Failure>(queries::events(
                    reading.conn,
                    id,
                    &listing,
                    order,
                    after,
                    limit,
                )?)
            })
            .await
    }

    async fn recall(
        &self,
        ctx: &CallCtx,
        actor: &str,
        query: &str,
        k: u32,
    ) -> Result<Vec<EventHit>> {
        const OPERATION: &str = "sessions.recall";
        check_actor(OPERATION, actor)?;
        check_recall(OPERATION, query, k)?;
        let actor = actor.to_owned();
        self.local
            .recall(
                ctx,
                OPERATION,
                Embedded::Event,
                query,
                move |reading, query| {
                    let (conn, now) = (reading.conn, reading.now());
                    recall::recall(conn, &reading.scope, &actor, query, k, now)
                },
            )
            .await
    }
}

#[async_trait]
impl Conversations for LocalSessions {
    async fn conversation(
        &self,
        ctx: &CallCtx,
        actor: &str,
        session: &str,
        latest: u32,
    ) -> Result<Option<Conversation>> {
        const OPERATION: &str = "sessions.conversation";
        check_actor(OPERATION, actor)?;
        check_session_id(OPERATION, session)?;
        check_limit(OPERATION, latest)?;
        let (actor, session) = (actor.to_owned(), session.to_owned());
        self.local
            .read(ctx, OPERATION, move |reading| {
                let (conn, now) = (reading.conn, reading.now());
                queries::conversation(conn, &reading.scope, &actor, &session, latest, now)
            })
            .await
    }
}

/// What a call hears whose session is not there.
fn absent(operation: &'static str) -> Error {
    Error::not_found(
        operation,
        "the actor has no session of that id, or it has expired; create it first",
    )
}
