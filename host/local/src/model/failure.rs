//! What an endpoint's failure is, in the words of this host. The only place that knows its status codes.
//!
//! Guests see the endpoint's own words only where they describe the guest's request, cut and without the key. Everything
//! else is for the log.

use std::time::Duration;

use reqwest::header::RETRY_AFTER;
use reqwest::{Response, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use stuga_core::Error;

/// Most bytes that are read of a refusal.
const BODY_MAX_BYTES: usize = 8 << 10;
/// Longest part of the endpoint's own words that a guest sees, in characters.
const WORDS_MAX_CHARS: usize = 200;
/// When to try again after a refusal that does not say.
const RETRY_AFTER_UNSAID: Duration = Duration::from_secs(1);
/// Longest wait that an endpoint can ask for.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(3_600);

/// Whether a request may have met a connection that the endpoint had closed: it broke before an answer began.
pub(super) fn is_stale(error: &reqwest::Error) -> bool {
    error.is_request() && !error.is_connect() && !error.is_timeout()
}

/// The endpoint could not be reached, or went away in the middle.
pub(super) fn of_transport(operation: &'static str, error: reqwest::Error) -> Error {
    let message = if error.is_connect() {
        "the model's endpoint cannot be reached; the operator checks that it runs and `model.endpoint`"
    } else {
        "the model's endpoint broke off its answer; try again"
    };
    Error::unavailable(operation, message).with_source(error.without_url())
}

/// The endpoint answered something else than the protocol says.
pub(super) fn malformed(operation: &'static str, why: impl Into<String>) -> Error {
    Error::unavailable(
        operation,
        "the model's endpoint does not answer as the OpenAI protocol says; the operator checks `model.endpoint`",
    )
    .with_source(why.into())
}

/// The endpoint refused.
pub(super) async fn of_response(
    operation: &'static str,
    response: Response,
    key: Option<&SecretString>,
) -> Error {
    let status = response.status();
    let retry_after = retry_after(&response);
    let words = words(response, key).await;
    let error = of_status(operation, status, &words);
    let error = match (status, retry_after) {
        (StatusCode::TOO_MANY_REQUESTS, after) => {
            error.with_retry_after(after.unwrap_or(RETRY_AFTER_UNSAID))
        }
        (_, Some(after)) => error.with_retry_after(after),
        (_, None) => error,
    };
    error.with_source(format!("the endpoint answered {status}: {words}"))
}

fn of_status(operation: &'static str, status: StatusCode, words: &str) -> Error {
    match status {
        StatusCode::TOO_MANY_REQUESTS => Error::rate_limited(
            operation,
            "the model's endpoint has too much to do; try again later",
        ),
        StatusCode::REQUEST_TIMEOUT | StatusCode::GATEWAY_TIMEOUT => {
            Error::timeout(operation, "the model's endpoint did not answer in time")
        }
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => Error::unavailable(
            operation,
            "the model's endpoint refuses the host's key; the operator checks `model.api_key_file` or `model.api_key_env`",
        ),
        StatusCode::NOT_FOUND | StatusCode::METHOD_NOT_ALLOWED => Error::unavailable(
            operation,
            "the model's endpoint does not have this model or this address; the operator checks `model.endpoint` and `model.name`",
        ),
        StatusCode::NOT_IMPLEMENTED => Error::unavailable(
            operation,
            "the model's endpoint does not offer this; the operator checks how it was started",
        ),
        status if status.is_client_error() => {
            Error::invalid(operation, format!("the model refuses the request: {words}"))
        }
        status if status.is_server_error() => {
            Error::unavailable(operation, "the model's endpoint failed; try again later")
        }
        _ => Error::unavailable(
            operation,
            "the model's endpoint answers from somewhere else; the operator checks `model.endpoint`",
        ),
    }
}

/// How long the endpoint asks to wait, when it says so in seconds.
fn retry_after(response: &Response) -> Option<Duration> {
    let value = response.headers().get(RETRY_AFTER)?.to_str().ok()?;
    let seconds: u64 = value.trim().parse().ok()?;
    Some(Duration::from_secs(seconds).min(RETRY_AFTER_MAX))
}

/// The ways in which servers of this protocol say what is wrong.
#[derive(Deserialize)]
#[serde(untagged)]
enum Refusal {
    Object { error: Told },
    Plain { error: String },
    Bare { message: String },
}

#[derive(Deserialize)]
struct Told {
    message: String,
}

/// What the endpoint says, fit to be shown.
async fn words(mut response: Response, key: Option<&SecretString>) -> String {
    let mut body = Vec::new();
    while let Ok(Some(part)) = response.chunk().await {
        let room = BODY_MAX_BYTES.saturating_sub(body.len());
        body.extend_from_slice(part.get(..room.min(part.len())).unwrap_or_default());
        if room <= part.len() {
            break;
        }
    }
    shown(&body, key)
}

fn shown(body: &[u8], key: Option<&SecretString>) -> String {
    let words = match serde_json::from_slice(body) {
        Ok(Refusal::Object { error }) => error.message,
        Ok(Refusal::Plain { error }) => error,
        Ok(Refusal::Bare { message }) => message,
        Err(_) => String::new(),
    };
    // Before cutting, or a part of the key could stay.
    let words = match key.map(ExposeSecret::expose_secret) {
        Some(key) if !key.is_empty() => words.replace(key, "[key]"),
        _ => words,
    };
    let mut words: String = words
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .take(WORDS_MAX_CHARS)
        .collect();
    if words.is_empty() {
        words.push_str("it does not say why");
    }
    words
}

#[cfg(test)]
mod tests {
    use stuga_core::ErrorKind;

    use super::*;

    #[test]
    fn a_status_says_whose_fault_it_is() {
        for (status, kind) in [
            (400, ErrorKind::Invalid),
            (413, ErrorKind::Invalid),
            (422, ErrorKind::Invalid),
            (401, ErrorKind::Unavailable),
            (403, ErrorKind::Unavailable),
            (404, ErrorKind::Unavailable),
            (302, ErrorKind::Unavailable),
            (408, ErrorKind::Timeout),
            (429, ErrorKind::RateLimited),
            (500, ErrorKind::Unavailable),
            (501, ErrorKind::Unavailable),
            (503, ErrorKind::Unavailable),
            (504, ErrorKind::Timeout),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            assert_eq!(
                of_status("model.complete", status, "x").kind(),
                kind,
                "{status}"
            );
        }
    }

    #[test]
    fn the_endpoints_words_are_shown_cut_and_without_the_key() {
        let key = SecretString::from("sk-1234");
        for body in [
            r#"{"error": {"message": "bad key sk-1234\nhere", "code": 400}}"#,
            r#"{"error": "bad key sk-1234\nhere"}"#,
            r#"{"message": "bad key sk-1234\nhere"}"#,
        ] {
            assert_eq!(shown(body.as_bytes(), Some(&key)), "bad key [key] here");
        }
        let long = format!("{{\"error\": \"{}\"}}", "å".repeat(500));
        assert_eq!(
            shown(long.as_bytes(), None).chars().count(),
            WORDS_MAX_CHARS
        );
        assert_eq!(shown(b"<html>", None), "it does not say why");
    }
}
