//! Attempts of jobs that run outside of the host's process. The queue stays with the host: what runs elsewhere is one
//! attempt, under the lease of the runner that sent it there.

use std::time::Duration;

use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::Progress;
use crate::lease::Failure;
use crate::{AgentName, InvocationId, Result, TenantId, Timestamp};

/// An attempt that is to be run, with everything that running it takes but the component's bytes.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub struct Order {
    /// Whose job.
    pub tenant: TenantId,
    /// Of which agent.
    pub agent: AgentName,
    /// Names the attempt: the same whenever it is run again ([`super::queue::invocation_of`]).
    pub invocation: InvocationId,
    /// The SHA-256 of the component, in hexadecimal digits.
    pub component: String,
    /// What the tenant decides about the agent, in the words of the host that made the order.
    pub settings: Value,
    /// The job.
    pub job: String,
    /// What kind.
    pub kind: String,
    /// JSON text.
    pub input: String,
    /// Number of the attempt, from 1.
    pub attempt: u32,
    /// When the attempt was taken first: what the guest's clock shows.
    pub began_at: Timestamp,
    /// Longest run.
    pub time: Duration,
}

/// How an attempt ended elsewhere.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Ended {
    /// With this output, JSON text.
    Succeeded(String),
    /// With a failure.
    Failed(Failure),
}

/// The host that gives an order, as the place where it runs may ask it. Object safe.
#[async_trait]
pub trait Principal: Send + Sync {
    /// The bytes of the component, when they are not there yet.
    async fn component(&self) -> Result<Vec<u8>>;

    /// Takes note of what the attempt says of itself. That it cannot be noted stops nothing.
    async fn progress(&self, progress: Progress);
}

/// A place where attempts run. Object safe.
#[async_trait]
pub trait Executor: Send + Sync + 'static {
    /// Whether an attempt can be run there at all, as far as can be said without asking.
    fn takes(&self, order: &Order) -> bool;

    /// Runs an attempt and waits for its end, which comes no later than a while after its time.
    ///
    /// An order of the same invocation is the same attempt: when it is given again it does not run a second time, but
    /// its end is waited for, or answered if it has ended. Dropping the future leaves the attempt as it is.
    ///
    /// # Errors
    /// Any error means that the attempt has not begun there and will not: it may be run elsewhere. What goes wrong once
    /// it has begun is an end of it.
    async fn execute(&self, order: &Order, principal: &dyn Principal) -> Result<Ended>;
}
