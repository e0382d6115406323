//! What a skill is told about the call that it answers.

use std::time::Duration;

use crate::clock;

/// Who or what caused an invocation.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Origin {
    /// A client of the API or the command line.
    Client,
    /// Another agent.
    Message {
        /// `agent` of the same tenant or `tenant/agent`.
        sender: String,
        /// The message's id.
        message_id: String,
        /// Whether the sender waits for the answer.
        expects_reply: bool,
    },
    /// The job runner.
    Job {
        /// The job's id.
        job_id: String,
        /// 1 for the first try.
        attempt: u32,
    },
}

/// One invocation, as the host describes it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Context {
    pub(crate) id: String,
    pub(crate) skill: String,
    pub(crate) session: Option<String>,
    pub(crate) origin: Origin,
    pub(crate) deadline: Duration,
    pub(crate) extra: Vec<(String, String)>,
}

impl Context {
    /// The invocation's id: unique, and the same when the host repeats it after a failure.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The skill that was called, or the kind of the job that runs.
    pub fn skill(&self) -> &str {
        &self.skill
    }

    /// What groups invocations that belong together, as the caller named it.
    pub fn session(&self) -> Option<&str> {
        self.session.as_deref()
    }

    /// Who or what caused it.
    pub fn origin(&self) -> &Origin {
        &self.origin
    }

    /// How much time is left until the host stops the call. Asks the host's clock.
    pub fn remaining(&self) -> Duration {
        self.deadline.saturating_sub(clock::elapsed())
    }

    /// What later versions of the host tell by name; none for a name that this host does not know.
    pub fn extra(&self, name: &str) -> Option<&str> {
        self.extra
            .iter()
            .find_map(|(n, value)| (n == name).then_some(value.as_str()))
    }
}
