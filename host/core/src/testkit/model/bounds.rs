//! What a request may hold.

use super::{Cages, ctx, message, say, say_with};
use crate::ErrorKind;
use crate::model::{
    EMBED_MAX_TEXTS, EMBED_TEXT_MAX_BYTES, Format, MAX_TOKENS_MAX, MESSAGES_MAX, Model, Options,
    PROMPT_MAX_BYTES, Request, Role, SCHEMA_MAX_BYTES, STOP_MAX_BYTES, STOPS_MAX,
};
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<dyn Model>> {
    cases![
        what_is_just_within_the_bounds_is_taken,
        what_is_out_of_bounds_is_invalid,
        batches_of_texts_are_bounded,
    ]
}

fn many(count: usize) -> Request {
    Request {
        messages: vec![message(Role::User, "x"); count],
        options: Options::default(),
    }
}

fn stops(count: usize, bytes: usize) -> Request {
    let options = Options {
        stop: vec!["!".repeat(bytes); count],
        ..Options::default()
    };
    say_with("x", options)
}

fn with(options: Options) -> Request {
    say_with("x", options)
}

async fn what_is_just_within_the_bounds_is_taken(cages: Cages) {
    let options = Options {
        max_tokens: Some(MAX_TOKENS_MAX),
        temperature: Some(2.0),
        seed: Some(u32::MAX),
        ..Options::default()
    };
    for request in [
        many(MESSAGES_MAX),
        stops(STOPS_MAX, STOP_MAX_BYTES),
        with(options),
    ] {
        assert_eq!(cages.complete(&request).await.text, "x");
    }
}

async fn what_is_out_of_bounds_is_invalid(cages: Cages) {
    let long = "x".repeat(PROMPT_MAX_BYTES);
    let mut bad = vec![
        many(0),
        many(MESSAGES_MAX + 1),
        say(""),
        say(&long),
        stops(STOPS_MAX + 1, 1),
        stops(1, STOP_MAX_BYTES + 1),
        stops(1, 0),
    ];
    for max_tokens in [0, MAX_TOKENS_MAX + 1] {
        bad.push(with(Options {
            max_tokens: Some(max_tokens),
            ..Options::default()
        }));
    }
    for temperature in [-0.5, 2.5, f32::NAN] {
        bad.push(with(Options {
            temperature: Some(temperature),
            ..Options::default()
        }));
    }
    let fat = format!("{{\"title\": \"{}\"}}", "x".repeat(SCHEMA_MAX_BYTES));
    for schema in ["", "nonsense", "[]", &fat] {
        bad.push(with(Options {
            format: Format::JsonSchema(schema.to_owned()),
            ..Options::default()
        }));
    }
    for name in ["", "a\nb", &"x".repeat(257)] {
        bad.push(with(Options {
            model: Some(name.to_owned()),
            ..Options::default()
        }));
    }
    for request in &bad {
        let refused = cages.try_complete(request).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
        let started = cages.backend.start(&ctx(), request).await;
        assert!(started.is_err_and(|e| e.kind() == ErrorKind::Invalid));
    }
}

async fn batches_of_texts_are_bounded(cages: Cages) {
    let long = "x".repeat(EMBED_TEXT_MAX_BYTES);
    let ctx = ctx();
    let full = vec!["x"; EMBED_MAX_TEXTS];
    for good in [full, vec![long.as_str()]] {
        let made = cages.backend.embed(&ctx, &good).await.unwrap();
        assert_eq!(made.vectors.len(), good.len());
    }
    let over = format!("{long}x");
    for bad in [
        Vec::new(),
        vec!["x"; EMBED_MAX_TEXTS + 1],
        vec![over.as_str()],
    ] {
        let refused = cages.backend.embed(&ctx, &bad).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{refused}");
    }
}
