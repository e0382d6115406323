//! Which fields are left out of recordings, as an operator writes it: `input.transcript`, `output.people[].name`.

use std::fmt;

use serde_json::Value;
use stuga_core::{Error, Result};

use crate::Recording;
use crate::mask::Masks;

/// Most paths.
const PATHS_MAX: usize = 100;
/// Longest path in bytes.
const PATH_MAX_BYTES: usize = 400;
/// Most different values that are replaced in one recording.
const VALUES_MAX: usize = 500;

/// The places that a path can begin with.
const ROOTS: [&str; 5] = ["input", "output", "parts", "config", "session"];

/// Fields whose texts are replaced by placeholders, wherever they stand.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Redact(Vec<Path>);

#[derive(Clone, PartialEq, Eq, Debug)]
struct Path {
    text: String,
    root: &'static str,
    steps: Vec<Step>,
}

#[derive(Clone, PartialEq, Eq, Debug)]
enum Step {
    Field(String),
    Item(usize),
    Each,
}

impl Redact {
    /// Adds a path: names joined by dots, `[]` for every item of a list and `[0]` for one; or a JSON pointer that begins
    /// with a slash, in which `*` stands for every item and every field. It begins with input, output, parts, config or
    /// session.
    ///
    /// # Errors
    /// `Invalid` when it is no such path, or there are more than 100.
    pub fn add(&mut self, path: &str) -> Result<()> {
        if self.0.len() >= PATHS_MAX {
            return Err(wrong(format!("there are more than {PATHS_MAX} paths")));
        }
        let path = Path::parse(path)?;
        if !self.0.contains(&path) {
            self.0.push(path);
        }
        Ok(())
    }

    /// The paths as they were written.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|path| path.text.as_str())
    }

    /// Replaces the texts at the paths, and the same texts everywhere else. Returns the paths at which nothing stands.
    ///
    /// # Errors
    /// `Invalid` when a number or a truth value stands at a path, which have no placeholder, or too many values do.
    pub fn apply(&self, recording: &mut Recording) -> Result<Vec<&str>> {
        let mut chosen: Vec<String> = Vec::new();
        let mut empty = Vec::new();
        for path in &self.0 {
            let before = chosen.len();
            let mut found = Found {
                path,
                texts: &mut chosen,
                any: false,
            };
            match path.root {
                "input" => found.follow(&recording.input.value(), &path.steps)?,
                "output" => {
                    if let Some(output) = &recording.output {
                        found.follow(&output.value(), &path.steps)?;
                    }
                }
                "parts" => {
                    let parts = recording.parts.iter().map(crate::Json::value).collect();
                    found.follow(&Value::Array(parts), &path.steps)?;
                }
                "config" => {
                    let config = recording.config.iter();
                    let config = config.map(|(name, value)| (name.clone(), value.value()));
                    found.follow(&Value::Object(config.collect()), &path.steps)?;
                }
                _ => {
                    let session = recording.session.clone();
                    found.follow(&session.map_or(Value::Null, Value::from), &path.steps)?;
                }
            }
            if !found.any && chosen.len() == before {
                empty.push(path.text.as_str());
            }
        }
        let text = recording.write();
        let mut masks = Masks::default();
        let mut number = 0;
        for value in &chosen {
            let placeholder = loop {
                number += 1;
                let placeholder = format!("[redacted {number}]");
                if !text.contains(&placeholder) {
                    break placeholder;
                }
            };
            masks.replace(value, &placeholder);
        }
        masks.apply(recording);
        let known: Vec<String> = recording.redacted.clone();
        let new = self.paths().filter(|path| !known.iter().any(|k| k == path));
        recording.redacted.extend(new.map(str::to_owned));
        Ok(empty)
    }
}

/// The texts that a path leads to.
struct Found<'f> {
    path: &'f Path,
    texts: &'f mut Vec<String>,
    any: bool,
}

impl Found<'_> {
    fn follow(&mut self, value: &Value, steps: &[Step]) -> Result<()> {
        let Some((step, rest)) = steps.split_first() else {
            return self.take(value);
        };
        match (step, value) {
            (Step::Field(name), Value::Object(fields)) => match fields.get(name) {
                Some(field) => self.follow(field, rest),
                None => Ok(()),
            },
            (Step::Item(at), Value::Array(items)) => match items.get(*at) {
                Some(item) => self.follow(item, rest),
                None => Ok(()),
            },
            (Step::Item(at), Value::Object(fields)) => match fields.get(&at.to_string()) {
                Some(field) => self.follow(field, rest),
                None => Ok(()),
            },
            (Step::Each, Value::Array(items)) => {
                items.iter().try_for_each(|item| self.follow(item, rest))
            }
            (Step::Each, Value::Object(fields)) => fields
                .values()
                .try_for_each(|field| self.follow(field, rest)),
            _ => Ok(()),
        }
    }

    /// Takes every text at and below a value.
    fn take(&mut self, value: &Value) -> Result<()> {
        self.any = true;
        match value {
            Value::Null => Ok(()),
            Value::String(text) => {
                let is_placeholder = text.starts_with("[redacted ") || text.starts_with("[secret ");
                if !text.is_empty() && !is_placeholder && !self.texts.contains(text) {
                    if self.texts.len() >= VALUES_MAX {
                        let message = format!(
                            "{} leads to more than {VALUES_MAX} different texts",
                            self.path
                        );
                        return Err(wrong(message));
                    }
                    self.texts.push(text.clone());
                }
                Ok(())
            }
            Value::Array(items) => items.iter().try_for_each(|item| self.take(item)),
            Value::Object(fields) => fields.values().try_for_each(|field| self.take(field)),
            Value::Bool(_) | Value::Number(_) => Err(wrong(format!(
                "{} leads to {value}, and only texts can be replaced; name the texts in it",
                self.path
            ))),
        }
    }
}

impl Path {
    fn parse(text: &str) -> Result<Self> {
        let malformed = || {
            wrong(format!(
                "{:?} is no path to redact; write one such as input.transcript or output.people[].name",
                text.chars().take(PATH_MAX_BYTES).collect::<String>()
            ))
        };
        if text.len() > PATH_MAX_BYTES {
            return Err(malformed());
        }
        let steps = match text.strip_prefix('/') {
            Some(pointer) => pointer.split('/').map(pointer_step).collect(),
            None => dotted(text).ok_or_else(malformed)?,
        };
        let mut steps = steps.into_iter();
        let Some(Step::Field(first)) = steps.next() else {
            return Err(malformed());
        };
        let root = ROOTS.into_iter().find(|root| *root == first);
        let root = root.ok_or_else(|| {
            wrong(format!(
                "the path {text:?} begins with none of {}",
                ROOTS.join(", ")
            ))
        })?;
        Ok(Self {
            text: text.to_owned(),
            root,
            steps: steps.collect(),
        })
    }
}

impl fmt::Display for Path {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

fn pointer_step(token: &str) -> Step {
    match token {
        "*" => Step::Each,
        token => match token.parse() {
            Ok(at) => Step::Item(at),
            Err(_) => Step::Field(token.replace("~1", "/").replace("~0", "~")),
        },
    }
}

fn dotted(text: &str) -> Option<Vec<Step>> {
    let mut steps = Vec::new();
    for part in text.split('.') {
        let (name, mut items) = match part.find('[') {
            Some(at) => part.split_at(at),
            None => (part, ""),
        };
        if name.is_empty() {
            return None;
        }
        steps.push(Step::Field(name.to_owned()));
        while !items.is_empty() {
            let (item, rest) = items.strip_prefix('[')?.split_once(']')?;
            steps.push(match item {
                "" => Step::Each,
                number => Step::Item(number.parse().ok()?),
            });
            items = rest;
        }
    }
    Some(steps)
}

fn wrong(message: String) -> Error {
    Error::invalid("recording.redact", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(path: &str, value: &Value) -> Result<Vec<String>> {
        let path = Path::parse(path)?;
        let mut texts = Vec::new();
        let mut found = Found {
            path: &path,
            texts: &mut texts,
            any: false,
        };
        found.follow(value, &path.steps)?;
        Ok(texts)
    }

    #[test]
    fn a_path_leads_to_the_texts_at_and_below_it() {
        let value = serde_json::json!({"people": [{"name": "Bo"}, {"name": "Åsa"}], "a.b": {"c": ["x"]}, "n": 1});
        for (path, expected) in [
            ("input.people[].name", vec!["Bo", "Åsa"]),
            ("input.people[1]", vec!["Åsa"]),
            ("input.people", vec!["Bo", "Åsa"]),
            ("/input/people/*/name", vec!["Bo", "Åsa"]),
            ("/input/a.b", vec!["x"]),
            ("input.other", vec![]),
        ] {
            assert_eq!(texts(path, &value).unwrap(), expected, "{path}");
        }
        let refused = texts("input.n", &value).unwrap_err();
        assert!(refused.message().contains("only texts"), "{refused}");
        assert!(texts("input", &value).is_err());
    }

    #[test]
    fn what_is_no_path_is_refused_with_an_example() {
        for bad in [
            "",
            ".",
            "input..a",
            "input[",
            "input.a[x]",
            "[]",
            "inputs.a",
            "/",
        ] {
            assert!(Redact::default().add(bad).is_err(), "{bad:?}");
        }
        let error = Redact::default().add("people[].name").unwrap_err();
        assert!(error.message().contains("input, output"), "{error}");
    }
}
