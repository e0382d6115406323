//! A real llama.cpp server with a small model (SmolLM2-135M-Instruct), as an operator would run it.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use stuga_core::ErrorKind;
use stuga_core::embed::{Embedder, dot};
use stuga_core::model::{FinishReason, Format, Options};
use stuga_local::{EndpointConfig, EndpointEmbedder, Models};

use super::{World, ctx_until, say, skip};

/// What a server says once it can be asked.
const READY: &str = "LISTENING ";
/// Numbers in the vectors of SmolLM2-135M.
const DIMENSION: usize = 576;

/// A running llama.cpp server. Dropped, it stops.
struct Llama {
    child: Child,
    url: String,
}

impl Llama {
    /// Starts a server by the Python in `STUGA_LLAMA`, which has the packages; none where there is none.
    fn start(test: &str, mode: &str) -> Option<Self> {
        let Some(python) = std::env::var_os("STUGA_LLAMA").map(PathBuf::from) else {
            skip(test, "no llama.cpp here; `cargo xtask test` installs it");
            return None;
        };
        let mut child = Command::new(python)
            .arg(concat!(
                env!("CARGO_MANIFEST_DIR"),
                "/servers/llama/llama_server.py"
            ))
            .arg(mode)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        // It ends when the server dies, so a server that does not start fails the test.
        let url = stdout.lines().map_while(Result::ok).find_map(|line| {
            let url = line.strip_prefix(READY)?;
            Some(format!("{}/v1", url.trim()))
        });
        let url = url.expect("the llama.cpp server did not start");
        Some(Self { child, url })
    }

    fn endpoint(&self) -> EndpointConfig {
        EndpointConfig {
            url: self.url.clone(),
            name: "smollm2".to_owned(),
            also: Vec::new(),
            api_key: None,
            patience: Duration::from_secs(600),
        }
    }

    fn world(&self) -> World {
        World::with(&Models {
            endpoint: Some(self.endpoint()),
            ..Models::default()
        })
    }
}

impl Drop for Llama {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn options(max_tokens: u32) -> Options {
    Options {
        max_tokens: Some(max_tokens),
        temperature: Some(0.0),
        seed: Some(1),
        ..Options::default()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_llama_cpp_server_answers_streams_and_is_refused_as_promised() {
    const TEST: &str = "a_llama_cpp_server_answers_streams_and_is_refused_as_promised";
    let Some(llama) = Llama::start(TEST, "chat") else {
        return;
    };
    let world = llama.world();
    // Nothing here is about time, and machines that test may be busy.
    let ctx = ctx_until(Duration::from_secs(600));

    let mut question = say("What is the capital of France? Answer in one short sentence.");
    question.options = options(40);
    let answer = world.model.complete(&ctx, &question).await.unwrap();
    assert!(answer.text.contains("Paris"), "{answer:?}");
    let usage = answer.ending.usage.unwrap();
    assert!(
        usage.prompt_tokens > 10 && usage.completion_tokens > 2,
        "{usage:?}"
    );

    let mut completion = world.model.start(&ctx, &question).await.unwrap();
    let mut pieces = Vec::new();
    while let Some(piece) = completion.next(&ctx).await.unwrap() {
        pieces.push(piece);
    }
    assert!(pieces.len() > 2, "{pieces:?}");
    assert_eq!(
        pieces.concat(),
        answer.text,
        "the same seed, the same answer"
    );
    assert_eq!(completion.ending().unwrap().reason, answer.ending.reason);

    question.options = options(3);
    let cut = world.model.complete(&ctx, &question).await.unwrap();
    assert_eq!(cut.ending.reason, FinishReason::Length);
    assert_eq!(cut.ending.usage.unwrap().completion_tokens, 3);

    let schema = r#"{"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}}, "required": ["city"], "additionalProperties": false}"#;
    question.options = options(60);
    question.options.format = Format::JsonSchema(schema.to_owned());
    let answer = world.model.complete(&ctx, &question).await.unwrap();
    let value: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
    assert!(value["city"].is_string(), "{value}");

    question.options.format = Format::JsonSchema(r#"{"type": "no-such-type"}"#.to_owned());
    let refused = world.model.complete(&ctx, &question).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    assert!(refused.message().contains("no-such-type"), "{refused}");

    // Longer than the model can read.
    let mut long = say(&"word ".repeat(8_000));
    long.options = options(5);
    let refused = world.model.complete(&ctx, &long).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    assert!(refused.message().contains("context"), "{refused}");

    // Given up after one piece, the server is free for the next question at once.
    let mut story = say("Tell a long story about a cabin.");
    story.options = options(1_000);
    let mut completion = world.model.start(&ctx, &story).await.unwrap();
    completion.next(&ctx).await.unwrap();
    drop(completion);
    question.options = options(5);
    world.model.complete(&ctx, &question).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_llama_cpp_server_makes_vectors() {
    let Some(llama) = Llama::start("a_llama_cpp_server_makes_vectors", "embeddings") else {
        return;
    };
    let embedder = EndpointEmbedder::new(&llama.endpoint(), DIMENSION).unwrap();
    let texts = ["a cabin by the lake", "", "a cabin by the lake"];
    let vectors = embedder.embed(&texts).await.unwrap();
    assert!((dot(&vectors[0], &vectors[0]) - 1.0).abs() < 1e-4);
    assert!(dot(&vectors[0], &vectors[2]) > 0.999);
    let wrong = EndpointEmbedder::new(&llama.endpoint(), 384).unwrap();
    let refused = wrong.embed(&["hej"]).await.unwrap_err();
    assert!(refused.message().contains("dimension` to 576"), "{refused}");
}
