//! The runner's side of mailboxes.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::a2a::delivery::{CLAIM_MAX, Delivery, MailQueue, Outcome, Pending, Settled, Taken};
use stuga_core::lease::{Held, Lease, LeaseToken};
use stuga_core::retry::{Next, next_roll};
use stuga_core::{AgentName, Error, Result, TenantId, Timestamp};

use super::LocalMail;
use super::rows::{self, TABLE};
use crate::error;
use crate::tenant::Tenant;
use crate::tx::WriteTx;

/// Most leases that have run out which one look puts back.
const LOST_MAX: u32 = 64;
/// The first message of each sender to one agent that waits or is held. From sender to sender by the index, so that a
/// long queue of one costs no more than a short one.
const HEADS: &str = "
WITH RECURSIVE senders (sender) AS (
    SELECT min(sender) FROM message WHERE agent = ?1 AND ended_at IS NULL
    UNION ALL
    SELECT (SELECT min(sender) FROM message WHERE agent = ?1 AND ended_at IS NULL AND sender > senders.sender)
    FROM senders WHERE senders.sender IS NOT NULL
),
heads (seq) AS (
    SELECT (SELECT min(seq) FROM message WHERE agent = ?1 AND ended_at IS NULL AND sender = senders.sender)
    FROM senders WHERE senders.sender IS NOT NULL
)";

#[async_trait]
impl MailQueue for LocalMail {
    async fn pending(&self) -> Result<Vec<Pending>> {
        const OPERATION: &str = "a2a.pending";
        let marks = Arc::clone(&self.marks);
        let listing = tokio::task::spawn_blocking(move || marks.list());
        let listed = listing
            .await
            .map_err(|e| Error::internal(OPERATION, "listing the marks died").with_source(e))?
            .map_err(|e| error::io(OPERATION, e))?;
        Ok(listed
            .into_iter()
            .map(|(tenant, stamp)| Pending { tenant, stamp })
            .collect())
    }

    async fn changed(&self) -> TenantId {
        self.marks.changed().await
    }

    async fn take(
        &self,
        tenant: &TenantId,
        agents: &[AgentName],
        leases: &[Lease],
        roll: u64,
    ) -> Result<Delivery> {
        const OPERATION: &str = "a2a.take";
        if leases.len() > CLAIM_MAX {
            return Err(Error::invalid(
                OPERATION,
                "too many messages are taken at once",
            ));
        }
        let store = self.local.tenant(tenant).await?;
        let (agents, leases) = (agents.to_vec(), leases.to_vec());
        let found = store
            .write(OPERATION, 0, move |tx| {
                take(tx, OPERATION, &agents, &leases, roll)
            })
            .await?;
        if found.messages.is_empty() && found.next_at.is_none() {
            self.unmark(tenant, &store).await?;
        }
        Ok(found)
    }

    async fn prolong(&self, tenant: &TenantId, lease: &Lease) -> Result<Held> {
        const OPERATION: &str = "a2a.prolong";
        let (store, lease) = (self.local.tenant(tenant).await?, *lease);
        store
            .write(OPERATION, 0, move |tx| TABLE.prolong(tx, OPERATION, &lease))
            .await
    }

    async fn settle(
        &self,
        tenant: &TenantId,
        token: &LeaseToken,
        outcome: Outcome,
    ) -> Result<Settled> {
        const OPERATION: &str = "a2a.settle";
        let (store, token) = (self.local.tenant(tenant).await?, *token);
        let settled = store
            .write(OPERATION, 0, move |tx| {
                settle(tx, OPERATION, &token, &outcome)
            })
            .await?;
        // The next message of that pair may be taken now.
        self.marks.ring(tenant);
        Ok(settled)
    }
}

impl LocalMail {
    /// Takes the tenant's mark away if nothing waits or runs.
    async fn unmark(&self, tenant: &TenantId, store: &Arc<Tenant>) -> Result<()> {
        const OPERATION: &str = "a2a.unmark";
        let (marks, tenant) = (Arc::clone(&self.marks), tenant.clone());
        store
            .alone(OPERATION, move |conn| {
                let busy: bool = conn
                    .query_row(
                        "SELECT EXISTS (SELECT 1 FROM message WHERE ended_at IS NULL)",
                        [],
                        |row| row.get(0),
                    )
                    .map_err(|e| error::sqlite(OPERATION, e))?;
                if busy {
                    return Ok(());
                }
                marks.remove(&tenant).map_err(|e| error::io(OPERATION, e))
            })
            .await
    }
}

fn take(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    agents: &[AgentName],
    leases: &[Lease],
    roll: u64,
) -> Result<Delivery> {
    put_back_lost(tx, operation, roll)?;
    let mut messages = Vec::new();
    for (seq, lease) in due(tx, operation, agents, leases.len())?
        .into_iter()
        .zip(leases)
    {
        messages.extend(take_one(tx, operation, seq, lease)?);
    }
    let next_at = next_at(tx, operation, agents)?;
    Ok(Delivery { messages, next_at })
}

fn put_back_lost(tx: &WriteTx<'_>, operation: &'static str, roll: u64) -> Result<()> {
    let mut roll = roll;
    for seq in TABLE.lost(tx, operation, LOST_MAX)? {
        roll = next_roll(roll);
        if let Some(Next::GiveUp) = TABLE.lose(tx, operation, seq, roll)? {
            rows::note_death(tx, operation, seq)?;
        }
    }
    Ok(())
}

/// Heads that are due, those first that have been due for the longest time.
fn due(
    tx: &WriteTx<'_>,
    operation: &'static str,
    agents: &[AgentName],
    max: usize,
) -> Result<Vec<i64>> {
    let sql = format!(
        "{HEADS} SELECT due_at, seq FROM message WHERE seq IN (SELECT seq FROM heads)
           AND phase = 'waiting' AND due_at <= ?2 ORDER BY due_at, seq LIMIT ?3"
    );
    let mut statement = tx.statement(operation, &sql)?;
    let mut found: Vec<(u64, i64)> = Vec::new();
    for agent in agents {
        let params = (agent.as_str(), tx.now.as_millis(), max);
        let rows = statement
            .query_map(params, |row| Ok((row.get(0)?, row.get(1)?)))
            .and_then(Iterator::collect::<rusqlite::Result<Vec<_>>>);
        found.extend(rows.map_err(|e| error::sqlite(operation, e))?);
    }
    found.sort_unstable();
    found.truncate(max);
    Ok(found.into_iter().map(|(_, seq)| seq).collect())
}

fn take_one(
    tx: &WriteTx<'_>,
    operation: &'static str,
    seq: i64,
    lease: &Lease,
) -> Result<Option<Taken>> {
    let Some(taken) = TABLE.take(tx, operation, seq, lease)? else {
        return Ok(None);
    };
    tx.first(
        operation,
        "SELECT sender, agent, id, skill, input, session, depth FROM message WHERE seq = ?1",
        [seq],
        |row| {
            Ok(Taken {
                token: lease.token,
                sender: rows::parsed(row, 0)?,
                agent: rows::agent(row, 1)?,
                id: row.get(2)?,
                message: rows::message(row, 3)?,
                depth: row.get(6)?,
                attempt: taken.attempt,
                began_at: taken.began_at,
                again: taken.began_at != tx.now,
            })
        },
    )
}

/// When there may be something to take next: a head that becomes due, or a lease that runs out.
fn next_at(
    tx: &WriteTx<'_>,
    operation: &'static str,
    agents: &[AgentName],
) -> Result<Option<Timestamp>> {
    let earliest = |sql: &str, params: &[&dyn rusqlite::ToSql]| {
        let found = tx.first(operation, sql, params, |row| row.get::<_, Option<u64>>(0));
        found.map(Option::flatten)
    };
    let mut next = earliest(
        "SELECT min(lease_until) FROM message WHERE phase = 'running'",
        &[],
    )?;
    let sql = format!(
        "{HEADS} SELECT min(due_at) FROM message WHERE seq IN (SELECT seq FROM heads) AND phase = 'waiting'"
    );
    for agent in agents {
        let due = earliest(&sql, &[&agent.as_str()])?;
        next = next.into_iter().chain(due).min();
    }
    Ok(next.map(Timestamp::from_millis))
}

fn settle(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    token: &LeaseToken,
    outcome: &Outcome,
) -> Result<Settled> {
    let Some(seq) = TABLE.held(tx, operation, token)? else {
        return Ok(Settled::Lost);
    };
    match outcome {
        Outcome::Delivered => {
            rows::remove(tx, operation, seq)?;
            Ok(Settled::Delivered)
        }
        Outcome::Failed { failure, roll } => {
            let next = TABLE.fail(tx, operation, seq, failure, *roll)?;
            if next == Next::GiveUp {
                rows::note_death(tx, operation, seq)?;
            }
            Ok(Settled::Failed(next))
        }
        Outcome::Released => {
            TABLE.give_back(tx, operation, seq)?;
            Ok(Settled::Released)
        }
    }
}
