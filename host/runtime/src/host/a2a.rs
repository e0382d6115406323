//! `a2a`: the exchange says where a message may go; what is sent it carries, what is posted is a write.

use std::time::Duration;

use stuga_core::a2a::{Address, MailboxWrite, Message, Target, check_depth};
use stuga_core::tape::{taped, taped_now};
use stuga_core::{Backend, CallCtx, CapabilityName, Result};
use stuga_resilience::Capabilities;
use tokio::time::Instant;

use crate::bindings::stuga::agent::a2a::{Host, Message as WitMessage};
use crate::state::HostState;

impl HostState {
    /// Whatever can be refused is refused here, in the order in which it tells least.
    fn address(
        &self,
        operation: &'static str,
        to: &str,
        message: &Message,
    ) -> Result<(&CallCtx, &Capabilities, Address)> {
        let (ctx, capabilities) = self.permit(CapabilityName::A2a, operation)?;
        let target = Target::parse(operation, to)?;
        message.check(operation)?;
        check_depth(operation, ctx.next_depth())?;
        ctx.check_deadline(operation)?;
        let route = || capabilities.exchange.route(ctx, operation, &target);
        let to = taped_now(ctx, "a2a.route", to, route)?;
        Ok((ctx, capabilities, to))
    }
}

impl Host for HostState {
    async fn send(
        &mut self,
        to: String,
        message: WitMessage,
        deadline_ms: Option<u64>,
    ) -> Result<String> {
        const OPERATION: &str = "a2a.send";
        let message = Message::from(message);
        let (ctx, capabilities, to) = self.address(OPERATION, &to, &message)?;
        // Asked for or not, no answer comes after this invocation's own end.
        let deadline = deadline_ms
            .and_then(|ms| Instant::now().checked_add(Duration::from_millis(ms)))
            .map_or(ctx.deadline, |asked| asked.min(ctx.deadline));
        let (exchange, said, to) = (&capabilities.exchange, message.clone(), &to);
        let send = || async move {
            let id = ctx.next_write_id()?;
            let answer = exchange.send(ctx, id, to, message, deadline).await;
            ctx.receipt
                .note(CapabilityName::A2a, Backend::Local, |used| {
                    used.attempts = used.attempts.saturating_add(1);
                    used.writes = used.writes.saturating_add(1);
                });
            answer
        };
        taped(ctx, OPERATION, &(to, said, deadline_ms), send).await
    }

    async fn post(&mut self, to: String, message: WitMessage) -> Result<String> {
        const OPERATION: &str = "a2a.post";
        let message = Message::from(message);
        let (ctx, capabilities, to) = self.address(OPERATION, &to, &message)?;
        let write = MailboxWrite::Post {
            to: to.to_string(),
            message,
            depth: ctx.next_depth(),
        };
        Ok(capabilities.mailbox.write(ctx, &write).await?.id)
    }
}

impl From<WitMessage> for Message {
    fn from(message: WitMessage) -> Self {
        Self {
            skill: message.skill,
            input: message.input,
            session: message.session,
        }
    }
}
