//! The other end: what runs inside of Lambda. Begins attempts, says that it is alive, and writes how they ended.
//!
//! What Lambda itself is answered says nothing: an attempt that is not on offer (any more) is no failure, so that a
//! repetition by Lambda ends here, and what went wrong stands on the slip.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use lambda_runtime::{LambdaEvent, service_fn};
use stuga_core::jobs::Progress;
use stuga_core::jobs::elsewhere::{Ended, Order, Principal};
use stuga_core::{Error, InvocationId, Result, Timestamp};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep};

use super::drawer::{Drawer, Kept};
use super::slip::Ticket;
use crate::Shared;
use crate::objects::At;

/// How often an attempt says that it is alive.
const BEAT_EVERY: Duration = Duration::from_secs(5);
/// Longest time of one step: to begin, a sign of life, the end.
const STEP_MAX: Duration = Duration::from_secs(10);
/// What is left of the function's own time to write how an attempt ended.
const MARGIN: Duration = Duration::from_secs(2);
/// How often the end of an attempt is tried to be written, and how long between.
const TELL_TRIES: u32 = 5;
const TELL_AGAIN_AFTER: Duration = Duration::from_millis(500);

/// What runs an attempt once it has begun.
#[async_trait]
pub trait Work: Send + Sync + 'static {
    /// Runs it for no longer than its time and tells the principal what it says of itself. Dropping the future stops it.
    async fn run(&self, order: Order, principal: Arc<dyn Principal>) -> Ended;
}

/// Takes attempts from Lambda's runtime API for as long as the process lives.
///
/// # Errors
/// `Unavailable` when this process does not run in Lambda, or the runtime API is gone.
pub async fn serve(aws: crate::Aws, work: Arc<dyn Work>) -> Result<()> {
    const OPERATION: &str = "lambda";
    if std::env::var_os("AWS_LAMBDA_RUNTIME_API").is_none() {
        return Err(Error::unavailable(
            OPERATION,
            "there is no Lambda around this process: AWS_LAMBDA_RUNTIME_API is not set",
        ));
    }
    let shared = aws.shared();
    let handle = |event: LambdaEvent<Ticket>| {
        let (shared, work) = (Arc::clone(&shared), Arc::clone(&work));
        async move {
            // Boxed: the futures around it are nested so deeply that the compiler gives up on the sum.
            let done = Box::pin(attempt(&shared, &*work, event)).await;
            // Lambda keeps this text in its own log, and the host hears of the attempt by its silence.
            done.map_err(|error| format!("{error}: {}", error.causes()))
        }
    };
    lambda_runtime::run(service_fn(handle)).await.map_err(|e| {
        Error::unavailable(OPERATION, "the runtime API of Lambda is gone").with_source(e)
    })
}

async fn attempt(shared: &Shared, work: &dyn Work, event: LambdaEvent<Ticket>) -> Result<()> {
    let Ticket { tenant, invocation } = event.payload;
    let drawer = Drawer::of(shared, &tenant)?;
    let at = function_step();
    let Some(offered) = drawer.read(at, invocation).await? else {
        tracing::warn!(%tenant, %invocation, "there is no such attempt");
        return Ok(());
    };
    let Some((running, mut order)) = offered.value.begin(&event.context.request_id) else {
        tracing::info!(%tenant, %invocation, "the attempt is not on offer any more");
        return Ok(());
    };
    if order.tenant != tenant || order.invocation != invocation {
        return Err(Error::internal("lambda", "the slip is another attempt's"));
    }
    let Some(kept) = drawer.change(at, invocation, &offered, running).await? else {
        return Ok(());
    };
    let left = Timestamp::from_millis(event.context.deadline).since(shared.now());
    order.time = order.time.min(left.saturating_sub(MARGIN));
    let host = Arc::new(Host {
        drawer,
        digest: order.component.clone(),
        progress: Mutex::default(),
    });
    let run = work.run(order, Arc::clone(&host) as _);
    let Some((kept, ended)) = alive_while(&host, invocation, kept, run).await? else {
        tracing::warn!(%tenant, %invocation, "the host has given the attempt up; it was stopped");
        return Ok(());
    };
    tell(&host, invocation, kept, ended).await
}

/// Runs an attempt with signs of life; none when the host does not wait for it any more.
async fn alive_while(
    host: &Host,
    invocation: InvocationId,
    mut kept: Kept,
    run: impl Future<Output = Ended>,
) -> Result<Option<(Kept, Ended)>> {
    tokio::pin!(run);
    let mut beats = interval_at(Instant::now() + BEAT_EVERY, BEAT_EVERY);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            ended = &mut run => return Ok(Some((kept, ended))),
            _ = beats.tick() => {}
        }
        let Some(beaten) = kept.value.beat(host.told()) else {
            return Ok(None);
        };
        match host
            .drawer
            .change(function_step(), invocation, &kept, beaten)
            .await
        {
            Ok(Some(changed)) => kept = changed,
            Ok(None) => return Ok(None),
            Err(error) => {
                tracing::warn!(%error, causes = error.causes(), "a sign of life was not written");
            }
        }
    }
}

/// Writes how an attempt ended.
async fn tell(host: &Host, invocation: InvocationId, kept: Kept, ended: Ended) -> Result<()> {
    let drawer = &host.drawer;
    let Some(slip) = kept.value.end(ended, host.told()) else {
        return Ok(());
    };
    for _ in 1..TELL_TRIES {
        match drawer
            .change(function_step(), invocation, &kept, slip.clone())
            .await
        {
            Ok(_) => return Ok(()),
            Err(error) => {
                tracing::warn!(%error, causes = error.causes(), "the end of an attempt was not written; trying again");
                sleep(TELL_AGAIN_AFTER).await;
            }
        }
    }
    let told = drawer
        .change(function_step(), invocation, &kept, slip)
        .await;
    told.map(drop)
}

fn function_step() -> At {
    At::within("lambda", STEP_MAX)
}

/// The host of an order, as far as the bucket stands for it.
struct Host {
    drawer: Drawer,
    digest: String,
    progress: Mutex<Option<Progress>>,
}

impl Host {
    fn told(&self) -> Option<Progress> {
        let progress = self.progress.lock();
        progress.unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Principal for Host {
    async fn component(&self) -> Result<Vec<u8>> {
        self.drawer.component(function_step(), &self.digest).await
    }

    /// Goes out with the next sign of life.
    async fn progress(&self, progress: Progress) {
        let mut latest = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
        *latest = Some(progress);
    }
}
