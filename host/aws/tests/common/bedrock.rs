//! Bedrock's runtime on a free port, with a parrot as its model: real HTTP, real framing of event streams.
//!
//! ministack speaks the protocol too, but answers the same text to everything and no vectors.
#![allow(
    clippy::indexing_slicing,
    reason = "a field that a JSON value does not have reads as null"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use aws_smithy_eventstream::frame::write_message_to;
use aws_smithy_types::event_stream::{Header, HeaderValue, Message as Frame};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request as HttpRequest, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use stuga_core::embed;
use stuga_core::model::{FinishReason, Format, Message, Options, Request, Role};
use stuga_core::testkit::model::parrot;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// Bedrock's id of the parrot.
pub(crate) const PARROT: &str = "birds.parrot-v1:0";
/// Bedrock's id of the other one.
pub(crate) const LOUD_PARROT: &str = "birds.loud-parrot-v1:0";

/// What goes wrong, from the next request on.
#[derive(Clone, PartialEq, Debug, Default)]
pub(crate) enum Trouble {
    /// Nothing.
    #[default]
    None,
    /// Every request is refused with this status and code.
    Refused(u16, &'static str),
    /// After two pieces comes this exception.
    InTheMiddle(&'static str),
    /// After two pieces nothing comes any more.
    Cut,
}

/// A running double. Dropped, it stops.
pub(crate) struct Bedrock {
    address: SocketAddr,
    trouble: Arc<Mutex<Trouble>>,
    task: JoinHandle<()>,
}

impl Bedrock {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let trouble = Arc::new(Mutex::new(Trouble::None));
        let shown = Arc::clone(&trouble);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let shown = Arc::clone(&shown);
                let service = service_fn(move |request| {
                    let trouble = shown.lock().unwrap().clone();
                    answer(request, trouble)
                });
                let server = hyper::server::conn::http1::Builder::new();
                tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
            }
        });
        Self {
            address,
            trouble,
            task,
        }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(crate) fn set(&self, trouble: Trouble) {
        *self.trouble.lock().unwrap() = trouble;
    }
}

impl Drop for Bedrock {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(
    request: HttpRequest<Incoming>,
    trouble: Trouble,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let path = request.uri().path().replace("%3A", ":");
    let body = request.into_body().collect().await.unwrap().to_bytes();
    let body: Value = serde_json::from_slice(&body).unwrap();
    if let Trouble::Refused(status, code) = trouble {
        return Ok(refusal(status, code, "told by the double"));
    }
    if let Some(why) = invalid(&path, &body) {
        return Ok(refusal(400, "ValidationException", why));
    }
    let (kind, body) = match path.rsplit_once('/') {
        Some((model, "converse-stream")) => (
            "application/vnd.amazon.eventstream",
            converse(model, &body, &trouble),
        ),
        Some((_, "invoke")) => ("application/json", vectors(&body)),
        _ => panic!("no such operation: {path}"),
    };
    let mut answered = Response::new(Full::new(Bytes::from(body)));
    let headers = answered.headers_mut();
    headers.insert("content-type", kind.parse().unwrap());
    Ok(answered)
}

fn refusal(status: u16, code: &str, why: &str) -> Response<Full<Bytes>> {
    let body = json!({ "message": why }).to_string();
    let mut refused = Response::new(Full::new(Bytes::from(body)));
    *refused.status_mut() = StatusCode::from_u16(status).unwrap();
    let headers = refused.headers_mut();
    headers.insert("x-amzn-errortype", code.parse().unwrap());
    refused
}

/// What Bedrock says of a request that no model takes, the model first.
fn invalid(path: &str, body: &Value) -> Option<&'static str> {
    let model = path.rsplit('/').nth(1).unwrap();
    if path.ends_with("/converse-stream") {
        if ![PARROT, LOUD_PARROT].contains(&model) {
            return Some("The provided model identifier is invalid.");
        }
        let begins = body["messages"][0]["role"].as_str();
        return (begins != Some("user")).then_some(
            "A conversation must start with a user message. Try again with a conversation that starts with a user message.",
        );
    }
    let has_texts = body["inputText"].is_string() || body["texts"].is_array();
    (!has_texts).then_some(
        "Malformed input request: #: required key [inputText] not found, please reformat your input and try again.",
    )
}

fn converse(model: &str, body: &Value, trouble: &Trouble) -> Vec<u8> {
    let (pieces, ending) = parrot::pieces(&understood(model, body));
    let mut out = Vec::new();
    event(&mut out, "messageStart", &json!({ "role": "assistant" }));
    for (at, piece) in pieces.iter().enumerate() {
        match trouble {
            Trouble::InTheMiddle(exception) if at == 2 => {
                frame(
                    &mut out,
                    "exception",
                    exception,
                    &json!({ "message": "told" }),
                );
                return out;
            }
            Trouble::Cut if at == 2 => return out,
            _ => {}
        }
        let delta = json!({ "contentBlockIndex": 0, "delta": { "text": piece } });
        event(&mut out, "contentBlockDelta", &delta);
    }
    event(
        &mut out,
        "contentBlockStop",
        &json!({ "contentBlockIndex": 0 }),
    );
    let reason = match ending.reason {
        FinishReason::Length => "max_tokens",
        _ => "end_turn",
    };
    event(&mut out, "messageStop", &json!({ "stopReason": reason }));
    let usage = ending.usage.unwrap();
    let (read, made) = (usage.prompt_tokens, usage.completion_tokens);
    let usage = json!({ "inputTokens": read, "outputTokens": made, "totalTokens": read + made });
    event(
        &mut out,
        "metadata",
        &json!({ "usage": usage, "metrics": { "latencyMs": 1 } }),
    );
    out
}

/// What was asked, as the parrot understands it.
fn understood(model: &str, body: &Value) -> Request {
    let texts = |value: &Value, role: Role| -> Vec<Message> {
        let blocks = value.as_array().into_iter().flatten();
        let message = |block: &Value| Message {
            role,
            content: block["text"].as_str().unwrap().to_owned(),
        };
        blocks.map(message).collect()
    };
    let mut messages = texts(&body["system"], Role::System);
    for message in body["messages"].as_array().unwrap() {
        let role = match message["role"].as_str().unwrap() {
            "user" => Role::User,
            _ => Role::Assistant,
        };
        messages.extend(texts(&message["content"], role));
    }
    let inference = &body["inferenceConfig"];
    let stops = inference["stopSequences"].as_array().into_iter().flatten();
    let schema = &body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]["schema"];
    let name = match model.rsplit('/').next().unwrap() {
        PARROT => parrot::NAME,
        LOUD_PARROT => parrot::OTHER_NAME,
        other => panic!("no such model: {other}"),
    };
    Request {
        messages,
        options: Options {
            model: Some(name.to_owned()),
            max_tokens: inference["maxTokens"]
                .as_u64()
                .map(|n| u32::try_from(n).unwrap()),
            stop: stops
                .map(|stop| stop.as_str().unwrap().to_owned())
                .collect(),
            format: match schema.as_str() {
                Some(schema) => Format::JsonSchema(schema.to_owned()),
                None => Format::Text,
            },
            ..Options::default()
        },
    }
}

/// Vectors as Titan or Cohere answers them.
fn vectors(body: &Value) -> Vec<u8> {
    let answer = match body["inputText"].as_str() {
        Some(text) => json!({ "embedding": embed::embed(text), "inputTextTokenCount": 1 }),
        None => {
            let texts = body["texts"].as_array().unwrap().iter();
            let all: Vec<_> = texts
                .map(|text| embed::embed(text.as_str().unwrap()))
                .collect();
            json!({ "embeddings": { "float": all } })
        }
    };
    answer.to_string().into_bytes()
}

fn event(out: &mut Vec<u8>, name: &'static str, payload: &Value) {
    frame(out, "event", name, payload);
}

fn frame(out: &mut Vec<u8>, kind: &'static str, name: &'static str, payload: &Value) {
    let text = |text: &'static str| HeaderValue::String(text.into());
    let named = match kind {
        "event" => ":event-type",
        _ => ":exception-type",
    };
    let frame = Frame::new(Bytes::from(payload.to_string()))
        .add_header(Header::new(":message-type", text(kind)))
        .add_header(Header::new(named, text(name)))
        .add_header(Header::new(":content-type", text("application/json")));
    write_message_to(&frame, out).unwrap();
}
