//! What lies between the facade and a backend in the mock host: faults on command, and a cloud side that comes and goes.
//!
//! The same path serves every capability; the files beside this one only hand the operations of a trait to it. The
//! breaker is the real one. What waits for the cloud is kept in memory here: the durable journal is the facade's matter.

mod files;
mod memory;
mod model;
mod records;
mod sessions;

use std::collections::VecDeque;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};

use stuga_core::{
    Backend, Backends, BreakerState, CallCtx, Capability, CapabilityName, Error, Result, Write,
    WriteId,
};

use crate::cloud::Cloud;
use crate::faults::{Effect, Faults};
use crate::served::Served;

/// Most writes of one capability that wait for the cloud.
const PENDING_MAX: usize = 10_000;

/// The operations that a scenario may name for faults, by capability.
pub(crate) fn operations(capability: CapabilityName) -> &'static [&'static str] {
    match capability {
        CapabilityName::Files => files::OPERATIONS,
        CapabilityName::Memory => memory::OPERATIONS,
        CapabilityName::Model => model::OPERATIONS,
        CapabilityName::Records => records::OPERATIONS,
        CapabilityName::Sessions => sessions::OPERATIONS,
        _ => &[],
    }
}

/// What all capabilities of a world share.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) faults: Arc<Faults>,
    pub(crate) served: Arc<Served>,
}

/// Dresses backends with the path: the local side alone, or with a cloud side behind a breaker for each capability.
pub(crate) fn dress(
    common: &Common,
    local: &Backends,
    cloud: Option<(Backends, &dyn Fn(CapabilityName) -> Cloud)>,
) -> Backends {
    macro_rules! path {
        ($field:ident, $name:ident) => {
            Arc::new(Path {
                common: common.clone(),
                local: Arc::clone(&local.$field),
                cloud: cloud.as_ref().map(|(cloud, health)| Side {
                    backend: Arc::clone(&cloud.$field),
                    health: health(CapabilityName::$name),
                    order: tokio::sync::Mutex::default(),
                    pending: Mutex::default(),
                }),
            })
        };
    }
    // A capability without a file beside this one is served by the local side as it is.
    let mut dressed = local.clone();
    dressed.files = path!(files, Files);
    dressed.memory = path!(memory, Memory);
    dressed.model = path!(model, Model);
    dressed.records = path!(records, Records);
    dressed.sessions = path!(sessions, Sessions);
    dressed
}

/// The way to one capability.
pub(crate) struct Path<C: Capability + ?Sized> {
    common: Common,
    local: Arc<C>,
    cloud: Option<Side<C>>,
}

struct Side<C: Capability + ?Sized> {
    backend: Arc<C>,
    health: Cloud,
    /// Held while both sides are called, so that they see writes in the same order.
    order: tokio::sync::Mutex<()>,
    pending: Mutex<VecDeque<Pending<C::Write>>>,
}

/// A write that only the local side has.
struct Pending<W> {
    ctx: CallCtx,
    id: WriteId,
    write: W,
}

impl<C: Capability + ?Sized> Path<C> {
    const NAME: CapabilityName = C::Write::CAPABILITY;

    /// Reads from the side that may answer.
    async fn read<T, F, Fut>(&self, ctx: &CallCtx, operation: &'static str, read: F) -> Result<T>
    where
        F: Fn(Arc<C>) -> Fut + Send,
        Fut: Future<Output = Result<T>> + Send,
    {
        if let Some(Effect { error, .. }) = self.common.faults.strike(ctx, operation).await {
            return Err(error);
        }
        let Some(side) = &self.cloud else {
            return read(Arc::clone(&self.local)).await;
        };
        let _in_order = side.order.lock().await;
        let state = side.health.state();
        let mut stale = false;
        if let Some(permit) = side.health.try_acquire() {
            let answered = if side.health.is_up() {
                match side.drain(ctx).await {
                    Ok(()) => read(Arc::clone(&side.backend)).await,
                    Err(error) => Err(error),
                }
            } else {
                Err(down(operation))
            };
            if !answered.as_ref().is_err_and(|e| e.kind().is_outage()) {
                permit.succeeded();
                self.serve(Backend::Cloud, state, side, false);
                return answered;
            }
            permit.failed();
            stale = true;
        }
        self.serve(Backend::Local, state, side, stale);
        read(Arc::clone(&self.local)).await
    }

    /// Applies a write on the side that may take it; the other gets it at once or when it is back.
    async fn write(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &C::Write,
    ) -> Result<<C::Write as Write>::Ack> {
        match self.common.faults.strike(ctx, write.operation()).await {
            None => self.apply(ctx, id, write).await,
            Some(Effect { error, landed }) => {
                if landed {
                    self.apply(ctx, id, write).await?;
                }
                Err(error)
            }
        }
    }

    async fn apply(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &C::Write,
    ) -> Result<<C::Write as Write>::Ack> {
        let Some(side) = &self.cloud else {
            return self.local.apply(ctx, id, write).await;
        };
        let _in_order = side.order.lock().await;
        let state = side.health.state();
        if let Some(permit) = side.health.try_acquire() {
            let acknowledged = if side.health.is_up() {
                match side.drain(ctx).await {
                    Ok(()) => side.backend.apply(ctx, id, write).await,
                    Err(error) => Err(error),
                }
            } else {
                Err(down(write.operation()))
            };
            if !acknowledged.as_ref().is_err_and(|e| e.kind().is_outage()) {
                permit.succeeded();
                self.serve(Backend::Cloud, state, side, false);
                if acknowledged.is_ok() {
                    self.local.apply(ctx, id, write).await?;
                }
                return acknowledged;
            }
            permit.failed();
        }
        let acknowledged = self.local.apply(ctx, id, write).await?;
        side.keep(ctx, id, write)?;
        self.serve(Backend::Local, state, side, false);
        Ok(acknowledged)
    }

    fn serve(&self, backend: Backend, state: BreakerState, side: &Side<C>, stale: bool) {
        let pending = side.lock().len();
        self.common
            .served
            .note(Self::NAME, backend, state, pending, stale);
    }
}

impl<C: Capability + ?Sized> Side<C> {
    /// Gives the cloud what waits for it, in order, each under its own id. What it refuses stays at the head of the line,
    /// and this host goes on serving.
    ///
    /// # Errors
    /// `Unavailable` when something still waits.
    async fn drain(&self, call: &CallCtx) -> Result<()> {
        loop {
            let Some(next) = self.lock().pop_front() else {
                return Ok(());
            };
            let ctx = CallCtx::new(
                next.ctx.tenant.clone(),
                next.ctx.agent.clone(),
                next.ctx.invocation,
                next.ctx.request.clone(),
                next.ctx.accepted_at,
                call.deadline,
            );
            let applied = self.backend.apply(&ctx, next.id, &next.write).await;
            if let Err(error) = applied {
                let operation = next.write.operation();
                self.lock().push_front(next);
                let error = Error::unavailable(operation, "a write still waits for the cloud")
                    .with_source(error);
                return Err(error);
            }
        }
    }

    fn keep(&self, ctx: &CallCtx, id: WriteId, write: &C::Write) -> Result<()> {
        let mut pending = self.lock();
        if pending.len() >= PENDING_MAX {
            let message = "too many writes wait for the cloud";
            return Err(Error::quota_exceeded(write.operation(), message)
                .with_context("limit", PENDING_MAX));
        }
        let ctx = CallCtx::new(
            ctx.tenant.clone(),
            ctx.agent.clone(),
            ctx.invocation,
            ctx.request.clone(),
            ctx.accepted_at,
            ctx.deadline,
        );
        pending.push_back(Pending {
            ctx,
            id,
            write: write.clone(),
        });
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Pending<C::Write>>> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn down(operation: &'static str) -> Error {
    Error::unavailable(operation, "the cloud is down in this state of the matrix")
}
