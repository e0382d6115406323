//! Recordings in the mock host: what a replay says when the agent does something else than it did.

use std::fs;
use std::sync::LazyLock;

use serde_json::{Value, json};
use stuga_mock::{Mock, Run, State, Verdict, read};
use tempfile::TempDir;

static ECHO: LazyLock<Mock> =
    LazyLock::new(|| Mock::load(stuga_tests::guest("fixture-echo"), None).unwrap());

/// A recording of `get` with the key `a`.
fn recording(calls: &Value, ending: (&str, Value)) -> Value {
    let grants = [
        "memory", "files", "sessions", "records", "search", "jobs", "model", "a2a", "secrets",
    ];
    let mut recording = json!({
        "format": 1,
        "agent": "fixture-echo",
        "version": "0.1.0",
        "component": "",
        "invocation": "0198c0de-0000-7000-8000-000000000001",
        "accepted_at": 1_767_225_600_000_u64,
        "deadline_ms": 2_000,
        "limits": {"memory_bytes": 16 << 20, "output_bytes": 1 << 20},
        "grants": grants,
        "skill": "get",
        "input": {"key": "a"},
        "calls": calls,
    });
    recording[ending.0] = ending.1;
    recording
}

fn play(recording: &str) -> Run {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("r.json"), recording).unwrap();
    let file = folder.path().join("s.yaml");
    let scenario = read(&file, "s".to_owned(), "recording: r.json\n").unwrap();
    ECHO.run(&scenario, State::Local, None)
}

fn nothing() -> (&'static str, Value) {
    ("output", json!({"text": null, "version": null}))
}

fn get(key: &str, answer: Value) -> Value {
    json!({"operation": "memory.get", "asked": key, "answer": answer})
}

#[test]
fn bytes_in_an_answer_are_written_as_text() {
    let item = json!({
        "key": "a", "value": {"$text": "hej"}, "version": 7, "created_at": 0, "updated_at": 0,
        "expires_at": null,
    });
    let output = ("output", json!({"text": "hej", "version": 7}));
    let run = play(&recording(&json!([get("a", item)]), output).to_string());
    assert_eq!(run.verdict, Verdict::Passed, "{run}");
}

#[test]
fn another_call_is_named_beside_the_one_that_is_recorded() {
    let list = json!({"operation": "memory.list", "asked": ["", null, 100], "answer": {"items": [], "next_cursor": null}});
    let run = play(&recording(&json!([list]), nothing()).to_string());
    let shown = run.to_string();
    let line = "call 1 of the host\n      expected memory.list [\"\",null,100], as recorded\n      got      memory.get \"a\"";
    assert!(shown.contains(line), "{shown}");
    assert_eq!(
        run.mismatches.len(),
        1,
        "what follows from it is not told: {shown}"
    );
}

#[test]
fn other_arguments_are_named_by_their_place() {
    let run = play(&recording(&json!([get("b", Value::Null)]), nothing()).to_string());
    let shown = run.to_string();
    let line =
        "call 1 of the host, memory.get, its arguments\n      expected \"b\"\n      got      \"a\"";
    assert!(shown.contains(line), "{shown}");
}

#[test]
fn a_call_too_many_and_one_too_few_are_told() {
    let run = play(&recording(&json!([]), nothing()).to_string());
    let shown = run.to_string();
    assert!(
        shown.contains("no more calls: the recording has none"),
        "{shown}"
    );
    let calls = json!([get("a", Value::Null), get("b", Value::Null)]);
    let shown = play(&recording(&calls, nothing()).to_string()).to_string();
    let line = "call 2 of the host\n      expected memory.get \"b\", as recorded\n      got      the end of the call of the skill";
    assert!(shown.contains(line), "{shown}");
}

#[test]
fn another_output_is_named_by_its_place_and_other_bytes_by_theirs() {
    let calls = json!([get("a", Value::Null)]);
    let other = ("output", json!({"text": "x", "version": null}));
    let shown = play(&recording(&calls, other).to_string()).to_string();
    assert!(
        shown.contains("output/text\n      expected \"x\"\n      got      null"),
        "{shown}"
    );
    let text = recording(&calls, nothing()).to_string();
    assert_eq!(play(&text).verdict, Verdict::Passed);
    let spaced = text.replace(r#"{"text":null,"#, r#"{"text": null,"#);
    assert_ne!(spaced, text);
    let shown = play(&spaced).to_string();
    assert!(
        shown.contains("the same JSON in other bytes, from byte 8"),
        "{shown}"
    );
}

#[test]
fn a_call_without_an_answer_lasts_until_the_deadline() {
    let calls = json!([{"operation": "memory.get", "asked": "a"}]);
    let run = play(&recording(&calls, ("failure", json!({"kind": "deadline"}))).to_string());
    assert_eq!(run.verdict, Verdict::Passed, "{run}");
}

#[test]
fn the_same_recording_has_the_same_bytes_a_hundred_times() {
    let text = recording(&json!([get("a", Value::Null)]), nothing()).to_string();
    let once = || serde_json::to_string(&play(&text)).unwrap();
    let first = once();
    for _ in 0..100 {
        assert_eq!(once(), first);
    }
}

#[test]
fn what_is_wrong_with_a_recording_is_told_with_the_scenario() {
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| fs::write(folder.path().join(name), text).unwrap();
    write("none.json", "{}");
    let later = recording(&json!([]), nothing()).to_string();
    write("later.json", &later.replace("\"format\":1", "\"format\":2"));
    write("sound.json", &later);
    let mistakes = |text: &str| {
        let read = read(&folder.path().join("s.yaml"), "s".to_owned(), text);
        let mistakes = read.map(drop).unwrap_err();
        let shown: Vec<String> = mistakes.iter().map(ToString::to_string).collect();
        shown.join("\n")
    };
    for (text, told) in [
        ("recording: missing.json\n", "missing.json cannot be read"),
        ("recording: none.json\n", "this is no recording"),
        ("recording: later.json\n", "record the invocation again"),
        (
            "recording: sound.json\nseed: 1\ncalls: [{skill: a}]\n",
            "the recording says itself what `seed` says",
        ),
        ("description: a\n", "the scenario has no `calls`"),
    ] {
        let found = mistakes(text);
        assert!(found.contains(told), "{text}: {found}");
    }
}
