//! One instance of an agent: its state and its skill table, built once and used for every call.

use crate::{Agent, Context, Error, Result, Skills};

/// An agent's state with its skills. The component keeps one; a native test makes as many as it wants.
pub struct Instance<A> {
    agent: A,
    skills: Skills<A>,
}

impl<A: Agent> Instance<A> {
    /// A fresh instance, as the host makes one before the first call.
    pub fn new() -> Self {
        Self {
            agent: A::default(),
            skills: A::skills(),
        }
    }

    /// Runs the skill that `ctx` names on `input` (JSON text) and returns its output (JSON text).
    pub(crate) fn dispatch(&mut self, ctx: &Context, input: &str) -> Result<String> {
        let Self { agent, skills } = self;
        // A handful of entries: a scan beats every map.
        match skills.entries.iter().find(|s| s.name == ctx.skill) {
            Some(skill) => (skill.run)(agent, ctx, input),
            None => Err(unknown_skill::<A>(skills, &ctx.skill)),
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

fn unknown_skill<A: Agent>(skills: &Skills<A>, name: &str) -> Error {
    let known: Vec<_> = skills.entries.iter().map(|s| s.name).collect();
    let agent = A::NAME;
    Error::not_found(format!(
        "agent `{agent}` has no skill `{name}`; it has: {}",
        known.join(", ")
    ))
    .with_context("skill", name)
}
