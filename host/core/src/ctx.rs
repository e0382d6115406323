//! The context of a call: on whose behalf, until when. Made by the host, first argument everywhere.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use tokio::time::Instant;

use crate::a2a::Incoming;
use crate::pulse::Pulse;
use crate::receipt::ReceiptLog;
use crate::tape::Tape;
use crate::{AgentName, Error, InvocationId, RequestId, Result, TenantId, Timestamp, WriteId};

/// On whose behalf a call is made and what it may take.
///
/// One context lives as long as one invocation and is shared by all its host calls. The tenant comes from the
/// credential; nothing that a guest says can change it.
#[derive(Debug)]
pub struct CallCtx {
    /// Whose data is touched.
    pub tenant: TenantId,
    /// Which agent of the tenant is running; memory and files are private to it.
    pub agent: AgentName,
    /// Which invocation this is; the same when it is repeated after a failure.
    pub invocation: InvocationId,
    /// The request as it stands in logs.
    pub request: RequestId,
    /// When the invocation was first accepted: what the guest's clock shows.
    pub accepted_at: Timestamp,
    /// When the call is stopped.
    pub deadline: Instant,
    /// Whether the invocation may run again under its id.
    pub repeatable: bool,
    /// The message that is answered; none when a client calls.
    pub message: Option<Incoming>,
    /// What the capabilities did, for the answer.
    pub receipt: ReceiptLog,
    /// What records the invocation or plays one; mostly none.
    pub tape: Option<Arc<dyn Tape>>,
    /// What is heard of whoever answers.
    pub pulse: Pulse,
    next_write: AtomicU32,
}

impl CallCtx {
    /// A context of an invocation that may run again, whose first write has number 0.
    pub fn new(
        tenant: TenantId,
        agent: AgentName,
        invocation: InvocationId,
        request: RequestId,
        accepted_at: Timestamp,
        deadline: Instant,
    ) -> Self {
        Self {
            tenant,
            agent,
            invocation,
            request,
            accepted_at,
            deadline,
            repeatable: true,
            message: None,
            receipt: ReceiptLog::default(),
            tape: None,
            pulse: Pulse::default(),
            next_write: AtomicU32::new(0),
        }
    }

    /// The same, for an invocation that never runs again.
    #[must_use]
    pub fn once(mut self) -> Self {
        self.repeatable = false;
        self
    }

    /// The same, for an invocation that answers a message.
    #[must_use]
    pub fn answering(mut self, message: Option<Incoming>) -> Self {
        self.message = message;
        self
    }

    /// The same, recorded on or played from a tape.
    #[must_use]
    pub fn taped(mut self, tape: Option<Arc<dyn Tape>>) -> Self {
        self.tape = tape;
        self
    }

    /// How deep a message is that this invocation sends: one deeper than what it answers.
    pub fn next_depth(&self) -> u32 {
        let own = self.message.as_ref().map_or(0, |message| message.depth);
        own.saturating_add(1)
    }

    /// The id of the next write. Called by the facade once a write, before the first attempt.
    ///
    /// # Errors
    /// `QuotaExceeded` after 2^32 - 1 writes of one invocation.
    pub fn next_write_id(&self) -> Result<WriteId> {
        let call = self
            .next_write
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_add(1))
            .map_err(|_| {
                Error::quota_exceeded("write", "this invocation has used up its write numbers")
            })?;
        Ok(WriteId {
            invocation: self.invocation,
            call,
        })
    }

    /// Whether the invocation has begun a write.
    pub fn has_written(&self) -> bool {
        self.next_write.load(Ordering::Relaxed) > 0
    }

    /// Fails with `Timeout` once the deadline has passed.
    pub fn check_deadline(&self, operation: &'static str) -> Result<()> {
        if Instant::now() < self.deadline {
            return Ok(());
        }
        Err(Error::timeout(
            operation,
            "the invocation's deadline has passed",
        ))
    }
}
