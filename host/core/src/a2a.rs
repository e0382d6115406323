//! Messages between agents: sent and answered at once, or posted into a mailbox.
//!
//! [`Exchange`] decides where a message may go and carries those that are answered; [`Mailbox`] keeps those that are
//! posted. [`delivery`] is the other end of a mailbox: what the host takes out of it, and what the operator sees.

pub mod delivery;

use std::fmt;
use std::str::FromStr;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::id::is_name;
use crate::{
    AgentName, CallCtx, Capability, CapabilityName, Error, Result, TenantId, Write, WriteId,
};

/// Longest input of a message in bytes.
pub const INPUT_MAX_BYTES: usize = 256 << 10;
/// Longest name of a session in bytes.
pub const SESSION_MAX_BYTES: usize = 256;
/// How deep a message may be: one that a client's call sends is 1 deep, one that is sent while it is answered 2.
pub const DEPTH_MAX: u32 = 16;

/// An agent, wherever it is.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Serialize, Deserialize)]
pub struct Address {
    /// Its tenant.
    pub tenant: TenantId,
    /// Its name there.
    pub agent: AgentName,
}

impl Address {
    /// The agent on whose behalf a call is made.
    pub fn of(ctx: &CallCtx) -> Self {
        Self {
            tenant: ctx.tenant.clone(),
            agent: ctx.agent.clone(),
        }
    }

    /// As an agent of `tenant` calls it: `agent` of the same tenant, else `tenant/agent`.
    pub fn seen_from(&self, tenant: &TenantId) -> String {
        if self.tenant == *tenant {
            return self.agent.to_string();
        }
        self.to_string()
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.tenant, self.agent)
    }
}

impl FromStr for Address {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let parts = text
            .split_once('/')
            .ok_or_else(|| Error::invalid("a2a.address", "the address is not tenant/agent"))?;
        Ok(Self {
            tenant: TenantId::new(parts.0)?,
            agent: AgentName::new(parts.1)?,
        })
    }
}

/// What a sender wrote as the address, before anybody asked whether it may.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Target {
    /// Another tenant, when one was named.
    pub tenant: Option<TenantId>,
    /// The agent.
    pub agent: AgentName,
}

impl Target {
    /// Reads `agent` or `tenant/agent`.
    pub fn parse(operation: &'static str, to: &str) -> Result<Self> {
        let (tenant, agent) = match to.split_once('/') {
            Some((tenant, agent)) => (Some(tenant), agent),
            None => (None, to),
        };
        let malformed = |_| {
            Error::invalid(
                operation,
                "the address is not `agent` or `tenant/agent`, names of 1 to 63 characters of a-z, 0-9 and inner -",
            )
        };
        Ok(Self {
            tenant: tenant.map(TenantId::new).transpose().map_err(malformed)?,
            agent: AgentName::new(agent).map_err(malformed)?,
        })
    }
}

/// What is said to another agent.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Message {
    /// Which of its skills.
    pub skill: String,
    /// JSON text.
    pub input: String,
    /// Groups invocations that belong together.
    pub session: Option<String>,
}

impl Message {
    /// Checks the lengths, and that the skill is a name and the input JSON.
    pub fn check(&self, operation: &'static str) -> Result<()> {
        let too_long = |what: &str, bytes: usize, max: usize| {
            Error::invalid(
                operation,
                format!("the message's {what} has {bytes} bytes; the limit is {max}"),
            )
            .with_context("limit", max)
        };
        if !is_name(&self.skill) {
            return Err(Error::invalid(
                operation,
                "the message's skill is not 1 to 63 characters of a-z, 0-9 and inner -",
            ));
        }
        if self.input.len() > INPUT_MAX_BYTES {
            return Err(too_long("input", self.input.len(), INPUT_MAX_BYTES));
        }
        let session = self.session.as_ref().map_or(0, String::len);
        if session > SESSION_MAX_BYTES {
            return Err(too_long("session", session, SESSION_MAX_BYTES));
        }
        serde_json::from_str::<serde::de::IgnoredAny>(&self.input)
            .map(drop)
            .map_err(|e| Error::invalid(operation, format!("the message's input is not JSON: {e}")))
    }
}

/// The message that an invocation answers, as far as the invocation is told.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Incoming {
    /// Who sent it, as the receiver calls it: `agent` of the same tenant or `tenant/agent`.
    pub sender: String,
    /// The message's id.
    pub id: String,
    /// Whether the sender waits for the answer.
    pub expects_reply: bool,
    /// How deep it is, from 1.
    pub depth: u32,
}

/// A change to mailboxes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum MailboxWrite {
    /// Puts a message into the mailbox of an agent, which may be another tenant's: whoever makes this write has asked
    /// [`Exchange::route`] whether it may.
    Post {
        /// The agent, as text: `tenant/agent`.
        to: String,
        /// What is said.
        message: Message,
        /// How deep the message is, from 1.
        depth: u32,
    },
}

impl MailboxWrite {
    /// Checks address, message and depth, and returns the address.
    pub fn check(&self) -> Result<Address> {
        let Self::Post { to, message, depth } = self;
        let operation = self.operation();
        message.check(operation)?;
        check_depth(operation, *depth)?;
        to.parse()
    }
}

impl Write for MailboxWrite {
    type Ack = MailboxAck;
    const CAPABILITY: CapabilityName = CapabilityName::A2a;

    /// The receiver: what one agent posts to it keeps its order.
    fn key(&self) -> &str {
        let Self::Post { to, .. } = self;
        to
    }

    fn operation(&self) -> &'static str {
        match self {
            Self::Post { .. } => "a2a.post",
        }
    }
}

/// What a change to mailboxes answers.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct MailboxAck {
    /// The message's id, made from the write's.
    pub id: String,
}

/// The mailboxes of agents, as those see them that post. Object safe.
///
/// A post is kept with the *receiver's* tenant: it counts towards that tenant's quota and is applied once for the id of
/// the sender's write, so a repetition of the sender's invocation posts nothing twice. Posts of one sender to one agent
/// are delivered in the order in which they were applied. A sender from another tenant may fill half of a mailbox; the
/// refusal tells it nothing of what is in it.
#[async_trait]
pub trait Mailbox: Capability<Write = MailboxWrite> {}

/// Carries messages between the agents of a host. The one place that says who may write to whom.
#[async_trait]
pub trait Exchange: Send + Sync + 'static {
    /// Where the message goes.
    ///
    /// # Errors
    /// `NotFound` when there is no such agent in the sender's own tenant; `Denied` for another tenant without the word of
    /// both, whether or not tenant and agent exist.
    fn route(&self, ctx: &CallCtx, operation: &'static str, to: &Target) -> Result<Address>;

    /// Invokes the agent at `to`, which [`Exchange::route`] named, and waits for its output until `deadline`. The
    /// invocation is derived from `id`: when the sender repeats the write, the other agent repeats its own.
    ///
    /// # Errors
    /// What the agent answers, or why it does not.
    async fn send(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        to: &Address,
        message: Message,
        deadline: Instant,
    ) -> Result<String>;
}

/// An exchange with nobody at the other end.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoExchange;

#[async_trait]
impl Exchange for NoExchange {
    fn route(&self, _: &CallCtx, operation: &'static str, to: &Target) -> Result<Address> {
        Err(unknown_agent(operation, &to.agent))
    }

    async fn send(
        &self,
        _: &CallCtx,
        _: WriteId,
        to: &Address,
        _: Message,
        _: Instant,
    ) -> Result<String> {
        Err(unknown_agent("a2a.send", &to.agent))
    }
}

fn unknown_agent(operation: &'static str, agent: &AgentName) -> Error {
    Error::not_found(operation, format!("there is no agent {agent} to write to"))
}

/// Refuses a message that is too deep.
pub fn check_depth(operation: &'static str, depth: u32) -> Result<()> {
    if (1..=DEPTH_MAX).contains(&depth) {
        return Ok(());
    }
    Err(Error::quota_exceeded(
        operation,
        format!("the message is {depth} deep; agents seem to call each other in a circle"),
    )
    .with_context("limit", DEPTH_MAX))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn an_address_is_an_agent_or_a_tenant_and_an_agent() {
        let near = Target::parse("a2a.send", "svea").unwrap();
        assert_eq!((near.tenant, near.agent.as_str()), (None, "svea"));
        let far = Target::parse("a2a.send", "acme/svea").unwrap();
        assert_eq!(far.tenant.unwrap().as_str(), "acme");
        for bad in ["", "/", "a/", "/a", "a/b/c", "A", "../a", "a b"] {
            let refused = Target::parse("a2a.send", bad).unwrap_err();
            assert_eq!(refused.kind(), ErrorKind::Invalid, "{bad:?}");
        }
    }

    #[test]
    fn a_neighbour_is_called_by_its_name_alone() {
        let address: Address = "acme/svea".parse().unwrap();
        assert_eq!(address.seen_from(&TenantId::new("acme").unwrap()), "svea");
        assert_eq!(address.seen_from(&TenantId::new("b").unwrap()), "acme/svea");
    }

    #[test]
    fn a_message_is_bounded_and_its_input_is_json() {
        let message = |skill: &str, input: &str, session: usize| Message {
            skill: skill.to_owned(),
            input: input.to_owned(),
            session: Some("s".repeat(session)),
        };
        let long = format!("\"{}\"", "x".repeat(INPUT_MAX_BYTES));
        assert!(
            message("echo", "{}", SESSION_MAX_BYTES)
                .check("a2a.send")
                .is_ok()
        );
        for bad in [
            message("Echo", "{}", 0),
            message("echo", "{", 0),
            message("echo", &long, 0),
            message("echo", "{}", SESSION_MAX_BYTES + 1),
        ] {
            assert_eq!(
                bad.check("a2a.send").unwrap_err().kind(),
                ErrorKind::Invalid
            );
        }
    }
}
