//! What proves a backend: contract suites, and time that tests set.

pub mod a2a;
mod clock;
mod dice;
pub mod files;
pub mod invocation;
pub mod job_queue;
pub mod jobs;
pub mod journal;
pub mod keys;
pub mod memory;
pub mod model;
pub mod records;
pub mod search;
pub mod secrets;
pub mod sessions;
pub mod standby;
mod suite;

pub use clock::ManualClock;
pub use dice::Dice;
pub use suite::{Case, Fixture, prove};

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;
use uuid::Uuid;

use crate::{AgentName, CallCtx, InvocationId, RequestId, TenantId, Timestamp};

/// A context for one invocation of `agent` of `tenant`, with an id of its own and a deadline of one minute.
pub fn ctx(tenant: &str, agent: &str) -> CallCtx {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let id = Uuid::from_u128(u128::from(NEXT.fetch_add(1, Ordering::Relaxed)));
    CallCtx::new(
        TenantId::new(tenant).expect("a test names valid tenants"),
        AgentName::new(agent).expect("a test names valid agents"),
        InvocationId::from_uuid(id),
        RequestId::from_uuid(id),
        Timestamp::from_millis(1_700_000_000_000),
        Instant::now() + Duration::from_secs(60),
    )
}
