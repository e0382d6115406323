//! A conversation as Bedrock takes it: instructions apart, and turns of user and assistant in alternation.

use std::future::Future;

use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::error::SdkError;
use aws_sdk_bedrockruntime::operation::converse_stream::{
    ConverseStreamError, ConverseStreamOutput,
};
use aws_sdk_bedrockruntime::types::{
    ContentBlock, ConversationRole, InferenceConfiguration, JsonSchemaDefinition, Message,
    OutputConfig, OutputFormat, OutputFormatStructure, OutputFormatType, SystemContentBlock,
};
use aws_smithy_types::error::operation::BuildError;
use stuga_core::model::{Format, Options, Request, Role};
use stuga_core::{Error, Result};

/// Any JSON object.
const ANY_OBJECT: &str = r#"{"type":"object"}"#;
/// What the schema of an answer is called.
const SCHEMA_NAME: &str = "answer";

/// A request, ready to be sent.
pub(super) struct Prepared {
    system: Vec<SystemContentBlock>,
    messages: Vec<Message>,
    inference: InferenceConfiguration,
    output: Option<OutputConfig>,
}

impl Prepared {
    /// # Errors
    /// `Internal` when the SDK finds a part missing.
    pub(super) fn of(operation: &'static str, request: &Request) -> Result<Self> {
        let incomplete =
            |e: BuildError| Error::internal(operation, "the request is incomplete").with_source(e);
        let mut system = Vec::new();
        let mut turns: Vec<(ConversationRole, Vec<ContentBlock>)> = Vec::new();
        for message in &request.messages {
            let text = message.content.clone();
            let role = match message.role {
                Role::System => {
                    system.push(SystemContentBlock::Text(text));
                    continue;
                }
                Role::User => ConversationRole::User,
                Role::Assistant => ConversationRole::Assistant,
            };
            match turns.last_mut() {
                Some((last, blocks)) if *last == role => blocks.push(ContentBlock::Text(text)),
                _ => turns.push((role, vec![ContentBlock::Text(text)])),
            }
        }
        let message = |(role, blocks)| {
            let message = Message::builder().role(role).set_content(Some(blocks));
            message.build()
        };
        let messages: Result<Vec<Message>, BuildError> = turns.into_iter().map(message).collect();
        Ok(Self {
            system,
            messages: messages.map_err(incomplete)?,
            inference: inference(&request.options),
            output: output(&request.options.format).map_err(incomplete)?,
        })
    }

    /// Asks the model of this id.
    pub(super) fn send(
        self,
        client: &Client,
        id: &str,
    ) -> impl Future<Output = Result<ConverseStreamOutput, SdkError<ConverseStreamError>>> + use<>
    {
        client
            .converse_stream()
            .model_id(id)
            .set_system(Some(self.system).filter(|system| !system.is_empty()))
            .set_messages(Some(self.messages))
            .inference_config(self.inference)
            .set_output_config(self.output)
            .send()
    }
}

fn inference(options: &Options) -> InferenceConfiguration {
    let tokens = options
        .max_tokens
        .map(|n| i32::try_from(n).unwrap_or(i32::MAX));
    let stops = Some(options.stop.clone()).filter(|stops| !stops.is_empty());
    InferenceConfiguration::builder()
        .set_max_tokens(tokens)
        .set_temperature(options.temperature)
        .set_stop_sequences(stops)
        .build()
}

fn output(format: &Format) -> Result<Option<OutputConfig>, BuildError> {
    let schema = match format {
        Format::Text => return Ok(None),
        Format::Json => ANY_OBJECT,
        Format::JsonSchema(schema) => schema,
    };
    let schema = JsonSchemaDefinition::builder()
        .schema(schema)
        .name(SCHEMA_NAME);
    let format = OutputFormat::builder()
        .r#type(OutputFormatType::JsonSchema)
        .structure(OutputFormatStructure::JsonSchema(schema.build()?))
        .build()?;
    Ok(Some(OutputConfig::builder().text_format(format).build()))
}

#[cfg(test)]
mod tests {
    use stuga_core::model;

    use super::*;

    #[test]
    fn turns_alternate_and_instructions_stand_apart() {
        let said = [
            (Role::System, "be kind"),
            (Role::User, "a"),
            (Role::User, "b"),
            (Role::Assistant, "c"),
            (Role::System, "and short"),
            (Role::User, "d"),
        ];
        let messages = said.map(|(role, content)| model::Message {
            role,
            content: content.to_owned(),
        });
        let request = Request {
            messages: messages.to_vec(),
            options: Options::default(),
        };
        let prepared = Prepared::of("model.complete", &request).unwrap();
        assert_eq!(prepared.system.len(), 2);
        let turns: Vec<usize> = prepared.messages.iter().map(|m| m.content.len()).collect();
        assert_eq!(turns, [2, 1, 1]);
        assert!(prepared.output.is_none());
    }
}
