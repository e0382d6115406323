//! Checking an input against its skill's schema, compiled once when the agent is readied.

use std::collections::BTreeMap;

use jsonschema::{PatternOptions, Validator};
use serde_json::Value;
use stuga_runtime::Manifest;

use super::{Failure, Misfit};

/// Most places that one answer names.
const MISFITS_MAX: usize = 20;
/// Longest message about one place, in characters: it may quote the input.
const MESSAGE_MAX_CHARS: usize = 200;

/// The skills of an agent and what they take.
pub(super) struct Skills(BTreeMap<String, Validator>);

impl Skills {
    /// Compiles the input schemas of a manifest.
    ///
    /// # Errors
    /// Which skill's schema is wrong and why.
    pub(super) fn compile(manifest: &Manifest) -> Result<Self, String> {
        let mut skills = BTreeMap::new();
        for skill in &manifest.skills {
            // The linear-time engine: a pattern comes from a plugin and the text from a client.
            let validator = jsonschema::options()
                .with_pattern_options(PatternOptions::regex())
                .build(&skill.input_schema)
                .map_err(|error| {
                    format!(
                        "the input schema of skill {:?} is wrong: {error}",
                        skill.name
                    )
                })?;
            skills.insert(skill.name.clone(), validator);
        }
        Ok(Self(skills))
    }

    /// Checks an input: that the skill exists, that the JSON is readable, and that it fits.
    pub(super) fn check(&self, skill: &str, input: &str) -> Result<(), Failure> {
        let Some(validator) = self.0.get(skill) else {
            return Err(Failure::UnknownSkill {
                asked: skill.to_owned(),
                known: self.0.keys().cloned().collect(),
            });
        };
        let value: Value =
            serde_json::from_str(input).map_err(|error| Failure::Unreadable(error.to_string()))?;
        if validator.is_valid(&value) {
            return Ok(());
        }
        let mut found = validator.iter_errors(&value);
        let errors: Vec<Misfit> = found
            .by_ref()
            .take(MISFITS_MAX)
            .map(|error| Misfit {
                pointer: error.instance_path().as_str().to_owned(),
                message: cut(&error.to_string()),
            })
            .collect();
        Err(Failure::Misfits {
            more: found.next().is_some(),
            errors,
        })
    }
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
            skills: vec![stuga_runtime::Skill {
                name: "s".into(),
                description: String::new(),
                input_schema: schema,
                output_schema: json!({}),
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
        let Err(Failure::Misfits { errors, more }) = skills.check("s", r#"{"a": ["x", 5]}"#) else {
            panic!()
        };
        assert_eq!((errors[0].pointer.as_str(), more), ("/a/1", false));
        let Err(Failure::UnknownSkill { known, .. }) = skills.check("t", "{}") else {
            panic!()
        };
        assert_eq!(known, ["s"]);
    }

    #[test]
    fn a_hostile_input_gives_a_bounded_answer() {
        let skills = skills(json!({"type": "array", "items": {"type": "string"}}));
        let many = serde_json::to_string(&vec![1; 10_000]).unwrap();
        let Err(Failure::Misfits { errors, more }) = skills.check("s", &many) else {
            panic!()
        };
        assert_eq!((errors.len(), more), (MISFITS_MAX, true));
        let long = format!("{{\"a\": \"{}\"}}", "x".repeat(100_000));
        let Err(Failure::Misfits { errors, .. }) = skills.check("s", &long) else {
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
            Err(Failure::Unreadable(_))
        ));
    }
}
