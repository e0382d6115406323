//! An answer while it is being made: what every backend counts, bounds and books in the same way. A backend says only what comes.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::{
    ANSWER_MAX_BYTES, Completion, Ending, FinishReason, MODEL_NAME_MAX_BYTES, Place, Usage,
};
use crate::{CallCtx, Error, Result};

const OPERATION: &str = "model.complete";
/// What a token is taken for when the model does not count them, in bytes of text.
const TOKEN_BYTES: usize = 4;

/// What came from a model at once.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Piece {
    /// Text of the answer; empty when there was none.
    pub text: String,
    /// Why the answer ends, once the model says so.
    pub reason: Option<FinishReason>,
    /// Tokens so far, when the model counts them.
    pub usage: Option<Usage>,
    /// What the model calls itself; longer than [`MODEL_NAME_MAX_BYTES`] it is cut.
    pub model: Option<String>,
}

/// What a backend reads an answer from. Dropping it tells the model to stop.
#[async_trait]
pub trait Pieces: Send + Sync {
    /// What comes next, awaited no longer than the deadline of `ctx`; none when the model has closed. Not called after that, nor
    /// after an error.
    async fn next(&mut self, ctx: &CallCtx) -> Result<Option<Piece>>;
}

/// A [`Completion`] over pieces. It is read only as fast as it is asked for, so nothing piles up here; what was used is booked
/// when it ends, fails or is dropped.
pub struct Answering<P> {
    state: State<P>,
    model: String,
    reason: Option<FinishReason>,
    usage: Option<Usage>,
    prompt_bytes: usize,
    /// Text so far.
    bytes: usize,
}

enum State<P> {
    Reading { pieces: Box<P>, place: Place },
    Ended(Ending),
    Broken,
}

impl<P> Answering<P> {
    /// An answer of `model`, which is called so until it says otherwise, to a conversation of `prompt_bytes`.
    pub fn new(pieces: P, model: &str, place: Place, prompt_bytes: usize) -> Self {
        Self {
            state: State::Reading {
                pieces: Box::new(pieces),
                place,
            },
            model: model.to_owned(),
            reason: None,
            usage: None,
            prompt_bytes,
            bytes: 0,
        }
    }

    /// Takes in what came and hands out its text, if it has any.
    fn take(&mut self, piece: Piece) -> Result<Option<String>> {
        if let Some(mut model) = piece.model.filter(|model| !model.is_empty()) {
            model.truncate(model.floor_char_boundary(MODEL_NAME_MAX_BYTES));
            self.model = model;
        }
        self.usage = piece.usage.or(self.usage);
        self.reason = piece.reason.or(self.reason);
        self.bytes = self.bytes.saturating_add(piece.text.len());
        if self.bytes > ANSWER_MAX_BYTES {
            return Err(Error::unavailable(
                OPERATION,
                "the model's answer is over 1 MiB; ask for fewer tokens",
            )
            .with_context("limit", ANSWER_MAX_BYTES));
        }
        Ok((!piece.text.is_empty()).then_some(piece.text))
    }

    /// Ends the answer, unless it breaks off: then nobody said why it ended.
    fn end(&mut self) -> Result<()> {
        let Some(reason) = self.reason else {
            return Err(Error::unavailable(
                OPERATION,
                "the model broke off its answer; try again",
            ));
        };
        self.settle(State::Ended(Ending {
            model: self.model.clone(),
            reason,
            usage: self.usage,
        }));
        Ok(())
    }

    /// Leaves the model alone and books what it has done so far.
    fn settle(&mut self, state: State<P>) {
        if let State::Reading { place, .. } = std::mem::replace(&mut self.state, state) {
            place.spend(self.tokens());
        }
    }

    /// Tokens as the model counts them, or guessed.
    fn tokens(&self) -> u64 {
        match self.usage {
            Some(usage) => u64::from(usage.prompt_tokens) + u64::from(usage.completion_tokens),
            None => (self.prompt_bytes.saturating_add(self.bytes) / TOKEN_BYTES) as u64,
        }
    }
}

impl<P: Pieces> Answering<P> {
    /// The next piece of text that has come; none when the answer is complete.
    async fn read(&mut self, ctx: &CallCtx) -> Result<Option<String>> {
        loop {
            let State::Reading { pieces, .. } = &mut self.state else {
                return Ok(None);
            };
            match pieces.next(ctx).await? {
                Some(piece) => {
                    if let Some(text) = self.take(piece)? {
                        return Ok(Some(text));
                    }
                }
                None => return self.end().map(|()| None),
            }
        }
    }
}

#[async_trait]
impl<P: Pieces> Completion for Answering<P> {
    async fn next(&mut self, ctx: &CallCtx) -> Result<Option<String>> {
        match &self.state {
            State::Reading { .. } => {}
            State::Ended(_) => return Ok(None),
            State::Broken => {
                return Err(Error::unavailable(
                    OPERATION,
                    "this completion has failed; begin another",
                ));
            }
        }
        let read = self.read(ctx).await;
        if read.is_err() {
            self.settle(State::Broken);
        }
        read
    }

    fn ending(&self) -> Option<&Ending> {
        match &self.state {
            State::Ended(ending) => Some(ending),
            State::Reading { .. } | State::Broken => None,
        }
    }
}

impl<P> Drop for Answering<P> {
    /// What was made so far is booked also when nobody wants the rest.
    fn drop(&mut self) {
        self.settle(State::Broken);
    }
}

/// How long a silent model is waited for: until the call's deadline or as long as the host's patience lasts, whichever is over
/// first.
#[derive(Clone, Copy, Debug)]
pub struct Silence {
    until: Instant,
    patience: Option<Duration>,
}

impl Silence {
    /// A silence that begins now.
    pub fn new(deadline: Instant, patience: Duration) -> Self {
        let silent = Instant::now() + patience;
        match deadline <= silent {
            true => Self {
                until: deadline,
                patience: None,
            },
            false => Self {
                until: silent,
                patience: Some(patience),
            },
        }
    }

    /// When it has lasted long enough.
    pub fn until(self) -> Instant {
        self.until
    }

    /// Whether it is the host's patience that is over then.
    pub fn is_patience(self) -> bool {
        self.patience.is_some()
    }

    /// What is said then; `setting` is where the operator gave the host's patience.
    pub fn missed(self, operation: &'static str, setting: &str) -> Error {
        let Some(patience) = self.patience else {
            return Error::timeout(operation, "the invocation's deadline has passed");
        };
        let patience = patience.as_secs_f32();
        let said =
            format!("the model said nothing for {patience} s, which is the host's `{setting}`");
        Error::timeout(operation, said)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;
    use std::sync::Arc;

    use super::*;
    use crate::model::{LimitTable, ModelLimits};
    use crate::{AgentName, ErrorKind, InvocationId, RequestId, SystemClock, TenantId, Timestamp};

    struct Script(VecDeque<Result<Option<Piece>>>);

    #[async_trait]
    impl Pieces for Script {
        async fn next(&mut self, _: &CallCtx) -> Result<Option<Piece>> {
            self.0.pop_front().expect("nobody asks after the end")
        }
    }

    fn ctx() -> CallCtx {
        let id = uuid::Uuid::from_u128(1);
        CallCtx::new(
            TenantId::new("acme").unwrap(),
            AgentName::new("scribe").unwrap(),
            InvocationId::from_uuid(id),
            RequestId::from_uuid(id),
            Timestamp::from_millis(0),
            Instant::now() + Duration::from_secs(60),
        )
    }

    /// An answer by this script, of a tenant that has 1 completion and 100 tokens a minute.
    fn answering(script: Vec<Result<Option<Piece>>>) -> (Answering<Script>, Arc<LimitTable>) {
        let table = Arc::new(LimitTable::new(Arc::new(SystemClock)));
        let limits = ModelLimits {
            completions: 1,
            tokens_per_minute: Some(100),
        };
        table.set(&ctx().tenant, limits);
        let place = table.admit(OPERATION, &ctx().tenant).unwrap();
        let answering = Answering::new(Script(script.into()), "asked", place, 8);
        (answering, table)
    }

    fn text(text: &str) -> Result<Option<Piece>> {
        Ok(Some(Piece {
            text: text.to_owned(),
            ..Piece::default()
        }))
    }

    fn stop() -> Result<Option<Piece>> {
        Ok(Some(Piece {
            reason: Some(FinishReason::Stop),
            model: Some("x".repeat(MODEL_NAME_MAX_BYTES + 1)),
            ..Piece::default()
        }))
    }

    #[tokio::test]
    async fn an_answer_ends_once_and_says_how() {
        let (mut answer, _) = answering(vec![text(""), text("hej"), stop(), Ok(None)]);
        assert_eq!(answer.next(&ctx()).await.unwrap().as_deref(), Some("hej"));
        assert!(answer.ending().is_none());
        for _ in 0..2 {
            assert_eq!(answer.next(&ctx()).await.unwrap(), None);
        }
        let ending = answer.ending().unwrap();
        assert_eq!(ending.reason, FinishReason::Stop);
        assert_eq!(ending.model.len(), MODEL_NAME_MAX_BYTES);
    }

    #[tokio::test]
    async fn an_answer_that_breaks_off_or_is_too_long_is_of_no_use_any_more() {
        let long = text(&"x".repeat(ANSWER_MAX_BYTES));
        for script in [vec![Ok(None)], vec![long, text("y")]] {
            let (mut answer, _) = answering(script);
            while answer.next(&ctx()).await.is_ok() {}
            let again = answer.next(&ctx()).await.unwrap_err();
            assert_eq!(again.kind(), ErrorKind::Unavailable);
            assert!(again.message().contains("begin another"), "{again}");
            assert!(answer.ending().is_none());
        }
    }

    #[tokio::test]
    async fn what_was_made_is_booked_also_of_an_answer_that_nobody_wants() {
        let long = "x".repeat(400);
        let (mut answer, table) = answering(vec![text(&long)]);
        assert_eq!(
            answer.next(&ctx()).await.unwrap().as_deref(),
            Some(long.as_str())
        );
        drop(answer);
        let refused = table.admit(OPERATION, &ctx().tenant);
        assert_eq!(refused.err().unwrap().kind(), ErrorKind::RateLimited);
    }
}
