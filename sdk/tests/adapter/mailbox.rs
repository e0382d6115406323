//! Mailboxes over the SDK's functions. A mock delivers nothing: what was posted is looked at with its sender.

use async_trait::async_trait;
use stuga_core::a2a::{Address, Mailbox, MailboxAck, MailboxWrite, Message};
use stuga_core::testkit::a2a::posting::{Lying, Postbox};
use stuga_core::{CallCtx, Capability, Result, WriteId};
use stuga_sdk::a2a as sdk;

use super::Mock;

/// Mailboxes of the mock hosts.
pub(crate) struct MailboxOf(pub(crate) Mock);

#[async_trait]
impl Capability for MailboxOf {
    type Write = MailboxWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &MailboxWrite) -> Result<MailboxAck> {
        let MailboxWrite::Post { to, message, .. } = write;
        let input: serde_json::Value = serde_json::from_str(&message.input).unwrap();
        let options = match &message.session {
            None => sdk::Options::new(),
            Some(session) => sdk::Options::new().session(session),
        };
        self.0.once(ctx, id, write, || {
            let post = || sdk::post_with(to, &message.skill, &input, &options);
            let id = self.0.run(ctx, "a2a.post", post)?;
            Ok(MailboxAck { id })
        })
    }
}

impl Mailbox for MailboxOf {}

#[async_trait]
impl Postbox for MailboxOf {
    async fn lying(&self, to: &Address) -> Result<Vec<Lying>> {
        let mut all = Vec::new();
        for ((tenant, agent), host) in self.0.hosts.lock().unwrap().iter() {
            let posted = host.posts().into_iter();
            all.extend(posted.filter(|p| p.to == to.to_string()).map(|p| Lying {
                id: p.id,
                sender: Address {
                    tenant: tenant.clone(),
                    agent: agent.clone(),
                },
                message: Message {
                    skill: p.skill,
                    input: p.input.to_string(),
                    session: p.session,
                },
            }));
        }
        Ok(all)
    }
}
