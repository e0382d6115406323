//! What a request to a model may hold.

use serde_json::{Map, Value};

use super::{
    Format, MAX_TOKENS_MAX, MESSAGES_MAX, MODEL_NAME_MAX_BYTES, Options, PROMPT_MAX_BYTES, Request,
    SCHEMA_MAX_BYTES, STOP_MAX_BYTES, STOPS_MAX, TEMPERATURE_MAX,
};
use crate::{Error, Result};

/// Checks the messages and the options of a request. Whether a model's name is allowed is for the backend to say.
pub fn check_request(operation: &'static str, request: &Request) -> Result<()> {
    let messages = &request.messages;
    if !(1..=MESSAGES_MAX).contains(&messages.len()) {
        return Err(Error::invalid(
            operation,
            format!("{} messages; 1 to {MESSAGES_MAX} are taken", messages.len()),
        )
        .with_context("limit", MESSAGES_MAX));
    }
    if let Some(at) = messages.iter().position(|m| m.content.is_empty()) {
        return Err(Error::invalid(operation, format!("message {at} is empty")));
    }
    let bytes: usize = messages.iter().map(|m| m.content.len()).sum();
    if bytes > PROMPT_MAX_BYTES {
        return Err(Error::invalid(
            operation,
            format!("the messages have {bytes} bytes; at most {PROMPT_MAX_BYTES} are taken"),
        )
        .with_context("limit", PROMPT_MAX_BYTES));
    }
    check_options(operation, &request.options)
}

fn check_options(operation: &'static str, options: &Options) -> Result<()> {
    let name = options.model.as_deref().unwrap_or("default");
    if !(1..=MODEL_NAME_MAX_BYTES).contains(&name.len()) || name.chars().any(char::is_control) {
        return Err(Error::invalid(
            operation,
            "the model's name is not 1 to 256 bytes without control characters",
        ));
    }
    if let Some(tokens) = options.max_tokens
        && !(1..=MAX_TOKENS_MAX).contains(&tokens)
    {
        return Err(Error::invalid(
            operation,
            format!("max-tokens {tokens} is not between 1 and {MAX_TOKENS_MAX}"),
        )
        .with_context("limit", MAX_TOKENS_MAX));
    }
    if let Some(temperature) = options.temperature
        && !(0.0..=TEMPERATURE_MAX).contains(&temperature)
    {
        return Err(Error::invalid(
            operation,
            format!("temperature {temperature} is not between 0 and {TEMPERATURE_MAX}"),
        ));
    }
    let fits = |stop: &String| (1..=STOP_MAX_BYTES).contains(&stop.len());
    if options.stop.len() > STOPS_MAX || !options.stop.iter().all(fits) {
        return Err(Error::invalid(
            operation,
            format!("the stop texts are not at most {STOPS_MAX} of 1 to {STOP_MAX_BYTES} bytes"),
        ));
    }
    match &options.format {
        Format::JsonSchema(schema) => check_schema(operation, schema),
        Format::Text | Format::Json => Ok(()),
    }
}

/// JSON of an object within the bounds; what the schema says is for the model's server to judge.
fn check_schema(operation: &'static str, schema: &str) -> Result<()> {
    if schema.len() > SCHEMA_MAX_BYTES {
        return Err(Error::invalid(
            operation,
            format!(
                "the schema of the answer has {} bytes; at most {SCHEMA_MAX_BYTES} are taken",
                schema.len()
            ),
        )
        .with_context("limit", SCHEMA_MAX_BYTES));
    }
    // Into a value: that bounds the depth, which skipping over it would not.
    if serde_json::from_str::<Map<String, Value>>(schema).is_ok() {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        "the schema of the answer is not a JSON object",
    ))
}

#[cfg(test)]
mod tests {
    use super::super::{Message, Role};
    use super::*;

    fn request(options: Options) -> Request {
        Request {
            messages: vec![Message {
                role: Role::User,
                content: "hej".to_owned(),
            }],
            options,
        }
    }

    #[test]
    fn a_temperature_that_is_not_a_number_is_refused() {
        for bad in [f32::NAN, f32::INFINITY, -0.1, 2.1] {
            let options = Options {
                temperature: Some(bad),
                ..Options::default()
            };
            assert!(
                check_request("model.complete", &request(options)).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn a_schema_must_be_an_object_of_json() {
        let of = |schema: &str| {
            let format = Format::JsonSchema(schema.to_owned());
            let options = Options {
                format,
                ..Options::default()
            };
            check_request("model.complete", &request(options))
        };
        of(" {\"type\": \"object\"}").unwrap();
        let deep = format!("{{\"a\":{}1{}}}", "[".repeat(500), "]".repeat(500));
        for bad in ["", "7", "{", "{} {}", &deep] {
            assert!(of(bad).is_err(), "{bad}");
        }
    }
}
