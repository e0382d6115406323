//! Schedules: how they are kept, and how they make jobs.

use stuga_core::jobs::cron::Rule;
use stuga_core::jobs::{JobAck, JobWrite, Options, SCHEDULES_MAX};
use stuga_core::{Error, Result};

use super::effects::{NewJob, insert};
use super::rows::{self, ROW_BYTES};
use crate::error;
use crate::scope::Scope;
use crate::tx::WriteTx;

/// Most schedules of an agent that make their jobs in one transaction.
const DUE_MAX: usize = SCHEDULES_MAX;

/// Stores a schedule in place of what stood under its name.
pub(super) fn put(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    name: &str,
    write: &JobWrite,
) -> Result<JobAck> {
    let JobWrite::PutSchedule {
        cron,
        time_zone,
        kind,
        input,
        options,
        ..
    } = write
    else {
        return Err(Error::internal(operation, "this write is no schedule"));
    };
    let next_at = Rule::parse(operation, cron, time_zone)?.next_after(operation, tx.now)?;
    let existed = remove(tx, operation, scope, name)?;
    let count: usize = tx
        .first(
            operation,
            "SELECT count(*) FROM schedule WHERE agent = ?1",
            [scope.rows()],
            |row| row.get(0),
        )?
        .unwrap_or_default();
    if count >= SCHEDULES_MAX {
        return Err(Error::quota_exceeded(
            operation,
            "the agent has too many schedules; delete one",
        )
        .with_context("limit", SCHEDULES_MAX));
    }
    let options = serde_json::to_string(options)
        .map_err(|e| Error::internal(operation, "options cannot be kept").with_source(e))?;
    let texts = [name, cron, time_zone, kind, input, &options];
    let bytes = texts.iter().map(|text| text.len() as u64).sum::<u64>() + ROW_BYTES;
    rows::book(tx, operation, bytes)?;
    tx.execute(
        operation,
        "INSERT INTO schedule (agent, name, cron, time_zone, kind, input, options, next_at, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        (
            scope.rows(),
            name,
            cron,
            time_zone,
            kind,
            input,
            options,
            next_at.as_millis(),
            bytes,
        ),
    )?;
    Ok(JobAck::Scheduled { next_at, existed })
}

/// Removes a schedule.
pub(super) fn delete(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    name: &str,
) -> Result<JobAck> {
    let existed = remove(tx, operation, scope, name)?;
    Ok(JobAck::Unscheduled { existed })
}

fn remove(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    name: &str,
) -> Result<bool> {
    let removed = rows::remove(
        tx,
        operation,
        "DELETE FROM schedule WHERE agent = ?1 AND name = ?2 RETURNING bytes",
        (scope.rows(), name),
    )?;
    Ok(removed > 0)
}

/// A schedule whose time has come.
struct Due {
    seq: i64,
    name: String,
    cron: String,
    time_zone: String,
    kind: String,
    input: String,
    options: String,
    next_at: u64,
}

/// Makes the jobs of an agent's schedules whose time has come, and sets their next times. All times that have passed
/// since the last one make one job, and none is made while an earlier one of the schedule has not ended.
pub(super) fn make_due_jobs(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    agent: &str,
) -> Result<()> {
    for due in due(tx, operation, agent)? {
        let (next_at, made) = match make_job(tx, operation, agent, &due) {
            Ok(next_at) => (next_at.as_millis(), None),
            // A schedule that can make none is no reason to hold up everything else: it waits as if it had.
            Err(error) => (
                Rule::parse(operation, &due.cron, &due.time_zone)
                    .and_then(|rule| rule.next_after(operation, tx.now))
                    .map_or(i64::MAX as u64, |next| next.as_millis()),
                Some(error),
            ),
        };
        if let Some(error) = made {
            tracing::warn!(agent, schedule = due.name, %error, "a schedule could not make its job");
        }
        tx.execute(
            operation,
            "UPDATE schedule SET next_at = ?2 WHERE seq = ?1",
            (due.seq, next_at),
        )?;
    }
    Ok(())
}

fn make_job(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    agent: &str,
    due: &Due,
) -> Result<stuga_core::Timestamp> {
    let next_at =
        Rule::parse(operation, &due.cron, &due.time_zone)?.next_after(operation, tx.now)?;
    let options: Options = serde_json::from_str(&due.options)
        .map_err(|e| Error::internal(operation, "a schedule is damaged").with_source(e))?;
    let id = format!("cron-{}-{}", due.name, due.next_at);
    let occupied = tx.first(
        operation,
        "SELECT 1 FROM job WHERE agent = ?1 AND schedule = ?2 AND ended_at IS NULL
         UNION ALL SELECT 1 FROM job WHERE agent = ?1 AND id = ?3 LIMIT 1",
        (agent, &due.name, &id),
        |_| Ok(()),
    )?;
    if occupied.is_none() {
        let job = NewJob {
            agent,
            id: &id,
            kind: &due.kind,
            input: &due.input,
            options: &options,
            request: None,
            schedule: Some(&due.name),
        };
        insert(tx, operation, &job)?;
    }
    Ok(next_at)
}

fn due(tx: &WriteTx<'_>, operation: &'static str, agent: &str) -> Result<Vec<Due>> {
    let mut statement = tx.statement(
        operation,
        "SELECT seq, name, cron, time_zone, kind, input, options, next_at FROM schedule
         WHERE agent = ?1 AND next_at <= ?2 ORDER BY next_at LIMIT ?3",
    )?;
    let rows = statement.query_map((agent, tx.now.as_millis(), DUE_MAX), |row| {
        Ok(Due {
            seq: row.get(0)?,
            name: row.get(1)?,
            cron: row.get(2)?,
            time_zone: row.get(3)?,
            kind: row.get(4)?,
            input: row.get(5)?,
            options: row.get(6)?,
            next_at: row.get(7)?,
        })
    });
    rows.and_then(Iterator::collect)
        .map_err(|e| error::sqlite(operation, e))
}
