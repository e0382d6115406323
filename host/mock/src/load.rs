//! From files to scenarios, or to every mistake in them with its place.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use jsonschema::Validator;
use jsonschema::error::ValidationErrorKind;
use serde_json::Value;
use stuga_core::{CapabilityName, TenantId};
use stuga_yaml::{Diagnostic, Node, Place, Report, Value as Yaml, did_you_mean};

use crate::path::operations;
use crate::scenario::{Content, Scenario, besides};
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
    Meaning {
        node: &node,
        report: &mut report,
    }
    .check(&scenario);
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

/// What a schema cannot say.
struct Meaning<'r> {
    node: &'r Node,
    report: &'r mut Report,
}

impl Meaning<'_> {
    fn add(&mut self, pointer: &str, message: impl Into<String>, help: impl Into<String>) {
        self.report.add(place(self.node, pointer), message, help);
    }

    fn check(&mut self, scenario: &Scenario) {
        if scenario.is_recording() {
            for key in besides(self.node) {
                let message = format!("the recording says itself what `{key}` says");
                let help = "remove it, or write a scenario without `recording`";
                self.add(&format!("/{}", escape(key)), message, help);
            }
        } else if scenario.calls.is_empty() {
            let help = "add `calls: [{skill: ...}]`, or `recording: FILE` that `stuga record` made";
            self.add("", "the scenario has no `calls`", help);
        }
        if let Some(tenant) = &scenario.tenant
            && let Err(error) = TenantId::new(tenant)
        {
            self.add("/tenant", error.message().to_owned(), "");
        }
        for (at, fault) in scenario.faults.iter().enumerate() {
            self.operation(&format!("/faults/{at}/on"), &fault.on);
        }
        for (at, call) in scenario.calls.iter().enumerate() {
            let expect = format!("/calls/{at}/expect");
            if call.expect.error.is_some()
                && (call.expect.output.is_some() || call.expect.contains.is_some())
            {
                self.add(&expect, "a call has either an output or an error", "");
            }
            self.pointers(&format!("{expect}/at"), call.expect.at.keys());
            self.pointers(&format!("{expect}/matches"), call.expect.matches.keys());
            self.pointers(&format!("{expect}/absent"), call.expect.absent.iter());
            for (pointer, pattern) in &call.expect.matches {
                self.pattern(&format!("{expect}/matches/{}", escape(pointer)), pattern);
            }
            for name in call.expect.receipt.keys() {
                self.capability(&format!("{expect}/receipt"), name);
            }
        }
        for (at, answer) in scenario.model.iter().enumerate() {
            let pointer = format!("/model/{at}");
            if answer.text.is_some() == answer.json.is_some() {
                let shown = shown(&pointer);
                let message = format!("{shown} has not exactly one of text and json");
                self.add(&pointer, message, "give one of them");
            }
        }
        let folder = scenario.file.parent().unwrap_or(Path::new(""));
        for (at, item) in scenario.state.memory.iter().enumerate() {
            self.content(
                &format!("/state/memory/{at}"),
                &item.content(),
                folder,
                true,
            );
        }
        for (at, file) in scenario.state.files.iter().enumerate() {
            self.content(&format!("/state/files/{at}"), &file.content(), folder, true);
        }
        for (at, item) in scenario.expect.memory.iter().enumerate() {
            let pointer = format!("/expect/memory/{at}");
            self.kept(&pointer, &item.kept(), folder);
        }
        for (at, file) in scenario.expect.files.iter().enumerate() {
            let pointer = format!("/expect/files/{at}");
            self.kept(&pointer, &file.kept(), folder);
        }
    }

    fn kept(&mut self, pointer: &str, kept: &crate::scenario::Kept<'_>, folder: &Path) {
        self.content(pointer, &kept.whole, folder, false);
        self.pointers(&format!("{pointer}/at"), kept.at.keys());
        if let Some(pattern) = kept.matches {
            self.pattern(&format!("{pointer}/matches"), pattern);
        }
    }

    fn content(&mut self, pointer: &str, content: &Content<'_>, folder: &Path, needed: bool) {
        let given = content.given();
        if given > 1 || (needed && given == 0) {
            let shown = shown(pointer);
            self.add(
                pointer,
                format!("{shown} has {given} of json, text, base64 and file"),
                "give exactly one of them",
            );
        } else if given == 1
            && let Err(error) = content.bytes(folder)
        {
            self.add(pointer, error, "");
        }
    }

    fn pointers<'p>(&mut self, pointer: &str, pointers: impl Iterator<Item = &'p String>) {
        for wrong in pointers.filter(|p| !p.is_empty() && !p.starts_with('/')) {
            self.add(
                pointer,
                format!("{wrong:?} is no JSON pointer"),
                format!("begin it with a slash: \"/{}\"", wrong.replace('.', "/")),
            );
        }
    }

    fn pattern(&mut self, pointer: &str, pattern: &str) {
        if let Err(error) = regex::Regex::new(pattern) {
            let error = error.to_string();
            let last = error.lines().last().unwrap_or_default().to_owned();
            self.add(
                pointer,
                format!("this is no regular expression: {last}"),
                "",
            );
        }
    }

    fn capability(&mut self, pointer: &str, name: &str) {
        if CapabilityName::from_name(name).is_none() {
            let known: Vec<String> = CapabilityName::ALL
                .iter()
                .map(|c| c.as_str().to_owned())
                .collect();
            self.add(
                pointer,
                format!("there is no capability {name:?}"),
                help(name, &known),
            );
        }
    }

    /// Checks a capability or one of its operations.
    fn operation(&mut self, pointer: &str, on: &str) {
        let (name, rest) = on.split_once('.').map_or((on, None), |(n, r)| (n, Some(r)));
        let Some(capability) = CapabilityName::from_name(name) else {
            return self.capability(pointer, name);
        };
        let known: Vec<String> = operations(capability)
            .iter()
            .map(|o| (*o).to_owned())
            .collect();
        if known.is_empty() {
            let message = format!("the mock host has no faults for {name}");
            self.add(pointer, message, "");
        } else if rest.is_some() && !known.iter().any(|o| o == on) {
            let message = format!("{name} has no operation {on:?}");
            self.add(pointer, message, help(on, &known));
        }
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
}
