//! An answer as it comes from the endpoint.

use std::time::Duration;

use async_trait::async_trait;
use reqwest::Response;
use stuga_core::model::{Piece, Pieces, Silence};
use stuga_core::{CallCtx, Error, Result};
use tokio::time::timeout_at;

use super::endpoint::SETTING;
use super::failure;
use super::sse::{Broken, Events};
use super::wire::{self, Chunk};

const OPERATION: &str = "model.complete";

/// Events of a response. Dropping it closes the connection, by which the endpoint knows to stop.
pub(super) struct Chunks {
    response: Response,
    events: Events,
    patience: Duration,
}

impl Chunks {
    pub(super) fn new(response: Response, patience: Duration) -> Self {
        Self {
            response,
            events: Events::default(),
            patience,
        }
    }
}

#[async_trait]
impl Pieces for Chunks {
    async fn next(&mut self, ctx: &CallCtx) -> Result<Option<Piece>> {
        loop {
            if let Some(event) = self.events.next().map_err(broken)? {
                return match event == wire::DONE {
                    true => Ok(None),
                    false => piece(&event).map(Some),
                };
            }
            let silence = Silence::new(ctx.deadline, self.patience);
            let part = timeout_at(silence.until(), self.response.chunk())
                .await
                .map_err(|_| silence.missed(OPERATION, SETTING))?
                .map_err(|e| failure::of_transport(OPERATION, e))?;
            match part {
                Some(part) => self.events.push(&part),
                // Some servers close without the last word.
                None => return Ok(None),
            }
        }
    }
}

fn piece(event: &str) -> Result<Piece> {
    let chunk: Chunk = serde_json::from_str(event)
        .map_err(|e| failure::malformed(OPERATION, format!("an event is no chunk: {e}")))?;
    if chunk.error.is_some() {
        return Err(Error::unavailable(
            OPERATION,
            "the model failed in the middle of its answer; try again",
        ));
    }
    let mut piece = Piece {
        model: chunk.model,
        usage: chunk.usage,
        ..Piece::default()
    };
    if let Some(choice) = chunk.choices.into_iter().next() {
        let word = choice.finish_reason;
        piece.reason = word.map(|word| wire::finish_reason(&word));
        piece.text = choice.delta.content.unwrap_or_default();
    }
    Ok(piece)
}

fn broken(why: Broken) -> Error {
    match why {
        Broken::TooLarge => failure::malformed(OPERATION, "an event is too large"),
        Broken::NotText => failure::malformed(OPERATION, "an event is not UTF-8"),
    }
}
