//! Models of a mock host: what the test says they answer, within the host's own bounds; vectors by the host's own embedder.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use stuga_core::embed::{DIMENSION, MODEL, embed as hashed};
use stuga_core::model::{self as core, ANSWER_MAX_BYTES, COMPLETIONS_MAX_OPEN};

use super::Host;
use super::state::State;
use crate::model::{Answer, Embeddings, Ending, FinishReason, Format, Message, Options, Role};
use crate::{Capability, Error, Result};

/// What a test puts in the place of a model.
pub(crate) type Model = dyn Fn(&[Message], &Options) -> Result<Answer> + Send + Sync;

/// A model and the completions that are open.
#[derive(Default)]
pub(crate) struct Models {
    model: Option<Arc<Model>>,
    open: BTreeMap<u64, Open>,
    last: u64,
}

struct Open {
    pieces: VecDeque<String>,
    ending: Ending,
    ended: bool,
}

impl Models {
    /// What does not outlive its invocation.
    pub(super) fn end_all(&mut self) {
        self.open.clear();
    }
}

impl Host {
    /// Gives the host a model: `answer` gets the conversation and the options and says what the model answers.
    ///
    /// Without one `model::complete` is `Unavailable`, as on a real host that has no model. Requests are checked as a real host
    /// checks them. `model::start` hands the answer out word by word.
    #[must_use]
    pub fn model(
        self,
        answer: impl Fn(&[Message], &Options) -> Result<Answer> + Send + Sync + 'static,
    ) -> Self {
        self.state().models.model = Some(Arc::new(answer));
        self
    }

    /// Gives the host a model that always answers `text`.
    #[must_use]
    pub fn model_says(self, text: &str) -> Self {
        let text = text.to_owned();
        self.model(move |_, _| {
            Ok(Answer {
                text: text.clone(),
                ending: Ending {
                    model: "mock".to_owned(),
                    reason: FinishReason::Stop,
                    usage: None,
                },
            })
        })
    }
}

/// The model, once grant and request were checked.
pub(crate) fn admit(
    state: &State,
    operation: &'static str,
    messages: &[Message],
    options: &Options,
) -> Result<Arc<Model>> {
    state.admit(Capability::Model, operation)?;
    core::check_request(operation, &request(messages, options))?;
    state.models.model.clone().ok_or_else(|| {
        Error::unavailable(
            "the host has no model; the operator sets `model.endpoint` in stuga.yaml",
        )
        .with_context("setting", "model.endpoint")
    })
}

/// What the model answers, a word at a time.
pub(crate) fn pieces(
    model: &Model,
    messages: &[Message],
    options: &Options,
) -> Result<(Vec<String>, Ending)> {
    let answer = model(messages, options)?;
    if answer.text.len() > ANSWER_MAX_BYTES {
        return Err(Error::unavailable(
            "the model's answer is over 1 MiB; ask for fewer tokens",
        ));
    }
    let mut pieces: Vec<String> = Vec::new();
    for word in answer.text.split_inclusive(' ') {
        // The space belongs to the word after it, as models have it.
        let (word, space) = word
            .strip_suffix(' ')
            .map_or((word, ""), |word| (word, " "));
        match pieces.last_mut() {
            Some(last) => last.push_str(word),
            None => pieces.push(word.to_owned()),
        }
        if !space.is_empty() {
            pieces.push(space.to_owned());
        }
    }
    pieces.retain(|piece| !piece.is_empty());
    Ok((pieces, answer.ending))
}

pub(crate) fn check_room(state: &State) -> Result<()> {
    if state.models.open.len() < COMPLETIONS_MAX_OPEN {
        return Ok(());
    }
    Err(
        Error::quota_exceeded("the invocation has too many completions open; drop one")
            .with_context("limit", COMPLETIONS_MAX_OPEN),
    )
}

pub(crate) fn open(state: &mut State, pieces: Vec<String>, ending: Ending) -> u64 {
    let models = &mut state.models;
    models.last += 1;
    let open = Open {
        pieces: pieces.into(),
        ending,
        ended: false,
    };
    models.open.insert(models.last, open);
    models.last
}

pub(crate) fn next(state: &mut State, completion: u64) -> Result<Option<String>> {
    state.admit(Capability::Model, "model.completion.next")?;
    let open = state.models.open.get_mut(&completion).ok_or_else(|| {
        Error::conflict("the completion belongs to an earlier invocation; begin another")
    })?;
    let piece = open.pieces.pop_front();
    open.ended |= piece.is_none();
    Ok(piece)
}

pub(crate) fn ending(state: &State, completion: u64) -> Option<Ending> {
    let open = state.models.open.get(&completion)?;
    open.ended.then(|| open.ending.clone())
}

/// Ends a completion, read to its end or not.
pub(crate) fn close(state: &mut State, completion: u64) {
    state.models.open.remove(&completion);
}

pub(crate) fn embed(state: &State, texts: &[&str]) -> Result<Embeddings> {
    state.admit(Capability::Model, "model.embed")?;
    core::check_texts("model.embed", texts)?;
    Ok(Embeddings {
        model: MODEL.to_owned(),
        dimension: u32::try_from(DIMENSION).unwrap_or(u32::MAX),
        vectors: texts.iter().map(|text| hashed(text)).collect(),
    })
}

fn request(messages: &[Message], options: &Options) -> core::Request {
    let message = |message: &Message| core::Message {
        role: match message.role {
            Role::System => core::Role::System,
            Role::User => core::Role::User,
            Role::Assistant => core::Role::Assistant,
        },
        content: message.content.clone(),
    };
    core::Request {
        messages: messages.iter().map(message).collect(),
        options: core::Options {
            model: options.model.clone(),
            max_tokens: options.max_tokens,
            temperature: options.temperature,
            seed: options.seed,
            stop: options.stop.clone(),
            format: match &options.format {
                Format::Text => core::Format::Text,
                Format::Json => core::Format::Json,
                Format::JsonSchema(schema) => core::Format::JsonSchema(schema.clone()),
            },
        },
    }
}
