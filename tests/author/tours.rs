//! The tour in JavaScript and in Python: from an empty folder to an answer in a tenant, past one mistake of each kind.
//!
//! The tools are those that `cargo xtask guests` installed; the tour needs no network. Each builds one component that is
//! taken, because compiling Python for a host takes a while.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::PathBuf;

use crate::desk::Desk;

const AGENT: &str = "hej-agent";

/// What differs between the languages.
struct Language {
    name: &'static str,
    source: &'static str,
    /// The tools' folder as it is installed, and as the project has it.
    tools: (&'static str, &'static str),
    /// What says that the tools are missing.
    missing: &'static str,
    /// Text, what it becomes, and what the build then says.
    not_exported: (&'static str, &'static str, &'static str),
    /// Text, and the same with a skill whose output does not fit its schema.
    leave: (&'static str, &'static str),
    /// Text, and the greeting that the author prefers.
    greeting: (&'static str, &'static str),
}

const JAVASCRIPT: Language = Language {
    name: "js",
    source: "agent.js",
    tools: ("js/node_modules", "node_modules"),
    missing: "node_modules/componentize-qjs is missing; run `npm install` in ",
    not_exported: (
        "export const agent",
        "const agent",
        "agent.js exports no agent; write `export const agent = stuga.agent({ ... });`",
    ),
    leave: (
        "  skills: {\n",
        "  skills: {\n    leave: {\n      description: \"Says goodbye.\",\n      input: text,\n      output: object({ text: \"integer\" }),\n      run: (input) => input,\n    },\n",
    ),
    greeting: ("`Hej ${name}!`", "`Tjena ${name}!`"),
};

const PYTHON: Language = Language {
    name: "python",
    source: "agent.py",
    tools: ("python", ".venv"),
    missing: ".venv/bin/componentize-py is missing; run `python3 -m venv .venv && .venv/bin/pip install -r requirements.txt` in ",
    not_exported: (
        "Agent = agent.component",
        "",
        "agent.py exports no agent; write `Agent = agent.component` below `agent = stuga.Agent(...)`",
    ),
    leave: (
        "@agent.skill(\"echo\"",
        "@agent.skill(\"leave\", \"Says goodbye.\", input=TEXT, output=object_of({\"text\": \"integer\"}))\ndef leave(context, input):\n    return input\n\n\n@agent.skill(\"echo\"",
    ),
    greeting: ("f\"Hej {", "f\"Tjena {"),
};

#[test]
fn a_javascript_agent_goes_from_an_empty_folder_to_a_tenant() {
    tour(&JAVASCRIPT);
}

#[test]
fn a_python_agent_goes_from_an_empty_folder_to_a_tenant() {
    tour(&PYTHON);
}

fn tour(language: &Language) {
    let desk = Desk::new();
    let created = desk.ok(".", &["new", AGENT, "--lang", language.name]);
    let source = format!("{AGENT}/{}", language.source);
    assert!(created.contains(&source), "{created}");
    install(&desk, language);
    mistakes_before_the_build(&desk, language);

    let edit = |(from, to): (&str, &str)| desk.edit(&source, from, to);
    edit(language.greeting);
    edit(language.leave);
    desk.edit(
        &format!("{AGENT}/scenarios/greet.yaml"),
        "Hej Astrid!",
        "Tjena Astrid!",
    );
    let built = desk.ok(AGENT, &["build"]);
    assert!(
        built.contains("hej-agent 0.1.0 in build/hej-agent.wasm"),
        "{built}"
    );
    mistakes_of_scenarios(&desk);

    let green = desk.ok(AGENT, &["test", "--matrix", "--junit", "report.xml"]);
    assert!(
        green.contains("hej-agent 0.1.0: 6 passed, 0 failed"),
        "{green}"
    );
    let report = fs::read_to_string(desk.path(AGENT).join("report.xml")).unwrap();
    assert!(
        report.contains("failures=\"0\"") && report.contains("[half-open]"),
        "{report}"
    );
    let inspected = desk.ok(AGENT, &["inspect"]);
    assert!(
        inspected.contains("this host speaks 0.1.0 and takes it")
            && inspected.contains("wasi:random/"),
        "{inspected}"
    );
    into_a_tenant(&desk);
}

/// Gives the project the tools, after it was told what installs them.
fn install(desk: &Desk, language: &Language) {
    let said = desk.refused(AGENT, &["build"], 1);
    assert!(said.contains(language.missing), "{said}");
    let (installed, wanted) = language.tools;
    let tools: PathBuf = stuga_tests::guest_path("x")
        .with_file_name("tools")
        .join(installed);
    let tools = tools.canonicalize().unwrap_or_else(|error| {
        let guests = "`cargo xtask guests` installs the tools or says why it cannot";
        panic!("{}: {error}; {guests}", tools.display())
    });
    symlink(tools, desk.path(AGENT).join(wanted)).unwrap();
}

/// What is wrong in the manifest, the world and the source.
fn mistakes_before_the_build(desk: &Desk, language: &Language) {
    let wrong = |file: &str, from: &str, to: &str, expected: &[&str]| {
        let path = desk.path(AGENT).join(file);
        let text = fs::read_to_string(&path).unwrap();
        desk.edit(&format!("{AGENT}/{file}"), from, to);
        let said = desk.refused(AGENT, &["build"], 1);
        for part in expected {
            assert!(said.contains(part), "{part}\n--\n{said}");
        }
        fs::write(&path, text).unwrap();
    };
    wrong(
        "stuga-agent.toml",
        "scenarios = ",
        "scenaros = ",
        &[
            "stuga-agent.toml:4:1: unknown field `scenaros`, expected one of `language`, `component`, `scenarios`, `steps`; did you mean `scenarios`?",
        ],
    );
    wrong(
        "stuga-agent.toml",
        "scenarios = \"scenarios\"",
        "scenarios = 7",
        &["stuga-agent.toml:4:13: invalid type: integer `7`"],
    );
    wrong(
        "wit/world.wit",
        "types@0.1.0",
        "types@0.2.0",
        &[
            "wit/world.wit:5:12: this is version 0.2.0 of stuga:agent, and the SDK of this project speaks 0.1.0",
            "write `stuga:agent/types@0.1.0`",
        ],
    );
    wrong(
        "wit/world.wit",
        "agent/memory@",
        "agent/memry@",
        &[
            "wit/world.wit:12:12: stuga:agent has no interface `memry`; did you mean `memory`? there is a2a",
        ],
    );
    wrong(
        "wit/world.wit",
        "    export stuga:agent/agent@0.1.0;\n",
        "",
        &["the world exports no agent; add `export stuga:agent/agent@0.1.0;`"],
    );
    let (from, to, expected) = language.not_exported;
    wrong(language.source, from, to, &[expected]);
}

/// A schema that does not match the type, and a scenario with mistakes.
fn mistakes_of_scenarios(desk: &Desk) {
    desk.write(
        &format!("{AGENT}/drafts/leave.yaml"),
        "calls:\n  - {skill: leave, input: {text: hej}}\n",
    );
    let said = desk.refused(AGENT, &["test", "--scenarios", "drafts"], 1);
    let difference = "calls[0].output/text\n      expected what the output schema of skill leave says\n      got      \"hej\" is not of type \"integer\"; make the schema and the type agree";
    assert!(said.contains(difference), "{said}");

    desk.write(
        &format!("{AGENT}/drafts/wrong.yaml"),
        "seed: abc\ncalls:\n  - skil: greet\n    input: {name: Bo}\n",
    );
    let said = desk.refused(AGENT, &["test", "--scenarios", "drafts/wrong.yaml"], 2);
    for line in [
        "drafts/wrong.yaml:1:7: seed: \"abc\" is not of type \"integer\"",
        "drafts/wrong.yaml:3:5: unknown key \"skil\" in calls[0]; did you mean \"skill\"?",
    ] {
        assert!(said.contains(line), "{line}\n--\n{said}");
    }
}

/// Loads the agent into a tenant, which first does not grant what it imports, and calls it there.
fn into_a_tenant(desk: &Desk) {
    // One compilation for the mock host and the real one.
    fs::create_dir_all(desk.path(AGENT).join("data")).unwrap();
    symlink(
        desk.path("cache/stuga/code"),
        desk.path(AGENT).join("data/cache"),
    )
    .unwrap();
    let tenant = format!("{AGENT}/tenants/acme.yaml");
    desk.write(
        &tenant,
        "id: acme\nplugins:\n  - name: hej-agent\n    grants: []\n",
    );
    let load = ["plugin", "load", "acme", "build/hej-agent.wasm"];
    let said = desk.refused(AGENT, &load, 1);
    let expected = "the component imports `stuga:agent/memory@0.1.0`, which tenant `acme` does not grant; add `memory` to the `grants` of plugin `hej-agent` in the tenant's file";
    assert!(said.contains(expected), "{said}");
    desk.edit(&tenant, "grants: []", "grants: [memory]");
    desk.ok(AGENT, &load);
    let call = ["invoke", "acme/hej-agent", "greet", "--set", "name=Bo"];
    let answer = desk.ok(AGENT, &call);
    assert!(answer.contains("Tjena Bo!"), "{answer}");
}
