//! The operations of sessions.

use async_trait::async_trait;
use stuga_core::sessions::{
    Event, EventHit, Order, Page, Session, SessionAck, SessionWrite, Sessions,
};
use stuga_core::{CallCtx, Capability, Result, WriteId};

use super::Path;

/// What faults may name.
pub(super) const OPERATIONS: &[&str] = &[
    "sessions.get",
    "sessions.list",
    "sessions.events",
    "sessions.recall",
    "sessions.create",
    "sessions.append",
    "sessions.close",
    "sessions.delete",
];

#[async_trait]
impl Capability for Path<dyn Sessions> {
    type Write = SessionWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &SessionWrite) -> Result<SessionAck> {
        self.write(ctx, id, write).await
    }
}

#[async_trait]
impl Sessions for Path<dyn Sessions> {
    async fn get(&self, ctx: &CallCtx, actor: &str, id: &str) -> Result<Option<Session>> {
        self.read(ctx, "sessions.get", |sessions| async move {
            sessions.get(ctx, actor, id).await
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
        self.read(ctx, "sessions.list", |sessions| async move {
            sessions.list(ctx, actor, cursor, limit).await
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
        self.read(ctx, "sessions.events", |sessions| async move {
            sessions
                .events(ctx, actor, session, order, cursor, limit)
                .await
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
        self.read(ctx, "sessions.recall", |sessions| async move {
            sessions.recall(ctx, actor, query, k).await
        })
        .await
    }
}
