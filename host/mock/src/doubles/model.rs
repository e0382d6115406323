//! A model that says what the scenario says. Texts become vectors as on every host, by the host's own embedder.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use stuga_core::model::{
    Completion, Embeddings, Ending, FinishReason, Model, NoWrite, Request, Usage,
};
use stuga_core::{CallCtx, Capability, Error, Result, WriteId};

use crate::scenario::{Finish, ModelAnswer};

/// The name that answers bear.
const NAME: &str = "scenario";

/// The answers of a scenario, each with how often it may still be given.
pub(crate) struct Scripted {
    answers: Mutex<Vec<(ModelAnswer, u64)>>,
    /// What embeds texts.
    embeds: Arc<dyn Model>,
}

impl Scripted {
    pub(crate) fn new(answers: &[ModelAnswer], embeds: Arc<dyn Model>) -> Self {
        let armed = |answer: &ModelAnswer| (answer.clone(), answer.times.unwrap_or(u64::MAX));
        Self {
            answers: Mutex::new(answers.iter().map(armed).collect()),
            embeds,
        }
    }

    /// The first answer that fits the last message and may still be given.
    fn answer(&self, request: &Request) -> Option<ModelAnswer> {
        let asked = request.messages.last().map_or("", |last| &last.content);
        let mut answers = self.answers.lock().unwrap_or_else(PoisonError::into_inner);
        let fits =
            |answer: &ModelAnswer| answer.when.as_ref().is_none_or(|part| asked.contains(part));
        let (answer, left) = answers
            .iter_mut()
            .find(|(answer, left)| *left > 0 && fits(answer))?;
        *left -= 1;
        Some(answer.clone())
    }
}

#[async_trait]
impl Capability for Scripted {
    type Write = NoWrite;

    async fn apply(&self, _: &CallCtx, _: WriteId, write: &NoWrite) -> Result<()> {
        match *write {}
    }
}

#[async_trait]
impl Model for Scripted {
    async fn start(&self, _: &CallCtx, request: &Request) -> Result<Box<dyn Completion>> {
        const OPERATION: &str = "model.start";
        let Some(answer) = self.answer(request) else {
            return Err(Error::unavailable(
                OPERATION,
                "no answer under `model` in the scenario fits this request, or all that fit were given",
            ));
        };
        let text = match (&answer.json, &answer.text) {
            (Some(json), _) => json.to_string(),
            (None, text) => text.clone().unwrap_or_default(),
        };
        let reason = match answer.finish.unwrap_or(Finish::Stop) {
            Finish::Stop => FinishReason::Stop,
            Finish::Length => FinishReason::Length,
            Finish::Filtered => FinishReason::Filtered,
        };
        let words = |text: &str| u32::try_from(text.split_whitespace().count()).unwrap_or(u32::MAX);
        let prompt = request
            .messages
            .iter()
            .map(|message| words(&message.content));
        Ok(Box::new(Spoken {
            ending: Ending {
                model: NAME.to_owned(),
                reason,
                // A word is a token here.
                usage: Some(Usage {
                    prompt_tokens: prompt.fold(0, u32::saturating_add),
                    completion_tokens: words(&text),
                }),
            },
            pieces: text.split_inclusive(' ').map(str::to_owned).collect(),
            breaks_after: answer.breaks_after,
        }))
    }

    async fn embed(&self, ctx: &CallCtx, texts: &[&str]) -> Result<Embeddings> {
        self.embeds.embed(ctx, texts).await
    }
}

/// An answer, word by word.
struct Spoken {
    pieces: VecDeque<String>,
    ending: Ending,
    /// Pieces until it breaks off.
    breaks_after: Option<usize>,
}

#[async_trait]
impl Completion for Spoken {
    async fn next(&mut self, _: &CallCtx) -> Result<Option<String>> {
        if self.breaks_after == Some(0) {
            return Err(Error::unavailable(
                "model.complete",
                "the model broke off its answer, as the scenario says; try again",
            ));
        }
        let piece = self.pieces.pop_front();
        if piece.is_some() {
            self.breaks_after = self.breaks_after.map(|left| left.saturating_sub(1));
        }
        Ok(piece)
    }

    fn ending(&self) -> Option<&Ending> {
        let is_whole = self.pieces.is_empty() && self.breaks_after != Some(0);
        is_whole.then_some(&self.ending)
    }
}
