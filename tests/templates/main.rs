//! Whether a new project in JavaScript or Python passes its own quick tests, and what its SDK says to a wrong use.
//!
//! They run in Node and plain Python, as an author runs them. What the components do on the host is the question of
//! `runtime`.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A project as `stuga new` makes it, in a folder of its own.
struct Project(tempfile::TempDir);

impl Project {
    fn new(language: &str) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        let project = tempfile::tempdir().unwrap();
        let sdk = root.join("sdk");
        copy(&sdk.join("templates").join(language), project.path());
        copy(
            &sdk.join(language),
            &project.path().join(".stuga").join(language),
        );
        Self(project)
    }

    fn javascript(arguments: &[&str]) -> Option<String> {
        let mut node = Command::new("node");
        node.args(["--import", "./.stuga/js/testing.mjs"]);
        Self::new("js").run(node.args(arguments))
    }

    fn python(arguments: &[&str]) -> Option<String> {
        let mut python = Command::new("python3");
        python.env("PYTHONPATH", ".stuga/python");
        Self::new("python").run(python.args(arguments))
    }

    /// What the program wrote, or none when it is not there: then the test is noted as skipped.
    fn run(&self, command: &mut Command) -> Option<String> {
        let program = command.get_program().to_string_lossy().into_owned();
        let output = match command.current_dir(self.0.path()).output() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                let test = std::thread::current().name().unwrap_or("").to_owned();
                stuga_tests::skip(&test, &format!("there is no {program}"));
                return None;
            }
            output => output.unwrap(),
        };
        let wrote = [output.stdout, output.stderr].concat();
        let wrote = String::from_utf8_lossy(&wrote).into_owned();
        assert!(output.status.success(), "{program}: {wrote}");
        Some(wrote)
    }
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let path: PathBuf = entry.unwrap().path();
        let to = to.join(path.file_name().unwrap());
        if path.is_dir() {
            copy(&path, &to);
        } else if let Ok(text) = fs::read_to_string(&path) {
            fs::write(to, text.replace("{{name}}", "hej-agent")).unwrap();
        }
    }
}

#[test]
fn the_quick_tests_of_a_javascript_project_pass() {
    if let Some(wrote) = Project::javascript(&["--test"]) {
        assert!(
            wrote.contains("pass 1") && wrote.contains("fail 0"),
            "{wrote}"
        );
    }
}

#[test]
fn the_quick_tests_of_a_python_project_pass() {
    if let Some(wrote) = Project::python(&["-m", "unittest"]) {
        assert!(wrote.contains("Ran 1 test"), "{wrote}");
    }
}

#[test]
fn a_wrong_use_in_javascript_names_the_thing_and_the_fix() {
    const SCRIPT: &str = r#"
        import { call } from "./.stuga/js/testing.mjs";
        const { agent } = await import("./agent.js");
        const { AgentError } = await import("./.stuga/js/stuga.js");
        const memory = await import("./.stuga/js/memory.js");
        const said = async (run) => {
            try { console.log("no error", await run()); } catch (error) { console.log(error.kind ?? error.name, error.message); }
        };
        await said(() => call(agent, "gret", {}));
        await said(() => new AgentError("broken", "x"));
        await said(() => memory.compareAndSet("a", 7, new Uint8Array()));
        try { agent.runJob({ kind: "nightly", input: "{}" }); } catch ({ tag, val }) { console.log(tag, val.message); }
        await said(() => import("stuga:agent/telepathy@0.1.0"));
        let tries = 0;
        memory.updateJson("n", (n) => { if (tries++ === 0) memory.putJson("n", 41); return (n ?? 0) + 1; });
        console.log("updated to", memory.getJson("n"), "in", tries, [...memory.items()].length);
    "#;
    let Some(wrote) = Project::javascript(&["--input-type=module", "--eval", SCRIPT]) else {
        return;
    };
    for expected in [
        "not-found agent `hej-agent` has no skill `gret`; it has: echo, greet",
        "TypeError there is no kind of error \"broken\"; there are: not-found, invalid",
        "conflict the item has another version",
        "not-found this agent runs no jobs",
        "Error testing.mjs has no stand-in for `telepathy`; test what uses it with `stuga test`",
        "updated to 42 in 2 1",
    ] {
        assert!(wrote.contains(expected), "{expected:?} is not in {wrote}");
    }
    assert!(!wrote.contains("no error"), "{wrote}");
}

#[test]
fn a_wrong_use_in_python_names_the_thing_and_the_fix() {
    const SCRIPT: &str = r#"
import stuga_testing
from agent import agent
import stuga
from stuga import memory

def said(run):
    try:
        print("no error", run())
    except Exception as error:
        print(getattr(error, "kind", type(error).__name__), error)

said(lambda: stuga_testing.call(agent, "gret", {}))
said(lambda: stuga.Error("broken", "x"))
said(lambda: memory.compare_and_set("a", 7, b""))
said(lambda: stuga.interface("telepathy"))
tries = []
def change(n):
    if not tries:
        memory.put_json("n", 41)
    tries.append(n)
    return (n or 0) + 1
memory.update_json("n", change)
print("updated to", memory.get_json("n"), "in", len(tries), len(list(memory.items())))
"#;
    let Some(wrote) = Project::python(&["-c", SCRIPT]) else {
        return;
    };
    for expected in [
        "not-found agent `hej-agent` has no skill `gret`; it has: echo, greet",
        "ValueError there is no kind of error 'broken'; there are: not-found, invalid",
        "conflict the item has another version",
        "ImportError the world does not import 'telepathy'; add `import stuga:agent/telepathy@0.1.0;` to wit/world.wit",
        "updated to 42 in 2 1",
    ] {
        assert!(wrote.contains(expected), "{expected:?} is not in {wrote}");
    }
    assert!(!wrote.contains("no error"), "{wrote}");
}
