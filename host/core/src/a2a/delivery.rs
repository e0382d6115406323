//! The host's side of mailboxes: what the runner takes out of them, and what the operator sees. No guest reaches it.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Address, Message};
use crate::lease::{Failure, Held, Lease, LeaseToken};
use crate::retry::Next;
use crate::{AgentName, InvocationId, Result, TenantId, Timestamp, WriteId};

/// Most messages that are taken at once.
pub const CLAIM_MAX: usize = 64;
/// Most messages on a page of the operator's listing.
pub const PAGE_MAX_MESSAGES: u32 = 1_000;

/// A message that was taken: it is this holder's until the lease runs out.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Taken {
    /// Which holder.
    pub token: LeaseToken,
    /// Who wrote it.
    pub sender: Address,
    /// To which agent of the tenant.
    pub agent: AgentName,
    /// The message's id.
    pub id: String,
    /// What is said.
    pub message: Message,
    /// How deep it is.
    pub depth: u32,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// When this attempt was taken first: what the guest's clock shows, also when it comes again after a loss.
    pub began_at: Timestamp,
    /// Whether this attempt was taken before, by a holder that may still run.
    pub again: bool,
}

/// What a look into a tenant's mailboxes found.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Delivery {
    /// What was taken.
    pub messages: Vec<Taken>,
    /// When there may be something to take next for these agents; none when nothing waits or runs.
    pub next_at: Option<Timestamp>,
}

/// How an attempt ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// The agent took the message.
    Delivered,
    /// It did not. `roll` is a random number for the wait until the next attempt.
    Failed {
        /// Why.
        failure: Failure,
        /// All values equally likely.
        roll: u64,
    },
    /// Not at all: the host stops or the agent is not there, and the same attempt comes again.
    Released,
}

/// What became of a message whose attempt ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Settled {
    /// It is gone from the mailbox.
    Delivered,
    /// It failed, and this follows.
    Failed(Next),
    /// It waits again.
    Released,
    /// It is not this holder's any more. Nothing was changed.
    Lost,
}

/// A tenant that may have messages.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct Pending {
    /// Which.
    pub tenant: TenantId,
    /// Changes when messages are added, by whatever process.
    pub stamp: u64,
}

/// The mailboxes of all tenants as the runner sees them. Object safe.
///
/// Any number of runners may share them: a message has one holder at a time. What a holder says is heard as long as its
/// token holds. Everything is durable when it returns.
#[async_trait]
pub trait MailQueue: Send + Sync + 'static {
    /// Tenants that may have messages, found without opening their stores. A tenant with a message that waits or is held
    /// is among them; one without may be.
    async fn pending(&self) -> Result<Vec<Pending>>;

    /// The next tenant in which something changed through this process. Waits for one. Several changes of a tenant may
    /// be told as one.
    async fn changed(&self) -> TenantId;

    /// Takes at most `leases.len()` (at most [`CLAIM_MAX`]) messages for these agents that are due, one under each lease.
    ///
    /// Of each pair of sender and agent only the earliest message that waits or is held can be taken: those behind it
    /// follow when it is gone or set aside. Leases that have run out are put back before; `roll` is a random number for
    /// those that thereby count as failed.
    async fn take(
        &self,
        tenant: &TenantId,
        agents: &[AgentName],
        leases: &[Lease],
        roll: u64,
    ) -> Result<Delivery>;

    /// Prolongs a lease.
    async fn prolong(&self, tenant: &TenantId, lease: &Lease) -> Result<Held>;

    /// Says how an attempt ended. What is told after the message's end is `Lost` and changes nothing.
    async fn settle(
        &self,
        tenant: &TenantId,
        token: &LeaseToken,
        outcome: Outcome,
    ) -> Result<Settled>;
}

/// Where a message is.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum State {
    /// It waits to be taken.
    Waiting,
    /// An agent is being invoked with it.
    Running,
    /// It was set aside: its attempts are used up, or nobody took it in time.
    Dead,
}

/// A message as the operator sees it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Letter {
    /// Its id.
    pub id: String,
    /// Who wrote it.
    pub sender: Address,
    /// To which agent of the tenant.
    pub agent: AgentName,
    /// What is said.
    pub message: Message,
    /// How deep it is.
    pub depth: u32,
    /// Where it is.
    pub state: State,
    /// When it was posted.
    pub posted_at: Timestamp,
    /// From when on it may be taken, when it waits.
    pub due_at: Timestamp,
    /// Number of the attempt that runs or comes next.
    pub attempt: u32,
    /// Why the latest attempt failed.
    pub failure: Option<Failure>,
}

/// Which messages are listed.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Filter {
    /// Those to this agent only.
    pub agent: Option<AgentName>,
    /// Those in this state only.
    pub state: Option<State>,
}

/// What the operator does with a tenant's mailboxes. Object safe.
#[async_trait]
pub trait MailDesk: Send + Sync + 'static {
    /// Messages in the order in which they were posted, at most `limit` (1 to [`PAGE_MAX_MESSAGES`]), after the one whose
    /// place `after` is; and the place of the last, when there are more.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &Filter,
        after: Option<u64>,
        limit: u32,
    ) -> Result<(Vec<Letter>, Option<u64>)>;

    /// The message of that id, or none.
    async fn find(&self, tenant: &TenantId, id: &str) -> Result<Option<Letter>>;

    /// Puts a dead message back, with all its attempts, from now on. Says whether it was dead. Idempotent by `write`.
    async fn requeue(&self, tenant: &TenantId, write: WriteId, id: &str) -> Result<bool>;

    /// Removes a message for good that is not being delivered, and says whether it did. Idempotent by `write`.
    async fn discard(&self, tenant: &TenantId, write: WriteId, id: &str) -> Result<bool>;
}

/// The invocation of an attempt to deliver: the same whenever that attempt runs again, so that its writes have the same
/// ids.
pub fn invocation_of_delivery(
    to: &Address,
    sender: &Address,
    id: &str,
    attempt: u32,
) -> InvocationId {
    invocation(&format!("post/{to}/{sender}/{id}/{attempt}"))
}

/// The invocation of a message that is sent and answered: the same whenever the sender repeats the write.
pub fn invocation_of_answer(to: &Address, sender: &Address, write: WriteId) -> InvocationId {
    invocation(&format!("send/{to}/{sender}/{write}"))
}

fn invocation(name: &str) -> InvocationId {
    /// A name space of this host's own.
    const MESSAGES: Uuid = Uuid::from_u128(0x5374_7567_6120_6d65_7373_6167_6573_2031);
    InvocationId::from_uuid(Uuid::new_v5(&MESSAGES, name.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_attempt_that_comes_again_is_the_same_invocation_and_no_other_is() {
        let address = |text: &str| text.parse::<Address>().unwrap();
        let (to, from) = (address("a/x"), address("b/y"));
        let first = invocation_of_delivery(&to, &from, "m-0", 1);
        assert_eq!(first, invocation_of_delivery(&to, &from, "m-0", 1));
        for other in [
            invocation_of_delivery(&to, &from, "m-0", 2),
            invocation_of_delivery(&to, &from, "m-1", 1),
            invocation_of_delivery(&to, &address("b/z"), "m-0", 1),
            invocation_of_delivery(&address("c/x"), &from, "m-0", 1),
        ] {
            assert_ne!(first, other);
        }
    }
}
