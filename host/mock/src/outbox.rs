//! What the agent under test wrote to others.

use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use stuga_core::a2a::{Address, Mailbox, MailboxAck, MailboxWrite, Message};
use stuga_core::{CallCtx, Capability, Result, WriteId};

/// What the agent under test wrote, each once however often it was repeated, in order.
#[derive(Default)]
pub(crate) struct Outbox {
    sent: Mutex<Vec<(WriteId, Said)>>,
    posted: Mutex<Vec<(WriteId, Said)>>,
}

/// A message that was written.
#[derive(Clone, Debug)]
pub(crate) struct Said {
    /// As the sender calls the receiver.
    pub(crate) to: String,
    pub(crate) message: Message,
}

impl Outbox {
    /// Notes a message that is sent for an answer.
    pub(crate) fn send(&self, id: WriteId, to: String, message: &Message) {
        let message = message.clone();
        note(&self.sent, id, Said { to, message });
    }

    pub(crate) fn sent(&self) -> Vec<Said> {
        listed(&self.sent)
    }

    pub(crate) fn posted(&self) -> Vec<Said> {
        listed(&self.posted)
    }
}

fn listed(list: &Mutex<Vec<(WriteId, Said)>>) -> Vec<Said> {
    let said = list.lock().unwrap_or_else(PoisonError::into_inner);
    said.iter().map(|(_, said)| said.clone()).collect()
}

fn note(list: &Mutex<Vec<(WriteId, Said)>>, id: WriteId, said: Said) {
    let mut all = list.lock().unwrap_or_else(PoisonError::into_inner);
    if !all.iter().any(|(known, _)| *known == id) {
        all.push((id, said));
    }
}

/// Mailboxes that note what is posted into them.
pub(crate) struct Noted {
    pub(crate) mailbox: Arc<dyn Mailbox>,
    pub(crate) outbox: Arc<Outbox>,
}

#[async_trait]
impl Capability for Noted {
    type Write = MailboxWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &MailboxWrite) -> Result<MailboxAck> {
        let ack = self.mailbox.apply(ctx, id, write).await?;
        let MailboxWrite::Post { to, message, .. } = write;
        let said = Said {
            to: to.parse::<Address>()?.seen_from(&ctx.tenant),
            message: message.clone(),
        };
        note(&self.outbox.posted, id, said);
        Ok(ack)
    }
}

impl Mailbox for Noted {}
