//! Mailboxes: posted into through the facade, emptied and managed beside it, as in a server.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::a2a::delivery::{
    Delivery, Filter, Letter, MailDesk, MailQueue, Outcome, Pending, Settled,
};
use stuga_core::a2a::{Mailbox, MailboxAck, MailboxWrite};
use stuga_core::lease::{Held, Lease, LeaseToken};
use stuga_core::{AgentName, CallCtx, Capability, Result, TenantId, WriteId};
use stuga_local::LocalMail;
use stuga_resilience::Failover;

use super::write_as;

/// Mailboxes as a guest reaches them, and the other sides of the same store.
pub(crate) struct FacadeMail(pub(crate) Failover<dyn Mailbox>, pub(crate) Arc<LocalMail>);

#[async_trait]
impl Capability for FacadeMail {
    type Write = MailboxWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &MailboxWrite) -> Result<MailboxAck> {
        write_as(&self.0, ctx, id, write).await
    }
}

impl Mailbox for FacadeMail {}

#[async_trait]
impl MailQueue for FacadeMail {
    async fn pending(&self) -> Result<Vec<Pending>> {
        self.1.pending().await
    }

    async fn changed(&self) -> TenantId {
        self.1.changed().await
    }

    async fn take(
        &self,
        tenant: &TenantId,
        agents: &[AgentName],
        leases: &[Lease],
        roll: u64,
    ) -> Result<Delivery> {
        self.1.take(tenant, agents, leases, roll).await
    }

    async fn prolong(&self, tenant: &TenantId, lease: &Lease) -> Result<Held> {
        self.1.prolong(tenant, lease).await
    }

    async fn settle(
        &self,
        tenant: &TenantId,
        token: &LeaseToken,
        outcome: Outcome,
    ) -> Result<Settled> {
        self.1.settle(tenant, token, outcome).await
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
        self.1.list(tenant, filter, after, limit).await
    }

    async fn find(&self, tenant: &TenantId, id: &str) -> Result<Option<Letter>> {
        self.1.find(tenant, id).await
    }

    async fn requeue(&self, tenant: &TenantId, write: WriteId, id: &str) -> Result<bool> {
        self.1.requeue(tenant, write, id).await
    }

    async fn discard(&self, tenant: &TenantId, write: WriteId, id: &str) -> Result<bool> {
        self.1.discard(tenant, write, id).await
    }
}
