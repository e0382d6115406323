//! `stuga record`: a real invocation becomes a scenario that replays to the same bytes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use serde_json::value::RawValue;
use serde_json::{Value, json};
use stuga_tests::openai::OpenAi;

use crate::support::{Server, Site, expect, guest, problem};

const SECRET: &str = "correct-horse-battery-staple-åäö";

fn transcript() -> String {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/meetmind/fixtures");
    fs::read_to_string(fixtures.join("styrgrupp-2026-03-18.txt")).unwrap()
}

/// Has the tenant's invocations recorded.
fn record(site: &Site, tenant: &str, how: &str) {
    site.edit_tenant(tenant, |text| format!("{text}record: {{{how}}}\n"));
}

/// Calls a skill of the echo agent; its invocation and its output as they came.
async fn call(server: &Server, key: &str, skill: &str, input: Value) -> (String, String) {
    sent(server.echo("acme", key, skill, input)).await
}

async fn sent(request: reqwest::RequestBuilder) -> (String, String) {
    let response = request.send().await.unwrap();
    let text = response.text().await.unwrap();
    let answer: Value = serde_json::from_str(&text).unwrap();
    let id = answer["invocation_id"].as_str().unwrap().to_owned();
    let fields: BTreeMap<String, Box<RawValue>> = serde_json::from_str(&text).unwrap();
    let output = fields.get("output").map(|raw| raw.get().to_owned());
    (id, output.unwrap_or_default())
}

fn stuga_record(site: &Site, server: &Server, key: &str, id: &str, more: &[&str]) -> Output {
    let url = server.url("");
    let mut args = vec!["record", id, "--url", &url, "--key", key, "--out", "made"];
    args.extend(more);
    site.try_stuga(&args)
}

/// Records an invocation that must be recorded, and says what the command printed.
fn made(site: &Site, server: &Server, key: &str, id: &str, more: &[&str]) -> Value {
    let output = stuga_record(
        site,
        server,
        key,
        id,
        &[more, &["--output", "json"]].concat(),
    );
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{told}{}", text(&output));
    serde_json::from_str(&text(&output)).unwrap()
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Everything that was made, as one text.
fn bytes(site: &Site) -> String {
    let files = fs::read_dir(site.path().join("made")).unwrap();
    let read = |file: std::io::Result<fs::DirEntry>| fs::read_to_string(file.unwrap().path());
    files.map(|file| read(file).unwrap()).collect()
}

fn test(site: &Site, component: &Path, more: &[&str]) -> Output {
    let component = component.to_str().unwrap();
    let args = ["test", component, "--scenarios", "made"];
    site.try_stuga(&[&args, more].concat())
}

/// A component in which a text is another one of the same length.
fn changed(site: &Site, component: &Path, from: &str, to: &str) -> PathBuf {
    assert_eq!(from.len(), to.len());
    let mut bytes = fs::read(component).unwrap();
    let places: Vec<usize> = bytes
        .windows(from.len())
        .enumerate()
        .filter_map(|(at, window)| (window == from.as_bytes()).then_some(at))
        .collect();
    assert!(
        !places.is_empty(),
        "{from:?} does not stand in the component"
    );
    for at in places {
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
    }
    let path = site.path().join("changed.wasm");
    fs::write(&path, bytes).unwrap();
    path
}

#[tokio::test]
async fn a_real_meeting_replays_to_the_same_bytes_and_a_changed_agent_is_told_apart() {
    let site = Site::new();
    let component = guest("meetmind");
    let tenants = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tenants/meetmind.yaml");
    site.write_tenant("meetmind", &fs::read_to_string(tenants).unwrap());
    record(&site, "meetmind", "keep: 5");
    site.stuga(&["plugin", "load", "meetmind", component.to_str().unwrap()]);
    let key = site.key("meetmind");
    let server = site.start();
    let ask = |skill, input| sent(server.call("meetmind", "meetmind", &key, skill, input));
    let (meeting, summary) = ask("summarize", json!({ "transcript": transcript() })).await;
    let (again, _) = ask("summarize", json!({ "transcript": transcript() })).await;
    let (listed, _) = ask("recall", json!({ "query": "budget" })).await;
    for (id, name) in [(&meeting, "first"), (&again, "again"), (&listed, "listed")] {
        let tenant = ["--tenant", "meetmind", "--name", name];
        let made = made(&site, &server, &key, id, &tenant);
        assert_eq!(made["replays"], true, "{made}");
        assert!(made["calls"].as_u64().unwrap() > 0, "{made}");
    }
    drop(server);

    let run = || {
        test(
            &site,
            &component,
            &["--output", "json", "--junit", "junit.xml"],
        )
    };
    let first = run();
    assert_eq!(first.status.code(), Some(0), "{}", text(&first));
    let junit = fs::read(site.path().join("junit.xml")).unwrap();
    for _ in 0..2 {
        assert_eq!(run().stdout, first.stdout);
        assert_eq!(fs::read(site.path().join("junit.xml")).unwrap(), junit);
    }
    let report: Value = serde_json::from_str(&text(&first)).unwrap();
    assert_eq!(report["passed"], 3, "{report}");
    // What the test holds the agent to is what the client got, to the byte.
    let recorded = fs::read_to_string(site.path().join("made/first.recording.json")).unwrap();
    let recorded = stuga_recording::Recording::read(&recorded).unwrap();
    assert_eq!(recorded.output.unwrap().get(), summary);

    // There is one state to play a recording in.
    let matrix = test(&site, &component, &["--matrix", "--output", "json"]);
    assert_eq!(matrix.stdout, first.stdout);

    let other = changed(&site, &component, "meeting-detail/", "meeting-DETAIL/");
    let failed = test(&site, &other, &["--filter", "first"]);
    assert_eq!(failed.status.code(), Some(1), "{}", text(&failed));
    let told = text(&failed);
    for part in [
        "of the host, memory.put, its arguments",
        "meeting-detail/",
        "meeting-DETAIL/",
    ] {
        assert!(told.contains(part), "{part}: {told}");
    }
}

#[tokio::test]
async fn whatever_an_agent_asks_of_its_host_is_answered_again() {
    let model = OpenAi::start();
    let site = Site::new();
    fs::write(
        site.path().join("stuga.yaml"),
        format!("model: {{endpoint: '{}', name: parrot}}\n", model.url()),
    )
    .unwrap();
    fs::write(site.path().join("token"), SECRET).unwrap();
    site.stuga(&["secret", "set", "acme", "token", "--file", "token"]);
    site.edit_tenant("acme", |text| {
        text.replacen("    config:", "    secrets: [token]\n    config:", 1)
    });
    record(&site, "acme", "keep: 100");
    let key = site.key("acme");
    let server = site.start();
    let calls = [
        ("echo", json!({"text": "hej \u{1f3e1} \"x\""})),
        ("put", json!({"key": "k", "text": "värde"})),
        ("get", json!({"key": "k"})),
        ("get", json!({"key": "nothing"})),
        ("list", json!({"key": ""})),
        ("put-file", json!({"path": "a.txt", "text": "innehåll"})),
        (
            "put-file",
            json!({"path": "a.txt", "text": "x", "expected": 0}),
        ),
        ("get-file", json!({"path": "a.txt"})),
        ("read-file", json!({"path": "a.txt", "offset": 1, "len": 3})),
        (
            "upload-file",
            json!({"path": "b", "text": "del ", "times": 3}),
        ),
        ("file-versions", json!({"path": "a.txt"})),
        (
            "say",
            json!({"actor": "astrid", "session": "s", "text": "hej"}),
        ),
        ("said", json!({"actor": "astrid", "session": "s"})),
        (
            "learn",
            json!({"namespace": "/n", "id": "i", "text": "blue"}),
        ),
        ("recall", json!({"under": "/n", "query": "blue", "k": 1})),
        (
            "index",
            json!({"index": "notes", "id": "a", "tag": "north", "text": "Mötet"}),
        ),
        (
            "search",
            json!({"index": "notes", "words": "möten", "near": "möte"}),
        ),
        ("ask", json!({"question": "hej på dig"})),
        ("stream", json!({"question": "en två tre fyra"})),
        ("near", json!({"a": "stuga", "b": "stugan"})),
        (
            "submit",
            json!({"kind": "note", "input": {"key": "j", "text": "hej"}}),
        ),
        (
            "run",
            json!({"kind": "note", "input": {"key": "j", "text": "hej"}}),
        ),
        (
            "send",
            json!({"to": "fixture-echo", "skill": "echo", "input": {"text": "hej"}}),
        ),
        (
            "send",
            json!({"to": "nobody", "skill": "echo", "input": {}}),
        ),
        (
            "post",
            json!({"to": "fixture-echo", "skill": "echo", "input": {"text": "hej"}}),
        ),
        ("reveal", json!({"secret": "token"})),
        ("reveal", json!({"secret": "token", "fail": true})),
        ("emit", json!({"n": 3})),
        ("log", json!({"text": "hej"})),
        ("now", json!({})),
        ("random", json!({})),
        ("config", json!({"name": "greeting"})),
        ("context", json!({})),
        ("fail", json!({"kind": "conflict"})),
        ("panic", json!({"text": "on purpose"})),
    ];
    for (at, (skill, input)) in calls.iter().enumerate() {
        let (id, _) = call(&server, &key, skill, input.clone()).await;
        assert!(!id.is_empty(), "{skill}");
        let name = format!("{at:02}-{skill}");
        let made = made(
            &site,
            &server,
            &key,
            &id,
            &["--tenant", "acme", "--name", &name],
        );
        assert_eq!(made["replays"], true, "{skill}: {made}");
    }
    drop(server);
    let asked = model.requests().len();
    let run = || test(&site, &guest("fixture-echo"), &["--output", "json"]);
    let (first, second) = (run(), run());
    assert_eq!(first.status.code(), Some(0), "{}", text(&first));
    assert_eq!(first.stdout, second.stdout);
    assert_eq!(model.requests().len(), asked, "a replay asks no model");
    let all = bytes(&site) + &text(&first);
    for part in SECRET.split('-') {
        assert!(!all.contains(part), "{part:?} of the secret is told");
    }
    assert!(all.contains("[secret token]"));
}

#[tokio::test]
async fn a_call_that_was_stopped_at_its_deadline_is_stopped_again() {
    let site = Site::new();
    record(&site, "acme", "keep: 5");
    let key = site.key("acme");
    let server = site.start();
    let (id, _) = sent(server.hostile("acme", &key, "loop", json!({}))).await;
    let made = made(&site, &server, &key, &id, &["--tenant", "acme"]);
    assert_eq!(made["replays"], true, "{made}");
}

#[tokio::test]
async fn chosen_fields_are_replaced_wherever_they_stand_and_the_replay_still_fits() {
    let site = Site::new();
    record(&site, "acme", "keep: 5, redact: [input.text]");
    let key = site.key("acme");
    let server = site.start();
    let input = json!({"key": "people/astrid", "text": "Astrid Lindqvist"});
    let (put, _) = call(&server, &key, "put", input).await;
    let (get, _) = call(&server, &key, "get", json!({"key": "people/astrid"})).await;
    let first = made(
        &site,
        &server,
        &key,
        &put,
        &["--tenant", "acme", "--name", "put"],
    );
    assert_eq!(first["redacted"], json!(["input.text"]));
    assert_eq!(first["replays"], true, "{first}");
    let more = ["--tenant", "acme", "--name", "get"];
    let redact = ["--redact", "output.text", "--redact", "/input/key"];
    let second = made(&site, &server, &key, &get, &[more, redact].concat());
    assert_eq!(second["replays"], true, "{second}");
    let all = bytes(&site);
    assert!(!all.contains("Lindqvist"), "{all}");
    assert!(
        all.contains("[redacted 1]") && all.contains("[redacted 2]"),
        "{all}"
    );
    // What is no path is told with an example, before anything is asked.
    let wrong = stuga_record(
        &site,
        &server,
        &key,
        &get,
        &["--tenant", "acme", "--redact", "text"],
    );
    let told = String::from_utf8_lossy(&wrong.stderr).into_owned();
    assert!(
        !wrong.status.success() && told.contains("begins with none of input"),
        "{told}"
    );
    // Files are not written over.
    let again = stuga_record(&site, &server, &key, &get, &more);
    let told = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(
        !again.status.success() && told.contains("--force"),
        "{told}"
    );
}

#[tokio::test]
async fn what_is_not_recorded_is_told_with_the_reason_and_stays_with_its_tenant() {
    let site = Site::new();
    fs::write(site.path().join("pin"), "1234").unwrap();
    site.stuga(&["secret", "set", "acme", "pin", "--file", "pin"]);
    site.edit_tenant("acme", |text| {
        text.replacen("    config:", "    secrets: [pin]\n    config:", 1)
    });
    record(&site, "acme", "keep: 2");
    let keys = ["acme", "globex"].map(|tenant| site.key(tenant));
    let server = site.start();
    let get = |tenant: &str, key: &str, id: &str| {
        let path = format!("/v1/tenants/{tenant}/invocations/{id}/recording");
        server.get(&path).bearer_auth(key)
    };
    let (id, _) = call(&server, &keys[0], "echo", json!({"text": "hej"})).await;
    let recording = expect(get("acme", &keys[0], &id), 200).await;
    assert_eq!(recording["skill"], "echo");
    problem(get("acme", &keys[1], &id), 403, "foreign-tenant").await;
    let off = problem(get("globex", &keys[1], &id), 404, "unknown-recording").await;
    let told = off["detail"].as_str().unwrap();
    assert!(told.contains("record: {keep: 50}"), "{told}");

    let (secret, _) = call(&server, &keys[0], "reveal", json!({"secret": "pin"})).await;
    let refused = problem(get("acme", &keys[0], &secret), 409, "not-recorded").await;
    assert!(
        refused["detail"].as_str().unwrap().contains("`pin`"),
        "{refused}"
    );
    let output = stuga_record(&site, &server, &keys[0], &secret, &["--tenant", "acme"]);
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && told.contains("`pin`"), "{told}");

    call(&server, &keys[0], "echo", json!({"text": "hej"})).await;
    let gone = problem(get("acme", &keys[0], &id), 404, "unknown-recording").await;
    assert!(
        gone["detail"].as_str().unwrap().contains("the latest 2"),
        "{gone}"
    );
    problem(get("acme", &keys[0], "x"), 404, "unknown-recording").await;
}
