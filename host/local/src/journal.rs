//! The journal on SQLite: a table in each tenant's store, filled in the transaction of each effect.
//!
//! [`note`] adds an entry, [`rows`] reads and changes them, [`desk`] is what a process knows of them without looking. What was
//! written and answered lies sealed by a key of the tenant; what an operator must see to decide, such as the key, lies open.
//! Which tenants have entries that wait says one mark for each ([`crate::marks`]).
//!
//! Several processes may change one journal. The table is the truth for all; each keeps its own view of what waits, which is
//! exact for what it did itself and hears of the others' changes with its next write to the tenant.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::journal::{
    Backlog, Entry, EntryInfo, EntryState, Journal, PAGE_MAX_ENTRIES, Settled,
};
use stuga_core::{AgentName, CapabilityName, Error, Result, TenantId};

use crate::Local;
use crate::durability::Syncs;
use crate::error;
use crate::marks::Marks;
use crate::secrets::MasterKeyFile;
use crate::tenant::Tenant;

mod desk;
mod note;
mod plain;
mod rows;

pub(crate) use desk::{Desk, Turnover};
pub(crate) use note::{Noting, note};
pub(crate) use rows::sweep;

/// The journals of all tenants on this host.
pub(crate) struct LocalJournal {
    pub(crate) local: Local,
    pub(crate) marks: Arc<Marks>,
    pub(crate) master: MasterKeyFile,
}

#[async_trait]
impl Journal for LocalJournal {
    fn waiting(&self, tenant: &TenantId, capability: CapabilityName) -> Option<u64> {
        self.local.opened(tenant)?.journal().waiting(capability)
    }

    async fn backlog(&self, tenant: &TenantId, capability: CapabilityName) -> Result<Backlog> {
        let store = self.local.tenant(tenant).await?;
        store.journal().backlog("journal.backlog", capability)
    }

    async fn waits(
        &self,
        tenant: &TenantId,
        capability: CapabilityName,
        agent: &AgentName,
        key: &str,
    ) -> Result<bool> {
        let store = self.local.tenant(tenant).await?;
        store
            .journal()
            .waits("journal.waits", capability, agent, key)
    }

    async fn tenants(&self) -> Result<Vec<TenantId>> {
        const OPERATION: &str = "journal.tenants";
        let marks = Arc::clone(&self.marks);
        let listed = tokio::task::spawn_blocking(move || marks.list())
            .await
            .map_err(|e| Error::internal(OPERATION, "listing the marks died").with_source(e))?
            .map_err(|e| error::io(OPERATION, e))?;
        Ok(listed.into_iter().map(|(tenant, _)| tenant).collect())
    }

    async fn next(
        &self,
        tenant: &TenantId,
        capability: CapabilityName,
        after: u64,
        limit: u32,
    ) -> Result<Vec<Entry>> {
        const OPERATION: &str = "journal.next";
        check_limit(OPERATION, limit)?;
        let store = self.local.tenant(tenant).await?;
        let mut after = after;
        loop {
            let page = self
                .page(&store, OPERATION, capability, after, limit)
                .await?;
            for damaged in page.damaged {
                tracing::error!(%tenant, seq = damaged.seq, reason = damaged.reason, "an entry of the journal is damaged and parked");
                let parked = Settled::Parked(damaged.reason.to_owned());
                self.settle(tenant, damaged.seq, parked).await?;
            }
            match page.last {
                _ if !page.entries.is_empty() => return Ok(page.entries),
                Some(last) => after = last,
                None => {
                    // What a crash left marked although nothing waits.
                    self.unmark(&store).await?;
                    return Ok(Vec::new());
                }
            }
        }
    }

    async fn settle(&self, tenant: &TenantId, seq: u64, settled: Settled) -> Result<()> {
        const OPERATION: &str = "journal.settle";
        let store = self.local.tenant(tenant).await?;
        // What a loss of power brings back goes to the cloud again, where it changes nothing. That it was parked or lost is known
        // here alone.
        let syncs = match settled {
            Settled::Adopted | Settled::Refused(_) => Syncs::Soon,
            Settled::Superseded | Settled::Parked(_) => Syncs::First,
        };
        store
            .write_synced(OPERATION, 0, syncs, move |tx| {
                rows::settle(tx, OPERATION, seq, &settled)
            })
            .await?;
        self.unmark(&store).await
    }

    async fn list(
        &self,
        tenant: &TenantId,
        state: EntryState,
        after: u64,
        limit: u32,
    ) -> Result<Vec<EntryInfo>> {
        const OPERATION: &str = "journal.list";
        check_limit(OPERATION, limit)?;
        let store = self.local.tenant(tenant).await?;
        store
            .read(OPERATION, move |_, conn| {
                rows::list(conn, state, after, limit).map_err(|e| error::sqlite(OPERATION, e))
            })
            .await
    }

    async fn find(&self, tenant: &TenantId, seq: u64) -> Result<Option<Entry>> {
        const OPERATION: &str = "journal.find";
        let store = self.local.tenant(tenant).await?;
        let master = self.master.clone();
        store
            .read(OPERATION, move |store, conn| {
                let row = rows::find(conn, seq).map_err(|e| error::sqlite(OPERATION, e))?;
                let Some(row) = row else { return Ok(None) };
                let key =
                    store
                        .journal()
                        .key_of(conn, OPERATION, store.id(), &master, row.sealed_by)?;
                let entry = row.open(OPERATION, store.id(), &key)?;
                entry.map(Some).map_err(|reason| {
                    Error::internal(OPERATION, "the entry is damaged; only its row is left")
                        .with_context("seq", seq)
                        .with_source(reason)
                })
            })
            .await
    }

    async fn retry(&self, tenant: &TenantId, seq: u64) -> Result<bool> {
        const OPERATION: &str = "journal.retry";
        let store = self.local.tenant(tenant).await?;
        let (marks, whose) = (Arc::clone(&self.marks), Arc::clone(&store));
        store
            .write(OPERATION, 0, move |tx| {
                if !rows::retry(tx, OPERATION, seq)? {
                    return Ok(false);
                }
                whose.journal().mark();
                marks.set(whose.id()).map_err(|e| error::io(OPERATION, e))?;
                Ok(true)
            })
            .await
    }

    async fn discard(&self, tenant: &TenantId, seq: u64) -> Result<bool> {
        const OPERATION: &str = "journal.discard";
        let store = self.local.tenant(tenant).await?;
        store
            .write(OPERATION, 0, move |tx| rows::discard(tx, OPERATION, seq))
            .await
    }
}

impl LocalJournal {
    async fn page(
        &self,
        store: &Arc<Tenant>,
        operation: &'static str,
        capability: CapabilityName,
        after: u64,
        limit: u32,
    ) -> Result<rows::Page> {
        let master = self.master.clone();
        store
            .read(operation, move |store, conn| {
                let key = |id| {
                    let desk = store.journal();
                    desk.key_of(conn, operation, store.id(), &master, id)
                };
                let whose = (operation, store.id());
                rows::next(conn, whose, capability, after, limit, key)
            })
            .await
    }

    /// Takes the tenant's mark away if nothing waits.
    async fn unmark(&self, store: &Arc<Tenant>) -> Result<()> {
        const OPERATION: &str = "journal.unmark";
        if !store.journal().may_be_unmarked() {
            return Ok(());
        }
        let (marks, whose) = (Arc::clone(&self.marks), Arc::clone(store));
        store
            .alone(OPERATION, move |conn| {
                if rows::any_waits(conn).map_err(|e| error::sqlite(OPERATION, e))? {
                    return Ok(());
                }
                marks
                    .remove(whose.id())
                    .map_err(|e| error::io(OPERATION, e))?;
                whose.journal().unmarked();
                Ok(())
            })
            .await
    }
}

fn check_limit(operation: &'static str, limit: u32) -> Result<()> {
    if (1..=PAGE_MAX_ENTRIES).contains(&limit) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!("limit {limit} is not between 1 and {PAGE_MAX_ENTRIES}"),
    )
    .with_context("limit", PAGE_MAX_ENTRIES))
}
