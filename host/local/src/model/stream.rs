//! An answer as it comes from the endpoint. It is read only as fast as it is asked for, so nothing piles up here.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::Response;
use stuga_core::model::{
    ANSWER_MAX_BYTES, Completion, Ending, FinishReason, MODEL_NAME_MAX_BYTES, Place, Usage,
};
use stuga_core::{CallCtx, Error, Result};
use tokio::time::timeout_at;

use super::endpoint::Until;
use super::failure;
use super::sse::{Broken, Events};
use super::wire::{self, Chunk};

const OPERATION: &str = "model.complete";
/// What a token is taken for when the endpoint does not count them, in bytes of text.
const TOKEN_BYTES: usize = 4;

/// An answer that is being made. Dropping it closes the connection, by which the endpoint knows to stop.
pub(super) struct AnswerStream {
    state: State,
    events: Events,
    patience: Duration,
    model: String,
    reason: Option<FinishReason>,
    usage: Option<Usage>,
    prompt_bytes: usize,
    /// Text so far.
    bytes: usize,
}

enum State {
    Reading { response: Response, place: Place },
    Ended(Ending),
    Broken,
}

impl AnswerStream {
    pub(super) fn new(
        response: Response,
        model: &str,
        patience: Duration,
        place: Place,
        prompt_bytes: usize,
    ) -> Self {
        Self {
            state: State::Reading { response, place },
            events: Events::default(),
            patience,
            model: model.to_owned(),
            reason: None,
            usage: None,
            prompt_bytes,
            bytes: 0,
        }
    }

    /// The next piece of text that has come; none when the answer is complete.
    async fn read(&mut self, ctx: &CallCtx) -> Result<Option<String>> {
        loop {
            while let Some(event) = self.events.next().map_err(broken)? {
                if event == wire::DONE {
                    return self.end().map(|()| None);
                }
                if let Some(piece) = self.take(&event)? {
                    return Ok(Some(piece));
                }
            }
            let State::Reading { response, .. } = &mut self.state else {
                return Ok(None);
            };
            let until = Until::new(ctx.deadline, self.patience);
            let part = timeout_at(until.at, response.chunk())
                .await
                .map_err(|_| until.missed(OPERATION))?
                .map_err(|e| failure::of_transport(OPERATION, e))?;
            match part {
                Some(part) => self.events.push(&part),
                // Some servers close without the last word.
                None => return self.end().map(|()| None),
            }
        }
    }

    /// Takes in an event and hands out its text, if it has any.
    fn take(&mut self, event: &str) -> Result<Option<String>> {
        let chunk: Chunk = serde_json::from_str(event)
            .map_err(|e| failure::malformed(OPERATION, format!("an event is no chunk: {e}")))?;
        if chunk.error.is_some() {
            return Err(Error::unavailable(
                OPERATION,
                "the model failed in the middle of its answer; try again",
            ));
        }
        if let Some(mut model) = chunk.model.filter(|model| !model.is_empty()) {
            model.truncate(model.floor_char_boundary(MODEL_NAME_MAX_BYTES));
            self.model = model;
        }
        self.usage = chunk.usage.or(self.usage);
        let Some(choice) = chunk.choices.into_iter().next() else {
            return Ok(None);
        };
        if let Some(word) = choice.finish_reason {
            self.reason = Some(wire::finish_reason(&word));
        }
        let Some(text) = choice.delta.content.filter(|text| !text.is_empty()) else {
            return Ok(None);
        };
        self.bytes = self.bytes.saturating_add(text.len());
        if self.bytes > ANSWER_MAX_BYTES {
            return Err(Error::unavailable(
                OPERATION,
                "the model's answer is over 1 MiB; ask for fewer tokens",
            )
            .with_context("limit", ANSWER_MAX_BYTES));
        }
        Ok(Some(text))
    }

    /// Ends the answer, unless it breaks off: then nobody said why it ended.
    fn end(&mut self) -> Result<()> {
        let Some(reason) = self.reason else {
            return Err(Error::unavailable(
                OPERATION,
                "the model's endpoint broke off its answer; try again",
            ));
        };
        let ending = Ending {
            model: self.model.clone(),
            reason,
            usage: self.usage,
        };
        self.settle(State::Ended(ending));
        Ok(())
    }

    /// Leaves the endpoint alone and books what it has done so far.
    fn settle(&mut self, state: State) {
        if let State::Reading { place, .. } = std::mem::replace(&mut self.state, state) {
            place.spend(self.tokens());
        }
    }

    /// Tokens as counted by the endpoint, or guessed.
    fn tokens(&self) -> u64 {
        match self.usage {
            Some(usage) => u64::from(usage.prompt_tokens) + u64::from(usage.completion_tokens),
            None => (self.prompt_bytes.saturating_add(self.bytes) / TOKEN_BYTES) as u64,
        }
    }
}

#[async_trait]
impl Completion for AnswerStream {
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

impl Drop for AnswerStream {
    /// What was made so far is booked also when nobody wants the rest.
    fn drop(&mut self) {
        self.settle(State::Broken);
    }
}

fn broken(why: Broken) -> Error {
    match why {
        Broken::TooLarge => failure::malformed(OPERATION, "an event is too large"),
        Broken::NotText => failure::malformed(OPERATION, "an event is not UTF-8"),
    }
}
