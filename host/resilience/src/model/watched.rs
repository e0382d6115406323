//! An answer of the cloud's model while it is handed out piece by piece.
//!
//! Until its first piece is there a model that fails is answered for by this host, as in every read. From then on the caller has a
//! part of it, and nobody can go on where it stops: another model says something else, and the same one would begin anew. So
//! an answer that breaks off is the caller's error, and the breaker learns of it here: its call has succeeded with the beginning.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::model::{Completion, Ending};
use stuga_core::{CallCtx, CapabilityName, Error, Result};
use tokio::time::Instant;

use crate::Route;

const OPERATION: &str = "model.complete";
/// What the receipt says of tokens that nobody counted.
const UNCOUNTED: &str = "an answer of the cloud's model broke off; its tokens are not counted here";

/// What the breaker is told of one answer of the cloud.
pub(super) struct Watch {
    route: Arc<Route>,
    /// How often the breaker had tripped when the answer was asked for.
    trips: u64,
}

impl Watch {
    /// Of an answer that is asked for now.
    pub(super) fn new(route: Arc<Route>) -> Self {
        let trips = route.breaker().trips();
        Self { route, trips }
    }

    /// The answer has come to its end.
    pub(super) fn came_whole(&self) {
        self.route.breaker().came_whole(self.trips);
    }

    fn broke_off(&self) {
        self.route.breaker().broke_off(self.trips);
        self.route.counts.broken_off.add();
    }
}

/// An answer of the cloud that has begun. Nothing of another model is ever part of it.
pub(super) struct Watched {
    watch: Watch,
    state: State,
    /// When its reader was handed something last.
    handed: Instant,
    /// Whether its reader once stayed away for longer than the model may be silent: that the cloud does not wait so long says
    /// nothing of the cloud.
    dawdled: bool,
}

enum State {
    Open {
        completion: Box<dyn Completion>,
        /// What came before anybody asked for it.
        first: Option<String>,
    },
    Ended(Option<Ending>),
    Broken,
}

impl Watched {
    /// Waits for the first piece of an answer, or its end if it is empty.
    ///
    /// # Errors
    /// What the model answers in its place.
    pub(super) async fn begin(
        ctx: &CallCtx,
        watch: Watch,
        mut completion: Box<dyn Completion>,
    ) -> Result<Self> {
        let state = match completion.next(ctx).await? {
            None => {
                watch.came_whole();
                State::Ended(completion.ending().cloned())
            }
            first => State::Open { completion, first },
        };
        Ok(Self {
            watch,
            state,
            handed: Instant::now(),
            dawdled: false,
        })
    }

    /// The next piece, awaited as long as the cloud may be silent.
    async fn read(&mut self, ctx: &CallCtx) -> Result<Option<String>> {
        let State::Open { completion, first } = &mut self.state else {
            return Ok(None);
        };
        if let Some(first) = first.take() {
            return Ok(Some(first));
        }
        let began = Instant::now();
        let Some(silence) = self.watch.route.longest_silence(ctx) else {
            return completion.next(ctx).await;
        };
        self.dawdled |= began - self.handed > silence.longest;
        tokio::select! {
            biased;
            read = completion.next(ctx) => read,
            () = silence.lasts(began) => {
                let longest = silence.longest.as_secs_f32();
                let said = format!("nothing was heard of the cloud's model for {longest} s");
                Err(Error::timeout(OPERATION, said))
            }
        }
    }

    /// Notes that the answer is whole; once.
    fn end(&mut self) {
        if let State::Open { completion, .. } = &self.state {
            self.watch.came_whole();
            self.state = State::Ended(completion.ending().cloned());
        }
    }

    /// What the reader is told of an answer that failed, and the breaker of one that the cloud broke off.
    fn failed(&self, ctx: &CallCtx, error: Error) -> Error {
        // What takes longer than the caller has time says nothing of the cloud; nor does a refusal, nor an answer that is longer than
        // this host takes.
        let is_limit = error.context_value("limit").is_some();
        if !error.kind().is_outage() || is_limit || Instant::now() >= ctx.deadline {
            return error;
        }
        if !self.dawdled {
            self.watch.broke_off();
        }
        ctx.receipt.degrade(CapabilityName::Model, UNCOUNTED);
        let message =
            "the model broke off its answer; what came is a part of it, and another must be begun";
        let after = error.retry_after();
        let told = Error::new(error.kind(), OPERATION, message).with_source(error);
        match after {
            Some(after) => told.with_retry_after(after),
            None => told,
        }
    }
}

#[async_trait]
impl Completion for Watched {
    async fn next(&mut self, ctx: &CallCtx) -> Result<Option<String>> {
        if matches!(self.state, State::Broken) {
            let message = "this completion has failed; begin another";
            return Err(Error::unavailable(OPERATION, message));
        }
        let read = self.read(ctx).await;
        self.handed = Instant::now();
        match &read {
            Ok(Some(_)) => self.watch.route.hear(),
            Ok(None) => self.end(),
            Err(_) => {
                // The model is told to stop at once, and not when the reader lets go.
                self.state = State::Broken;
            }
        }
        read.map_err(|error| self.failed(ctx, error))
    }

    fn ending(&self) -> Option<&Ending> {
        match &self.state {
            State::Ended(ending) => ending.as_ref(),
            State::Open { .. } | State::Broken => None,
        }
    }
}
