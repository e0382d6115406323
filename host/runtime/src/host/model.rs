//! `model`, and its resource `completion`.
//!
//! A guest's handle is a number; the completion itself belongs to the call and goes with it, which stops the model.

use std::sync::Arc;

use stuga_core::model::{
    self, COMPLETIONS_MAX_OPEN, FinishReason, Format, Model, Request, check_request, check_texts,
};
use stuga_core::{CallCtx, CapabilityName, Error, Result};
use wasmtime::component::Resource;

use crate::bindings::stuga::agent::model::{
    Answer, Completion, Embeddings, Ending, FinishReason as WitReason, Format as WitFormat, Host,
    HostCompletion, Message, Options, Role, Usage,
};
use crate::state::HostState;

/// A completion that a call has open.
pub(crate) type OpenCompletion = Box<dyn model::Completion>;

impl Host for HostState {
    async fn complete(&mut self, messages: Vec<Message>, options: Options) -> Result<Answer> {
        const OPERATION: &str = "model.complete";
        let (ctx, capabilities) = self.permit(CapabilityName::Model, OPERATION)?;
        let request = request_of(messages, options);
        check_request(OPERATION, &request)?;
        let answer = capabilities.model.complete(ctx, &request).await?;
        capabilities.model.note_ending(ctx, &answer.ending);
        Ok(Answer {
            text: answer.text,
            ending: answer.ending.into(),
        })
    }

    async fn start(
        &mut self,
        messages: Vec<Message>,
        options: Options,
    ) -> Result<Resource<Completion>> {
        const OPERATION: &str = "model.start";
        let (ctx, capabilities) = self.permit(CapabilityName::Model, OPERATION)?;
        let request = request_of(messages, options);
        check_request(OPERATION, &request)?;
        let open = self.call.as_ref().map_or(0, |call| call.completions.len());
        if open >= COMPLETIONS_MAX_OPEN {
            return Err(Error::quota_exceeded(
                OPERATION,
                "the invocation has too many completions open; drop one",
            )
            .with_context("limit", COMPLETIONS_MAX_OPEN));
        }
        let completion = capabilities.model.start(ctx, &request).await?;
        let handle = self.next_completion;
        self.next_completion = handle.checked_add(1).ok_or_else(|| {
            Error::quota_exceeded(OPERATION, "this instance has used up its completions")
        })?;
        if let Some(call) = &mut self.call {
            call.completions.insert(handle, completion);
        }
        Ok(Resource::new_own(handle))
    }

    async fn embed(&mut self, texts: Vec<String>) -> Result<Embeddings> {
        const OPERATION: &str = "model.embed";
        let (ctx, capabilities) = self.permit(CapabilityName::Model, OPERATION)?;
        check_texts(OPERATION, &texts)?;
        let texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        let texts = texts.as_slice();
        let embed = |model: Arc<dyn Model>| async move { model.embed(ctx, texts).await };
        let made = capabilities
            .model
            .read(ctx, OPERATION, texts, embed)
            .await?;
        Ok(Embeddings {
            model: made.model,
            dimension: u32::try_from(made.dimension).unwrap_or(u32::MAX),
            vectors: made.vectors,
        })
    }
}

impl HostState {
    /// A completion of the call that runs, and the call's context.
    fn completion(
        &mut self,
        handle: u32,
        operation: &'static str,
    ) -> Result<(Arc<CallCtx>, &mut OpenCompletion)> {
        self.permit(CapabilityName::Model, operation)?;
        self.call
            .as_mut()
            .and_then(|call| {
                let completion = call.completions.get_mut(&handle)?;
                Some((Arc::clone(&call.ctx), completion))
            })
            .ok_or_else(|| {
                Error::conflict(
                    operation,
                    "the completion belongs to an earlier invocation; begin another",
                )
            })
    }
}

impl HostCompletion for HostState {
    async fn next(&mut self, completion: Resource<Completion>) -> Result<Option<String>> {
        const OPERATION: &str = "model.completion.next";
        let (ctx, completion) = self.completion(completion.rep(), OPERATION)?;
        ctx.check_deadline(OPERATION)?;
        let before = completion.ending().is_some();
        let piece = completion.next(&ctx).await?;
        let ended = completion.ending().filter(|_| !before).cloned();
        if let Some(ending) = ended {
            let (ctx, capabilities) = self.permit(CapabilityName::Model, OPERATION)?;
            capabilities.model.note_ending(ctx, &ending);
        }
        Ok(piece)
    }

    async fn ending(
        &mut self,
        completion: Resource<Completion>,
    ) -> wasmtime::Result<Option<Ending>> {
        let call = self.call.as_ref();
        let completion = call.and_then(|call| call.completions.get(&completion.rep()));
        let ending = completion.and_then(|completion| completion.ending().cloned());
        Ok(ending.map(Ending::from))
    }

    async fn drop(&mut self, completion: Resource<Completion>) -> wasmtime::Result<()> {
        if let Some(call) = &mut self.call {
            call.completions.remove(&completion.rep());
        }
        Ok(())
    }
}

fn request_of(messages: Vec<Message>, options: Options) -> Request {
    let message = |message: Message| model::Message {
        role: match message.role {
            Role::System => model::Role::System,
            Role::User => model::Role::User,
            Role::Assistant => model::Role::Assistant,
        },
        content: message.content,
    };
    Request {
        messages: messages.into_iter().map(message).collect(),
        options: model::Options {
            model: options.model,
            max_tokens: options.max_tokens,
            temperature: options.temperature,
            seed: options.seed,
            stop: options.stop,
            format: match options.format {
                WitFormat::Text => Format::Text,
                WitFormat::Json => Format::Json,
                WitFormat::JsonSchema(schema) => Format::JsonSchema(schema),
            },
        },
    }
}

impl From<model::Ending> for Ending {
    fn from(ending: model::Ending) -> Self {
        Self {
            model: ending.model,
            reason: match ending.reason {
                FinishReason::Stop => WitReason::Stop,
                FinishReason::Length => WitReason::Length,
                FinishReason::Filtered => WitReason::Filtered,
                FinishReason::Other => WitReason::Other,
            },
            usage: ending.usage.map(|usage| Usage {
                prompt_tokens: usage.prompt_tokens,
                completion_tokens: usage.completion_tokens,
            }),
        }
    }
}
