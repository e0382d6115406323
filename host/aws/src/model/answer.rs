//! An answer as it comes from Bedrock.

use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_bedrockruntime::primitives::event_stream::EventReceiver;
use aws_sdk_bedrockruntime::types::error::ConverseStreamOutputError;
use aws_sdk_bedrockruntime::types::{
    ContentBlockDelta, ConverseStreamOutput, StopReason, TokenUsage,
};
use stuga_core::model::{FinishReason, Piece, Pieces, Silence, Usage};
use stuga_core::{CallCtx, Error, ErrorKind, Result};

use crate::call::call_until;

const OPERATION: &str = "model.complete";
/// Where the operator gives the host's patience.
const SETTING: &str = "aws.model.timeout";

/// Events of a stream. Dropping it closes the stream, by which Bedrock knows to stop.
pub(super) struct Events {
    pub(super) stream: EventReceiver<ConverseStreamOutput, ConverseStreamOutputError>,
    pub(super) patience: Duration,
}

#[async_trait]
impl Pieces for Events {
    async fn next(&mut self, ctx: &CallCtx) -> Result<Option<Piece>> {
        let silence = Silence::new(ctx.deadline, self.patience);
        let event = call_until(silence.until(), OPERATION, self.stream.recv()).await;
        let event = event.map_err(|error| explain(silence, OPERATION, error))?;
        // Also what says nothing, such as thoughts.
        ctx.pulse.beat();
        Ok(event.map(piece))
    }
}

/// The same error; that nothing came in time, in words that say whose patience it was.
pub(super) fn explain(silence: Silence, operation: &'static str, error: Error) -> Error {
    match error.kind() {
        ErrorKind::Timeout if silence.is_patience() => {
            silence.missed(operation, SETTING).with_source(error)
        }
        _ => error,
    }
}

fn piece(event: ConverseStreamOutput) -> Piece {
    let mut piece = Piece::default();
    match event {
        ConverseStreamOutput::ContentBlockDelta(event) => {
            // What a model thinks aloud is no part of its answer.
            if let Some(ContentBlockDelta::Text(text)) = event.delta {
                piece.text = text;
            }
        }
        ConverseStreamOutput::MessageStop(event) => {
            piece.reason = Some(finish_reason(&event.stop_reason));
        }
        ConverseStreamOutput::Metadata(event) => {
            piece.usage = event.usage.map(|usage| counted(&usage));
        }
        _ => {}
    }
    piece
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
