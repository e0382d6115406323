//! An agent of a tenant: its instances and the call of a skill.

mod job;

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;
use serde::de::IgnoredAny;
use stuga_core::receipt::Cost;
use stuga_core::{CallCtx, Error, Receipt};
use stuga_resilience::Capabilities;
use tokio::sync::{Semaphore, SemaphorePermit, mpsc};
use tokio::time::{Instant, timeout, timeout_at};
use wasmtime::{PoolConcurrencyLimitError, Store, Trap, UpdateDeadline};

use crate::bindings::Guest;
use crate::bindings::exports::stuga::agent::agent::{Invocation, MessageOrigin, Origin};
use crate::engine::Shared;
use crate::host::from_guest;
use crate::plugin::Plugin;
use crate::state::{Authority, Call, HostState};
use crate::{AgentSettings, InstanceMode, InvokeError, LoadError};

pub use job::JobRun;

/// Longest start of an instance: the component's own initialisation.
const START_DEADLINE: Duration = Duration::from_secs(5);
/// When a caller that found every instance busy should try again.
const BUSY_RETRY_AFTER: Duration = Duration::from_secs(1);

/// A call of a skill.
#[derive(Clone, Debug)]
pub struct Request {
    /// Which skill.
    pub skill: String,
    /// JSON text that fits the skill's input schema.
    pub input: String,
    /// Groups invocations, as the caller names it.
    pub session: Option<String>,
}

/// What a call answered.
#[derive(Clone, Debug)]
pub struct Reply {
    /// JSON text.
    pub output: String,
    /// How the answer was made.
    pub receipt: Receipt,
}

/// What an agent's instances are doing, for the operator. Counts are since it was deployed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AgentStats {
    /// Instances at rest.
    pub warm: u32,
    /// Calls that run.
    pub busy: u32,
    /// Calls that wait for an instance.
    pub waiting: u32,
    /// Instances made.
    pub created: u64,
    /// Instances replaced after `max_invocations`.
    pub recycled: u64,
    /// Instances lost to a trap, a deadline or a cancelled call.
    pub discarded: u64,
    /// Calls begun.
    pub invocations: u64,
}

/// An agent of a tenant, ready to be called from any task.
pub struct Agent {
    shared: Arc<Shared>,
    plugin: Arc<Plugin>,
    settings: AgentSettings,
    authority: Arc<Authority>,
    places: Semaphore,
    waiting: AtomicU32,
    pool: Arc<Pool>,
    created: AtomicU64,
    recycled: AtomicU64,
    discarded: AtomicU64,
    invocations: AtomicU64,
}

/// Instances at rest, the latest used last.
#[derive(Default)]
pub(crate) struct Pool(Mutex<Vec<Instance>>);

struct Instance {
    store: Store<HostState>,
    guest: Guest,
    invocations: u64,
    rested_at: Instant,
}

impl Agent {
    pub(crate) async fn new(
        shared: Arc<Shared>,
        plugin: Arc<Plugin>,
        settings: AgentSettings,
        capabilities: Capabilities,
    ) -> Result<Self, LoadError> {
        let authority = Arc::new(Authority {
            grants: settings.grants,
            config: settings.config.clone(),
            secrets: settings.secrets.clone(),
            capabilities: Some(capabilities),
            memory_bytes: settings.limits.memory_bytes,
            random_key: shared.random_key,
            job_check: settings.job_check.clone(),
        });
        let agent = Self {
            places: Semaphore::new(settings.max_instances.max(1) as usize),
            shared,
            plugin,
            settings,
            authority,
            waiting: AtomicU32::new(0),
            pool: Arc::default(),
            created: AtomicU64::new(0),
            recycled: AtomicU64::new(0),
            discarded: AtomicU64::new(0),
            invocations: AtomicU64::new(0),
        };
        // Proves that the component starts within this tenant's limits, and has the first call find it warm.
        let first = agent.instantiate().await.map_err(|e| match e {
            InvokeError::Internal(error) => LoadError::Internal(error),
            other => LoadError::Mismatch(other.to_string()),
        })?;
        if agent.settings.instance == InstanceMode::Warm {
            agent.pool.push(first);
        }
        Ok(agent)
    }

    /// The plugin that it runs.
    pub fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    pub(crate) fn pool(&self) -> &Arc<Pool> {
        &self.pool
    }

    /// Runs a skill.
    ///
    /// `parts` gets what the agent emits while it runs, in order; a full channel slows the agent down. Dropping the
    /// future stops the guest and discards its instance.
    ///
    /// # Errors
    /// See [`InvokeError`]. After any of them the agent serves the next call.
    pub async fn invoke(
        &self,
        ctx: Arc<CallCtx>,
        request: Request,
        parts: Option<mpsc::Sender<String>>,
    ) -> Result<Reply, InvokeError> {
        self.invocations.fetch_add(1, Ordering::Relaxed);
        let arrived = Instant::now();
        let _place = self.place(ctx.deadline).await?;
        let mut instance = match self.pool.pop() {
            Some(instance) => instance,
            None => self.instantiate().await?,
        };
        let discard = CountOnDrop(&self.discarded);
        let deadline = ctx.deadline;
        let begun = Instant::now();
        let invocation = Invocation {
            id: ctx.invocation.to_string(),
            skill: request.skill,
            input: request.input,
            session: request.session,
            origin: origin(&ctx),
            deadline_ms: told(&ctx, deadline - begun),
            context: Vec::new(),
        };
        instance
            .store
            .data_mut()
            .begin(Call::new(Arc::clone(&ctx), parts));
        instance.store.set_epoch_deadline(1);
        let call = instance
            .guest
            .stuga_agent_agent()
            .call_invoke(&mut instance.store, &invocation);
        // The epoch stops a guest that computes; the timeout stops one that waits for the host.
        let ended = timeout_at(deadline, call)
            .await
            .map_err(|_| InvokeError::Deadline)?;
        let revealed = instance.store.data_mut().end();
        let revealed = revealed.map_err(|error| trap(&error, instance.store.data()))?;
        let answer = ended.map_err(|error| trap(&error, instance.store.data()))?;
        discard.cancel();

        let cost = Cost {
            duration_us: micros(begun.elapsed()),
            queued_us: micros(begun - arrived),
            memory_bytes: instance.store.data().memory.bytes,
        };
        self.rest(instance);
        let answer = answer.map_err(|error| InvokeError::Agent(from_guest(error, &revealed)))?;
        let output = check_output(answer, self.settings.limits.output_bytes)?;
        Ok(self.reply(&ctx, output, cost))
    }

    fn reply(&self, ctx: &CallCtx, output: String, cost: Cost) -> Reply {
        let receipt = Receipt {
            agent_version: self.plugin.shared_version(),
            component: self.plugin.shared_digest(),
            capabilities: ctx.receipt.snapshot(),
            cost,
        };
        Reply { output, receipt }
    }

    /// Drops instances that rested longer than allowed, but for one. Call it from time to time.
    pub fn trim(&self) {
        self.pool.trim(self.settings.idle);
    }

    /// What the instances are doing.
    pub fn stats(&self) -> AgentStats {
        let places = self.settings.max_instances.max(1) as usize;
        AgentStats {
            warm: u32::try_from(self.pool.len()).unwrap_or(u32::MAX),
            busy: u32::try_from(places.saturating_sub(self.places.available_permits()))
                .unwrap_or(u32::MAX),
            waiting: self.waiting.load(Ordering::Relaxed),
            created: self.created.load(Ordering::Relaxed),
            recycled: self.recycled.load(Ordering::Relaxed),
            discarded: self.discarded.load(Ordering::Relaxed),
            invocations: self.invocations.load(Ordering::Relaxed),
        }
    }

    /// A place to run, at once or after waiting in a line of bounded length.
    async fn place(&self, deadline: Instant) -> Result<SemaphorePermit<'_>, InvokeError> {
        if let Ok(place) = self.places.try_acquire() {
            return Ok(place);
        }
        let waiting = self.waiting.fetch_add(1, Ordering::Relaxed);
        let _leave = LeaveOnDrop(&self.waiting);
        if waiting >= self.settings.limits.waiting {
            return Err(InvokeError::Busy {
                retry_after: BUSY_RETRY_AFTER,
            });
        }
        match timeout_at(deadline, self.places.acquire()).await {
            Ok(Ok(place)) => Ok(place),
            Ok(Err(_)) => Err(InvokeError::Internal(Error::internal(
                "agent.invoke",
                "the agent is closed",
            ))),
            Err(_) => Err(InvokeError::Deadline),
        }
    }

    async fn instantiate(&self) -> Result<Instance, InvokeError> {
        match self.try_instantiate().await {
            // Every slot of the process is taken: resting instances of others make room once.
            Err(error) if error.is::<PoolConcurrencyLimitError>() => {
                self.shared.drop_resting_instances();
                self.try_instantiate().await
            }
            result => result,
        }
        .map_err(|error| {
            if error.is::<PoolConcurrencyLimitError>() {
                InvokeError::Busy {
                    retry_after: BUSY_RETRY_AFTER,
                }
            } else {
                InvokeError::Trapped {
                    reason: format!("the component did not start: {error:#}"),
                }
            }
        })
    }

    async fn try_instantiate(&self) -> wasmtime::Result<Instance> {
        let mut store = Store::new(
            &self.shared.engine,
            HostState::new(Arc::clone(&self.authority)),
        );
        store.limiter(|state| state);
        store.set_epoch_deadline(1);
        store.epoch_deadline_callback(|store| {
            let late = store
                .data()
                .deadline()
                .is_some_and(|deadline| Instant::now() >= deadline);
            Ok(if late {
                UpdateDeadline::Interrupt
            } else {
                UpdateDeadline::YieldCustom(1, Box::pin(tokio::task::yield_now()))
            })
        });
        let start = async {
            let guest = self.plugin.pre.instantiate_async(&mut store).await?;
            if self.plugin.has_language_runtime() {
                guest.stuga_agent_agent().call_describe(&mut store).await?;
            }
            Ok::<_, wasmtime::Error>(guest)
        };
        let guest = timeout(START_DEADLINE, start)
            .await
            .map_err(|_| wasmtime::Error::msg(format!("no start within {START_DEADLINE:?}")))??;
        self.created.fetch_add(1, Ordering::Relaxed);
        Ok(Instance {
            store,
            guest,
            invocations: 0,
            rested_at: Instant::now(),
        })
    }

    /// Puts an instance back to rest, unless it has served its time.
    fn rest(&self, mut instance: Instance) {
        instance.invocations += 1;
        if self.settings.instance == InstanceMode::Fresh {
            return;
        }
        if instance.invocations >= self.settings.max_invocations.max(1) {
            self.recycled.fetch_add(1, Ordering::Relaxed);
            return;
        }
        instance.rested_at = Instant::now();
        self.pool.push(instance);
    }
}

/// Takes an answer that is JSON of at most `limit` bytes.
fn check_output(output: String, limit: usize) -> Result<String, InvokeError> {
    if output.len() > limit {
        return Err(InvokeError::TooLarge {
            bytes: output.len(),
            limit,
        });
    }
    match serde_json::from_str::<IgnoredAny>(&output) {
        Ok(_) => Ok(output),
        Err(e) => Err(InvokeError::NotJson {
            reason: e.to_string(),
        }),
    }
}

impl Pool {
    fn pop(&self) -> Option<Instance> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).pop()
    }

    fn push(&self, instance: Instance) {
        self.0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(instance);
    }

    fn len(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }

    fn trim(&self, idle: Duration) {
        let mut dropped = Vec::new();
        let mut instances = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // The latest used stand last, so the oldest go first and one always stays.
        while instances.len() > 1
            && instances
                .first()
                .is_some_and(|i| i.rested_at.elapsed() >= idle)
        {
            dropped.push(instances.remove(0));
        }
        drop(instances);
    }

    pub(crate) fn clear(&self) {
        let dropped = std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        drop(dropped);
    }
}

/// How many milliseconds a guest is told it has.
fn told(ctx: &CallCtx, left: Duration) -> u64 {
    let left = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    let tape = ctx.tape.as_ref();
    tape.map_or(left, |tape| tape.deadline_ms(left))
}

/// Who or what caused a call.
fn origin(ctx: &CallCtx) -> Origin {
    match &ctx.message {
        None => Origin::Client,
        Some(message) => Origin::Message(MessageOrigin {
            sender: message.sender.clone(),
            message_id: message.id.clone(),
            expects_reply: message.expects_reply,
        }),
    }
}

/// What a failed call was, in the words of this crate.
fn trap(error: &wasmtime::Error, state: &HostState) -> InvokeError {
    let trap = error.downcast_ref::<Trap>();
    if trap == Some(&Trap::Interrupt) {
        return InvokeError::Deadline;
    }
    let mut reason = match trap {
        Some(trap) => trap.to_string(),
        None => error.root_cause().to_string(),
    };
    if let Some(lines) = state.wasi.as_ref().and_then(|wasi| wasi.last_errors()) {
        reason = format!("{reason}; it wrote: {lines}");
    }
    if state.memory.refused {
        reason = format!(
            "{reason}, after it was refused more than {} bytes of memory",
            state.memory.limit
        );
    }
    InvokeError::Trapped { reason }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

/// Counts an instance that does not come back, also when the caller goes away in the middle.
struct CountOnDrop<'a>(&'a AtomicU64);

impl CountOnDrop<'_> {
    fn cancel(self) {
        std::mem::forget(self);
    }
}

impl Drop for CountOnDrop<'_> {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

struct LeaveOnDrop<'a>(&'a AtomicU32);

impl Drop for LeaveOnDrop<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
