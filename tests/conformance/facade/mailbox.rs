//! Mailboxes: posted into through the facade, emptied and managed beside it, as in a server.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::a2a::delivery::{
    Delivery, Filter, Letter, MailDesk, MailQueue, Outcome, Pending, Settled,
};
use stuga_core::a2a::{Mailbox, MailboxAck, MailboxWrite};
use stuga_core::lease::{Held, Lease, LeaseToken};
use stuga_core::{AgentName, CallCtx, Capability, Result, TenantId, WriteId};
use stuga_resilience::Failover;

use super::write_as;

/// Mailboxes as a guest reaches them, and the other sides of the same store.
pub(crate) struct FacadeMail {
    pub(crate) facade: Failover<dyn Mailbox>,
    pub(crate) queue: Arc<dyn MailQueue>,
    pub(crate) desk: Arc<dyn MailDesk>,
}

#[async_trait]
impl Capability for FacadeMail {
    type Write = MailboxWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &MailboxWrite) -> Result<MailboxAck> {
        write_as(&self.facade, ctx, id, write).await
    }
}

impl Mailbox for FacadeMail {}

#[async_trait]
impl MailQueue for FacadeMail {
    async fn pending(&self) -> Result<Vec<Pending>> {
        self.queue.pending().await
    }

    async fn changed(&self) -> TenantId {
        self.queue.changed().await
    }

    async fn take(
        &self,
        tenant: &TenantId,
        agents: &[AgentName],
        leases: &[Lease],
        roll: u64,
    ) -> Result<Delivery> {
        self.queue.take(tenant, agents, leases, roll).await
    }

    async fn prolong(&self, tenant: &TenantId, lease: &Lease) -> Result<Held> {
        self.queue.prolong(tenant, lease).await
    }

    async fn settle(
        &self,
        tenant: &TenantId,
        token: &LeaseToken,
        outcome: Outcome,
    ) -> Result<Settled> {
        self.queue.settle(tenant, token, outcome).await
    }
}

#[async_trait]
impl MailDesk for FacadeMail {
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &Filter,
        after: Option<u64>,
        limit: u32,
    ) -> Result<(Vec<Letter>, Option<u64>)> {
        self.desk.list(tenant, filter, after, limit).await
    }

    async fn find(&self, tenant: &TenantId, id: &str) -> Result<Option<Letter>> {
        self.desk.find(tenant, id).await
    }

    async fn requeue(&self, tenant: &TenantId, write: WriteId, id: &str) -> Result<bool> {
        self.desk.requeue(tenant, write, id).await
    }

    async fn discard(&self, tenant: &TenantId, write: WriteId, id: &str) -> Result<bool> {
        self.desk.discard(tenant, write, id).await
    }
}
