//! Mailboxes on SQLite: a message lies in the store of the tenant that it goes to, whoever posted it.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stuga_core::a2a::{Address, Mailbox, MailboxAck, MailboxWrite};
use stuga_core::lease::Failure;
use stuga_core::{CallCtx, Capability, CapabilityName, Error, ErrorKind, Result, Write, WriteId};

use crate::Local;
use crate::applied::{self, DigestBuilder, WriteDigest};
use crate::error;
use crate::marks::Marks;
use crate::scope::Scope;
use crate::tenant::within;
use crate::tx::WriteTx;

mod desk;
mod queue;
mod rows;

/// How long a message waits for its agent before it is set aside.
const WAITS_MAX: Duration = Duration::from_secs(14 * 24 * 3_600);
/// How long a dead message is kept for the operator.
const DEAD_KEPT: Duration = Duration::from_secs(14 * 24 * 3_600);

/// The mailboxes of all tenants on this host: as agents post into them, as their runner empties them, and as the operator
/// sees them.
pub struct LocalMail {
    pub(crate) local: Local,
    pub(crate) marks: Arc<Marks>,
}

#[async_trait]
impl Capability for LocalMail {
    type Write = MailboxWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &MailboxWrite) -> Result<MailboxAck> {
        let to = write.check()?;
        let operation = write.operation();
        let digest = digest(&Scope::of(ctx), ctx, write);
        let (sender, write, marks) = (Address::of(ctx), write.clone(), Arc::clone(&self.marks));
        let MailboxWrite::Post { message, .. } = &write;
        let weight = message.input.len();
        let receiver = to.tenant.clone();
        let ack = within(ctx, operation, async {
            // The receiver's store, not the sender's: what follows is the one write of this crate that crosses.
            let tenant = self.local.tenant(&to.tenant).await?;
            tenant
                .write(operation, weight, move |tx| {
                    applied::once(tx, operation, id, digest, |tx| {
                        marks.set(&to.tenant).map_err(|e| error::io(operation, e))?;
                        let id = rows::insert(tx, &sender, &to, id, &write)?;
                        Ok(MailboxAck { id })
                    })
                })
                .await
        })
        .await?;
        self.marks.ring(&receiver);
        Ok(ack)
    }
}

impl Mailbox for LocalMail {}

/// Tells this write from any other under its id, of whatever tenant.
fn digest(scope: &Scope, ctx: &CallCtx, write: &MailboxWrite) -> WriteDigest {
    let MailboxWrite::Post { to, message, depth } = write;
    DigestBuilder::new(scope, CapabilityName::A2a, write.operation())
        .part(ctx.tenant.as_str().as_bytes())
        .part(to.as_bytes())
        .part(message.skill.as_bytes())
        .part(message.input.as_bytes())
        .number(message.session.as_ref().map(|session| session.len() as u64))
        .part(message.session.as_deref().unwrap_or_default().as_bytes())
        .number(Some(u64::from(*depth)))
        .finish()
}

/// Sets aside what waited too long and forgets what has been dead for long; says how many rows.
pub(crate) fn sweep(tx: &mut WriteTx<'_>, operation: &'static str, max: u32) -> Result<u32> {
    let now = tx.now.as_millis();
    let failure = Failure::new(
        ErrorKind::Timeout,
        "nobody took the message within 14 days; is the agent loaded?",
    );
    let failure = serde_json::to_string(&failure)
        .map_err(|e| Error::internal(operation, "a failure cannot be kept").with_source(e))?;
    let expired = tx.execute(
        operation,
        "UPDATE message SET phase = 'dead', ended_at = ?1, error = ?2 WHERE seq IN
           (SELECT seq FROM message WHERE phase = 'waiting' AND queued_at <= ?3 ORDER BY queued_at LIMIT ?4)",
        (now, failure, tx.now.saturating_sub(WAITS_MAX).as_millis(), max),
    )?;
    let old: Vec<i64> = tx
        .statement(
            operation,
            "SELECT seq FROM message WHERE ended_at IS NOT NULL AND ended_at <= ?1 ORDER BY ended_at LIMIT ?2",
        )?
        .query_map((tx.now.saturating_sub(DEAD_KEPT).as_millis(), max), |row| {
            row.get(0)
        })
        .and_then(Iterator::collect)
        .map_err(|e| error::sqlite(operation, e))?;
    for seq in &old {
        rows::remove(tx, operation, *seq)?;
    }
    Ok(u32::try_from(expired + old.len()).unwrap_or(u32::MAX))
}
