//! From files to scenarios, or to every mistake in them with its place.

mod meaning;

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;
use stuga_yaml::{Diagnostic, Node, Place, Report, Value as Yaml, did_you_mean};

use crate::scenario::Scenario;
use crate::schema::scenario_schema;

/// Most scenarios of one folder.
const SCENARIOS_MAX: usize = 1_000;
/// Deepest folder below the scenarios' own.
const FOLDERS_MAX_DEPTH: usize = 4;
/// Longest part of a message that quotes the file, in characters.
const QUOTE_MAX_CHARS: usize = 120;

static SCHEMA: LazyLock<Value> = LazyLock::new(scenario_schema);
static VALIDATOR: LazyLock<Option<Validator>> =
    LazyLock::new(|| jsonschema::validator_for(&SCHEMA).ok());

/// What reading a folder gave.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The sound ones, by name.
    pub scenarios: Vec<Scenario>,
    /// Every mistake in the others.
    pub mistakes: Vec<Diagnostic>,
}

/// Reads every `.yaml` and `.yml` below a folder, or one file, in the order of the names.
///
/// # Errors
/// When the folder cannot be read or holds too many.
pub fn load(path: &Path) -> std::io::Result<Loaded> {
    let mut files = Vec::new();
    if path.is_dir() {
        collect(path, 0, &mut files)?;
    } else {
        files.push(path.to_owned());
    }
    files.sort();
    let root = if path.is_dir() {
        path
    } else {
        path.parent().unwrap_or(Path::new(""))
    };
    let mut loaded = Loaded::default();
    for file in files {
        let text = std::fs::read_to_string(&file)?;
        let name = file.strip_prefix(root).unwrap_or(&file).with_extension("");
        let name = name.to_string_lossy().replace('\\', "/");
        match read(&file, name, &text) {
            Ok(scenario) => loaded.scenarios.push(scenario),
            Err(mistakes) => loaded.mistakes.extend(mistakes),
        }
    }
    Ok(loaded)
}

fn collect(folder: &Path, depth: usize, files: &mut Vec<PathBuf>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.is_dir() {
            if depth < FOLDERS_MAX_DEPTH {
                collect(&path, depth + 1, files)?;
            }
        } else if path.extension().is_some_and(|e| e == "yaml" || e == "yml") {
            if files.len() >= SCENARIOS_MAX {
                let message = format!("there are more than {SCENARIOS_MAX} scenarios");
                return Err(std::io::Error::other(message));
            }
            files.push(path);
        }
    }
    Ok(())
}

/// Reads one scenario.
///
/// # Errors
/// Every mistake in it, in the file's order.
pub fn read(file: &Path, name: String, text: &str) -> Result<Scenario, Vec<Diagnostic>> {
    let mut report = Report::new(file);
    let Some(node) = report.parse(text) else {
        return Err(report.into_diagnostics());
    };
    let value = node.value.to_json();
    if let Some(validator) = VALIDATOR.as_ref() {
        for error in validator.iter_errors(&value) {
            explain(&error, &node, &mut report);
        }
    }
    if !report.is_empty() {
        return Err(report.into_diagnostics());
    }
    let mut scenario: Scenario = match serde_json::from_value(value) {
        Ok(scenario) => scenario,
        Err(error) => {
            report.add(node.at, error.to_string(), "");
            return Err(report.into_diagnostics());
        }
    };
    scenario.file = file.to_owned();
    scenario.name = name;
    let folder = file.parent().unwrap_or(Path::new(""));
    if let Err(mistake) = scenario.read_recording(folder) {
        report.add(place(&node, "/recording"), mistake, "");
    }
    meaning::check(&node, &mut report, &scenario);
    if report.is_empty() {
        Ok(scenario)
    } else {
        Err(report.into_diagnostics())
    }
}

/// Says in an author's words what does not fit the schema.
fn explain(error: &jsonschema::ValidationError<'_>, root: &Node, report: &mut Report) {
    let pointer = error.instance_path().as_str();
    let (at, shown) = (place(root, pointer), shown(pointer));
    match error.kind() {
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let known = known_fields(error.schema_path().as_str());
            for key in unexpected {
                let at = place(root, &format!("{pointer}/{}", escape(key)));
                let key_at = key_place(root, pointer, key).unwrap_or(at);
                report.add(
                    key_at,
                    format!("unknown key {key:?} in {shown}"),
                    help(key, &known),
                );
            }
        }
        ValidationErrorKind::Required { property } => {
            let property = property.as_str().unwrap_or_default();
            report.add(
                at,
                format!("{shown} has no `{property}`"),
                format!("add `{property}: ...`"),
            );
        }
        ValidationErrorKind::Enum { options } => {
            let words: Vec<String> = options
                .as_array()
                .into_iter()
                .flatten()
                .filter_map(|word| word.as_str().map(str::to_owned))
                .collect();
            let given = error.instance().as_str().unwrap_or_default();
            let message = format!("{shown} is {}", cut(&error.instance().to_string()));
            report.add(at, message, help(given, &words));
        }
        ValidationErrorKind::Pattern { .. } => {
            let example = example(error.schema_path().as_str());
            let message = format!("{shown} is {}", cut(&error.instance().to_string()));
            report.add(at, message, format!("write it such as {example}"));
        }
        _ => report.add(at, format!("{shown}: {}", cut(&error.to_string())), ""),
    }
}

/// The fields that are allowed where a schema path ends in `additionalProperties`.
fn known_fields(schema_path: &str) -> Vec<String> {
    let object = schema_path
        .rsplit_once('/')
        .map_or("", |(object, _)| object);
    let fields = SCHEMA
        .pointer(object)
        .and_then(|schema| schema.get("properties"))
        .and_then(Value::as_object);
    fields
        .into_iter()
        .flat_map(|fields| fields.keys().cloned())
        .collect()
}

fn example(schema_path: &str) -> String {
    let object = schema_path
        .rsplit_once('/')
        .map_or("", |(object, _)| object);
    SCHEMA
        .pointer(object)
        .and_then(|schema| schema.pointer("/examples/0"))
        .and_then(Value::as_str)
        .unwrap_or("the guide shows it")
        .to_owned()
}

fn help(word: &str, allowed: &[String]) -> String {
    let list = allowed.join(", ");
    match did_you_mean(word, allowed.iter().map(String::as_str)) {
        Some(close) => format!("did you mean {close:?}? Allowed: {list}"),
        None => format!("allowed: {list}"),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(QUOTE_MAX_CHARS) {
        None => text.to_owned(),
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
    }
}

/// A JSON pointer as people write it: `calls[0].expect`.
fn shown(pointer: &str) -> String {
    let mut text = String::new();
    for token in pointer.split('/').skip(1) {
        if token.bytes().all(|b| b.is_ascii_digit()) && !token.is_empty() {
            text.push_str(&format!("[{token}]"));
        } else {
            if !text.is_empty() {
                text.push('.');
            }
            text.push_str(&unescape(token));
        }
    }
    if text.is_empty() {
        "the scenario".to_owned()
    } else {
        text
    }
}

fn escape(token: &str) -> String {
    token.replace('~', "~0").replace('/', "~1")
}

fn unescape(token: &str) -> String {
    token.replace("~1", "/").replace("~0", "~")
}

/// Where the value at a JSON pointer stands; of its nearest parent when it is not there.
fn place(root: &Node, pointer: &str) -> Place {
    let mut node = root;
    for token in pointer.split('/').skip(1) {
        let token = unescape(token);
        let next = match &node.value {
            Yaml::Map(entries) => entries.iter().find(|e| e.key == token).map(|e| &e.node),
            Yaml::List(items) => token.parse::<usize>().ok().and_then(|at| items.get(at)),
            _ => None,
        };
        match next {
            Some(next) => node = next,
            None => break,
        }
    }
    node.at
}

fn key_place(root: &Node, pointer: &str, key: &str) -> Option<Place> {
    let mut node = root;
    for token in pointer.split('/').skip(1) {
        let token = unescape(token);
        node = match &node.value {
            Yaml::Map(entries) => &entries.iter().find(|e| e.key == token)?.node,
            Yaml::List(items) => items.get(token.parse::<usize>().ok()?)?,
            _ => return None,
        };
    }
    match &node.value {
        Yaml::Map(entries) => entries.iter().find(|e| e.key == key).map(|e| e.at),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mistakes(text: &str) -> Vec<String> {
        let read = read(Path::new("s.yaml"), "s".into(), text);
        let mistakes = read.map(drop).unwrap_err();
        mistakes.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn every_mistake_is_named_with_its_place_and_what_is_allowed() {
        let text = "sead: 5
calls:
  - skil: greet
    after: 10
  - skill: greet
    expect:
      error: {kind: unavailible}
      logs:
        - level: warning
faults:
  - on: memory
    fault: broken
";
        let found = mistakes(text);
        let expect = [
            "s.yaml:1:1: unknown key \"sead\" in the scenario; did you mean \"seed\"?",
            "s.yaml:3:5: unknown key \"skil\" in calls[0]; did you mean \"skill\"?",
            "s.yaml:7:21: calls[1].expect.error.kind is \"unavailible\"; did you mean \"unavailable\"?",
            "s.yaml:9:18: calls[1].expect.logs[0].level is \"warning\"; allowed: trace, debug",
            "s.yaml:12:12: faults[0].fault is \"broken\"; allowed: unavailable",
        ];
        for line in expect {
            assert!(
                found.iter().any(|f| f.starts_with(line)),
                "{line}\n{found:#?}"
            );
        }
        assert!(
            found.iter().any(|f| f.contains("calls[0] has no `skill`")),
            "{found:#?}"
        );
        assert!(
            found.iter().any(|f| f.contains("calls[0].after")),
            "{found:#?}"
        );
    }

    #[test]
    fn what_a_schema_cannot_say_is_checked_too() {
        let text = "calls:
  - skill: a
    expect:
      at: {items.0: 1}
      matches: {/a: '('}
faults:
  - {on: memory.gett, fault: slow}
  - {on: memry, fault: slow}
state:
  memory:
    - {key: a, text: b, json: 1}
    - {key: a}
    - {key: a, file: none.txt}
clock: 2026-03-18T09:00:00Z
";
        let found = mistakes(text);
        for line in [
            "\"items.0\" is no JSON pointer; begin it with a slash: \"/items/0\"",
            "this is no regular expression",
            "s.yaml:7:10: memory has no operation \"memory.gett\"; did you mean \"memory.get\"?",
            "there is no capability \"memry\"; did you mean \"memory\"?",
            "state.memory[0] has 2 of json, text, base64 and file",
            "state.memory[1] has 0 of",
            "none.txt cannot be read",
        ] {
            assert!(found.iter().any(|f| f.contains(line)), "{line}\n{found:#?}");
        }
    }

    #[test]
    fn a_step_an_agent_a_secret_and_a_field_are_checked_as_well() {
        let text = "agents:
  - {agent: A/b, answer: 1, error: {kind: conflict}}
  - {agent: svea, error: {kind: broken}}
secrets: {Token: short}
calls:
  - {run_jobs: 1s, input: {}}
  - {run_jobs: 1s, skill: echo}
  - {run_jobs: soon}
  - {skill: echo, message: {from: a/b/c}}
state:
  search: [{index: notes, fields: {text: {kind: txt}}}]
";
        let found = mistakes(text);
        for line in [
            "s.yaml:3:33: agents[1].error.kind is \"broken\"; allowed: not-found",
            "s.yaml:8:16: calls[2].run_jobs is \"soon\"; write it such as 10s",
            "state.search[0].fields.text.kind is \"txt\"; did you mean \"text\"?",
        ] {
            assert!(
                found
                    .iter()
                    .any(|f| f.starts_with(line) || f.contains(line)),
                "{line}\n{found:#?}"
            );
        }
        let sound = text
            .replace("broken", "conflict")
            .replace("soon", "1s")
            .replace("txt", "text");
        let found = mistakes(&sound);
        for line in [
            "\"A/b\": the address is not `agent` or `tenant/agent`",
            "s.yaml:2:5: agents[0] has both an answer and an error; give one of them",
            "the secret \"Token\" has 5 bytes; give it 8 to",
            "\"Token\": the secret's name is not",
            "calls[0] has `input` and calls no skill; take it away",
            "calls[1] has both `skill` and `run_jobs`; make two steps of them",
            "s.yaml:9:35: \"a/b/c\": the address is not",
        ] {
            assert!(found.iter().any(|f| f.contains(line)), "{line}\n{found:#?}");
        }
    }
}
