//! The operator's side of mailboxes.

use async_trait::async_trait;
use stuga_core::a2a::delivery::{Filter, Letter, MailDesk, PAGE_MAX_MESSAGES};
use stuga_core::{AgentName, CapabilityName, Error, Result, TenantId, WriteId};

use super::LocalMail;
use super::rows::{self, LETTER, TABLE};
use crate::applied::{self, DigestBuilder};
use crate::error;
use crate::tx::WriteTx;

#[async_trait]
impl MailDesk for LocalMail {
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &Filter,
        after: Option<u64>,
        limit: u32,
    ) -> Result<(Vec<Letter>, Option<u64>)> {
        const OPERATION: &str = "messages.list";
        if !(1..=PAGE_MAX_MESSAGES).contains(&limit) {
            return Err(Error::invalid(
                OPERATION,
                format!("limit {limit} is not between 1 and {PAGE_MAX_MESSAGES}"),
            ));
        }
        let store = self.local.tenant(tenant).await?;
        let agent = filter.agent.as_ref().map(AgentName::to_string);
        let phase = filter.state.map(rows::phase);
        store
            .read(OPERATION, move |_, conn| {
                let read = || -> rusqlite::Result<Vec<(Letter, u64)>> {
                    conn.prepare_cached(&format!(
                        "SELECT {LETTER} FROM message WHERE seq > ?1 AND agent = coalesce(?2, agent)
                           AND phase = coalesce(?3, phase) ORDER BY seq LIMIT ?4"
                    ))?
                    .query_map((after.unwrap_or(0), agent, phase, limit + 1), |row| {
                        Ok((rows::letter(row)?, row.get(12)?))
                    })?
                    .collect()
                };
                let mut found = read().map_err(|e| error::sqlite(OPERATION, e))?;
                let is_more = found.len() > limit as usize;
                found.truncate(limit as usize);
                let last = found.last().map(|(_, seq)| *seq).filter(|_| is_more);
                Ok((found.into_iter().map(|(letter, _)| letter).collect(), last))
            })
            .await
    }

    async fn find(&self, tenant: &TenantId, id: &str) -> Result<Option<Letter>> {
        const OPERATION: &str = "messages.find";
        let (store, id) = (self.local.tenant(tenant).await?, id.to_owned());
        store
            .read(OPERATION, move |_, conn| {
                use rusqlite::OptionalExtension;
                conn.prepare_cached(&format!(
                    "SELECT {LETTER} FROM message WHERE id = ?1 ORDER BY seq LIMIT 1"
                ))
                .and_then(|mut statement| statement.query_row([id], rows::letter).optional())
                .map_err(|e| error::sqlite(OPERATION, e))
            })
            .await
    }

    async fn requeue(&self, tenant: &TenantId, write: WriteId, id: &str) -> Result<bool> {
        const OPERATION: &str = "messages.requeue";
        let (marks, whose) = (std::sync::Arc::clone(&self.marks), tenant.clone());
        let done = self
            .change(tenant, OPERATION, write, id, move |tx, seq| {
                if !TABLE.requeue(tx, OPERATION, seq)? {
                    return Ok(false);
                }
                tx.execute(
                    OPERATION,
                    "UPDATE message SET ended_at = NULL, queued_at = ?2 WHERE seq = ?1",
                    (seq, tx.now.as_millis()),
                )?;
                marks.set(&whose).map_err(|e| error::io(OPERATION, e))?;
                Ok(true)
            })
            .await?;
        self.marks.ring(tenant);
        Ok(done)
    }

    async fn discard(&self, tenant: &TenantId, write: WriteId, id: &str) -> Result<bool> {
        const OPERATION: &str = "messages.discard";
        let done = self
            .change(tenant, OPERATION, write, id, |tx, seq| {
                let is_free = tx.first(
                    OPERATION,
                    "SELECT 1 FROM message WHERE seq = ?1 AND phase <> 'running'",
                    [seq],
                    |_| Ok(()),
                )?;
                if is_free.is_some() {
                    rows::remove(tx, OPERATION, seq)?;
                }
                Ok(is_free.is_some())
            })
            .await?;
        // What stood behind it may go.
        self.marks.ring(tenant);
        Ok(done)
    }
}

impl LocalMail {
    /// Changes the message of that id, once for the write's id; false when there is none.
    async fn change(
        &self,
        tenant: &TenantId,
        operation: &'static str,
        write: WriteId,
        id: &str,
        change: impl FnOnce(&mut WriteTx<'_>, i64) -> Result<bool> + Send + 'static,
    ) -> Result<bool> {
        let digest = DigestBuilder::of_operator(CapabilityName::A2a, operation)
            .part(id.as_bytes())
            .finish();
        let (store, id) = (self.local.tenant(tenant).await?, id.to_owned());
        store
            .write(operation, 0, move |tx| {
                applied::once(tx, operation, write, digest, |tx| {
                    let seq = tx.first(
                        operation,
                        "SELECT seq FROM message WHERE id = ?1 ORDER BY seq LIMIT 1",
                        [id],
                        |row| row.get(0),
                    )?;
                    seq.map_or(Ok(false), |seq| change(tx, seq))
                })
            })
            .await
    }
}
