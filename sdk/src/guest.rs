//! The real host, as a component sees it: every call goes through the generated bindings, every record and error is
//! converted here and nowhere else.

pub(crate) mod a2a;
pub(crate) mod files;
pub(crate) mod jobs;
pub(crate) mod memory;
pub(crate) mod model;
pub(crate) mod records;
pub(crate) mod search;
pub(crate) mod secrets;
pub(crate) mod sessions;

use std::time::Duration;

use crate::wit::exports::stuga::agent::agent as exported;
use crate::wit::stuga::agent as host;
use crate::wit::stuga::agent::types::{Error as WitError, ErrorDetail};
use crate::{Agent, Context, Error, ErrorKind, Instance, Origin, Result};

impl From<WitError> for Error {
    fn from(error: WitError) -> Self {
        let (kind, detail) = match error {
            WitError::NotFound(detail) => (ErrorKind::NotFound, detail),
            WitError::Invalid(detail) => (ErrorKind::Invalid, detail),
            WitError::Denied(detail) => (ErrorKind::Denied, detail),
            WitError::Conflict(detail) => (ErrorKind::Conflict, detail),
            WitError::QuotaExceeded(detail) => (ErrorKind::QuotaExceeded, detail),
            WitError::RateLimited(detail) => (ErrorKind::RateLimited, detail),
            WitError::Timeout(detail) => (ErrorKind::Timeout, detail),
            WitError::Unavailable(detail) => (ErrorKind::Unavailable, detail),
            WitError::Internal(detail) => (ErrorKind::Internal, detail),
        };
        Self {
            kind,
            message: detail.message,
            retry_after: detail.retry_after_ms.map(Duration::from_millis),
            context: detail.context,
        }
    }
}

impl From<Error> for WitError {
    fn from(error: Error) -> Self {
        let detail = ErrorDetail {
            message: error.message,
            retry_after_ms: error
                .retry_after
                .map(|after| u64::try_from(after.as_millis()).unwrap_or(u64::MAX)),
            context: error.context,
        };
        match error.kind {
            ErrorKind::NotFound => Self::NotFound(detail),
            ErrorKind::Invalid => Self::Invalid(detail),
            ErrorKind::Denied => Self::Denied(detail),
            ErrorKind::Conflict => Self::Conflict(detail),
            ErrorKind::QuotaExceeded => Self::QuotaExceeded(detail),
            ErrorKind::RateLimited => Self::RateLimited(detail),
            ErrorKind::Timeout => Self::Timeout(detail),
            ErrorKind::Unavailable => Self::Unavailable(detail),
            ErrorKind::Internal => Self::Internal(detail),
        }
    }
}

/// Answers the component's `describe`.
pub fn describe<A: Agent>() -> exported::Description {
    report_panics();
    let skill = |skill: &crate::agent::Skill<A>| {
        let schemas = (skill.schemas)();
        exported::Skill {
            name: skill.name.to_owned(),
            description: skill.description.to_owned(),
            input_schema: schemas.input,
            output_schema: schemas.output,
        }
    };
    exported::Description {
        name: A::NAME.to_owned(),
        version: A::VERSION.to_owned(),
        summary: A::SUMMARY.to_owned(),
        skills: A::skills().entries.iter().map(skill).collect(),
        jobs: A::jobs()
            .entries
            .iter()
            .map(|job| exported::JobKind {
                name: job.name.to_owned(),
                description: job.description.to_owned(),
                input_schema: (job.input_schema)(),
            })
            .collect(),
        capabilities: A::CAPABILITIES
            .iter()
            .map(|c| c.as_str().to_owned())
            .collect(),
    }
}

/// Answers the component's `invoke` with the instance in `slot`, which is made at the first call.
pub fn invoke<A: Agent>(
    slot: &mut Option<Instance<A>>,
    invocation: exported::Invocation,
) -> Result<String, WitError> {
    let instance = slot.get_or_insert_with(|| {
        report_panics();
        Instance::new()
    });
    let ctx = Context {
        id: invocation.id,
        skill: invocation.skill,
        session: invocation.session,
        origin: origin(invocation.origin),
        deadline: Duration::from_millis(invocation.deadline_ms),
        extra: invocation.context,
    };
    instance
        .dispatch(&ctx, &invocation.input)
        .map_err(WitError::from)
}

/// Answers the component's `run-job` with the instance in `slot`, which is made at the first call.
pub fn run_job<A: Agent>(
    slot: &mut Option<Instance<A>>,
    job: exported::Job,
) -> Result<String, WitError> {
    let instance = slot.get_or_insert_with(|| {
        report_panics();
        Instance::new()
    });
    let ctx = Context {
        id: job.invocation_id,
        skill: job.kind,
        session: None,
        origin: Origin::Job {
            job_id: job.id,
            attempt: job.attempt,
        },
        deadline: Duration::from_millis(job.deadline_ms),
        extra: job.context,
    };
    instance.run_job(&ctx, &job.input).map_err(WitError::from)
}

fn origin(origin: exported::Origin) -> Origin {
    match origin {
        exported::Origin::Client => Origin::Client,
        exported::Origin::Message(message) => Origin::Message {
            sender: message.sender,
            message_id: message.message_id,
            expects_reply: message.expects_reply,
        },
        exported::Origin::Job(job) => Origin::Job {
            job_id: job.job_id,
            attempt: job.attempt,
        },
    }
}

/// A panic ends in a trap that knows neither message nor place, so both go into the log before it.
fn report_panics() {
    std::panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("panic without a message");
        let place = info.location().map(ToString::to_string);
        let fields: Vec<_> = place
            .into_iter()
            .map(|place| ("place".to_owned(), place))
            .collect();
        log::write(
            crate::log::Level::Error,
            &format!("panicked: {message}"),
            &fields,
        );
    }));
}

pub(crate) mod log {
    use super::host::log as wit;
    use crate::log::Level;

    pub(crate) fn write(level: Level, message: &str, fields: &[(String, String)]) {
        let level = match level {
            Level::Trace => wit::Level::Trace,
            Level::Debug => wit::Level::Debug,
            Level::Info => wit::Level::Info,
            Level::Warn => wit::Level::Warn,
            Level::Error => wit::Level::Error,
        };
        wit::write(level, message, fields);
    }
}

pub(crate) mod output {
    use super::{Result, host::output as wit};

    pub(crate) fn emit(json: &str) -> Result<()> {
        Ok(wit::emit(json)?)
    }
}

pub(crate) mod clock {
    pub(crate) use super::host::clock::{elapsed, now};
}

pub(crate) mod random {
    pub(crate) use super::host::random::{bytes, next_u64};
}

pub(crate) mod config {
    pub(crate) use super::host::config::get;
}
