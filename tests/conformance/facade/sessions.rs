//! Sessions as a guest reaches them.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::sessions::{
    Event, EventHit, Order, Page, Session, SessionAck, SessionWrite, Sessions,
};
use stuga_core::{CallCtx, Capability, Result, WriteId};
use stuga_resilience::Failover;

use super::write_as;

/// Sessions as a guest reaches them.
pub(crate) struct FacadeSessions(pub(crate) Failover<dyn Sessions>);

#[async_trait]
impl Capability for FacadeSessions {
    type Write = SessionWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &SessionWrite) -> Result<SessionAck> {
        write_as(&self.0, ctx, id, write).await
    }
}

#[async_trait]
impl Sessions for FacadeSessions {
    async fn get(&self, ctx: &CallCtx, actor: &str, id: &str) -> Result<Option<Session>> {
        let read = |sessions: Arc<dyn Sessions>| async move { sessions.get(ctx, actor, id).await };
        self.0.read(ctx, "sessions.get", &(actor, id), read).await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        actor: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Session>> {
        let read = |sessions: Arc<dyn Sessions>| async move {
            sessions.list(ctx, actor, cursor, limit).await
        };
        self.0
            .read(ctx, "sessions.list", &(actor, cursor, limit), read)
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
        let read = |sessions: Arc<dyn Sessions>| async move {
            sessions
                .events(ctx, actor, session, order, cursor, limit)
                .await
        };
        self.0
            .read(
                ctx,
                "sessions.events",
                &(actor, session, order, cursor, limit),
                read,
            )
            .await
    }

    async fn recall(
        &self,
        ctx: &CallCtx,
        actor: &str,
        query: &str,
        k: u32,
    ) -> Result<Vec<EventHit>> {
        let read = |sessions: Arc<dyn Sessions>| async move {
            sessions.recall(ctx, actor, query, k).await
        };
        self.0
            .read(ctx, "sessions.recall", &(actor, query, k), read)
            .await
    }
}
