//! A server of the OpenAI protocol on a free port, with a parrot as its model and faults on command.
//!
//! It is a real server, so that what is proved before it includes the wire: the framing of streams, status codes, a
//! connection that is cut, a peer that has gone.

#![allow(
    clippy::indexing_slicing,
    reason = "a field that a JSON value does not have reads as null"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use serde_json::{Value, json};
use stuga_core::embed;
use stuga_core::model::{FinishReason, Format, Message, Options, Request, Role};
use stuga_core::testkit::model::parrot;
use stuga_local::{EndpointConfig, Models};
use tokio::net::TcpListener;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;

/// What the server does wrong, from the next request on.
#[derive(Clone, PartialEq, Debug, Default)]
pub enum Fault {
    /// Nothing.
    #[default]
    None,
    /// It answers with a status, a body, and perhaps `Retry-After` in seconds.
    Status(u16, String, Option<u32>),
    /// It hands out two pieces and closes the connection.
    Cut,
    /// It hands out two pieces and says no more, but keeps the connection.
    Silence,
    /// It takes the request and never answers.
    Deaf,
    /// It answers with this body as an event stream.
    Body(String),
    /// It hands out pieces of 64 KiB without end.
    Endless,
    /// It hands out small pieces without end.
    Chatter,
    /// It sends its peer to another address.
    Redirect(String),
}

/// A running server. Dropped, it stops.
pub struct OpenAi {
    address: SocketAddr,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Shared {
    fault: Mutex<Fault>,
    requests: Mutex<Vec<(HeaderMap, Value)>>,
    /// How many answers their reader has given up before the end.
    abandoned: watch::Sender<usize>,
}

impl OpenAi {
    /// Starts a server on a free port of this host, on the runtime that is running.
    ///
    /// # Panics
    /// When there is no free port or no runtime.
    #[allow(clippy::unwrap_used, reason = "a test without its server must fail")]
    pub fn start() -> Self {
        let shared = Arc::new(Shared::default());
        let app = Router::new()
            .route("/v1/chat/completions", post(complete))
            .route("/v1/embeddings", post(make_vectors))
            .with_state(Arc::clone(&shared));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        let task = tokio::spawn(async move {
            axum::serve(listener, app).await.ok();
        });
        Self {
            address,
            shared,
            task,
        }
    }

    /// Its address for a configuration.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// The endpoint as a host has it, with what the contract of models asks for.
    pub fn endpoint(&self) -> EndpointConfig {
        EndpointConfig {
            url: self.url(),
            name: parrot::NAME.to_owned(),
            also: vec![parrot::OTHER_NAME.to_owned()],
            api_key: None,
            patience: Duration::from_secs(20),
        }
    }

    /// Models that are this server, with the built-in embedder.
    pub fn models(&self) -> Models {
        Models {
            endpoint: Some(self.endpoint()),
            ..Models::default()
        }
    }

    /// Does something wrong from the next request on.
    pub fn fault(&self, fault: Fault) {
        *lock(&self.shared.fault) = fault;
    }

    /// The requests so far: headers and bodies.
    pub fn requests(&self) -> Vec<(HeaderMap, Value)> {
        lock(&self.shared.requests).clone()
    }

    /// How many answers their reader has given up before the end.
    pub fn abandoned(&self) -> usize {
        *self.shared.abandoned.borrow()
    }

    /// Waits until so many answers were given up.
    pub async fn until_abandoned(&self, count: usize) {
        let mut abandoned = self.shared.abandoned.subscribe();
        abandoned.wait_for(|now| *now >= count).await.ok();
    }
}

impl Drop for OpenAi {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn complete(State(shared): State<Arc<Shared>>, headers: HeaderMap, body: Bytes) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return refuse(400, "the request is no JSON", None);
    };
    lock(&shared.requests).push((headers, body.clone()));
    let fault = lock(&shared.fault).clone();
    let Some(request) = request_of(&body) else {
        return refuse(400, "Expected 'messages' to be an array", None);
    };
    let (pieces, ending) = parrot::pieces(&request);
    let piece = |text: &str| {
        event(
            &json!({"model": ending.model, "choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]}),
        )
    };
    let mut events = vec![event(
        &json!({"choices": [{"index": 0, "delta": {"role": "assistant", "content": null}}]}),
    )];
    events.extend(pieces.iter().map(|text| piece(text)));
    let reason = match ending.reason {
        FinishReason::Length => "length",
        _ => "stop",
    };
    events.push(event(
        &json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}),
    ));
    let usage = ending.usage.unwrap_or_default();
    events.push(event(&json!({
        "choices": [],
        "usage": {
            "prompt_tokens": usage.prompt_tokens,
            "completion_tokens": usage.completion_tokens,
            "total_tokens": usage.prompt_tokens + usage.completion_tokens,
        },
    })));
    events.push("data: [DONE]\n\n".to_owned());
    match fault {
        Fault::None => stream(events, Last::End),
        Fault::Status(status, body, after) => answer(status, body, after),
        Fault::Cut => stream(events.into_iter().take(3).collect(), Last::Cut),
        Fault::Silence => stream(events.into_iter().take(3).collect(), Last::Silence),
        Fault::Deaf => std::future::pending().await,
        Fault::Body(body) => stream(vec![body], Last::End),
        Fault::Endless => endless(shared, &piece(&"x".repeat(64 << 10))),
        Fault::Chatter => endless(shared, &piece("x ")),
        Fault::Redirect(to) => {
            let location = [("location", to)];
            (StatusCode::TEMPORARY_REDIRECT, location).into_response()
        }
    }
}

/// What comes after the last event.
enum Last {
    End,
    Cut,
    Silence,
}

fn stream(events: Vec<String>, last: Last) -> Response {
    let events = events.into_iter().map(Ok::<_, std::io::Error>);
    let (sender, receiver) = mpsc::channel(events.len() + 1);
    for event in events {
        sender.try_send(event).ok();
    }
    match last {
        Last::End => {}
        Last::Cut => {
            tokio::spawn(async move {
                // Once all of it was taken, and not before it went out.
                sender.reserve_many(sender.max_capacity()).await.ok();
                tokio::task::yield_now().await;
                sender.send(Err(std::io::Error::other("cut"))).await.ok();
            });
        }
        Last::Silence => {
            tokio::spawn(async move { sender.closed().await });
        }
    }
    event_stream(receiver)
}

/// The same event again and again, until the reader has gone.
fn endless(shared: Arc<Shared>, event: &str) -> Response {
    let (sender, receiver) = mpsc::channel(1);
    let event = event.to_owned();
    tokio::spawn(async move {
        while sender
            .send(Ok::<_, Infallible>(event.clone()))
            .await
            .is_ok()
        {}
        shared.abandoned.send_modify(|count| *count += 1);
    });
    event_stream(receiver)
}

fn event_stream<E>(mut events: mpsc::Receiver<Result<String, E>>) -> Response
where
    E: Into<Box<dyn std::error::Error + Send + Sync>> + Send + 'static,
{
    let stream = futures::stream::poll_fn(move |cx| events.poll_recv(cx));
    (
        [("content-type", "text/event-stream")],
        Body::from_stream(stream),
    )
        .into_response()
}

fn event(value: &Value) -> String {
    format!("data: {value}\n\n")
}

async fn make_vectors(
    State(shared): State<Arc<Shared>>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let Ok(body) = serde_json::from_slice::<Value>(&body) else {
        return refuse(400, "the request is no JSON", None);
    };
    lock(&shared.requests).push((headers, body.clone()));
    let fault = lock(&shared.fault).clone();
    match fault {
        Fault::Status(status, body, after) => return answer(status, body, after),
        Fault::Deaf | Fault::Silence => return std::future::pending().await,
        Fault::Body(body) => return body.into_response(),
        Fault::Endless => return endless(shared, &"x".repeat(64 << 10)),
        Fault::None | Fault::Cut | Fault::Chatter | Fault::Redirect(_) => {}
    }
    let texts = body["input"].as_array().cloned().unwrap_or_default();
    if texts.is_empty() || texts.iter().any(|text| text == "") {
        return refuse(400, "empty input", None);
    }
    // Twice as long as they should be, and the last one first: an embedder brings both in order.
    let vectors = texts.iter().enumerate().rev().map(|(index, text)| {
        let vector = embed::embed(text.as_str().unwrap_or_default());
        let vector: Vec<f32> = vector.iter().map(|number| number * 2.0).collect();
        json!({"index": index, "embedding": vector, "object": "embedding"})
    });
    let data: Vec<Value> = vectors.collect();
    axum::Json(json!({"data": data, "model": body["model"], "object": "list"})).into_response()
}

fn refuse(status: u16, message: &str, retry_after: Option<u32>) -> Response {
    let body = json!({"error": {"code": status, "message": message}});
    answer(status, body.to_string(), retry_after)
}

fn answer(status: u16, body: String, retry_after: Option<u32>) -> Response {
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = (status, body).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert("retry-after", seconds.into());
    }
    response
}

/// The request as core knows it; none when it is none.
fn request_of(body: &Value) -> Option<Request> {
    let mut messages = Vec::new();
    for message in body["messages"].as_array()? {
        messages.push(Message {
            role: match message["role"].as_str()? {
                "system" => Role::System,
                "assistant" => Role::Assistant,
                _ => Role::User,
            },
            content: message["content"].as_str()?.to_owned(),
        });
    }
    let stops = body["stop"].as_array().into_iter().flatten();
    let options = Options {
        model: body["model"].as_str().map(str::to_owned),
        max_tokens: body["max_tokens"]
            .as_u64()
            .and_then(|n| u32::try_from(n).ok()),
        stop: stops
            .filter_map(|stop| stop.as_str().map(str::to_owned))
            .collect(),
        format: match body["response_format"]["type"].as_str() {
            Some("json_object") => Format::Json,
            Some("json_schema") => {
                Format::JsonSchema(body["response_format"]["json_schema"]["schema"].to_string())
            }
            _ => Format::Text,
        },
        ..Options::default()
    };
    Some(Request { messages, options })
}
