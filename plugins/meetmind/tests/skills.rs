//! The two skills through the same dispatch as in the sandbox, against the SDK's host in memory.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::Path;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use meetmind::MeetMind;
use serde_json::{Value, json};
use stuga_sdk::{Capability, Error, ErrorKind, mock};

fn fixture(name: &str) -> Vec<u8> {
    fs::read(
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("fixtures")
            .join(name),
    )
    .unwrap()
}

fn text(name: &str) -> String {
    String::from_utf8(fixture(name)).unwrap()
}

fn summarize(input: Value) -> Value {
    mock::invoke::<MeetMind>("summarize", input).unwrap()
}

fn recall(input: Value) -> Value {
    mock::invoke::<MeetMind>("recall", input).unwrap()
}

fn strings(list: &Value, field: &str) -> Vec<String> {
    let entries = list.as_array().unwrap().iter();
    entries
        .map(|entry| entry[field].as_str().unwrap_or("-").to_owned())
        .collect()
}

#[test]
fn a_real_meeting_is_summarised_within_its_schema() {
    let schema = mock::describe::<MeetMind>().unwrap();
    let skill = schema
        .skills
        .iter()
        .find(|skill| skill.name == "summarize")
        .unwrap();
    mock::Host::new().run(|| {
        let output = summarize(
            json!({"transcript": text("ES2006a.vtt"), "date": "2026-03-18", "length": "short"}),
        );
        jsonschema::validate(&skill.output_schema, &output).unwrap();
        assert_eq!(output["language"], "en");
        assert_eq!(output["summary"].as_array().unwrap().len(), 5);
        assert_eq!(output["statistics"]["speakers"], 4);
        assert_eq!(output["warnings"], json!([]));
        assert_eq!(output["speaking_time"][0]["speaker"], "Project Manager");
        assert_eq!(output["speaking_time"][0]["estimated"], false);
        assert!(
            output["markdown"]
                .as_str()
                .unwrap()
                .starts_with("# Meeting about ")
        );
        assert!(output["markdown"].as_str().unwrap().contains("remote"));
    });
}

#[test]
fn a_swedish_meeting_gives_decisions_tasks_and_open_questions() {
    mock::Host::new().run(|| {
        let output = summarize(json!({"transcript": text("styrgrupp-2026-03-18.txt")}));
        assert_eq!(output["language"], "sv");
        assert_eq!(output["date"], "2026-03-18");
        assert_eq!(
            strings(&output["decisions"], "text"),
            [
                "Då är det bestämt att den gamla servern stängs den 15 april.",
                "utbildningen hålls under vecka 14."
            ]
        );
        let items = &output["action_items"];
        assert_eq!(
            strings(items, "owner"),
            ["Cecilia Lund", "David Sjö", "-", "David Sjö"]
        );
        assert_eq!(
            strings(items, "due_date"),
            ["2026-03-20", "-", "2026-04-01", "-"]
        );
        assert_eq!(
            strings(&output["open_questions"], "text"),
            ["Vem betalar för utbildningen av vikarierna?"]
        );
        assert!(output["markdown"].as_str().unwrap().contains("## Att göra"));
    });
}

#[test]
fn a_stored_meeting_comes_back_by_id_and_by_query() {
    let host = mock::Host::new();
    host.run(|| {
        let english = summarize(json!({"transcript": text("ES2006a.vtt"), "title": "Remote control kick-off", "date": "2026-01-10"}));
        let swedish = summarize(json!({"transcript": text("styrgrupp-2026-03-18.txt")}));
        assert_eq!(english["stored"], true);

        let all = recall(json!({}));
        assert_eq!(all["total"], 2);
        assert_eq!(strings(&all["meetings"], "meeting_id"), [swedish["meeting_id"].as_str().unwrap(), english["meeting_id"].as_str().unwrap()]);

        let found = recall(json!({"query": "remote controls"}));
        assert_eq!(strings(&found["meetings"], "title"), ["Remote control kick-off"]);
        let found = recall(json!({"query": "receptionens bokningar"}));
        assert_eq!(strings(&found["meetings"], "title"), ["Styrgruppsmöte för bokningssystemet"]);
        assert_eq!(recall(json!({"since": "2026-02-01"}))["total"], 1);

        let one = recall(json!({"meeting_id": english["meeting_id"]}));
        assert_eq!(one["meetings"][0]["summary"]["summary"], english["summary"]);
        assert_eq!(one["meetings"][0]["summary"]["markdown"], english["markdown"]);
        let page = stuga_sdk::files::get(english["files"][0].as_str().unwrap()).unwrap().unwrap();
        assert_eq!(page.content, english["markdown"].as_str().unwrap().as_bytes());
        assert!(page.info.content_type.starts_with("text/markdown"));
    });
}

#[test]
fn the_same_transcript_again_updates_its_meeting() {
    let host = mock::Host::new();
    host.run(|| summarize(json!({"transcript": text("ES2006a.vtt"), "title": "First"})));
    host.advance(std::time::Duration::from_secs(60));
    host.run(|| {
        summarize(json!({"transcript": text("ES2006a.vtt"), "title": "Second"}));
        let all = recall(json!({}));
        assert_eq!(strings(&all["meetings"], "title"), ["Second"]);
        let meeting = &all["meetings"][0];
        assert_eq!(
            meeting["updated_at"].as_u64().unwrap() - meeting["stored_at"].as_u64().unwrap(),
            60_000
        );
    });
}

#[test]
fn pages_of_recall_hold_every_meeting_once() {
    mock::Host::new().run(|| {
        for day in 1..=7 {
            summarize(json!({"transcript": format!("Anna: Budget number {day} grew by four percent this year."), "date": format!("2026-01-0{day}")}));
        }
        let mut days = Vec::new();
        let mut cursor = Value::Null;
        loop {
            let page = recall(json!({"limit": 3, "cursor": cursor}));
            days.extend(strings(&page["meetings"], "date"));
            cursor = page["next_cursor"].clone();
            if cursor.is_null() {
                break;
            }
        }
        let expected: Vec<String> = (1..=7).rev().map(|day| format!("2026-01-0{day}")).collect();
        assert_eq!(days, expected);
    });
}

#[test]
fn a_host_that_cannot_store_costs_only_a_warning() {
    let denied = mock::Host::new().deny(Capability::Memory);
    let output = denied.run(|| summarize(json!({"transcript": text("ES2006a.vtt")})));
    assert_eq!(output["stored"], false);
    assert!(
        output["warnings"][0]
            .as_str()
            .unwrap()
            .starts_with("not stored: "),
        "{}",
        output["warnings"]
    );

    let broken = mock::Host::new();
    broken.fail("files.put", Error::unavailable("no backend"));
    let output = broken.run(|| summarize(json!({"transcript": text("ES2006a.vtt")})));
    assert_eq!(output["warnings"], json!(["not stored: no backend"]));
    assert_eq!(output["summary"].as_array().unwrap().len(), 10);
}

#[test]
fn nothing_is_stored_when_the_caller_says_so() {
    mock::Host::new().run(|| {
        let output = summarize(
            json!({"transcript": "Anna: The budget grew by four percent.", "store": false}),
        );
        assert_eq!(output["stored"], false);
        assert_eq!(recall(json!({}))["total"], 0);
    });
}

#[test]
fn an_unknown_meeting_is_not_found() {
    let error = mock::Host::new()
        .run(|| mock::invoke::<MeetMind>("recall", json!({"meeting_id": "m-none"})))
        .unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert_eq!(error.context_value("meeting_id"), Some("m-none"));
}

#[test]
fn broken_files_get_a_sensible_answer() {
    mock::Host::new().run(|| {
        let cut =
            summarize(json!({"transcript_base64": STANDARD.encode(fixture("truncated.vtt"))}));
        assert_eq!(
            cut["warnings"],
            json!(["cue at line 12 is cut off; 2 whole cues used"])
        );
        assert_eq!(cut["statistics"]["turns"], 2);

        let odd =
            summarize(json!({"transcript_base64": STANDARD.encode(fixture("invalid-utf8.txt"))}));
        assert!(
            odd["warnings"][0]
                .as_str()
                .unwrap()
                .contains("Windows-1252")
        );
        assert_eq!(odd["language"], "sv");

        let error =
            mock::invoke::<MeetMind>("summarize", json!({"transcript": "{\"a\":".repeat(20_000)}))
                .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Invalid);
        assert_eq!(error.context_value("path"), Some("/transcript"));
    });
}

#[test]
fn five_megabytes_on_one_line_are_summarised() {
    let words = "ska frågan mötet ansvar vecka risk rapport leverans plan kund ";
    let line = format!("Anna: {}", words.repeat(5_242_880 / words.len()));
    mock::Host::new().run(|| {
        let output = summarize(json!({"transcript": line, "language": "sv"}));
        assert_eq!(output["statistics"]["speakers"], 1);
        let longest = strings(&output["summary"], "text")
            .iter()
            .map(String::len)
            .max()
            .unwrap();
        assert!(longest < 2_000, "{longest}");
    });
}
