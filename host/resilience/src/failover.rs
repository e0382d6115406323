//! The generic facade: one piece of code for all capabilities.
//!
//! Who answers is decided here for every call: the one backend that there is, or the cloud with this host behind it.
//! [`crate::Route`] says when the cloud is asked, and [`crate::Sides`] what two sides do together.

use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stuga_core::receipt::CapabilityUse;
use stuga_core::tape::taped;
use stuga_core::{Backend, CallCtx, Capability, Result, Write};

use crate::gate::{Gate, Passage};
use crate::route::Route;
use crate::sides::Sides;

/// A capability as a guest sees it, whoever serves it.
pub struct Failover<C: Capability + ?Sized> {
    serving: Serving<C>,
    gate: Option<Arc<dyn Gate>>,
}

pub(crate) enum Serving<C: Capability + ?Sized> {
    /// One backend, and no breaker in the path.
    One { backend: Arc<C>, side: Backend },
    /// The cloud, with this host behind it.
    Two(Arc<Sides<C>>),
}

impl<C: Capability + ?Sized> Clone for Failover<C> {
    fn clone(&self) -> Self {
        let serving = match &self.serving {
            Serving::One { backend, side } => Serving::One {
                backend: Arc::clone(backend),
                side: *side,
            },
            Serving::Two(sides) => Serving::Two(Arc::clone(sides)),
        };
        Self {
            serving,
            gate: self.gate.clone(),
        }
    }
}

impl<C: Capability + ?Sized> Failover<C> {
    /// The facade in `local` mode: every call goes to `local`, no breaker stands in the path.
    pub fn local(local: Arc<C>) -> Self {
        Self::of(Serving::One {
            backend: local,
            side: Backend::Local,
        })
    }

    /// The facade before `cloud` alone: every call goes to it, no breaker stands in the path.
    pub fn cloud(cloud: Arc<C>) -> Self {
        Self::of(Serving::One {
            backend: cloud,
            side: Backend::Cloud,
        })
    }

    /// The facade before the cloud with this host behind it.
    pub fn sides(sides: Sides<C>) -> Self {
        Self::of(Serving::Two(Arc::new(sides)))
    }

    fn of(serving: Serving<C>) -> Self {
        Self {
            serving,
            gate: None,
        }
    }

    /// The same, with a gate before every call.
    #[must_use]
    pub fn gated(self, gate: Arc<dyn Gate>) -> Self {
        Self {
            gate: Some(gate),
            ..self
        }
    }

    /// The way to the cloud; none where there is one backend only.
    pub fn route(&self) -> Option<&Arc<Route>> {
        self.two().map(|sides| sides.route())
    }

    pub(crate) fn serving(&self) -> &Serving<C> {
        &self.serving
    }

    pub(crate) fn two(&self) -> Option<&Arc<Sides<C>>> {
        match &self.serving {
            Serving::One { .. } => None,
            Serving::Two(sides) => Some(sides),
        }
    }

    /// Reads from the backend that may answer now.
    ///
    /// `operation` is the guest's, such as `memory.get`, and `asked` its arguments: a tape gets both down with the answer, or
    /// answers by them. What is read is said by `read`, which gets an owned handle, so that its future borrows nothing of
    /// the facade; it may run more than once.
    ///
    /// # Errors
    /// `Timeout` when the deadline of `ctx` has passed before the read began, else what the backend answers.
    pub async fn read<A, T, F, Fut>(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        asked: &A,
        read: F,
    ) -> Result<T>
    where
        A: Serialize + ?Sized + Sync,
        T: Serialize + DeserializeOwned + Send,
        F: Fn(Arc<C>) -> Fut + Send,
        Fut: Future<Output = Result<T>> + Send,
    {
        taped(ctx, operation, asked, || self.ask(ctx, operation, read)).await
    }

    /// As [`Failover::read`], for answers that cannot be written down: what is open, and what must not be seen.
    pub(crate) async fn ask<T, F, Fut>(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        read: F,
    ) -> Result<T>
    where
        F: Fn(Arc<C>) -> Fut + Send,
        Fut: Future<Output = Result<T>> + Send,
    {
        ctx.check_deadline(operation)?;
        if let Some(gate) = &self.gate {
            match gate.pass(ctx, C::Write::CAPABILITY, operation).await {
                Passage::Through => {}
                Passage::Refused(error) | Passage::Unanswered(error) => {
                    self.note_refused(ctx, |used| used.reads = used.reads.saturating_add(1));
                    return Err(error);
                }
            }
        }
        match &self.serving {
            Serving::One { backend, side } => {
                let result = read(Arc::clone(backend)).await;
                ctx.receipt.note(C::Write::CAPABILITY, *side, |used| {
                    used.attempts = used.attempts.saturating_add(1);
                    used.reads = used.reads.saturating_add(1);
                });
                result
            }
            Serving::Two(sides) => sides.read(ctx, operation, read).await,
        }
    }

    /// Applies a write under an id that is made here, before the first attempt. Durable when it returns.
    ///
    /// # Errors
    /// `Timeout` when the deadline of `ctx` has passed before the write began, else what the backend answers.
    pub async fn write(&self, ctx: &CallCtx, write: &C::Write) -> Result<<C::Write as Write>::Ack> {
        taped(ctx, write.operation(), write, || self.apply(ctx, write)).await
    }

    async fn apply(&self, ctx: &CallCtx, write: &C::Write) -> Result<<C::Write as Write>::Ack> {
        ctx.check_deadline(write.operation())?;
        let id = ctx.next_write_id()?;
        let mut lost = None;
        if let Some(gate) = &self.gate {
            match gate
                .pass(ctx, C::Write::CAPABILITY, write.operation())
                .await
            {
                Passage::Through => {}
                Passage::Refused(error) => {
                    self.note_refused(ctx, |used| used.writes = used.writes.saturating_add(1));
                    return Err(error);
                }
                Passage::Unanswered(error) => lost = Some(error),
            }
        }
        let result = match &self.serving {
            Serving::One { backend, side } => {
                let result = backend.apply(ctx, id, write).await;
                ctx.receipt.note(C::Write::CAPABILITY, *side, |used| {
                    used.attempts = used.attempts.saturating_add(1);
                    used.writes = used.writes.saturating_add(1);
                });
                result
            }
            Serving::Two(sides) => sides.write(ctx, id, write).await,
        };
        match lost {
            Some(lost) => result.and(Err(lost)),
            None => result,
        }
    }

    /// Has the gate say whether something that no receipt counts may be done, such as to spool a content.
    pub(crate) async fn pass(&self, ctx: &CallCtx, operation: &'static str) -> Result<()> {
        let Some(gate) = &self.gate else {
            return Ok(());
        };
        match gate.pass(ctx, C::Write::CAPABILITY, operation).await {
            Passage::Through => Ok(()),
            Passage::Refused(error) | Passage::Unanswered(error) => Err(error),
        }
    }

    /// Notes a call that the gate refused: tried once, on the side that always answers.
    fn note_refused(&self, ctx: &CallCtx, note: impl FnOnce(&mut CapabilityUse)) {
        let side = match &self.serving {
            Serving::One { side, .. } => *side,
            Serving::Two(_) => Backend::Local,
        };
        ctx.receipt.note(C::Write::CAPABILITY, side, |used| {
            used.breaker = self.route().map(|route| route.breaker().state());
            used.attempts = used.attempts.saturating_add(1);
            note(used);
        });
    }
}
