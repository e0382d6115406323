//! Whatever comes in: no panic, an answer that fits its schema, sentences that were said, in the order of the meeting.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meetmind::transcript::{self, Format};
use meetmind::{MeetMind, Options, summarize};
use proptest::prelude::*;
use serde_json::json;
use stuga_sdk::mock;

const FORMATS: [&str; 6] = ["auto", "vtt", "srt", "text", "json", "qmsum"];

/// Pieces that parsers look for, in any order, so that random text gets past the first line.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[a-zåäö ]{1,12}",
        "\\PC{0,6}",
        prop::sample::select(vec![
            "WEBVTT\n\n",
            "NOTE x\n",
            "00:00:01.000 --> 00:00:02.000\n",
            "00:01 --> ",
            "<v Anna>",
            "</v>",
            "<v",
            "&amp;",
            "&#x",
            "1\n",
            "\n\n",
            "\r\n",
            "Anna Berg: ",
            "Herr EK: ",
            "[00:01:02] ",
            "[",
            "]",
            "{disfmarker} ",
            "# Beslut\n",
            "- [ ] ",
            "```\n",
            "---\n",
            "Jag skickar ",
            "I'll send the report ",
            "by Friday. ",
            "vecka 99 ",
            "we decided to ",
            "? ",
            ". ",
            " . ",
            "Beslut: ",
            "Action items:\n",
            "{\"turns\":[",
            "\u{feff}",
            "den 31 februari ",
            "in 99 months ",
            "Anf. 4 ANNA (S): ",
            "the the ",
            "ß",
            "İ",
            "ŉ",
        ])
        .prop_map(str::to_owned),
    ];
    prop::collection::vec(piece, 0..60).prop_map(|pieces| pieces.concat())
}

/// Letters and digits only, lowercase: what cleaning must not change or reorder.
fn letters(text: &str) -> Vec<char> {
    text.chars()
        .flat_map(char::to_lowercase)
        .filter(|c| c.is_alphanumeric())
        .collect()
}

fn is_subsequence(part: &[char], whole: &[char]) -> bool {
    let mut rest = whole.iter();
    part.iter().all(|letter| rest.any(|other| other == letter))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 192, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn any_text_in_any_format_gives_an_answer_or_an_error(text in pieces(), format in 0..FORMATS.len()) {
        let host = mock::Host::new();
        let answer = host.run(|| mock::invoke::<MeetMind>("summarize", json!({"transcript": text, "format": FORMATS[format]})));
        if let Err(error) = answer {
            prop_assert_eq!(error.kind(), stuga_sdk::ErrorKind::Invalid);
            prop_assert!(error.context_value("path").is_some());
        }
    }

    #[test]
    fn any_bytes_give_an_answer_or_an_error(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let host = mock::Host::new();
        let _ = host.run(|| mock::invoke::<MeetMind>("summarize", json!({"transcript_base64": STANDARD.encode(bytes)})));
    }

    #[test]
    fn sentences_of_the_summary_were_said_in_that_order(text in pieces()) {
        let Ok(transcript) = transcript::parse(&text, Format::Text) else { return Ok(()) };
        let summary = summarize(&transcript, &Options::default());
        let turns: Vec<usize> = summary.summary.iter().map(|statement| statement.place.turn).collect();
        prop_assert!(turns.is_sorted());
        for statement in &summary.summary {
            let said = &transcript.turns[statement.place.turn].text;
            prop_assert!(is_subsequence(&letters(&statement.text), &letters(said)), "{:?} in {:?}", statement.text, said);
        }
    }

    #[test]
    fn an_answer_fits_its_schema(text in pieces()) {
        let host = mock::Host::new();
        let Ok(output) = host.run(|| mock::invoke::<MeetMind>("summarize", json!({"transcript": text, "date": "2026-03-18"}))) else {
            return Ok(());
        };
        let description = mock::describe::<MeetMind>().unwrap();
        let skill = description.skills.iter().find(|skill| skill.name == "summarize").unwrap();
        prop_assert!(jsonschema::is_valid(&skill.output_schema, &output));
    }

    #[test]
    fn any_recall_gives_an_answer_or_an_error(query in "\\PC{0,40}", cursor in proptest::option::of("[A-Za-z0-9_-]{0,40}")) {
        let host = mock::Host::new();
        let _ = host.run(|| {
            mock::invoke::<MeetMind>("summarize", json!({"transcript": "Anna: Budgeten ökade med fyra procent."})).unwrap();
            mock::invoke::<MeetMind>("recall", json!({"query": query, "cursor": cursor}))
        });
    }
}
