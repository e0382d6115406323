//! The OpenAI protocol, as far as this host speaks it. What is not known here is passed over.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use stuga_core::model::{FinishReason, Format, Message, Request, Usage};
use stuga_core::{Error, Result};

/// What ends a stream.
pub(super) const DONE: &str = "[DONE]";

/// The body of a request to complete.
#[derive(Serialize)]
pub(super) struct ChatBody<'a> {
    model: &'a str,
    messages: &'a [Message],
    stream: bool,
    stream_options: StreamOptions,
    #[serde(skip_serializing_if = "Option::is_none")]
    max_tokens: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    temperature: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    seed: Option<u32>,
    #[serde(skip_serializing_if = "<[String]>::is_empty")]
    stop: &'a [String],
    #[serde(skip_serializing_if = "Option::is_none")]
    response_format: Option<ResponseFormat>,
}

#[derive(Serialize)]
struct StreamOptions {
    include_usage: bool,
}

#[derive(Serialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ResponseFormat {
    JsonObject,
    JsonSchema { json_schema: NamedSchema },
}

#[derive(Serialize)]
struct NamedSchema {
    name: &'static str,
    strict: bool,
    schema: Box<RawValue>,
}

impl<'a> ChatBody<'a> {
    pub(super) fn of(
        operation: &'static str,
        model: &'a str,
        request: &'a Request,
    ) -> Result<Self> {
        let options = &request.options;
        let response_format = match &options.format {
            Format::Text => None,
            Format::Json => Some(ResponseFormat::JsonObject),
            Format::JsonSchema(schema) => {
                let schema = RawValue::from_string(schema.clone()).map_err(|e| {
                    Error::invalid(operation, "the schema of the answer is not JSON").with_source(e)
                })?;
                let json_schema = NamedSchema {
                    name: "answer",
                    strict: true,
                    schema,
                };
                Some(ResponseFormat::JsonSchema { json_schema })
            }
        };
        Ok(Self {
            model,
            messages: &request.messages,
            stream: true,
            stream_options: StreamOptions {
                include_usage: true,
            },
            max_tokens: options.max_tokens,
            temperature: options.temperature,
            seed: options.seed,
            stop: &options.stop,
            response_format,
        })
    }
}

/// One event of a stream.
#[derive(Deserialize)]
pub(super) struct Chunk {
    pub(super) model: Option<String>,
    #[serde(default)]
    pub(super) choices: Vec<Choice>,
    pub(super) usage: Option<Usage>,
    /// Some servers fail in the middle of a stream.
    pub(super) error: Option<serde::de::IgnoredAny>,
}

#[derive(Deserialize)]
pub(super) struct Choice {
    #[serde(default)]
    pub(super) delta: Delta,
    pub(super) finish_reason: Option<String>,
}

#[derive(Deserialize, Default)]
pub(super) struct Delta {
    pub(super) content: Option<String>,
}

/// Why an answer ended, by the protocol's word for it.
pub(super) fn finish_reason(word: &str) -> FinishReason {
    match word {
        "stop" => FinishReason::Stop,
        "length" => FinishReason::Length,
        "content_filter" => FinishReason::Filtered,
        _ => FinishReason::Other,
    }
}

/// The body of a request for vectors.
#[derive(Serialize)]
pub(super) struct EmbeddingsBody<'a> {
    pub(super) model: &'a str,
    pub(super) input: &'a [&'a str],
    pub(super) encoding_format: &'static str,
}

/// The answer to a request for vectors.
#[derive(Deserialize)]
pub(super) struct EmbeddingsAnswer {
    pub(super) data: Vec<Embedding>,
}

#[derive(Deserialize)]
pub(super) struct Embedding {
    pub(super) index: usize,
    pub(super) embedding: Vec<f32>,
}

#[cfg(test)]
mod tests {
    use stuga_core::model::{Options, Role};

    use super::*;

    #[test]
    fn a_request_says_what_was_asked_and_nothing_that_was_not() {
        let mut request = Request {
            messages: vec![Message {
                role: Role::User,
                content: "hej".to_owned(),
            }],
            options: Options::default(),
        };
        let body = |request: &Request| {
            let body = ChatBody::of("model.complete", "m", request).unwrap();
            serde_json::to_value(body).unwrap()
        };
        let plain = serde_json::json!({
            "model": "m",
            "messages": [{"role": "user", "content": "hej"}],
            "stream": true,
            "stream_options": {"include_usage": true},
        });
        assert_eq!(body(&request), plain);
        request.options = Options {
            model: None,
            max_tokens: Some(7),
            temperature: Some(0.5),
            seed: Some(3),
            stop: vec!["END".to_owned()],
            format: Format::JsonSchema("{\"type\": \"object\"}".to_owned()),
        };
        let full = body(&request);
        assert_eq!(full["max_tokens"], 7);
        assert_eq!(full["temperature"], 0.5);
        assert_eq!(full["seed"], 3);
        assert_eq!(full["stop"], serde_json::json!(["END"]));
        let schema = &full["response_format"]["json_schema"]["schema"];
        assert_eq!(*schema, serde_json::json!({"type": "object"}));
        assert_eq!(full["response_format"]["type"], "json_schema");
    }

    #[test]
    fn events_of_several_servers_are_understood() {
        for (text, content, reason) in [
            (
                r#"{"choices":[{"index":0,"delta":{"role":"assistant","content":null},"finish_reason":null}]}"#,
                None,
                None,
            ),
            (
                r#"{"choices":[{"delta":{"content":"a"}}],"x":1}"#,
                Some("a"),
                None,
            ),
            (
                r#"{"choices":[{"delta":{},"finish_reason":"length"}]}"#,
                None,
                Some("length"),
            ),
        ] {
            let chunk: Chunk = serde_json::from_str(text).unwrap();
            let choice = &chunk.choices[0];
            assert_eq!(choice.delta.content.as_deref(), content);
            assert_eq!(choice.finish_reason.as_deref(), reason);
        }
        let last = r#"{"choices":[],"usage":{"completion_tokens":8,"prompt_tokens":36,"total_tokens":44}}"#;
        let last: Chunk = serde_json::from_str(last).unwrap();
        assert_eq!(last.usage.unwrap().prompt_tokens, 36);
    }
}
