//! The same work as the fixture's `echo` skill, for `wasmtime serve`: parse the body, answer it as JSON.
//!
//! Natively there is nothing: a component's exports have names that a native linker does not take.
#![cfg(target_family = "wasm")]

use serde::{Deserialize, Serialize};
use wasip2::exports::http::incoming_handler::Guest;
use wasip2::http::types::{
    Fields, IncomingRequest, OutgoingBody, OutgoingResponse, ResponseOutparam,
};

#[derive(Deserialize, Serialize)]
struct Body {
    skill: String,
    input: Text,
}

#[derive(Deserialize, Serialize)]
struct Text {
    text: String,
}

struct Echo;

impl Guest for Echo {
    fn handle(request: IncomingRequest, out: ResponseOutparam) {
        let answer = read(&request).and_then(|body| {
            let body: Body = serde_json::from_slice(&body).ok()?;
            serde_json::to_vec(&body.input).ok()
        });
        let response = OutgoingResponse::new(Fields::new());
        let (status, bytes) = match answer {
            Some(bytes) => (200, bytes),
            None => (400, Vec::new()),
        };
        let _ = response.set_status_code(status);
        let Ok(body) = response.body() else { return };
        ResponseOutparam::set(out, Ok(response));
        if let Ok(stream) = body.write() {
            // A stream takes 4 KiB at a time.
            for chunk in bytes.chunks(4_096) {
                let _ = stream.blocking_write_and_flush(chunk);
            }
        }
        let _ = OutgoingBody::finish(body, None);
    }
}

fn read(request: &IncomingRequest) -> Option<Vec<u8>> {
    let body = request.consume().ok()?;
    let stream = body.stream().ok()?;
    let mut bytes = Vec::new();
    while let Ok(chunk) = stream.blocking_read(64 << 10) {
        bytes.extend(chunk);
    }
    Some(bytes)
}

wasip2::http::proxy::export!(Echo);
