//! Attempts of jobs on Lambda. The queue stays with the host; an attempt is offered on a *slip*, one object of S3
//! ([`slip`], [`drawer`]), a function is invoked asynchronously to begin it ([`function`]), and its end comes back on the
//! same slip: ADR 0034.
//!
//! An attempt is begun once, whatever Lambda repeats: beginning is a swap of the slip. One that nobody begins in time is
//! withdrawn the same way, and runs with the host. Lambda is sent whose slip it is and nothing else.
//!
//! | step | calls of AWS |
//! | --- | --- |
//! | execute | S3 head (component, once an hour), put (slip), Lambda invoke, S3 get until it has ended |
//! | function | S3 get and put to begin, get (component, once a start), put every 5 s, put at the end |

mod drawer;
mod function;
mod provision;
mod slip;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use moka::future::Cache;
use stuga_core::jobs::elsewhere::{Ended, Executor, Order, Principal};
use stuga_core::lease::Failure;
use stuga_core::{Error, ErrorKind, Result, TenantId};
use tokio::time::{Instant, sleep};

use self::drawer::{Drawer, Kept};
use self::slip::{Slip, Ticket};
use crate::Shared;
use crate::call::call_until;
use crate::config::JobsConfig;
use crate::objects::At;

pub(crate) use drawer::KEPT_DAYS;
pub use function::{Work, serve};
pub use provision::FunctionCode;

/// Longest time of one step: what is offered, invoked, withdrawn.
const STEP_MAX: Duration = Duration::from_secs(30);
/// Waits between two looks at a slip: they double from the first to the last.
const LOOK_EVERY: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(1));
/// How much later than its time an attempt may end.
const GRACE: Duration = Duration::from_secs(15);
/// How long it is remembered that a component is in the bucket.
const STOCKED_FOR: Duration = Duration::from_secs(3_600);
/// Components of which that is remembered.
const STOCKED_MAX: u64 = 10_000;

/// Runs attempts on Lambda.
pub(crate) struct LambdaJobs {
    shared: Arc<Shared>,
    stocked: Cache<(TenantId, String), ()>,
}

impl LambdaJobs {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        let stocked = Cache::builder()
            .max_capacity(STOCKED_MAX)
            .time_to_live(STOCKED_FOR)
            .build();
        Self { shared, stocked }
    }

    fn config(&self) -> Result<&JobsConfig> {
        let config = self.shared.config.jobs.as_ref();
        config.ok_or_else(|| Error::unavailable("jobs.execute", "`aws.jobs` is not configured"))
    }

    /// Puts the component where the function finds it.
    async fn stock(&self, drawer: &Drawer, order: &Order, from: &dyn Principal) -> Result<()> {
        let at = step();
        let key = (order.tenant.clone(), order.component.clone());
        if self.stocked.get(&key).await.is_some() {
            return Ok(());
        }
        let now = self.shared.now();
        if !drawer.has(at, &order.component, now).await? {
            let bytes = from.component().await?;
            drawer.stock(at, &order.component, bytes).await?;
        }
        self.stocked.insert(key, ()).await;
        Ok(())
    }

    async fn invoke(&self, order: &Order) -> Result<()> {
        let at = step();
        let ticket = Ticket {
            tenant: order.tenant.clone(),
            invocation: order.invocation,
        };
        let payload = serde_json::to_vec(&ticket).map_err(|e| {
            Error::internal(at.operation, "a ticket cannot be written").with_source(e)
        })?;
        let clients = self.shared.clients.of(&order.tenant);
        let invoke = clients
            .lambda()
            .invoke()
            .function_name(self.shared.scope(&order.tenant).function()?)
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(payload));
        call_until(at.deadline, at.operation, invoke.send())
            .await
            .map(drop)
    }
}

fn step() -> At {
    At::within("jobs.execute", STEP_MAX)
}

#[async_trait]
impl Executor for LambdaJobs {
    /// Whether the operator gives this agent's jobs to Lambda, and the attempt's time is one that Lambda gives.
    fn takes(&self, order: &Order) -> bool {
        let takes = |config: &JobsConfig| {
            config.agents.contains(&order.agent) && order.time <= config.longest
        };
        self.config().is_ok_and(takes)
    }

    async fn execute(&self, order: &Order, principal: &dyn Principal) -> Result<Ended> {
        let config = self.config()?;
        let drawer = Drawer::of(&self.shared, &order.tenant)?;
        self.stock(&drawer, order, principal).await?;
        drawer
            .add(step(), order.invocation, &Slip::offer(order))
            .await?;
        let watch = Watch {
            drawer: &drawer,
            order,
            config,
            principal,
        };
        // One that was offered before: by a host that was stopped, before or after it had invoked.
        match watch.read().await?.value {
            Slip::Offered { .. } => {}
            Slip::Withdrawn => return Err(withdrawn()),
            Slip::Running { .. } | Slip::Ended { .. } => return watch.wait().await,
        }
        if let Err(error) = self.invoke(order).await {
            // It may have landed: who comes first decides.
            if matches!(watch.withdraw().await, Ok(true)) {
                return Err(error);
            }
        }
        watch.wait().await
    }
}

/// Somebody who waits for an attempt.
struct Watch<'o> {
    drawer: &'o Drawer,
    order: &'o Order,
    config: &'o JobsConfig,
    principal: &'o dyn Principal,
}

impl Watch<'_> {
    async fn read(&self) -> Result<Kept> {
        let found = self.drawer.read(step(), self.order.invocation).await?;
        found.ok_or_else(|| Error::unavailable("jobs.execute", "the attempt's slip is gone"))
    }

    /// Takes the offer back. False when somebody has begun.
    async fn withdraw(&self) -> Result<bool> {
        let kept = self.read().await?;
        let Some(slip) = kept.value.withdraw() else {
            return Ok(kept.value == Slip::Withdrawn);
        };
        self.swap(&kept, slip).await
    }

    async fn swap(&self, before: &Kept, slip: Slip) -> Result<bool> {
        let changed = self
            .drawer
            .change(step(), self.order.invocation, before, slip);
        Ok(changed.await?.is_some())
    }

    /// Passes on what the attempt says of itself, when that is new.
    async fn pass_on(&self, before: Option<&Slip>, now: &Slip) {
        let told = now.progress();
        if told != before.and_then(Slip::progress)
            && let Some(progress) = told
        {
            self.principal.progress(progress.clone()).await;
        }
    }

    /// Waits for the end of an attempt that was offered.
    async fn wait(&self) -> Result<Ended> {
        let (mut pause, longest) = LOOK_EVERY;
        let begin_until = Instant::now() + self.config.start;
        let mut end_until: Option<Instant> = None;
        // The last that was seen of it, and when it was another than before.
        let (mut seen, mut alive_at): (Option<Slip>, _) = (None, Instant::now());
        loop {
            let found = self.read().await;
            let now = Instant::now();
            let is_silent = now.duration_since(alive_at) > self.config.silence;
            match found {
                Ok(kept) if kept.value.is_over() => {
                    self.pass_on(seen.as_ref(), &kept.value).await;
                    return kept.value.ended().ok_or_else(withdrawn);
                }
                Ok(kept) if matches!(kept.value, Slip::Offered { .. }) => {
                    alive_at = now;
                    if now >= begin_until && matches!(self.withdraw().await, Ok(true)) {
                        return Err(not_begun());
                    }
                }
                Ok(kept) => {
                    let until = *end_until.get_or_insert(now + self.order.time + GRACE);
                    if seen.as_ref() != Some(&kept.value) {
                        alive_at = now;
                        self.pass_on(seen.as_ref(), &kept.value).await;
                        seen = Some(kept.value.clone());
                    }
                    let failure = match (is_silent && alive_at != now, now >= until) {
                        (true, _) => Some(silent()),
                        (_, true) => Some(late()),
                        _ => None,
                    };
                    let over = failure.and_then(|failure| {
                        let ended = Ended::Failed(failure);
                        let progress = kept.value.progress().cloned();
                        let slip = kept.value.end(ended.clone(), progress)?;
                        Some((slip, ended))
                    });
                    if let Some((slip, ended)) = over
                        && self.swap(&kept, slip).await?
                    {
                        return Ok(ended);
                    }
                }
                // It runs, or may: where it does cannot be reached, and what it does is not known.
                Err(error) if is_silent => {
                    tracing::warn!(%error, causes = error.causes(), "an attempt on Lambda cannot be watched");
                    let failure = "the cloud in which the attempt ran cannot be reached";
                    return Ok(Ended::Failed(Failure::new(ErrorKind::Unavailable, failure)));
                }
                Err(_) => {}
            }
            sleep(pause).await;
            pause = (pause * 2).min(longest);
        }
    }
}

fn withdrawn() -> Error {
    Error::unavailable("jobs.execute", "the attempt was taken back from Lambda")
}

fn not_begun() -> Error {
    Error::unavailable(
        "jobs.execute",
        "Lambda did not begin the attempt in time; is the function throttled or broken?",
    )
}

fn silent() -> Failure {
    Failure::new(
        ErrorKind::Internal,
        "the function stopped without a word; its log says more",
    )
}

fn late() -> Failure {
    Failure::new(
        ErrorKind::Timeout,
        "the attempt did not end in its time on Lambda",
    )
}
