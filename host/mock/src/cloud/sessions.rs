//! The operations of sessions, and what is told of them.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::sessions::{
    Conversation, Conversations, Event, EventHit, Order, Page, Session, SessionAck, SessionWrite,
    Sessions,
};
use stuga_core::{CallCtx, Capability, Result, WriteId};

use super::Cloud;
use crate::state::Health;

#[async_trait]
impl Capability for Cloud<dyn Sessions> {
    type Write = SessionWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &SessionWrite) -> Result<SessionAck> {
        self.make(ctx, id, write).await
    }
}

#[async_trait]
impl Sessions for Cloud<dyn Sessions> {
    async fn get(&self, ctx: &CallCtx, actor: &str, id: &str) -> Result<Option<Session>> {
        self.up("sessions.get")?.get(ctx, actor, id).await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        actor: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Session>> {
        self.up("sessions.list")?
            .list(ctx, actor, cursor, limit)
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
        self.up("sessions.events")?
            .events(ctx, actor, session, order, cursor, limit)
            .await
    }

    async fn recall(
        &self,
        ctx: &CallCtx,
        actor: &str,
        query: &str,
        k: u32,
    ) -> Result<Vec<EventHit>> {
        self.up("sessions.recall")?
            .recall(ctx, actor, query, k)
            .await
    }
}

/// Sessions as the cloud tells of them, while it is there.
pub(crate) struct Telling {
    pub(crate) sessions: Arc<dyn Conversations>,
    pub(crate) health: Arc<Health>,
}

#[async_trait]
impl Conversations for Telling {
    async fn conversation(
        &self,
        ctx: &CallCtx,
        actor: &str,
        session: &str,
        latest: u32,
    ) -> Result<Option<Conversation>> {
        self.health.check("sessions.conversation")?;
        self.sessions
            .conversation(ctx, actor, session, latest)
            .await
    }
}
