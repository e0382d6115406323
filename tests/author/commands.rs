//! The commands as a new author tries them: from an empty folder to a green test, with one mistake of each kind.
//!
//! Building a Rust agent takes a minute: one test builds one and goes all the way.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::desk::{Desk, ran};

fn echo() -> String {
    let path = stuga_tests::guest_path("fixture-echo");
    path.canonicalize().unwrap().to_str().unwrap().to_owned()
}

const GREEN: &str =
    "calls:\n  - {skill: echo, input: {text: hej}, expect: {output: {text: hej}}}\n";

#[test]
fn a_new_agent_goes_from_an_empty_folder_to_a_tenant() {
    let desk = Desk::new();
    let created = desk.ok(".", &["new", "my-agent"]);
    assert!(created.contains("my-agent/src/lib.rs"), "{created}");

    // Edit: another greeting, which its scenario then has to expect.
    desk.edit(
        "my-agent/src/lib.rs",
        "\"Hej {}!\", guest.name",
        "\"Tjena {}!\", guest.name",
    );
    let built = desk.ok("my-agent", &["build"]);
    assert!(
        built.contains("my-agent 0.1.0 in build/my-agent.wasm") && built.contains("echo, greet"),
        "{built}"
    );
    let red = desk.stuga("my-agent", &["test"]);
    assert_eq!(red.code, Some(1), "{}{}", red.out, red.err);
    let difference =
        "calls[0].output/text\n      expected \"Hej Astrid!\"\n      got      \"Tjena Astrid!\"";
    assert!(red.out.contains(difference), "{}", red.out);
    desk.edit(
        "my-agent/scenarios/greet.yaml",
        "Hej Astrid!",
        "Tjena Astrid!",
    );
    let green = desk.ok("my-agent", &["test", "--matrix", "--junit", "report.xml"]);
    assert!(
        green.contains("my-agent 0.1.0: 6 passed, 0 failed"),
        "{green}"
    );
    let report = fs::read_to_string(desk.path("my-agent/report.xml")).unwrap();
    assert!(
        report.contains("failures=\"0\"") && report.contains("[half-open]"),
        "{report}"
    );

    // Call it from the prompt, then load it into a tenant and call it there.
    let mut prompt = desk.command("my-agent", &["dev"]);
    let mut prompt = prompt
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let lines = b"greet name=Bo\ngreet {\"name\": \"Bo\"}\ngret\n";
    std::io::Write::write_all(&mut prompt.stdin.take().unwrap(), lines).unwrap();
    let typed = ran(prompt.wait_with_output().unwrap());
    assert!(
        typed.out.contains("\"visits\": 2"),
        "{}{}",
        typed.out,
        typed.err
    );
    assert!(
        typed.err.contains("did you mean \"greet\""),
        "{}",
        typed.err
    );

    let tenant = "id: acme\nplugins:\n  - name: my-agent\n    grants: []\n";
    desk.write("my-agent/tenants/acme.yaml", tenant);
    let refused = desk.stuga(
        "my-agent",
        &["plugin", "load", "acme", "build/my-agent.wasm"],
    );
    assert_eq!(refused.code, Some(1));
    assert!(
        refused.err.contains("add `memory` to the `grants`"),
        "{}",
        refused.err
    );
    desk.edit(
        "my-agent/tenants/acme.yaml",
        "grants: []",
        "grants: [memory]",
    );
    desk.ok(
        "my-agent",
        &["plugin", "load", "acme", "build/my-agent.wasm"],
    );
    let answer = desk.ok(
        "my-agent",
        &["invoke", "acme/my-agent", "greet", "--set", "name=Bo"],
    );
    assert!(answer.contains("Tjena Bo!"), "{answer}");
}

#[test]
fn a_rust_agent_that_is_not_exported_or_has_the_wrong_schema_is_told_what_to_do() {
    let desk = Desk::new();
    desk.ok(".", &["new", "odd-agent"]);
    let source = "odd-agent/src/lib.rs";
    let right = fs::read_to_string(desk.path(source)).unwrap();
    desk.edit(source, "stuga_sdk::export!(OddAgent);", "");
    let said = desk.refused("odd-agent", &["build"], 1);
    let fix = "does not export `stuga:agent/agent@0.1.0`; it exports nothing";
    assert!(said.contains(fix), "{said}");
    assert!(said.contains("`stuga_sdk::export!(TYPE);`"), "{said}");

    desk.write(source, &right);
    let text = "struct Greeting {\n    text: String,";
    let other = "struct Greeting {\n    #[schemars(with = \"u32\")]\n    text: String,";
    desk.edit(source, text, other);
    desk.ok("odd-agent", &["build"]);
    let said = desk.refused("odd-agent", &["test"], 1);
    let difference = "calls[0].output/text\n      expected what the output schema of skill greet says\n      got      \"Hej Astrid!\" is not of type \"integer\"; make the schema and the type agree";
    assert!(said.contains(difference), "{said}");
}

#[test]
fn a_wrong_name_a_full_folder_and_an_unknown_language_are_refused() {
    let desk = Desk::new();
    let wrong = desk.stuga(".", &["new", "My Agent"]);
    assert!(
        wrong.code == Some(1) && wrong.err.contains("a-z, 0-9"),
        "{}",
        wrong.err
    );
    desk.write("taken/notes.txt", "x");
    let full = desk.stuga(".", &["new", "taken"]);
    assert!(
        full.code == Some(1) && full.err.contains("is not empty"),
        "{}",
        full.err
    );
    let language = desk.stuga(".", &["new", "a", "--lang", "go"]);
    assert!(
        language.code == Some(2) && language.err.contains("rust, js and python"),
        "{}",
        language.err
    );
    let nothing = desk.stuga(".", &["build"]);
    assert!(
        nothing.code == Some(1) && nothing.err.contains("`stuga new NAME` makes one"),
        "{}",
        nothing.err
    );
}

#[test]
fn the_exit_code_tells_a_failed_scenario_from_one_that_could_not_be_run() {
    let desk = Desk::new();
    let echo = echo();
    desk.write("s/green.yaml", GREEN);
    desk.write(
        "s/red.yaml",
        &GREEN.replace("output: {text: hej}", "output: {text: då}"),
    );
    let test = |more: &[&str]| {
        let mut args = vec!["test", echo.as_str(), "--scenarios", "s"];
        args.extend(more);
        desk.stuga(".", &args)
    };
    let both = test(&[]);
    assert_eq!(both.code, Some(1), "{}", both.err);
    assert!(both.out.contains("1 passed, 1 failed"), "{}", both.out);
    assert_eq!(test(&["--filter", "green"]).code, Some(0));
    let none = test(&["--filter", "blue"]);
    assert!(
        none.code == Some(2) && none.err.contains("none of the 2 scenarios"),
        "{}",
        none.err
    );
    let json: Value = serde_json::from_str(&test(&["--output", "json"]).out).unwrap();
    assert_eq!((&json["passed"], &json["failed"]), (&1.into(), &1.into()));
    assert_eq!(
        json["runs"][1]["mismatches"][0]["at"],
        "calls[0].output/text"
    );

    desk.write("s/red.yaml", "calls:\n  - skil: echo\n");
    let wrong = test(&[]);
    assert_eq!(wrong.code, Some(2));
    let line = "s/red.yaml:2:5: unknown key \"skil\" in calls[0]; did you mean \"skill\"?";
    assert!(wrong.err.contains(line), "{}", wrong.err);
    let gone = desk.stuga(".", &["test", "no.wasm", "--scenarios", "s"]);
    assert_eq!(gone.code, Some(2), "{}", gone.err);
}

#[test]
fn what_is_wrong_in_a_component_is_named_with_its_fix() {
    let desk = Desk::new();
    desk.write("s/a.yaml", GREEN);
    let explain = |name: &str, component: &[u8]| {
        fs::write(desk.path(name), component).unwrap();
        let ran = desk.stuga(".", &["test", name, "--scenarios", "s"]);
        assert_eq!(ran.code, Some(2), "{}{}", ran.out, ran.err);
        ran.err
    };
    let module = wat::parse_str("(module)").unwrap();
    assert!(explain("module.wasm", &module).contains("core module"));
    let empty = wat::parse_str("(component)").unwrap();
    let error = explain("empty.wasm", &empty);
    assert!(
        error.contains("does not export `stuga:agent/agent@0.1.0`"),
        "{error}"
    );
    let text = r#"(component
        (import "stuga:agent/memory@9.0.0" (instance))
        (instance $i)
        (export "stuga:agent/agent@0.1.0" (instance $i)))"#;
    let error = explain("version.wasm", &wat::parse_str(text).unwrap());
    assert!(
        error.contains("9.0.0") && error.contains("0.1.0"),
        "{error}"
    );
}

#[test]
fn the_report_does_not_depend_on_the_machines_language_or_time_zone() {
    let desk = Desk::new();
    let echo = echo();
    let scenarios = Path::new(env!("CARGO_MANIFEST_DIR")).join("author/scenarios");
    let scenarios = scenarios.to_str().unwrap();
    let report = |zone: &str, language: &str| {
        let args = [
            "test",
            echo.as_str(),
            "--scenarios",
            scenarios,
            "--matrix",
            "--output",
            "json",
            "--junit",
            "r.xml",
        ];
        let mut command = desk.command(".", &args);
        let ran = ran(command
            .env("TZ", zone)
            .env("LC_ALL", language)
            .env("LANG", language)
            .output()
            .unwrap());
        assert_eq!(ran.code, Some(0), "{}{}", ran.out, ran.err);
        (ran.out, fs::read(desk.path("r.xml")).unwrap())
    };
    let here = report("UTC", "C");
    assert!(report("Asia/Kathmandu", "sv_SE.UTF-8") == here);
    assert!(report("America/St_Johns", "tr_TR.UTF-8") == here);
}
