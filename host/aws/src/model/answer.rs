//! An answer as it comes from Bedrock. It is read only as fast as it is asked for, so nothing piles up here.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_bedrockruntime::primitives::event_stream::EventReceiver;
use aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError;
use aws_sdk_bedrockruntime::types::{
    ContentBlockDelta, ConverseStreamOutput, StopReason, TokenUsage,
};
use stuga_core::model::{ANSWER_MAX_BYTES, Completion, Ending, FinishReason, Place, Usage};
use stuga_core::{CallCtx, Error, ErrorKind, Result};
use tokio::time::Instant;

use crate::call::call_until;

const OPERATION: &str = "model.complete";
/// What a token is taken for when the model does not count them, in bytes of text.
const TOKEN_BYTES: usize = 4;

type Stream = EventReceiver<ConverseStreamOutput, ConverseStreamOutputError>;

/// How long a silent model is waited for: the call's deadline or the host's patience, whichever comes first.
#[derive(Clone, Copy)]
pub(super) struct Silence {
    until: Instant,
    patience: Option<Duration>,
}

impl Silence {
    pub(super) fn new(deadline: Instant, patience: Duration) -> Self {
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

    pub(super) fn until(self) -> Instant {
        self.until
    }

    /// The same error, when the host's patience was shorter than the deadline.
    pub(super) fn explain(self, operation: &'static str, error: Error) -> Error {
        match self.patience {
            Some(patience) if error.kind() == ErrorKind::Timeout => Error::timeout(
                operation,
                format!(
                    "the model said nothing for {} s, which is the host's `aws.model.timeout`",
                    patience.as_secs_f32()
                ),
            )
            .with_source(error),
            _ => error,
        }
    }
}

/// An answer that is being made. Dropping it closes the stream, by which Bedrock knows to stop.
pub(super) struct Answering {
    state: State,
    patience: Duration,
    model: String,
    reason: Option<FinishReason>,
    usage: Option<Usage>,
    prompt_bytes: usize,
    /// Text so far.
    bytes: usize,
}

enum State {
    Reading { stream: Box<Stream>, place: Place },
    Ended(Ending),
    Broken,
}

impl Answering {
    pub(super) fn new(
        stream: Stream,
        model: &str,
        patience: Duration,
        place: Place,
        prompt_bytes: usize,
    ) -> Self {
        Self {
            state: State::Reading {
                stream: Box::new(stream),
                place,
            },
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
            let State::Reading { stream, .. } = &mut self.state else {
                return Ok(None);
            };
            let silence = Silence::new(ctx.deadline, self.patience);
            let event = call_until(silence.until(), OPERATION, stream.recv()).await;
            let event = event.map_err(|error| silence.explain(OPERATION, error))?;
            match event {
                Some(event) => {
                    if let Some(piece) = self.take(event)? {
                        return Ok(Some(piece));
                    }
                }
                None => return self.end().map(|()| None),
            }
        }
    }

    /// Takes in an event and hands out its text, if it has any.
    fn take(&mut self, event: ConverseStreamOutput) -> Result<Option<String>> {
        let text = match event {
            ConverseStreamOutput::ContentBlockDelta(event) => match event.delta {
                Some(ContentBlockDelta::Text(text)) if !text.is_empty() => text,
                // What a model thinks aloud is no part of its answer.
                _ => return Ok(None),
            },
            ConverseStreamOutput::MessageStop(event) => {
                self.reason = Some(finish_reason(&event.stop_reason));
                return Ok(None);
            }
            ConverseStreamOutput::Metadata(event) => {
                self.usage = event.usage.map(|usage| counted(&usage)).or(self.usage);
                return Ok(None);
            }
            _ => return Ok(None),
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
                "the cloud broke off the model's answer; try again",
            ));
        };
        self.settle(State::Ended(Ending {
            model: self.model.clone(),
            reason,
            usage: self.usage,
        }));
        Ok(())
    }

    /// Lets go of the stream and books what was used of it.
    fn settle(&mut self, state: State) {
        if let State::Reading { place, .. } = std::mem::replace(&mut self.state, state) {
            place.spend(self.tokens());
        }
    }

    /// Tokens as Bedrock counts them, or guessed.
    fn tokens(&self) -> u64 {
        match self.usage {
            Some(usage) => u64::from(usage.prompt_tokens) + u64::from(usage.completion_tokens),
            None => (self.prompt_bytes.saturating_add(self.bytes) / TOKEN_BYTES) as u64,
        }
    }
}

#[async_trait]
impl Completion for Answering {
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

impl Drop for Answering {
    /// What was made so far is booked also when nobody wants the rest.
    fn drop(&mut self) {
        self.settle(State::Broken);
    }
}

fn finish_reason(reason: &StopReason) -> FinishReason {
    match reason {
        StopReason::EndTurn | StopReason::StopSequence => FinishReason::Stop,
        StopReason::MaxTokens | StopReason::ModelContextWindowExceeded => FinishReason::Length,
        StopReason::ContentFiltered | StopReason::GuardrailIntervened => FinishReason::Filtered,
        _ => FinishReason::Other,
    }
}

fn counted(usage: &TokenUsage) -> Usage {
    let count = |tokens: i32| u32::try_from(tokens).unwrap_or_default();
    Usage {
        prompt_tokens: count(usage.input_tokens),
        completion_tokens: count(usage.output_tokens),
    }
}
