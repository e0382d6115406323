//! Running a job. Each attempt gets an instance of its own, beside the warm ones and their places, which goes with it.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use stuga_core::CallCtx;
use stuga_core::jobs::OUTPUT_MAX_BYTES;
use stuga_core::receipt::Cost;
use tokio::time::{Instant, timeout_at};

use super::{Agent, CountOnDrop, Reply, check_output, micros, trap};
use crate::InvokeError;
use crate::bindings::exports::stuga::agent::agent::Job;
use crate::host::from_guest;
use crate::state::Call;

/// An attempt of a job.
#[derive(Clone, Debug)]
pub struct JobRun {
    /// Which job.
    pub id: String,
    /// What kind.
    pub kind: String,
    /// JSON text.
    pub input: String,
    /// Number of the attempt, from 1.
    pub attempt: u32,
}

impl Agent {
    /// Runs an attempt of a job. How many run at the same time is the caller's business.
    ///
    /// Dropping the future stops the guest.
    ///
    /// # Errors
    /// See [`InvokeError`].
    pub async fn run_job(&self, ctx: Arc<CallCtx>, run: JobRun) -> Result<Reply, InvokeError> {
        self.invocations.fetch_add(1, Ordering::Relaxed);
        let arrived = Instant::now();
        let mut instance = self.instantiate().await?;
        let discard = CountOnDrop(&self.discarded);
        let begun = Instant::now();
        let job = Job {
            invocation_id: ctx.invocation.to_string(),
            id: run.id.clone(),
            kind: run.kind,
            input: run.input,
            attempt: run.attempt,
            deadline_ms: u64::try_from((ctx.deadline - begun).as_millis()).unwrap_or(u64::MAX),
            context: Vec::new(),
        };
        let call = Call::new(Arc::clone(&ctx), None).of_job(run.id, run.attempt);
        instance.store.data_mut().begin(call);
        instance.store.set_epoch_deadline(1);
        let call = instance
            .guest
            .stuga_agent_agent()
            .call_run_job(&mut instance.store, &job);
        // The epoch stops a guest that computes; the timeout stops one that waits for the host.
        let ended = timeout_at(ctx.deadline, call)
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
        drop(instance);
        let answer = answer.map_err(|error| InvokeError::Agent(from_guest(error, &revealed)))?;
        let output = check_output(answer, OUTPUT_MAX_BYTES)?;
        Ok(self.reply(&ctx, output, cost))
    }
}
