//! Who may write to whom, and the way of a message that is answered.
//!
//! The one place where a message crosses from one tenant to another; [`Exchange::route`] reads as the rule.

use std::sync::{Arc, OnceLock, Weak};

use async_trait::async_trait;
use stuga_core::a2a::delivery::invocation_of_answer;
use stuga_core::a2a::{Address, Exchange, Incoming, Message, Target};
use stuga_core::{CallCtx, Error, Result, WriteId};
use stuga_runtime::InvokeError;
use tokio::time::Instant;

use super::{Call, Failure, Host, Snapshot};
use crate::tenants::suggestion;

/// The exchange of a host. It is made before the host and introduced to it.
#[derive(Default)]
pub(super) struct Switchboard(OnceLock<Weak<Host>>);

impl Switchboard {
    /// Connects the host. The first call counts.
    pub(super) fn connect(&self, host: &Arc<Host>) {
        let _ = self.0.set(Arc::downgrade(host));
    }

    fn host(&self, operation: &'static str) -> Result<Arc<Host>> {
        let host = self.0.get().and_then(Weak::upgrade);
        host.ok_or_else(|| Error::unavailable(operation, "the host is shutting down"))
    }
}

#[async_trait]
impl Exchange for Switchboard {
    fn route(&self, ctx: &CallCtx, operation: &'static str, to: &Target) -> Result<Address> {
        let host = self.host(operation)?;
        route(&host.current(), ctx, operation, to)
    }

    async fn send(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        to: &Address,
        message: Message,
        deadline: Instant,
    ) -> Result<String> {
        const OPERATION: &str = "a2a.send";
        let host = self.host(OPERATION)?;
        let sender = Address::of(ctx);
        let answered = answer(&host, ctx, &sender, id, to, message, deadline);
        // The other agent is given up as well when the sender is: it runs inside this call.
        match tokio::time::timeout_at(deadline, answered).await {
            Ok(answered) => answered.map_err(|failure| refusal(OPERATION, to, &sender, failure)),
            Err(_) => Err(late(OPERATION, to, &sender)),
        }
    }
}

/// The agent that a message may go to.
fn route(
    snapshot: &Snapshot,
    ctx: &CallCtx,
    operation: &'static str,
    to: &Target,
) -> Result<Address> {
    let own = snapshot
        .tenants
        .get(&ctx.tenant)
        .ok_or_else(|| Error::unavailable(operation, "the tenant is no longer there"))?;
    let tenant = to.tenant.as_ref().unwrap_or(&ctx.tenant);
    let address = Address {
        tenant: tenant.clone(),
        agent: to.agent.clone(),
    };
    let agent = to.agent.as_str();
    if *tenant == ctx.tenant {
        if own.tenant.plugin(agent).is_some() {
            return Ok(address);
        }
        let known = own.tenant.plugins.iter().map(|entry| entry.name.as_str());
        return Err(Error::not_found(
            operation,
            format!(
                "the tenant has no agent {agent:?}{}",
                suggestion(agent, known)
            ),
        )
        .with_context("agent", agent));
    }
    let sender = Address::of(ctx);
    let other = snapshot.tenants.get(tenant);
    let is_welcome = other.is_some_and(|other| {
        other.tenant.a2a.from.allows(&sender) && other.tenant.plugin(agent).is_some()
    });
    // One answer for all that can be wrong on the other side, so that nobody finds out who is there.
    if own.tenant.a2a.to.allows(&address) && is_welcome {
        return Ok(address);
    }
    Err(Error::denied(
        operation,
        format!(
            "messages to {address} are not allowed; both tenants' files must: `a2a.to` of {}, `a2a.from` of the other",
            ctx.tenant
        ),
    )
    .with_context("agent", address))
}

async fn answer(
    host: &Arc<Host>,
    ctx: &CallCtx,
    sender: &Address,
    id: WriteId,
    to: &Address,
    message: Message,
    deadline: Instant,
) -> Result<String, Failure> {
    let snapshot = host.snapshot();
    let unknown = || Failure::UnknownAgent {
        asked: to.agent.to_string(),
        known: Vec::new(),
    };
    let tenant = snapshot.tenants.get(&to.tenant).ok_or_else(unknown)?;
    let agent = tenant.agent(to.agent.as_str())?;
    agent.check(&message.skill, &message.input)?;
    // The receiver's limits hold for what others make it do.
    let _permit = host.admit(tenant)?;
    let call = Call {
        tenant: Arc::clone(tenant),
        agent: Arc::clone(agent),
        skill: message.skill,
        input: message.input,
        session: message.session,
        request: ctx.request.clone(),
        invocation: invocation_of_answer(to, sender, id),
        accepted_at: ctx.accepted_at,
        // As the sender's own invocation.
        repeatable: ctx.repeatable,
        message: Some(Incoming {
            sender: sender.seen_from(&to.tenant),
            id: id.to_name(),
            expects_reply: true,
            depth: ctx.next_depth(),
        }),
        deadline: Some(deadline),
        parts: None,
    };
    Ok(host.invoke(call).await?.output)
}

/// Why no answer came, in the sender's words.
fn refusal(operation: &'static str, to: &Address, sender: &Address, failure: Failure) -> Error {
    let agent = to.seen_from(&sender.tenant);
    let told = failure.to_string();
    let error = match failure {
        // What the other agent says is its answer.
        Failure::Invoke(InvokeError::Agent(error)) => return error,
        Failure::UnknownSkill { .. } => Error::not_found(operation, told),
        Failure::Unreadable(_) | Failure::Misfits { .. } => Error::invalid(operation, told),
        Failure::UnknownAgent { .. } | Failure::NotReady { .. } => {
            Error::unavailable(operation, format!("the agent {agent} is not running"))
        }
        Failure::TooMany { retry_after, .. }
        | Failure::TooFast { retry_after, .. }
        | Failure::Invoke(InvokeError::Busy { retry_after }) => {
            Error::rate_limited(operation, format!("the agent {agent} has too much to do"))
                .with_retry_after(retry_after)
        }
        Failure::Invoke(InvokeError::Deadline) => return late(operation, to, sender),
        _ => Error::unavailable(
            operation,
            format!("the agent {agent} failed; its operator finds why in the host's log"),
        ),
    };
    error.with_context("agent", agent)
}

fn late(operation: &'static str, to: &Address, sender: &Address) -> Error {
    let agent = to.seen_from(&sender.tenant);
    Error::timeout(
        operation,
        format!("the agent {agent} did not answer in time; what it did until then stands"),
    )
    .with_context("agent", agent)
}
