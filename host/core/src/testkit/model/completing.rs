//! Whole answers and answers in pieces.

use super::parrot::{NAME, OTHER_NAME};
use super::{Cages, ctx, message, rest, say, say_with};
use crate::ErrorKind;
use crate::model::{FinishReason, Format, Model, Options, Request, Role, Usage};
use crate::testkit::suite::{Case, cases};

pub(super) fn cases() -> Vec<Case<dyn Model>> {
    cases![
        an_answer_is_what_the_model_said,
        an_answer_says_which_model_made_it_and_of_how_many_tokens,
        the_whole_conversation_reaches_the_model,
        pieces_put_together_are_the_answer,
        an_answer_may_be_empty,
        an_answer_cut_by_max_tokens_says_so,
        an_answer_ends_before_the_first_stop_text,
        a_model_can_be_chosen_among_those_that_are_allowed,
        json_comes_when_json_is_asked_for,
        completions_go_on_side_by_side,
        a_completion_that_is_dropped_leaves_room_for_the_next,
    ]
}

const SENTENCE: &str = "Stugan står vid sjön, och \"båten\" ligger\nvid bryggan. 🚣";

async fn an_answer_is_what_the_model_said(cages: Cages) {
    assert_eq!(cages.complete(&say(SENTENCE)).await.text, SENTENCE);
}

async fn an_answer_says_which_model_made_it_and_of_how_many_tokens(cages: Cages) {
    let ending = cages.complete(&say("one two three")).await.ending;
    assert_eq!(
        (ending.model.as_str(), ending.reason),
        (NAME, FinishReason::Stop)
    );
    let usage = Usage {
        prompt_tokens: 4,
        completion_tokens: 3,
    };
    assert_eq!(ending.usage, Some(usage));
}

async fn the_whole_conversation_reaches_the_model(cages: Cages) {
    let request = Request {
        messages: vec![
            message(Role::System, "a b"),
            message(Role::User, "first"),
            message(Role::Assistant, "c d e"),
            message(Role::User, "second"),
        ],
        options: Options::default(),
    };
    let answer = cages.complete(&request).await;
    assert_eq!(answer.text, "second");
    assert_eq!(answer.ending.usage.unwrap().prompt_tokens, 7);
}

async fn pieces_put_together_are_the_answer(cages: Cages) {
    let mut completion = cages.start(&say(SENTENCE)).await;
    assert_eq!(completion.ending(), None);
    let pieces = rest(&mut completion).await;
    assert!(pieces.len() > 1, "the answer came in one piece");
    assert_eq!(pieces.concat(), SENTENCE);
    let whole = cages.complete(&say(SENTENCE)).await.ending;
    assert_eq!(completion.ending(), Some(&whole));
    assert_eq!(
        completion.next(&ctx()).await.unwrap(),
        None,
        "after the end"
    );
    assert_eq!(completion.ending(), Some(&whole));
}

async fn an_answer_may_be_empty(cages: Cages) {
    let options = Options {
        stop: vec!["x".to_owned()],
        ..Options::default()
    };
    let answer = cages.complete(&say_with("x", options)).await;
    assert_eq!(
        (answer.text.as_str(), answer.ending.reason),
        ("", FinishReason::Stop)
    );
}

async fn an_answer_cut_by_max_tokens_says_so(cages: Cages) {
    for (max_tokens, text, reason) in [
        (2, "one two", FinishReason::Length),
        (3, "one two three", FinishReason::Stop),
    ] {
        let options = Options {
            max_tokens: Some(max_tokens),
            ..Options::default()
        };
        let answer = cages.complete(&say_with("one two three", options)).await;
        assert_eq!((answer.text.as_str(), answer.ending.reason), (text, reason));
    }
}

async fn an_answer_ends_before_the_first_stop_text(cages: Cages) {
    let options = Options {
        stop: vec!["three".to_owned(), " två".to_owned()],
        temperature: Some(0.0),
        seed: Some(7),
        ..Options::default()
    };
    let answer = cages.complete(&say_with("ett två three", options)).await;
    assert_eq!(
        (answer.text.as_str(), answer.ending.reason),
        ("ett", FinishReason::Stop)
    );
}

async fn a_model_can_be_chosen_among_those_that_are_allowed(cages: Cages) {
    for (name, text) in [(NAME, "hej"), (OTHER_NAME, "HEJ")] {
        let options = Options {
            model: Some(name.to_owned()),
            ..Options::default()
        };
        let answer = cages.complete(&say_with("hej", options)).await;
        assert_eq!(
            (answer.text.as_str(), answer.ending.model.as_str()),
            (text, name)
        );
    }
    let options = Options {
        model: Some("eagle".to_owned()),
        ..Options::default()
    };
    let refused = cages.try_complete(&say_with("hej", options)).await;
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Invalid);
    assert!(refused.message().contains(OTHER_NAME), "{refused}");
}

async fn json_comes_when_json_is_asked_for(cages: Cages) {
    let schema = r#"{"type": "object", "properties": {"said": {"type": "string"}}}"#;
    for format in [Format::Json, Format::JsonSchema(schema.to_owned())] {
        let options = Options {
            format,
            ..Options::default()
        };
        let answer = cages.complete(&say_with("hej \"du\"", options)).await;
        let value: serde_json::Value = serde_json::from_str(&answer.text).unwrap();
        assert_eq!(value["said"], "hej \"du\"");
    }
}

async fn completions_go_on_side_by_side(cages: Cages) {
    let mut one = cages.start(&say("a b c")).await;
    let mut two = cages.start(&say("d e f")).await;
    let ctx = ctx();
    assert_eq!(one.next(&ctx).await.unwrap().as_deref(), Some("a"));
    assert_eq!(two.next(&ctx).await.unwrap().as_deref(), Some("d"));
    assert_eq!(rest(&mut one).await.concat(), " b c");
    assert_eq!(rest(&mut two).await.concat(), " e f");
}

async fn a_completion_that_is_dropped_leaves_room_for_the_next(cages: Cages) {
    for _ in 0..40 {
        let mut completion = cages.start(&say("a b c")).await;
        completion.next(&ctx()).await.unwrap();
    }
    assert_eq!(cages.complete(&say("hej")).await.text, "hej");
}
