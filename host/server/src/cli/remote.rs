//! The client side of `stuga invoke --url`.

use std::process::ExitCode;

use anyhow::{Context, bail};
use futures::StreamExt;
use reqwest::{RequestBuilder, Response, header};
use serde::Deserialize;
use serde_json::value::RawValue;
use stuga_core::Receipt;

use super::invoke;
use super::print::{self, Printer};

/// Longest single event of a stream.
const EVENT_MAX_BYTES: usize = 128 << 20;

/// A call to a server.
pub(crate) struct Call<'a> {
    pub(crate) url: &'a str,
    pub(crate) key: &'a str,
    pub(crate) tenant: &'a str,
    pub(crate) agent: &'a str,
    pub(crate) skill: &'a str,
    pub(crate) input: &'a str,
    pub(crate) session: Option<&'a str>,
    pub(crate) idempotency_key: Option<&'a str>,
}

#[derive(Deserialize)]
struct Answer<'b> {
    #[serde(borrow)]
    output: &'b RawValue,
    receipt: Receipt,
}

#[derive(Deserialize)]
struct Problem {
    detail: String,
    #[serde(default)]
    errors: Vec<Misfit>,
    #[serde(default)]
    request_id: String,
}

#[derive(Deserialize)]
struct Misfit {
    pointer: String,
    message: String,
}

pub(crate) async fn invoke(
    call: &Call<'_>,
    stream: bool,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    let accept = if stream {
        "text/event-stream"
    } else {
        "application/json"
    };
    let request = request(call)?.header(header::ACCEPT, accept);
    let response = request
        .send()
        .await
        .with_context(|| format!("{} cannot be reached", call.url))?;
    let succeeded = response.status().is_success();
    if stream && succeeded {
        return follow(response, printer).await;
    }
    let body = response.text().await.context("the answer broke off")?;
    answer(&body, succeeded, printer)
}

fn request(call: &Call<'_>) -> anyhow::Result<RequestBuilder> {
    let input: &RawValue = serde_json::from_str(call.input).context("the input is not JSON")?;
    let body = serde_json::json!({ "skill": call.skill, "input": input, "session": call.session });
    let url = format!(
        "{}/v1/tenants/{}/agents/{}/invoke",
        call.url.trim_end_matches('/'),
        call.tenant,
        call.agent
    );
    let mut request = reqwest::Client::new()
        .post(url)
        .bearer_auth(call.key)
        .header(header::CONTENT_TYPE, "application/json")
        .body(body.to_string());
    if let Some(key) = call.idempotency_key {
        request = request.header("idempotency-key", key);
    }
    Ok(request)
}

fn answer(body: &str, succeeded: bool, printer: &Printer) -> anyhow::Result<ExitCode> {
    if printer.is_json() {
        print::line(body)?;
        return Ok(if succeeded {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        });
    }
    if !succeeded {
        bail!(explain(body));
    }
    let answer: Answer<'_> =
        serde_json::from_str(body).context("the answer is not one of a stuga server")?;
    invoke::show(answer.output.get(), &answer.receipt)?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn explain(body: &str) -> String {
    let Ok(problem) = serde_json::from_str::<Problem>(body) else {
        return format!(
            "the server answered {:?}",
            body.chars().take(200).collect::<String>()
        );
    };
    let mut text = problem.detail;
    for Misfit { pointer, message } in &problem.errors {
        text.push_str(&format!(
            "\n  {}: {message}",
            if pointer.is_empty() { "input" } else { pointer }
        ));
    }
    format!("{text} (request {})", problem.request_id)
}

/// Prints the parts of a stream as they come, and its end.
async fn follow(response: Response, printer: &Printer) -> anyhow::Result<ExitCode> {
    let mut chunks = response.bytes_stream();
    let mut pending: Vec<u8> = Vec::new();
    while let Some(chunk) = chunks.next().await {
        pending.extend_from_slice(&chunk.context("the stream broke off")?);
        while let Some(end) = pending.windows(2).position(|pair| pair == b"\n\n") {
            let event: Vec<u8> = pending.drain(..end + 2).collect();
            match event_of(&String::from_utf8_lossy(&event)) {
                (name, data) if name == "part" => invoke::show_part(&data, printer),
                (name, data) if name == "result" => return answer(&data, true, printer),
                (name, data) if name == "error" => return answer(&data, false, printer),
                _ => {}
            }
        }
        if pending.len() > EVENT_MAX_BYTES {
            bail!("the server sent an event of more than {EVENT_MAX_BYTES} bytes");
        }
    }
    bail!("the stream ended without an answer; the call may have been made")
}

fn event_of(text: &str) -> (String, String) {
    let (mut name, mut data) = (String::new(), Vec::new());
    for line in text.lines() {
        if let Some(value) = line.strip_prefix("event:") {
            name = value.trim().to_owned();
        } else if let Some(value) = line.strip_prefix("data:") {
            data.push(value.strip_prefix(' ').unwrap_or(value));
        }
    }
    (name, data.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_of_several_lines_is_put_together() {
        assert_eq!(
            event_of("event: part\ndata: {\ndata: }\n\n"),
            ("part".into(), "{\n}".into())
        );
        assert_eq!(event_of(": still here\n\n"), (String::new(), String::new()));
    }

    #[test]
    fn a_problem_is_explained_with_its_places() {
        let text = explain(
            r#"{"detail":"no","errors":[{"pointer":"/a","message":"bad"}],"request_id":"r"}"#,
        );
        assert_eq!(text, "no\n  /a: bad (request r)");
        assert!(explain("<html>").contains("<html>"));
    }
}
