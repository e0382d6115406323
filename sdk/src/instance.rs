//! One instance of an agent: its state and its skill table, built once and used for every call.

use crate::{Agent, Context, Error, Jobs, Result, Skills};

/// An agent's state with its skills. The component keeps one; a native test makes as many as it wants.
pub struct Instance<A> {
    agent: A,
    skills: Skills<A>,
    jobs: Jobs<A>,
}

impl<A: Agent> Instance<A> {
    /// A fresh instance, as the host makes one before the first call.
    pub fn new() -> Self {
        Self {
            agent: A::default(),
            skills: A::skills(),
            jobs: A::jobs(),
        }
    }

    /// Runs the skill that `ctx` names on `input` (JSON text) and returns its output (JSON text).
    pub(crate) fn dispatch(&mut self, ctx: &Context, input: &str) -> Result<String> {
        let Self { agent, skills, .. } = self;
        // A handful of entries: a scan beats every map.
        match skills.entries.iter().find(|s| s.name == ctx.skill) {
            Some(skill) => (skill.run)(agent, ctx, input),
            None => Err(unknown_skill::<A>(skills, &ctx.skill)),
        }
    }

    /// Runs the job of the kind that `ctx` names on `input` (JSON text) and returns its output (JSON text).
    pub(crate) fn run_job(&mut self, ctx: &Context, input: &str) -> Result<String> {
        let Self { agent, jobs, .. } = self;
        match jobs.entries.iter().find(|job| job.name == ctx.skill) {
            Some(job) => (job.run)(agent, ctx, input),
            None => {
                let known: Vec<_> = jobs.entries.iter().map(|job| job.name).collect();
                Err(unknown_job(A::NAME, &ctx.skill, &known))
            }
        }
    }

    #[cfg(not(target_family = "wasm"))]
    pub(crate) fn skills(&self) -> &Skills<A> {
        &self.skills
    }
}

impl<A: Agent> Default for Instance<A> {
    fn default() -> Self {
        Self::new()
    }
}

/// What a job hears whose kind the agent does not have.
pub(crate) fn unknown_job(agent: &str, kind: &str, known: &[&str]) -> Error {
    let known = if known.is_empty() {
        "it has none; list them in `Agent::jobs`".to_owned()
    } else {
        format!("it has: {}", known.join(", "))
    };
    Error::not_found(format!("agent `{agent}` has no job `{kind}`; {known}"))
        .with_context("job", kind)
}

fn unknown_skill<A: Agent>(skills: &Skills<A>, name: &str) -> Error {
    let known: Vec<_> = skills.entries.iter().map(|s| s.name).collect();
    let agent = A::NAME;
    Error::not_found(format!(
        "agent `{agent}` has no skill `{name}`; it has: {}",
        known.join(", ")
    ))
    .with_context("skill", name)
}
