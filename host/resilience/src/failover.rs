//! The generic facade: one piece of code for all capabilities.
//!
//! Who answers is decided here for every call: the one backend that there is, or the cloud with this host behind it.
//! [`crate::Route`] says when the cloud is asked, and [`crate::Sides`] what two sides do together.

use std::future::Future;
use std::sync::Arc;

use serde::Serialize;
use serde::de::DeserializeOwned;
use stuga_core::tape::taped;
use stuga_core::{Backend, CallCtx, Capability, Result, Write};

use crate::route::Route;
use crate::sides::Sides;

/// A capability as a guest sees it, whoever serves it.
pub struct Failover<C: Capability + ?Sized>(Serving<C>);

pub(crate) enum Serving<C: Capability + ?Sized> {
    /// One backend, and no breaker in the path.
    One { backend: Arc<C>, side: Backend },
    /// The cloud, with this host behind it.
    Two(Arc<Sides<C>>),
}

impl<C: Capability + ?Sized> Clone for Failover<C> {
    fn clone(&self) -> Self {
        Self(match &self.0 {
            Serving::One { backend, side } => Serving::One {
                backend: Arc::clone(backend),
                side: *side,
            },
            Serving::Two(sides) => Serving::Two(Arc::clone(sides)),
        })
    }
}

impl<C: Capability + ?Sized> Failover<C> {
    /// The facade in `local` mode: every call goes to `local`, no breaker stands in the path.
    pub fn local(local: Arc<C>) -> Self {
        Self(Serving::One {
            backend: local,
            side: Backend::Local,
        })
    }

    /// The facade before `cloud` alone: every call goes to it, no breaker stands in the path.
    pub fn cloud(cloud: Arc<C>) -> Self {
        Self(Serving::One {
            backend: cloud,
            side: Backend::Cloud,
        })
    }

    /// The facade before the cloud with this host behind it.
    pub fn sides(sides: Sides<C>) -> Self {
        Self(Serving::Two(Arc::new(sides)))
    }

    /// The way to the cloud; none where there is one backend only.
    pub fn route(&self) -> Option<&Arc<Route>> {
        self.two().map(|sides| sides.route())
    }

    pub(crate) fn serving(&self) -> &Serving<C> {
        &self.0
    }

    pub(crate) fn two(&self) -> Option<&Arc<Sides<C>>> {
        match &self.0 {
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
        match &self.0 {
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
        match &self.0 {
            Serving::One { backend, side } => {
                let result = backend.apply(ctx, id, write).await;
                ctx.receipt.note(C::Write::CAPABILITY, *side, |used| {
                    used.attempts = used.attempts.saturating_add(1);
                    used.writes = used.writes.saturating_add(1);
                });
                result
            }
            Serving::Two(sides) => sides.write(ctx, id, write).await,
        }
    }
}
