//! `model` of the real host: bindings on one side, the records of this crate on the other.

use super::{Result, host::model as wit};
use crate::model::{
    Answer, Embeddings, Ending, FinishReason, Format, Message, Options, Role, Usage,
};

fn messages(messages: &[Message]) -> Vec<wit::Message> {
    let message = |message: &Message| wit::Message {
        role: match message.role {
            Role::System => wit::Role::System,
            Role::User => wit::Role::User,
            Role::Assistant => wit::Role::Assistant,
        },
        content: message.content.clone(),
    };
    messages.iter().map(message).collect()
}

fn options(options: &Options) -> wit::Options {
    wit::Options {
        model: options.model.clone(),
        max_tokens: options.max_tokens,
        temperature: options.temperature,
        seed: options.seed,
        stop: options.stop.clone(),
        format: match &options.format {
            Format::Text => wit::Format::Text,
            Format::Json => wit::Format::Json,
            Format::JsonSchema(schema) => wit::Format::JsonSchema(schema.clone()),
        },
    }
}

fn ending(ending: wit::Ending) -> Ending {
    Ending {
        model: ending.model,
        reason: match ending.reason {
            wit::FinishReason::Stop => FinishReason::Stop,
            wit::FinishReason::Length => FinishReason::Length,
            wit::FinishReason::Filtered => FinishReason::Filtered,
            wit::FinishReason::Other => FinishReason::Other,
        },
        usage: ending.usage.map(|usage| Usage {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
        }),
    }
}

pub(crate) fn complete(conversation: &[Message], how: &Options) -> Result<Answer> {
    let answer = wit::complete(&messages(conversation), &options(how))?;
    Ok(Answer {
        text: answer.text,
        ending: ending(answer.ending),
    })
}

/// The host's handle; dropping it stops the model.
#[derive(Debug)]
pub(crate) struct Completion(wit::Completion);

impl Completion {
    pub(crate) fn start(conversation: &[Message], how: &Options) -> Result<Self> {
        Ok(Self(wit::start(&messages(conversation), &options(how))?))
    }

    pub(crate) fn next(&self) -> Result<Option<String>> {
        Ok(self.0.next()?)
    }

    pub(crate) fn ending(&self) -> Option<Ending> {
        self.0.ending().map(ending)
    }
}

pub(crate) fn embed(texts: &[&str]) -> Result<Embeddings> {
    let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
    let made = wit::embed(&texts)?;
    Ok(Embeddings {
        model: made.model,
        dimension: made.dimension,
        vectors: made.vectors,
    })
}
