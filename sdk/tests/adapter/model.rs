//! Models over the SDK's functions.

use async_trait::async_trait;
use stuga_core::model::{
    Answer, Completion, Embeddings, Ending, FinishReason, Format, Message, Model, NoWrite, Options,
    Request, Role, Usage,
};
use stuga_core::testkit::model::parrot;
use stuga_core::{CallCtx, Capability, Error, Result, WriteId};
use stuga_sdk::mock::Host;
use stuga_sdk::model as sdk;

use super::{Mock, core_error};

/// Models of the mock hosts, which all are parrots.
pub(crate) struct ModelOf(pub(crate) Mock);

#[async_trait]
impl Capability for ModelOf {
    type Write = NoWrite;

    async fn apply(&self, _: &CallCtx, _: WriteId, write: &NoWrite) -> Result<()> {
        match *write {}
    }
}

#[async_trait]
impl Model for ModelOf {
    async fn start(&self, ctx: &CallCtx, request: &Request) -> Result<Box<dyn Completion>> {
        let (messages, options) = (messages(request), options(&request.options));
        let host = self.host(ctx);
        let started = host.run(|| sdk::start(&messages, &options));
        let completion = started.map_err(|e| core_error("model.start", &e))?;
        Ok(Box::new(CompletionOf {
            host,
            completion: Some(completion),
            ending: None,
        }))
    }

    async fn complete(&self, ctx: &CallCtx, request: &Request) -> Result<Answer> {
        let (messages, options) = (messages(request), options(&request.options));
        let answer = self.host(ctx).run(|| sdk::complete(&messages, &options));
        let answer = answer.map_err(|e| core_error("model.complete", &e))?;
        Ok(Answer {
            text: answer.text,
            ending: ending(answer.ending),
        })
    }

    async fn embed(&self, ctx: &CallCtx, texts: &[&str]) -> Result<Embeddings> {
        let made = self.0.run(ctx, "model.embed", || sdk::embed(texts))?;
        Ok(Embeddings {
            model: made.model,
            dimension: made.dimension as usize,
            vectors: made.vectors,
        })
    }
}

impl ModelOf {
    fn host(&self, ctx: &CallCtx) -> Host {
        self.0.host(ctx).model(|messages, options| {
            let request = Request {
                messages: messages.iter().map(core_message).collect(),
                options: core_options(options),
            };
            let name = request.options.model.as_deref();
            if !matches!(name, None | Some(parrot::NAME | parrot::OTHER_NAME)) {
                return Err(stuga_sdk::Error::invalid(format!(
                    "no such model; choose {}",
                    parrot::OTHER_NAME
                )));
            }
            let (pieces, ending) = parrot::pieces(&request);
            Ok(sdk::Answer {
                text: pieces.concat(),
                ending: sdk_ending(ending),
            })
        })
    }
}

struct CompletionOf {
    host: Host,
    completion: Option<sdk::Completion>,
    ending: Option<Ending>,
}

#[async_trait]
impl Completion for CompletionOf {
    async fn next(&mut self, _: &CallCtx) -> Result<Option<String>> {
        let Some(completion) = &mut self.completion else {
            return Err(Error::internal("model.completion.next", "it was dropped"));
        };
        let piece = self.host.run(|| completion.next()).transpose();
        let piece = piece.map_err(|e| core_error("model.completion.next", &e))?;
        self.ending = self.host.run(|| completion.ending()).map(ending);
        Ok(piece)
    }

    fn ending(&self) -> Option<&Ending> {
        self.ending.as_ref()
    }
}

impl Drop for CompletionOf {
    /// Where a skill would drop it: on its host.
    fn drop(&mut self) {
        let completion = self.completion.take();
        self.host.run(|| drop(completion));
    }
}

fn messages(request: &Request) -> Vec<sdk::Message> {
    let message = |message: &Message| match message.role {
        Role::System => sdk::Message::system(&message.content),
        Role::User => sdk::Message::user(&message.content),
        Role::Assistant => sdk::Message::assistant(&message.content),
    };
    request.messages.iter().map(message).collect()
}

fn core_message(message: &sdk::Message) -> Message {
    Message {
        role: match message.role {
            sdk::Role::System => Role::System,
            sdk::Role::User => Role::User,
            sdk::Role::Assistant => Role::Assistant,
        },
        content: message.content.clone(),
    }
}

fn options(options: &Options) -> sdk::Options {
    let mut made = sdk::Options::new();
    if let Some(name) = &options.model {
        made = made.model(name);
    }
    if let Some(tokens) = options.max_tokens {
        made = made.max_tokens(tokens);
    }
    if let Some(temperature) = options.temperature {
        made = made.temperature(temperature);
    }
    if let Some(seed) = options.seed {
        made = made.seed(seed);
    }
    let made = options.stop.iter().fold(made, |made, stop| made.stop(stop));
    made.format(match &options.format {
        Format::Text => sdk::Format::Text,
        Format::Json => sdk::Format::Json,
        Format::JsonSchema(schema) => sdk::Format::JsonSchema(schema.clone()),
    })
}

fn core_options(options: &sdk::Options) -> Options {
    Options {
        model: options.model.clone(),
        max_tokens: options.max_tokens,
        stop: options.stop.clone(),
        format: match &options.format {
            sdk::Format::Json => Format::Json,
            sdk::Format::JsonSchema(schema) => Format::JsonSchema(schema.clone()),
            _ => Format::Text,
        },
        ..Options::default()
    }
}

fn ending(ending: sdk::Ending) -> Ending {
    Ending {
        model: ending.model,
        reason: match ending.reason {
            sdk::FinishReason::Stop => FinishReason::Stop,
            sdk::FinishReason::Length => FinishReason::Length,
            sdk::FinishReason::Filtered => FinishReason::Filtered,
            sdk::FinishReason::Other => FinishReason::Other,
        },
        usage: ending.usage.map(|usage| Usage {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
        }),
    }
}

fn sdk_ending(ending: Ending) -> sdk::Ending {
    sdk::Ending {
        model: ending.model,
        reason: match ending.reason {
            FinishReason::Stop => sdk::FinishReason::Stop,
            FinishReason::Length => sdk::FinishReason::Length,
            FinishReason::Filtered => sdk::FinishReason::Filtered,
            FinishReason::Other => sdk::FinishReason::Other,
        },
        usage: ending.usage.map(|usage| sdk::Usage {
            prompt_tokens: usage.prompt_tokens,
            completion_tokens: usage.completion_tokens,
        }),
    }
}
