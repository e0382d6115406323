//! The bare peer of the HTTP bench: an axum handler that parses a JSON body and answers a part of it.

use anyhow::Result;
use axum::routing::post;
use axum::{Json, Router};
use serde::{Deserialize, Serialize};

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "skill")]
    _skill: String,
    input: Text,
}

#[derive(Deserialize, Serialize)]
struct Text {
    text: String,
}

#[derive(Serialize)]
struct Answer {
    output: Text,
}

async fn echo(Json(body): Json<Body>) -> Json<Answer> {
    Json(Answer { output: body.input })
}

fn main() -> Result<()> {
    let address = std::env::args()
        .nth(1)
        .unwrap_or_else(|| "127.0.0.1:0".into());
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?
        .block_on(async {
            let listener = tokio::net::TcpListener::bind(address).await?;
            axum::serve(listener, Router::new().route("/echo", post(echo))).await?;
            Ok(())
        })
}
