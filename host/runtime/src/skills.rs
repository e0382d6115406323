//! Checking inputs and answers against the schemas of a plugin's skills and jobs, compiled once when the agent is readied.

use std::collections::BTreeMap;

use jsonschema::error::ValidationErrorKind;
use jsonschema::{PatternOptions, ValidationError, Validator};
use serde::Serialize;
use serde_json::Value;
use stuga_core::{Error, Result};

use crate::Manifest;

/// Most places that one answer names.
const MISFITS_MAX: usize = 20;
/// Most places that the error of a submission names.
const JOB_MISFITS_MAX: usize = 3;
/// Longest message about one place, in characters: it may quote the input.
const MESSAGE_MAX_CHARS: usize = 200;

/// One place where a value does not fit its schema.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Misfit {
    /// JSON pointer into the value; empty for the value as a whole.
    pub pointer: String,
    /// What is wrong there.
    pub message: String,
}

/// Why an input is not handed to an agent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum InputError {
    /// The agent has no such skill.
    UnknownSkill {
        /// What there is.
        known: Vec<String>,
    },
    /// The input is no JSON that can be read.
    Unreadable(String),
    /// The input does not fit the skill's schema.
    Misfits {
        /// Where and why, the first few.
        errors: Vec<Misfit>,
        /// Whether there are more.
        more: bool,
    },
}

/// The skills of an agent and what they take.
pub struct Skills(BTreeMap<String, Validator>);

impl Skills {
    /// Compiles the input schemas of a manifest.
    ///
    /// # Errors
    /// Which skill's schema is wrong and why.
    pub fn compile(manifest: &Manifest) -> Result<Self, String> {
        Self::of(manifest, "input", |skill| &skill.input_schema)
    }

    /// Compiles the output schemas of a manifest, for tools that hold an agent to what it says of itself.
    ///
    /// # Errors
    /// Which skill's schema is wrong and why.
    pub fn compile_outputs(manifest: &Manifest) -> Result<Self, String> {
        Self::of(manifest, "output", |skill| &skill.output_schema)
    }

    fn of(
        manifest: &Manifest,
        side: &str,
        schema: impl Fn(&crate::Skill) -> &Value,
    ) -> Result<Self, String> {
        let mut skills = BTreeMap::new();
        for skill in &manifest.skills {
            let validator = compile(side, "skill", &skill.name, schema(skill))?;
            skills.insert(skill.name.clone(), validator);
        }
        Ok(Self(skills))
    }

    /// Checks a JSON text: that the skill exists, that the text is readable, and that it fits.
    ///
    /// # Errors
    /// See [`InputError`].
    pub fn check(&self, skill: &str, text: &str) -> Result<(), InputError> {
        let Some(validator) = self.0.get(skill) else {
            return Err(InputError::UnknownSkill {
                known: self.0.keys().cloned().collect(),
            });
        };
        let value: Value = serde_json::from_str(text)
            .map_err(|error| InputError::Unreadable(error.to_string()))?;
        match misfits(validator, &value) {
            None => Ok(()),
            Some((errors, more)) => Err(InputError::Misfits { errors, more }),
        }
    }
}

/// The kinds of jobs of an agent and what they take.
pub struct Kinds(BTreeMap<String, Validator>);

impl Kinds {
    /// Compiles the input schemas of a manifest.
    ///
    /// # Errors
    /// Which kind's schema is wrong and why.
    pub fn compile(manifest: &Manifest) -> Result<Self, String> {
        let mut kinds = BTreeMap::new();
        for job in &manifest.jobs {
            let validator = compile("input", "job", &job.name, &job.input_schema)?;
            kinds.insert(job.name.clone(), validator);
        }
        Ok(Self(kinds))
    }

    /// Checks that the agent has that kind of job and the input, which is JSON, fits it.
    ///
    /// # Errors
    /// `NotFound` with what there is, `Invalid` with the first places that do not fit.
    pub fn check(&self, kind: &str, input: &str) -> Result<()> {
        const OPERATION: &str = "jobs.submit";
        let Some(validator) = self.0.get(kind) else {
            let known: Vec<_> = self.0.keys().map(String::as_str).collect();
            let there = match known.as_slice() {
                [] => "it has none; list them in `Agent::jobs`".to_owned(),
                known => format!("it has {}", known.join(", ")),
            };
            return Err(Error::not_found(
                OPERATION,
                format!("the agent has no job {kind:?}; {there}"),
            ));
        };
        let value: Value = serde_json::from_str(input)
            .map_err(|e| Error::invalid(OPERATION, format!("the input is not JSON: {e}")))?;
        let Some((errors, _)) = misfits(validator, &value) else {
            return Ok(());
        };
        let mut text = format!("the input does not fit the schema of job {kind:?}");
        for Misfit { pointer, message } in errors.iter().take(JOB_MISFITS_MAX) {
            let place = if pointer.is_empty() { "input" } else { pointer };
            text.push_str(&format!("; {place}: {message}"));
        }
        Err(Error::invalid(OPERATION, text))
    }
}

fn compile(side: &str, what: &str, name: &str, schema: &Value) -> Result<Validator, String> {
    // The linear-time engine: a pattern comes from a plugin and the text from a client.
    jsonschema::options()
        .with_pattern_options(PatternOptions::regex())
        .build(schema)
        .map_err(|error| {
            let place = error.instance_path().as_str();
            let at = if place.is_empty() { "" } else { " at " };
            let reason = cut(&reason(&error));
            format!("the {side} schema of {what} {name:?} is wrong{at}{place}: {reason}")
        })
}

/// What is wrong in words: of several ways to be right, what the first lacks, and all the words of a choice.
fn reason(error: &ValidationError<'_>) -> String {
    match error.kind() {
        ValidationErrorKind::AnyOf { context } => context
            .first()
            .and_then(|way| way.first())
            .map_or_else(|| error.to_string(), reason),
        ValidationErrorKind::Enum { options } => {
            let words = options.as_array().into_iter().flatten();
            let words: Vec<String> = words.map(Value::to_string).collect();
            format!("{} is not one of {}", error.instance(), words.join(", "))
        }
        _ => error.to_string(),
    }
}

/// The first places where a value does not fit, and whether there are more; none when it fits.
fn misfits(validator: &Validator, value: &Value) -> Option<(Vec<Misfit>, bool)> {
    if validator.is_valid(value) {
        return None;
    }
    let mut found = validator.iter_errors(value);
    let errors = found
        .by_ref()
        .take(MISFITS_MAX)
        .map(|error| Misfit {
            pointer: error.instance_path().as_str().to_owned(),
            message: cut(&error.to_string()),
        })
        .collect();
    Some((errors, found.next().is_some()))
}

fn cut(message: &str) -> String {
    match message.char_indices().nth(MESSAGE_MAX_CHARS) {
        None => message.to_owned(),
        // The end of such a message says what is wrong, its beginning quotes the input.
        Some(_) => {
            let tail: Vec<char> = message.chars().rev().take(MESSAGE_MAX_CHARS).collect();
            format!("...{}", tail.into_iter().rev().collect::<String>())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn skills(schema: Value) -> Skills {
        Skills::compile(&Manifest {
            name: stuga_core::AgentName::new("a").unwrap(),
            version: "1.0.0".into(),
            summary: String::new(),
            skills: vec![crate::Skill {
                name: "s".into(),
                description: String::new(),
                input_schema: schema,
                output_schema: json!({}),
            }],
            jobs: vec![crate::JobKind {
                name: "j".into(),
                description: String::new(),
                input_schema: json!({"type": "integer"}),
            }],
            capabilities: vec![],
            imports: vec![],
            exports: vec![],
            wit_version: "0.1.0".into(),
        })
        .unwrap()
    }

    #[test]
    fn a_misfit_names_its_place() {
        let skills = skills(
            json!({"type": "object", "required": ["a"], "properties": {"a": {"type": "array", "items": {"type": "string"}}}}),
        );
        assert!(skills.check("s", r#"{"a": ["x"]}"#).is_ok());
        let Err(InputError::Misfits { errors, more }) = skills.check("s", r#"{"a": ["x", 5]}"#)
        else {
            panic!()
        };
        assert_eq!((errors[0].pointer.as_str(), more), ("/a/1", false));
        let Err(InputError::UnknownSkill { known, .. }) = skills.check("t", "{}") else {
            panic!()
        };
        assert_eq!(known, ["s"]);
    }

    #[test]
    fn a_schema_that_is_none_is_named_with_its_place() {
        let error = compile(
            "input",
            "skill",
            "s",
            &json!({"properties": {"a": {"type": "strng"}}}),
        );
        let error = error.map(drop).unwrap_err();
        assert!(
            error.starts_with("the input schema of skill \"s\" is wrong at /properties/a/type: \"strng\" is not one of")
                && error.ends_with("\"string\""),
            "{error}"
        );
    }

    #[test]
    fn a_hostile_input_gives_a_bounded_answer() {
        let skills = skills(json!({"type": "array", "items": {"type": "string"}}));
        let many = serde_json::to_string(&vec![1; 10_000]).unwrap();
        let Err(InputError::Misfits { errors, more }) = skills.check("s", &many) else {
            panic!()
        };
        assert_eq!((errors.len(), more), (MISFITS_MAX, true));
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(100_000));
        let Err(InputError::Misfits { errors, .. }) = skills.check("s", &long) else {
            panic!()
        };
        assert!(
            errors[0].message.len() < 1_000 && errors[0].message.contains("array"),
            "{}",
            errors[0].message
        );
        let deep = format!("{}{}", "[".repeat(10_000), "]".repeat(10_000));
        assert!(matches!(
            skills.check("s", &deep),
            Err(InputError::Unreadable(_))
        ));
    }
}
