//! The cloud and this host, as one capability.
//!
//! A write is applied in the cloud and copied here, or applied and noted here for the cloud; in either case it is
//! acknowledged once it is durable on one side. A read is answered by the cloud, or by this host while the cloud is away or
//! does not know yet what the tenant wrote.

use std::future::Future;
use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::standby::{Adopted, Made, Replica, Standby};
use stuga_core::{
    Backend, BreakerState, CallCtx, Capability, Error, ErrorKind, Result, Timestamp, Write,
    WriteId, next_version,
};

use crate::modes::Mode;
use crate::route::{Attempt, Route, Tried, Way, Why};
use crate::teach::{Taught, Teacher};

/// Brings to the cloud what a write only names, before the write goes there.
#[async_trait]
pub trait Carrier<W: Write>: Send + Sync + 'static {
    /// Has the cloud hold whatever `write`, answered here with `ack` when it was, needs there. Nothing when it needs
    /// nothing, or the cloud has it.
    ///
    /// # Errors
    /// `NotFound` when this host does not have it either; what the cloud answers.
    async fn carry(&self, ctx: &CallCtx, write: &W, ack: Option<&W::Ack>) -> Result<()>;

    /// Whether it is brought sooner than the cloud says that it is missing: a replay then does not ask before.
    fn is_light(&self, write: &W) -> bool {
        let _ = write;
        false
    }
}

/// How the two sides tell each other of writes.
#[derive(Clone)]
pub(crate) struct Exchange<W: Write> {
    /// The cloud, catching up.
    pub(crate) cloud: Arc<dyn Replica<W>>,
    /// This host, standing in and keeping its copy.
    pub(crate) local: Arc<dyn Standby<W>>,
    /// Set where writes name what they do not hold.
    pub(crate) carrier: Option<Arc<dyn Carrier<W>>>,
    /// Set where writes belong to what the copy may never have been told of.
    pub(crate) teacher: Option<Arc<dyn Teacher<W>>>,
}

/// A capability in the cloud with this host behind it.
pub struct Sides<C: Capability + ?Sized> {
    pub(crate) cloud: Arc<C>,
    pub(crate) local: Arc<C>,
    /// None where this host keeps what it takes: nothing is copied and nothing replayed.
    exchange: Option<Arc<Exchange<C::Write>>>,
    route: Arc<Route>,
}

impl<C: Capability + ?Sized> Sides<C> {
    /// Two sides that tell each other of their writes.
    pub fn new<L>(
        cloud: Arc<C>,
        replica: Arc<dyn Replica<C::Write>>,
        local: Arc<C>,
        standby: Arc<L>,
        route: Arc<Route>,
    ) -> Self
    where
        L: Standby<C::Write>,
    {
        Self {
            cloud,
            local,
            exchange: Some(Arc::new(Exchange {
                cloud: replica,
                local: standby,
                carrier: None,
                teacher: None,
            })),
            route,
        }
    }

    /// Two sides that know nothing of each other: reads, and writes that whoever took them sees to their end.
    pub fn apart(cloud: Arc<C>, local: Arc<C>, route: Arc<Route>) -> Self {
        Self {
            cloud,
            local,
            exchange: None,
            route,
        }
    }

    /// The same, with what brings to the cloud what writes only name.
    #[must_use]
    pub fn carried(mut self, carrier: Arc<dyn Carrier<C::Write>>) -> Self {
        if let Some(exchange) = self.exchange.as_mut().map(Arc::make_mut) {
            exchange.carrier = Some(carrier);
        }
        self
    }

    /// The same, with what has the copy learn of what other hosts made.
    #[must_use]
    pub fn taught(mut self, teacher: Arc<dyn Teacher<C::Write>>) -> Self {
        if let Some(exchange) = self.exchange.as_mut().map(Arc::make_mut) {
            exchange.teacher = Some(teacher);
        }
        self
    }

    /// The way to the cloud.
    pub fn route(&self) -> &Arc<Route> {
        &self.route
    }

    pub(crate) fn exchange(&self) -> Option<&Arc<Exchange<C::Write>>> {
        self.exchange.as_ref()
    }

    /// Reads from the side that may answer now.
    pub(crate) async fn read<T, F, Fut>(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        read: F,
    ) -> Result<T>
    where
        F: Fn(Arc<C>) -> Fut + Send,
        Fut: Future<Output = Result<T>> + Send,
    {
        let mut attempts = 1;
        let why = match self.route.to_read(ctx).await? {
            Way::Cloud(attempt) => {
                // As which the call is made: of an open breaker whose time is over it is a probe.
                let state = self.route.breaker().state();
                match attempt.make(operation, read(Arc::clone(&self.cloud))).await {
                    Tried::Answered(result) => {
                        self.note(ctx, Backend::Cloud, state, |used| {
                            used.attempts = used.attempts.saturating_add(1);
                            used.reads = used.reads.saturating_add(1);
                        });
                        return result;
                    }
                    Tried::Away(error) => tracing::debug!(operation, %error, "this host answers"),
                }
                attempts += 1;
                Why::Breaker
            }
            Way::Local(why) => why,
        };
        let result = read(Arc::clone(&self.local)).await;
        self.route.counts.local_reads.add();
        // What this host alone serves is not a copy; all else may lack what others wrote since the cloud was heard last.
        let own = why == Why::Mode && self.route.mode(&ctx.tenant) == Mode::Local;
        let stale = (!own).then(|| millis(self.route.silence()));
        self.note(ctx, Backend::Local, self.route.breaker().state(), |used| {
            used.attempts = used.attempts.saturating_add(attempts);
            used.reads = used.reads.saturating_add(1);
            used.staleness_ms = used.staleness_ms.max(stale);
        });
        result
    }

    /// Applies a write on the side that may take it.
    pub(crate) async fn write(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &C::Write,
    ) -> Result<<C::Write as Write>::Ack> {
        let operation = write.operation();
        let key = (&ctx.tenant, &ctx.agent, write.key());
        let _turn = self.route.turn(operation, key, ctx.deadline).await?;
        let mut landed = None;
        // Before the cloud is asked: a copy must never claim to be later than the cloud's own version of the same write, or a
        // clock that is set back makes it refuse what the cloud takes next.
        let asked_at = self.route.clock().now();
        if let Way::Cloud(attempt) = self.route.to_write(ctx, write.key()).await? {
            let state = self.route.breaker().state();
            match self.apply_in_cloud(ctx, attempt, id, write).await {
                Tried::Answered(result) => {
                    self.note(ctx, Backend::Cloud, state, |used| {
                        used.attempts = used.attempts.saturating_add(1);
                        used.writes = used.writes.saturating_add(1);
                    });
                    if let Ok(ack) = &result {
                        self.copy(ctx, id, write, ack, asked_at).await;
                    }
                    return result;
                }
                Tried::Away(error) => {
                    tracing::debug!(operation, %error, "this host takes the write");
                    landed = Some(error);
                }
            }
        }
        let attempts = 1 + u32::from(landed.is_some());
        let taken = self.take(ctx, id, write).await;
        let noted = self.exchange.is_some() && self.route.mode(&ctx.tenant) != Mode::Local;
        self.note(ctx, Backend::Local, self.route.breaker().state(), |used| {
            used.attempts = used.attempts.saturating_add(attempts);
            used.writes = used.writes.saturating_add(1);
            used.pending = used
                .pending
                .saturating_add(u32::from(noted && taken.is_ok()));
        });
        match (taken, landed) {
            // What may have landed in the cloud must not be called refused by a copy that does not know of it.
            (Err(refused), Some(landed))
                if landed.kind() == ErrorKind::Timeout && !refused.kind().is_outage() =>
            {
                let message =
                    "the cloud did not answer and this host refuses the write: it may have landed";
                Err(Error::timeout(operation, message).with_source(refused))
            }
            (taken, _) => taken,
        }
    }

    /// Has the cloud apply a write, with what the write names.
    async fn apply_in_cloud(
        &self,
        ctx: &CallCtx,
        attempt: Attempt<'_>,
        id: WriteId,
        write: &C::Write,
    ) -> Tried<<C::Write as Write>::Ack> {
        let operation = write.operation();
        let carrier = self.exchange.as_ref().and_then(|e| e.carrier.as_ref());
        let tried = attempt
            .make(operation, self.cloud.apply(ctx, id, write))
            .await;
        // What the write names may have been left with this host while the cloud was away.
        let (carrier, missing) = match (tried, carrier) {
            (Tried::Answered(Err(error)), Some(carrier)) if error.kind() == ErrorKind::NotFound => {
                (carrier, error)
            }
            (tried, _) => return tried,
        };
        let Way::Cloud(attempt) = self.route.ask_for(ctx) else {
            return Tried::Away(missing);
        };
        // How long a content takes says nothing of the cloud: a replay has more time for it.
        let carried = async {
            carrier.carry(ctx, write, None).await?;
            self.cloud.apply(ctx, id, write).await
        };
        attempt.unjudged().make(operation, carried).await
    }

    /// Applies a write here, and notes it for the cloud unless this host serves the tenant alone.
    async fn take(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &C::Write,
    ) -> Result<<C::Write as Write>::Ack> {
        let Some(exchange) = &self.exchange else {
            return self.local.apply(ctx, id, write).await;
        };
        if self.route.mode(&ctx.tenant) == Mode::Local {
            return self.local.apply(ctx, id, write).await;
        }
        let ack = exchange.local.apply_noted(ctx, id, write).await?;
        self.route.counts.noted.add();
        self.route.noted.notify_one();
        Ok(ack)
    }

    /// Makes true here what the cloud, asked at `at`, has acknowledged. The write stands whatever comes of that: a copy that
    /// misses it is counted and said, and this host may answer with what was there before.
    async fn copy(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &C::Write,
        ack: &<C::Write as Write>::Ack,
        at: Timestamp,
    ) {
        let Some(exchange) = &self.exchange else {
            return;
        };
        let made = Made {
            ack: ack.clone(),
            stamp: next_version(C::Write::version(ack), at),
            at,
        };
        let copied = match (
            exchange.local.copy(ctx, id, write, &made).await,
            &exchange.teacher,
        ) {
            (Ok(Adopted::Superseded), Some(teacher)) => self.teach(ctx, &**teacher, write).await,
            (copied, _) => copied.map(drop),
        };
        if let Err(error) = copied {
            self.route.counts.copies_missed.add();
            let (tenant, operation) = (&ctx.tenant, write.operation());
            tracing::warn!(%tenant, operation, %error, "this host's copy misses a write");
            let reason = "this host's copy misses a write that the cloud has";
            ctx.receipt.degrade(C::Write::CAPABILITY, reason);
        }
    }

    /// Has the copy learn what a write belongs to, which the cloud has acknowledged and the copy did not take.
    async fn teach(
        &self,
        ctx: &CallCtx,
        teacher: &dyn Teacher<C::Write>,
        write: &C::Write,
    ) -> Result<()> {
        let operation = write.operation();
        let Way::Cloud(attempt) = self.route.ask(ctx.deadline) else {
            let message = "the cloud went away before this host learned what the write belongs to";
            return Err(Error::unavailable(operation, message));
        };
        // Several requests: how long they take together says nothing of the cloud.
        let teaching = teacher.teach(ctx, write);
        let taught = match attempt.unjudged().make(operation, teaching).await {
            Tried::Answered(taught) => taught?,
            Tried::Away(error) => return Err(error),
        };
        match taught {
            Taught::Superseded => return Ok(()),
            Taught::Whole => {}
            Taught::Partly => {
                let reason =
                    "this host's copy knows only the latest part of what the write belongs to";
                ctx.receipt.degrade(C::Write::CAPABILITY, reason);
            }
        }
        self.route.counts.copies_taught.add();
        Ok(())
    }

    fn note(
        &self,
        ctx: &CallCtx,
        side: Backend,
        state: BreakerState,
        note: impl FnOnce(&mut stuga_core::receipt::CapabilityUse),
    ) {
        ctx.receipt.note(C::Write::CAPABILITY, side, |used| {
            used.breaker = Some(state);
            note(used);
        });
    }
}

fn millis(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
