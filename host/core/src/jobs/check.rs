//! What may be written and asked about jobs. Everything is bounded here, where it enters.

use std::time::Duration;

use super::{
    DEADLINE_MAX, DEADLINE_MIN, DELAY_MAX, INPUT_MAX_BYTES, JobWrite, KEY_MAX_BYTES,
    NOTE_MAX_BYTES, Options, PAGE_MAX_JOBS, RETENTION_MAX, cron,
};
use crate::id::is_name;
use crate::sessions::check_session_id;
use crate::{Error, Result, Write};

impl JobWrite {
    /// Checks ids, names, input, options and times.
    pub fn check(&self) -> Result<()> {
        let operation = self.operation();
        match self {
            Self::Submit {
                kind,
                input,
                options,
            } => {
                check_kind(operation, kind)?;
                check_input(operation, input)?;
                options.check(operation)
            }
            Self::Cancel { id } | Self::Requeue { id } => check_job_id(operation, id),
            Self::ReportProgress { id, progress, .. } => {
                check_job_id(operation, id)?;
                check_progress(operation, u32::from(progress.percent), &progress.note)
            }
            Self::PutSchedule {
                name,
                cron,
                time_zone,
                kind,
                input,
                options,
            } => {
                check_schedule_name(operation, name)?;
                check_kind(operation, kind)?;
                check_input(operation, input)?;
                if options.delay != Duration::ZERO || options.idempotency_key.is_some() {
                    return Err(Error::invalid(
                        operation,
                        "a schedule has neither delay nor idempotency key; leave them out",
                    ));
                }
                options.check(operation)?;
                cron::Rule::parse(operation, cron, time_zone).map(drop)
            }
            Self::DeleteSchedule { name } => check_schedule_name(operation, name),
        }
    }
}

impl Options {
    fn check(&self, operation: &'static str) -> Result<()> {
        self.retry.check(operation)?;
        if self.delay > DELAY_MAX {
            return Err(Error::invalid(operation, "the delay is over 366 days"));
        }
        if let Some(deadline) = self.deadline
            && !(DEADLINE_MIN..=DEADLINE_MAX).contains(&deadline)
        {
            return Err(Error::invalid(
                operation,
                "the deadline of an attempt is not between 10 ms and 24 hours",
            ));
        }
        if self.retention.is_some_and(|time| time > RETENTION_MAX) {
            return Err(Error::invalid(operation, "the retention is over 30 days"));
        }
        if let Some(key) = &self.idempotency_key {
            let fits = (1..=KEY_MAX_BYTES).contains(&key.len())
                && key.bytes().all(|b| b.is_ascii_graphic());
            if !fits {
                return Err(Error::invalid(
                    operation,
                    "the idempotency key is not 1 to 255 visible ASCII characters",
                ));
            }
        }
        Ok(())
    }
}

/// Checks the name of a kind of jobs: as that of a skill.
pub fn check_kind(operation: &'static str, kind: &str) -> Result<()> {
    if is_name(kind) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        "the kind of job is not 1 to 63 characters of a-z, 0-9 and inner -",
    ))
}

/// Checks the name of a schedule: as that of a kind.
pub fn check_schedule_name(operation: &'static str, name: &str) -> Result<()> {
    if is_name(name) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        "the schedule's name is not 1 to 63 characters of a-z, 0-9 and inner -",
    ))
}

/// Checks a job's id: as that of a session.
pub fn check_job_id(operation: &'static str, id: &str) -> Result<()> {
    check_session_id(operation, id).map_err(|_| {
        Error::invalid(
            operation,
            "the job id is not 1 to 100 characters of A-Z a-z 0-9 - _ that begin with a letter or digit",
        )
    })
}

/// Checks an input: JSON text of at most [`INPUT_MAX_BYTES`].
pub fn check_input(operation: &'static str, input: &str) -> Result<()> {
    if input.len() > INPUT_MAX_BYTES {
        return Err(Error::invalid(
            operation,
            format!("the input has {} bytes; the limit is {INPUT_MAX_BYTES}, larger content belongs into files", input.len()),
        )
        .with_context("limit", INPUT_MAX_BYTES));
    }
    serde_json::from_str::<serde::de::IgnoredAny>(input)
        .map(drop)
        .map_err(|e| Error::invalid(operation, format!("the input is not JSON: {e}")))
}

/// Checks what a job says of itself.
pub fn check_progress(operation: &'static str, percent: u32, note: &str) -> Result<()> {
    if percent > 100 {
        return Err(Error::invalid(
            operation,
            format!("{percent} percent is over 100"),
        ));
    }
    if note.len() > NOTE_MAX_BYTES {
        return Err(Error::invalid(
            operation,
            format!(
                "the note has {} bytes; the limit is {NOTE_MAX_BYTES}",
                note.len()
            ),
        )
        .with_context("limit", NOTE_MAX_BYTES));
    }
    Ok(())
}

/// Checks how many jobs a page may hold.
pub fn check_limit(operation: &'static str, limit: u32) -> Result<()> {
    if (1..=PAGE_MAX_JOBS).contains(&limit) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!("limit {limit} is not between 1 and {PAGE_MAX_JOBS}"),
    )
    .with_context("limit", PAGE_MAX_JOBS))
}
