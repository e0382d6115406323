//! This host's side: a store on a disk that never fails, and the journal in it.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::journal::{Backlog, Entry, EntryInfo, EntryState, Journal, Settled};
use stuga_core::memory::{Item, Memory, MemoryAck, MemoryWrite, Page};
use stuga_core::standby::{Adopted, Made, Replica, Standby};
use stuga_core::{
    AgentName, CallCtx, Capability, CapabilityName, Clock, Error, Result, TenantId, Write, WriteId,
};

use crate::life::{HostClock, Life};
use crate::store::{Store, place};

/// This host's side during one of its lives.
#[derive(Clone)]
pub(crate) struct Local {
    pub(crate) store: Arc<Store>,
    pub(crate) life: Arc<Life>,
    pub(crate) clock: Arc<HostClock>,
}

#[async_trait]
impl Capability for Local {
    type Write = MemoryWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &MemoryWrite) -> Result<MemoryAck> {
        self.life.step().await;
        let place = place(ctx, write.key());
        let ack = self.store.lock().apply(&place, id, write, self.clock.now());
        self.life.step().await;
        ack
    }
}

#[async_trait]
impl Memory for Local {
    async fn get(&self, ctx: &CallCtx, key: &str) -> Result<Option<Item>> {
        self.life.step().await;
        let item = self.store.lock().item(&place(ctx, key));
        self.life.step().await;
        Ok(item)
    }

    async fn list(&self, _: &CallCtx, _: &str, _: Option<&str>, _: u32) -> Result<Page> {
        Err(Error::internal("memory.list", "nobody lists here"))
    }
}

#[async_trait]
impl Replica<MemoryWrite> for Local {
    async fn adopt(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &MemoryWrite,
        made: &Made<MemoryAck>,
    ) -> Result<Adopted> {
        self.life.step().await;
        let place = place(ctx, write.key());
        let adopted = self.store.lock().adopt(&place, id, write, made);
        self.life.step().await;
        Ok(adopted)
    }
}

#[async_trait]
impl Standby<MemoryWrite> for Local {
    async fn apply_noted(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &MemoryWrite,
    ) -> Result<MemoryAck> {
        self.life.step().await;
        let place = place(ctx, write.key());
        let now = self.clock.now();
        let ack = self.store.lock().apply_noted(&place, id, write, now);
        self.life.step().await;
        ack
    }
}

#[async_trait]
impl Journal for Local {
    async fn backlog(&self, tenant: &TenantId, _: CapabilityName) -> Result<Backlog> {
        self.life.step().await;
        let state = self.store.lock();
        let waiting = state.waiting(tenant);
        let mut backlog = Backlog::default();
        for entry in waiting {
            backlog.waiting += 1;
            backlog.bytes += entry.info.bytes;
            backlog.oldest.get_or_insert(entry.info.at);
        }
        let parked = state.of(tenant, EntryState::Parked).count();
        backlog.parked = parked as u64;
        Ok(backlog)
    }

    async fn waits(
        &self,
        tenant: &TenantId,
        _: CapabilityName,
        agent: &AgentName,
        key: &str,
    ) -> Result<bool> {
        self.life.step().await;
        let state = self.store.lock();
        let is_of = |entry: &Entry| entry.info.agent == *agent && entry.info.key == key;
        Ok(state.waiting(tenant).any(is_of))
    }

    async fn tenants(&self) -> Result<Vec<TenantId>> {
        self.life.step().await;
        let state = self.store.lock();
        let waiting = |entry: &Entry| entry.info.state == EntryState::Waiting;
        let waiting = state.journal.iter().filter(|(_, entry)| waiting(entry));
        let mut tenants: Vec<_> = waiting.map(|((tenant, _), _)| tenant.clone()).collect();
        tenants.dedup();
        Ok(tenants)
    }

    async fn next(
        &self,
        tenant: &TenantId,
        _: CapabilityName,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Entry>> {
        self.life.step().await;
        let state = self.store.lock();
        if state.damaged.as_ref() == Some(tenant) {
            return Err(Error::internal("journal.next", "the journal is damaged"));
        }
        let later = state.waiting(tenant).filter(|entry| entry.info.seq > after);
        Ok(later.take(limit as usize).cloned().collect())
    }

    async fn settle(&self, tenant: &TenantId, seq: u64, settled: Settled) -> Result<()> {
        self.life.step().await;
        self.store.lock().settle(tenant, seq, settled);
        self.life.step().await;
        Ok(())
    }

    async fn list(
        &self,
        tenant: &TenantId,
        state: EntryState,
        after: u64,
        limit: u32,
    ) -> Result<Vec<EntryInfo>> {
        let store = self.store.lock();
        let later = store
            .of(tenant, state)
            .filter(|entry| entry.info.seq > after);
        let later = later.take(limit as usize);
        Ok(later.map(|entry| entry.info.clone()).collect())
    }

    async fn find(&self, tenant: &TenantId, seq: u64) -> Result<Option<Entry>> {
        let store = self.store.lock();
        Ok(store.journal.get(&(tenant.clone(), seq)).cloned())
    }

    async fn retry(&self, tenant: &TenantId, seq: u64) -> Result<bool> {
        let mut store = self.store.lock();
        let entry = store.journal.get_mut(&(tenant.clone(), seq));
        let parked = entry.filter(|entry| entry.info.state == EntryState::Parked);
        Ok(parked.is_some_and(|entry| {
            entry.info.state = EntryState::Waiting;
            entry.info.refusals = 0;
            true
        }))
    }

    async fn discard(&self, tenant: &TenantId, seq: u64) -> Result<bool> {
        let key = (tenant.clone(), seq);
        Ok(self.store.lock().journal.remove(&key).is_some())
    }
}
