//! What `stuga inspect` says of a component, also of one that this host does not take.

use std::fs;

use serde_json::{Value, json};
use stuga_mock::Mock;

use crate::desk::Desk;

#[test]
fn a_component_is_shown_whole() {
    let desk = Desk::new();
    let bytes = stuga_tests::guest("fixture-echo");
    fs::write(desk.path("echo.wasm"), &bytes).unwrap();
    let text = desk.ok(".", &["inspect", "echo.wasm"]);
    for line in [
        "fixture-echo 0.1.0: ",
        "\nsignature unsigned",
        "\nwit       stuga:agent@0.1.0; this host speaks 0.1.0 and takes it\n",
        "\nwasi      none\n",
        "\nexports   stuga:agent/agent@0.1.0\n",
        "\nskill     echo: ",
        "\njob       flaky: ",
    ] {
        assert!(text.contains(line), "{line:?}\n{text}");
    }

    let shown: Value =
        serde_json::from_str(&desk.ok(".", &["inspect", "echo.wasm", "--output", "json"])).unwrap();
    assert_eq!(shown["size"], bytes.len());
    let gzip = shown["size_gzip"].as_u64().unwrap();
    assert!(gzip > 1_000 && gzip < bytes.len() as u64 / 2, "{gzip}");
    let digest = Mock::load(bytes, None).unwrap().digest().to_owned();
    assert_eq!(shown["digest"], digest);
    assert_eq!(shown["signature"], json!({"state": "unsigned"}));
    assert_eq!(shown["accepted"], true);
    assert_eq!(shown["wasi_imports"], json!([]));
    assert_eq!(
        shown["manifest"]["skills"][0]["input_schema"]["type"],
        "object"
    );
    assert!(text.contains(&digest), "{text}");
}

#[test]
fn a_component_that_this_host_refuses_is_shown_with_the_reason() {
    let desk = Desk::new();
    let text = r#"(component
        (import "stuga:agent/memory@0.2.0" (instance))
        (import "wasi:io/poll@0.2.9" (instance))
        (instance $i)
        (export "stuga:agent/agent@0.2.0" (instance $i)))"#;
    fs::write(desk.path("later.wasm"), wat::parse_str(text).unwrap()).unwrap();
    let shown = desk.refused(".", &["inspect", "later.wasm"], 1);
    for line in [
        "\nwit       stuga:agent@0.2.0; this host speaks 0.1.0 and refuses it\n",
        "\nimports   stuga:agent/memory@0.2.0\n",
        "\nwasi      wasi:io/poll@0.2.9\n",
        "\nrefused   the component was built for `stuga:agent/memory@0.2.0`, and this host speaks 0.1.0; build it with",
    ] {
        assert!(shown.contains(line), "{line:?}\n{shown}");
    }
    let shown = desk.refused(".", &["inspect", "later.wasm", "--output", "json"], 1);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(shown["refusal"]["kind"], "unknown-version");
    assert_eq!(shown["wit"]["version"], "0.2.0");
    assert_eq!(shown["manifest"], Value::Null);
}

#[test]
fn what_is_no_component_is_named() {
    let desk = Desk::new();
    desk.write("agent.js", "export {}");
    let text = desk.refused(".", &["inspect", "agent.js"], 1);
    assert!(
        text.contains("agent.js cannot be inspected: not a WebAssembly component"),
        "{text}"
    );
    let text = desk.refused(".", &["inspect", "gone.wasm"], 1);
    assert!(
        text.contains("neither a file nor a folder gone.wasm"),
        "{text}"
    );
    let text = desk.refused(".", &["inspect"], 1);
    assert!(text.contains("`stuga new NAME` makes one"), "{text}");
}
