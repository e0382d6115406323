//! Reading a request's body: never more than allowed, never for ever, never as anything but UTF-8 JSON.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, StatusCode, header};
use bytes::Bytes;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::Deserialize;
use serde_json::value::RawValue;

use super::error::Problem;

/// Longest time that a client may take to send a body.
const BODY_DEADLINE: Duration = Duration::from_secs(60);
/// Most of a body that is too large which is read and thrown away before the refusal: a client that still sends when the
/// connection closes may lose the answer.
const DRAIN_MAX_BYTES: usize = 1 << 20;
/// Longest time for that.
const DRAIN_DEADLINE: Duration = Duration::from_secs(1);
/// Longest session name in bytes.
const SESSION_MAX_BYTES: usize = 256;

/// The body of an invocation, borrowed from its bytes. The input is checked to be JSON and otherwise left as it is.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InvokeBody<'b> {
    #[serde(borrow)]
    pub(crate) skill: Cow<'b, str>,
    #[serde(borrow)]
    pub(crate) input: &'b RawValue,
    #[serde(borrow, default)]
    pub(crate) session: Option<Cow<'b, str>>,
}

/// Reads the whole body.
///
/// # Errors
/// 413 over `limit`; 408 when it takes too long; 400 when it breaks off.
pub(crate) async fn read(
    headers: &HeaderMap,
    mut body: Body,
    limit: u64,
) -> Result<Bytes, Problem> {
    let announced = headers
        .get(header::CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > limit) {
        drain(body).await;
        return Err(Problem::too_large(limit));
    }
    let limited = Limited::new(&mut body, usize::try_from(limit).unwrap_or(usize::MAX));
    match tokio::time::timeout(BODY_DEADLINE, limited.collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            drain(body).await;
            Err(Problem::too_large(limit))
        }
        Ok(Err(_)) => Err(Problem::bad_request("the body broke off")),
        Err(_) => Err(Problem::new(
            StatusCode::REQUEST_TIMEOUT,
            "body-too-slow",
            "The body took too long",
            format!(
                "send the whole body within {} seconds",
                BODY_DEADLINE.as_secs()
            ),
        )),
    }
}

/// Takes what a client still sends, within bounds.
async fn drain(body: Body) {
    let mut rest = Limited::new(body, DRAIN_MAX_BYTES);
    let taken = async { while let Some(Ok(_)) = rest.frame().await {} };
    // What comes after that is not worth the wait.
    let _ = tokio::time::timeout(DRAIN_DEADLINE, taken).await;
}

/// Parses the body of an invocation.
///
/// # Errors
/// 400 with the position of what is wrong.
pub(crate) fn parse(bytes: &[u8]) -> Result<InvokeBody<'_>, Problem> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        Problem::bad_request(format!(
            "the body is not UTF-8 at byte {}",
            error.valid_up_to()
        ))
    })?;
    let body: InvokeBody<'_> = serde_json::from_str(text).map_err(|error| {
        Problem::bad_request(format!(
            "{error}; the body is {{\"skill\": \"...\", \"input\": ..., \"session\"?: \"...\"}}"
        ))
    })?;
    if body
        .session
        .as_ref()
        .is_some_and(|session| session.len() > SESSION_MAX_BYTES)
    {
        return Err(Problem::bad_request(format!(
            "session has more than {SESSION_MAX_BYTES} bytes"
        )));
    }
    Ok(body)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_input_is_taken_as_it_is() {
        let body = parse(br#"{"skill":"s","input":{"a" : [1, 2e5]}}"#).unwrap();
        assert_eq!(
            (body.skill.as_ref(), body.input.get()),
            ("s", r#"{"a" : [1, 2e5]}"#)
        );
    }

    #[test]
    fn what_cannot_be_read_is_refused_with_its_position() {
        for (bytes, expected) in [
            (&b"{\"skill\":\"\xff\"}"[..], "not UTF-8 at byte 10"),
            (b"{\"skill\":\"s\"", "line 1 column 12"),
            (b"{\"skill\":\"s\"}", "missing field `input`"),
            (
                b"{\"skill\":\"s\",\"input\":1,\"x\":2}",
                "unknown field `x`",
            ),
            (b"", "line 1 column 0"),
        ] {
            let problem = parse(bytes).unwrap_err();
            assert_eq!(problem.status(), StatusCode::BAD_REQUEST);
            let shown = format!("{problem:?}");
            assert!(shown.contains(expected), "{shown}");
        }
    }

    #[test]
    fn deep_nesting_does_not_reach_the_stack() {
        let deep = format!(
            "{{\"skill\":\"s\",\"input\":{}{}}}",
            "[".repeat(200_000),
            "]".repeat(200_000)
        );
        // Whether it is accepted here does not matter: the schema check bounds the depth.
        let _ = parse(deep.as_bytes());
    }

    #[tokio::test]
    async fn a_body_over_the_limit_is_refused_with_and_without_its_length() {
        let mut headers = HeaderMap::new();
        assert_eq!(
            read(&headers, Body::from("12345"), 4)
                .await
                .unwrap_err()
                .status(),
            StatusCode::PAYLOAD_TOO_LARGE
        );
        assert_eq!(read(&headers, Body::from("1234"), 4).await.unwrap(), "1234");
        headers.insert(header::CONTENT_LENGTH, "5".parse().unwrap());
        assert_eq!(
            read(&headers, Body::empty(), 4).await.unwrap_err().status(),
            StatusCode::PAYLOAD_TOO_LARGE
        );
    }
}
