//! Models on Bedrock, as our own double plays it: what an answer of a dozen pieces and a vector cost on the way.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_sdk_bedrockruntime::Client;
use aws_sdk_bedrockruntime::types::{
    ContentBlock, ConversationRole, ConverseStreamOutput, Message,
};
use aws_smithy_types::Blob;
use serde_json::{Value, json};
use stuga_core::embed::DIMENSION;
use stuga_core::model::{Message as Said, Options, Request, Role};

use crate::harness::{Figures, REGION, acme, host, sdk};

#[path = "../../tests/common/bedrock.rs"]
#[allow(dead_code, reason = "shared with the tests of models")]
mod bedrock;

use bedrock::{Bedrock, PARROT};

const KEYS: (&str, &str) = ("test", "test");
const QUESTION: &str = "a stove, a table, two chairs, a bed, a lamp and a cat by the window";
const TITAN: &str = "amazon.titan-embed-text-v2:0";

pub(crate) async fn measure(figures: &mut Figures) {
    let double = Bedrock::start().await;
    let name = stuga_core::testkit::model::parrot::NAME;
    let settings = json!({
        "region": REGION,
        "endpoints": {"all": double.endpoint()},
        "model": {
            "name": name,
            "models": BTreeMap::from([(name, PARROT)]),
            "embeddings": {"model_id": TITAN, "dimension": DIMENSION},
        },
    });
    let aws = host(KEYS, settings);
    let embedder = aws.embedder().unwrap().unwrap();
    let model = aws.model(Arc::clone(&embedder)).unwrap();
    let client = Client::new(&sdk(KEYS, &double.endpoint()));
    let request = Request {
        messages: vec![Said {
            role: Role::User,
            content: QUESTION.to_owned(),
        }],
        options: Options::default(),
    };

    let mut section = figures.of("model", "a double of Bedrock of our own".to_owned());
    let ours = async |_: usize| {
        let answer = model.complete(&acme(), &request).await.unwrap();
        assert_eq!(answer.text, QUESTION);
    };
    let bare = async |_: usize| {
        let message = Message::builder()
            .role(ConversationRole::User)
            .content(ContentBlock::Text(QUESTION.to_owned()))
            .build()
            .unwrap();
        let ask = client.converse_stream().model_id(PARROT).messages(message);
        let mut stream = ask.send().await.unwrap().stream;
        let mut text = String::new();
        while let Some(event) = stream.recv().await.unwrap() {
            if let ConverseStreamOutput::ContentBlockDelta(piece) = event {
                text.push_str(piece.delta().unwrap().as_text().unwrap());
            }
        }
        assert_eq!(text, QUESTION);
    };
    section
        .row("complete 15 words", "ConverseStream", ours, bare)
        .await;

    let ours = async |_: usize| {
        let made = model.embed(&acme(), &[QUESTION]).await.unwrap();
        assert_eq!(made.vectors.len(), 1);
    };
    let bare = async |_: usize| {
        let body = json!({"inputText": QUESTION, "dimensions": DIMENSION, "normalize": true});
        let invoke = client
            .invoke_model()
            .model_id(TITAN)
            .content_type("application/json")
            .body(Blob::new(body.to_string()));
        let answer = invoke.send().await.unwrap();
        let answer: Value = serde_json::from_slice(answer.body.as_ref()).unwrap();
        assert_eq!(
            answer["embedding"].as_array().map(Vec::len),
            Some(DIMENSION)
        );
    };
    section.row("embed a text", "InvokeModel", ours, bare).await;
}
