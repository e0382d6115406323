//! The operations of mailboxes. Messages that are sent for an answer take another way, see [`crate::doubles::agents`].

use async_trait::async_trait;
use stuga_core::a2a::{Mailbox, MailboxAck, MailboxWrite};
use stuga_core::{CallCtx, Capability, Result, WriteId};

use super::Cloud;

#[async_trait]
impl Capability for Cloud<dyn Mailbox> {
    type Write = MailboxWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &MailboxWrite) -> Result<MailboxAck> {
        self.make(ctx, id, write).await
    }
}

impl Mailbox for Cloud<dyn Mailbox> {}
