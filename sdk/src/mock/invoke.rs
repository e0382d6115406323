//! Calls of a skill as the host makes them: input checked by schema, only declared capabilities, JSON in and out.

use std::time::Duration;

use serde_json::Value;
use stuga_core::id::is_name;

use super::{Host, current};
use crate::{Agent, Context, Error, Instance, Origin, Result};

/// How many violations of a schema an error names.
const VIOLATIONS_MAX: usize = 8;

/// Calls a skill of a fresh instance, on the running host or, outside [`Host::run`], on a host of its own.
///
/// # Errors
/// What the skill answers; `NotFound` for an unknown skill; `Invalid` for an input that does not fit the schema;
/// `Internal` for an output that does not fit the schema, which is a mistake of the agent.
pub fn invoke<A: Agent>(skill: &str, input: Value) -> Result<Value> {
    Call::new(skill, input).on(&mut Instance::<A>::new())
}

/// One call, for tests that need more than [`invoke`].
#[derive(Clone, Debug)]
pub struct Call {
    skill: String,
    input: Value,
    session: Option<String>,
    origin: Origin,
    deadline: Duration,
}

impl Call {
    /// A client's call without a session and with 30 seconds left.
    pub fn new(skill: &str, input: Value) -> Self {
        Self {
            skill: skill.to_owned(),
            input,
            session: None,
            origin: Origin::Client,
            deadline: Duration::from_secs(30),
        }
    }

    /// Names the session.
    #[must_use]
    pub fn session(mut self, session: &str) -> Self {
        self.session = Some(session.to_owned());
        self
    }

    /// Says who called.
    #[must_use]
    pub fn origin(mut self, origin: Origin) -> Self {
        self.origin = origin;
        self
    }

    /// Sets how much time is left. It is told, not enforced.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = deadline;
        self
    }

    /// Makes the call on an instance that may have seen others, as a warm one has. Errors as [`invoke`].
    pub fn on<A: Agent>(self, instance: &mut Instance<A>) -> Result<Value> {
        let Some(host) = current() else {
            return Host::new().run(|| self.on(instance));
        };
        let skill = instance
            .skills()
            .entries
            .iter()
            .find(|s| s.name == self.skill);
        let schemas = skill.map(|skill| (skill.schemas)());
        if let Some(schemas) = &schemas {
            check_input(&schemas.input, &self.input, "skill", &self.skill)?;
        }

        let number = {
            let mut state = host.state();
            let number = state.begin(A::CAPABILITIES);
            state.enter::<A>(&self.origin);
            number
        };
        let ctx = Context {
            id: format!("00000000-0000-7000-8000-{number:012x}"),
            skill: self.skill,
            session: self.session,
            origin: self.origin,
            deadline: self.deadline,
            extra: Vec::new(),
        };
        let ending = Ending(&host);
        let output = instance.dispatch(&ctx, &self.input.to_string());
        let output = output.map_err(|error| host.state().without_secrets(error))?;
        drop(ending);

        let output = serde_json::from_str(&output)
            .map_err(|e| Error::internal(format!("the agent's answer is not JSON: {e}")))?;
        if let Some(schemas) = &schemas {
            check(&schemas.output, &output)
                .map_err(|e| e.into_error(Error::internal, "output", "skill", &ctx.skill))?;
        }
        Ok(output)
    }
}

/// Ends an invocation, also when the skill panics.
struct Ending<'h>(&'h Host);

impl Drop for Ending<'_> {
    fn drop(&mut self) {
        self.0.state().end();
    }
}

/// What a component of the agent says of itself.
#[derive(Clone, PartialEq, Debug)]
pub struct Description {
    /// The agent's name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
    /// What it is for.
    pub summary: &'static str,
    /// Its skills, in order.
    pub skills: Vec<SkillDescription>,
    /// What it can run as a job, in order.
    pub jobs: Vec<JobDescription>,
    /// The capabilities it wants.
    pub capabilities: Vec<&'static str>,
}

/// A skill as it is described.
#[derive(Clone, PartialEq, Debug)]
pub struct SkillDescription {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// JSON Schema of its input.
    pub input_schema: Value,
    /// JSON Schema of its output.
    pub output_schema: Value,
}

/// A kind of job as it is described.
#[derive(Clone, PartialEq, Debug)]
pub struct JobDescription {
    /// Its name.
    pub name: &'static str,
    /// What it does.
    pub description: &'static str,
    /// JSON Schema of its input.
    pub input_schema: Value,
}

/// Describes the agent and checks what a host checks when it loads it.
///
/// # Errors
/// `Invalid` when a name is not a name, two skills share one, or a schema is none.
pub fn describe<A: Agent>() -> Result<Description> {
    let mut skills: Vec<SkillDescription> = Vec::new();
    check_name("agent", A::NAME)?;
    for skill in A::skills().entries {
        check_name("skill", skill.name)?;
        if skills.iter().any(|known| known.name == skill.name) {
            let name = skill.name;
            return Err(Error::invalid(format!("two skills are called `{name}`")));
        }
        let schemas = (skill.schemas)();
        skills.push(SkillDescription {
            name: skill.name,
            description: skill.description,
            input_schema: parse_schema(skill.name, &schemas.input)?,
            output_schema: parse_schema(skill.name, &schemas.output)?,
        });
    }
    let mut jobs: Vec<JobDescription> = Vec::new();
    for job in A::jobs().entries {
        check_name("job", job.name)?;
        if jobs.iter().any(|known| known.name == job.name) {
            let name = job.name;
            return Err(Error::invalid(format!("two jobs are called `{name}`")));
        }
        jobs.push(JobDescription {
            name: job.name,
            description: job.description,
            input_schema: parse_schema(job.name, &(job.input_schema)())?,
        });
    }
    Ok(Description {
        name: A::NAME,
        version: A::VERSION,
        summary: A::SUMMARY,
        skills,
        jobs,
        capabilities: A::CAPABILITIES.iter().map(|c| c.as_str()).collect(),
    })
}

fn check_name(what: &str, name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "{what} name {name:?} is not 1 to 63 characters of a-z, 0-9 and inner -"
    )))
}

fn parse_schema(skill: &str, schema: &str) -> Result<Value> {
    let bad = |e: String| Error::invalid(format!("a schema of the skill `{skill}` is wrong: {e}"));
    let schema = serde_json::from_str(schema).map_err(|e| bad(e.to_string()))?;
    jsonschema::draft202012::new(&schema).map_err(|e| bad(e.to_string()))?;
    Ok(schema)
}

/// Why a value does not fit a schema: one text for each violation, with its JSON pointer.
struct Violations(Vec<(String, String)>);

impl Violations {
    fn into_error(self, kind: fn(String) -> Error, what: &str, of: &str, name: &str) -> Error {
        let told: Vec<_> = self
            .0
            .iter()
            .map(|(path, problem)| format!("at \"{path}\": {problem}"))
            .collect();
        let told = told.join("; ");
        let mut error = kind(format!("the {what} does not fit the {of} `{name}`: {told}"));
        for (path, _) in self.0 {
            error = error.with_context("path", path);
        }
        error
    }
}

/// Checks what goes into a skill or job.
pub(super) fn check_input(schema: &str, input: &Value, of: &str, name: &str) -> Result<()> {
    check(schema, input).map_err(|e| e.into_error(Error::invalid, "input", of, name))
}

fn check(schema: &str, value: &Value) -> Result<(), Violations> {
    let alone = |problem: String| Violations(vec![(String::new(), problem)]);
    let schema = serde_json::from_str(schema).map_err(|e| alone(e.to_string()))?;
    let validator = jsonschema::draft202012::new(&schema).map_err(|e| alone(e.to_string()))?;
    let violations: Vec<_> = validator
        .iter_errors(value)
        .take(VIOLATIONS_MAX)
        .map(|e| (e.instance_path().to_string(), e.to_string()))
        .collect();
    if violations.is_empty() {
        return Ok(());
    }
    Err(Violations(violations))
}
