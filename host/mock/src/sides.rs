//! The parts of a world that no guest reaches, on both sides: the queues of jobs and messages, the operator's secrets.

use async_trait::async_trait;
use std::sync::Arc;
use stuga_core::a2a::delivery::{
    Delivery, Filter, Letter, MailDesk, MailQueue, Outcome as Delivered, Pending as PendingMail,
    Settled as MailSettled,
};
use stuga_core::jobs::queue::{Claims, JobQueue, Outcome, Pending, Settled};
use stuga_core::lease::{Held, Lease, LeaseToken};
use stuga_core::secrets::{Removal, SecretInfo, SecretStore, SecretValue};
use stuga_core::{AgentName, Result, TenantId, WriteId};
use stuga_local::{LocalMail, LocalSecrets};

use crate::ledger::Replicas;

/// Clones what a replay needs again.
macro_rules! with {
    ($($name:ident),* => $doing:expr) => {{
        $(let $name = $name.clone();)*
        async move { $doing.await }
    }};
}

#[async_trait]
impl JobQueue for Replicas<dyn JobQueue> {
    async fn pending(&self) -> Result<Vec<Pending>> {
        self.local.pending().await
    }

    async fn changed(&self) -> TenantId {
        self.local.changed().await
    }

    async fn claim(
        &self,
        tenant: &TenantId,
        agents: &[AgentName],
        leases: &[Lease],
        roll: u64,
    ) -> Result<Claims> {
        let (tenant, agents, leases) = (tenant.clone(), agents.to_vec(), leases.to_vec());
        self.together("jobs.claim", move |queue| {
            with!(tenant, agents, leases => queue.claim(&tenant, &agents, &leases, roll))
        })
        .await
    }

    async fn prolong(&self, tenant: &TenantId, lease: &Lease) -> Result<Held> {
        let (tenant, lease) = (tenant.clone(), *lease);
        self.together(
            "jobs.prolong",
            move |queue| with!(tenant => queue.prolong(&tenant, &lease)),
        )
        .await
    }

    async fn settle(
        &self,
        tenant: &TenantId,
        token: &LeaseToken,
        outcome: Outcome,
    ) -> Result<Settled> {
        let (tenant, token) = (tenant.clone(), *token);
        self.together(
            "jobs.settle",
            move |queue| with!(tenant, outcome => queue.settle(&tenant, &token, outcome)),
        )
        .await
    }
}

#[async_trait]
impl MailQueue for Replicas<LocalMail> {
    async fn pending(&self) -> Result<Vec<PendingMail>> {
        self.local.pending().await
    }

    async fn changed(&self) -> TenantId {
        self.local.changed().await
    }

    async fn take(
        &self,
        tenant: &TenantId,
        agents: &[AgentName],
        leases: &[Lease],
        roll: u64,
    ) -> Result<Delivery> {
        let (tenant, agents, leases) = (tenant.clone(), agents.to_vec(), leases.to_vec());
        self.together(
            "messages.take",
            move |mail| with!(tenant, agents, leases => mail.take(&tenant, &agents, &leases, roll)),
        )
        .await
    }

    async fn prolong(&self, tenant: &TenantId, lease: &Lease) -> Result<Held> {
        let (tenant, lease) = (tenant.clone(), *lease);
        self.together(
            "messages.prolong",
            move |mail| with!(tenant => mail.prolong(&tenant, &lease)),
        )
        .await
    }

    async fn settle(
        &self,
        tenant: &TenantId,
        token: &LeaseToken,
        outcome: Delivered,
    ) -> Result<MailSettled> {
        let (tenant, token) = (tenant.clone(), *token);
        self.together(
            "messages.settle",
            move |mail| with!(tenant, outcome => mail.settle(&tenant, &token, outcome)),
        )
        .await
    }
}

#[async_trait]
impl MailDesk for Replicas<LocalMail> {
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &Filter,
        after: Option<u64>,
        limit: u32,
    ) -> Result<(Vec<Letter>, Option<u64>)> {
        self.local.list(tenant, filter, after, limit).await
    }

    async fn find(&self, tenant: &TenantId, id: &str) -> Result<Option<Letter>> {
        self.local.find(tenant, id).await
    }

    async fn requeue(&self, tenant: &TenantId, write: WriteId, id: &str) -> Result<bool> {
        let (tenant, id) = (tenant.clone(), id.to_owned());
        self.together(
            "messages.requeue",
            move |mail| with!(tenant, id => mail.requeue(&tenant, write, &id)),
        )
        .await
    }

    async fn discard(&self, tenant: &TenantId, write: WriteId, id: &str) -> Result<bool> {
        let (tenant, id) = (tenant.clone(), id.to_owned());
        self.together(
            "messages.discard",
            move |mail| with!(tenant, id => mail.discard(&tenant, write, &id)),
        )
        .await
    }
}

#[async_trait]
impl SecretStore for Replicas<LocalSecrets> {
    async fn set(
        &self,
        tenant: &TenantId,
        id: WriteId,
        name: &str,
        value: &SecretValue,
    ) -> Result<SecretInfo> {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        // A copy that is wiped as well.
        let value = Arc::new(SecretValue::new(value.reveal().to_vec())?);
        self.together(
            "secrets.set",
            move |secrets| with!(tenant, name, value => secrets.set(&tenant, id, &name, &value)),
        )
        .await
    }

    async fn list(&self, tenant: &TenantId) -> Result<Vec<SecretInfo>> {
        self.local.list(tenant).await
    }

    async fn remove(
        &self,
        tenant: &TenantId,
        id: WriteId,
        name: &str,
        what: Removal,
    ) -> Result<u64> {
        let (tenant, name) = (tenant.clone(), name.to_owned());
        self.together(
            "secrets.remove",
            move |secrets| with!(tenant, name => secrets.remove(&tenant, id, &name, what)),
        )
        .await
    }

    async fn rotate(&self, tenant: &TenantId, id: WriteId) -> Result<u64> {
        let tenant = tenant.clone();
        self.together(
            "secrets.rotate",
            move |secrets| with!(tenant => secrets.rotate(&tenant, id)),
        )
        .await
    }
}
