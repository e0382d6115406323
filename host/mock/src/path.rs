//! What lies between the facade and a backend in the mock host: faults on command, and a cloud side that comes and goes.
//!
//! The same path serves every capability; the files beside this one only hand the operations of a trait to it. The
//! breaker is the real one. What waits for the cloud is kept in memory, see [`crate::ledger`]: the durable journal is the
//! facade's matter.

mod files;
mod jobs;
mod mailbox;
mod memory;
mod model;
mod records;
mod search;
mod secrets;
mod sessions;

use std::future::Future;
use std::sync::Arc;

use stuga_core::{
    Backend, Backends, BreakerState, CallCtx, Capability, CapabilityName, Error, Result, Write,
    WriteId,
};

use crate::cloud::Cloud;
use crate::faults::{Effect, Faults};
use crate::ledger::Ledger;
use crate::served::Served;
use crate::turn::Turn;

/// The operations that a scenario may name for faults, by capability.
pub(crate) fn operations(capability: CapabilityName) -> &'static [&'static str] {
    match capability {
        CapabilityName::A2a => mailbox::OPERATIONS,
        CapabilityName::Files => files::OPERATIONS,
        CapabilityName::Jobs => jobs::OPERATIONS,
        CapabilityName::Memory => memory::OPERATIONS,
        CapabilityName::Model => model::OPERATIONS,
        CapabilityName::Records => records::OPERATIONS,
        CapabilityName::Search => search::OPERATIONS,
        CapabilityName::Secrets => secrets::OPERATIONS,
        CapabilityName::Sessions => sessions::OPERATIONS,
    }
}

/// What all capabilities of a world share.
#[derive(Clone)]
pub(crate) struct Common {
    pub(crate) faults: Arc<Faults>,
    pub(crate) served: Arc<Served>,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) turn: Arc<Turn>,
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
                }),
            })
        };
    }
    Backends {
        files: path!(files, Files),
        jobs: path!(jobs, Jobs),
        mailbox: path!(mailbox, A2a),
        memory: path!(memory, Memory),
        model: path!(model, Model),
        records: path!(records, Records),
        search: path!(search, Search),
        secrets: path!(secrets, Secrets),
        sessions: path!(sessions, Sessions),
    }
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
}

impl<C: Capability + ?Sized> Path<C> {
    const NAME: CapabilityName = C::Write::CAPABILITY;

    /// Reads from the side that may answer, unless a fault strikes.
    async fn read<T, F, Fut>(&self, ctx: &CallCtx, operation: &'static str, read: F) -> Result<T>
    where
        F: Fn(Arc<C>) -> Fut + Send,
        Fut: Future<Output = Result<T>> + Send,
    {
        if let Some(Effect { error, .. }) = self.common.faults.strike(ctx, operation).await {
            return Err(error);
        }
        self.answer(ctx, operation, read).await
    }

    /// Reads from the side that may answer.
    async fn answer<T, F, Fut>(&self, ctx: &CallCtx, operation: &'static str, read: F) -> Result<T>
    where
        F: Fn(Arc<C>) -> Fut + Send,
        Fut: Future<Output = Result<T>> + Send,
    {
        let Some(side) = &self.cloud else {
            return read(Arc::clone(&self.local)).await;
        };
        let ledger = &self.common.ledger;
        let _in_order = ledger.order.lock().await;
        let state = side.health.state();
        let mut stale = false;
        if let Some(permit) = side.health.try_acquire() {
            let answered = if side.health.is_up() {
                match ledger.drain(ctx.deadline).await {
                    Ok(()) => read(Arc::clone(&side.backend)).await,
                    Err(error) => Err(error),
                }
            } else {
                Err(down(operation))
            };
            if !answered.as_ref().is_err_and(|e| e.kind().is_outage()) {
                permit.succeeded();
                self.serve(ctx, Backend::Cloud, state, false);
                return answered;
            }
            permit.failed();
            stale = true;
        }
        self.serve(ctx, Backend::Local, state, stale);
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
        let ledger = &self.common.ledger;
        let _in_order = ledger.order.lock().await;
        let state = side.health.state();
        if let Some(permit) = side.health.try_acquire() {
            let acknowledged = if side.health.is_up() {
                match ledger.drain(ctx.deadline).await {
                    Ok(()) => side.backend.apply(ctx, id, write).await,
                    Err(error) => Err(error),
                }
            } else {
                Err(down(write.operation()))
            };
            if !acknowledged.as_ref().is_err_and(|e| e.kind().is_outage()) {
                permit.succeeded();
                self.serve(ctx, Backend::Cloud, state, false);
                if acknowledged.is_ok() {
                    self.local.apply(ctx, id, write).await?;
                }
                return acknowledged;
            }
            permit.failed();
        }
        let acknowledged = self.local.apply(ctx, id, write).await?;
        self.keep(side, ctx, id, write)?;
        self.serve(ctx, Backend::Local, state, false);
        Ok(acknowledged)
    }

    /// Has the cloud apply a write when it is back, under the same id.
    fn keep(&self, side: &Side<C>, ctx: &CallCtx, id: WriteId, write: &C::Write) -> Result<()> {
        let operation = write.operation();
        let (backend, write) = (Arc::clone(&side.backend), Arc::new(write.clone()));
        let (tenant, agent) = (ctx.tenant.clone(), ctx.agent.clone());
        let (request, accepted_at) = (ctx.request.clone(), ctx.accepted_at);
        let replay = move |deadline| {
            let (backend, write) = (Arc::clone(&backend), Arc::clone(&write));
            let (tenant, agent, request) = (tenant.clone(), agent.clone(), request.clone());
            let ctx = CallCtx::new(tenant, agent, id.invocation, request, accepted_at, deadline);
            Box::pin(async move { backend.apply(&ctx, id, &write).await.map(drop) }) as _
        };
        self.common.ledger.keep_write(Self::NAME, operation, replay)
    }

    fn serve(&self, ctx: &CallCtx, backend: Backend, state: BreakerState, stale: bool) {
        let pending = self.common.ledger.pending(Self::NAME);
        let served = &self.common.served;
        served.note(ctx.invocation, Self::NAME, backend, state, pending, stale);
    }
}

fn down(operation: &'static str) -> Error {
    Error::unavailable(operation, "the cloud is down in this state of the matrix")
}
