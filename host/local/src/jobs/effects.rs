//! What writes to jobs do inside a transaction.

use stuga_core::jobs::{JobAck, JobWrite, Options, Progress, RETENTION_DEFAULT, State};
use stuga_core::{CapabilityName, Error, Result, Write, WriteId};

use super::rows::{self, Found, ROW_BYTES, absent, state_of};
use super::{TABLE, schedules};
use crate::applied::{self, DIGEST_BYTES, DigestBuilder, WriteDigest};
use crate::lease::millis;
use crate::scope::Scope;
use crate::tx::WriteTx;

/// Tells this write from any other under its id.
pub(super) fn digest(scope: &Scope, write: &JobWrite) -> WriteDigest {
    let parts = DigestBuilder::new(scope, CapabilityName::Jobs, write.operation())
        .part(write.key().as_bytes());
    match write {
        JobWrite::Submit { input, options, .. } => {
            with_options(parts.part(input.as_bytes()), options)
        }
        JobWrite::Cancel { .. } | JobWrite::Requeue { .. } | JobWrite::DeleteSchedule { .. } => {
            parts
        }
        JobWrite::ReportProgress {
            attempt, progress, ..
        } => parts
            .number(Some(u64::from(*attempt)))
            .number(Some(u64::from(progress.percent)))
            .part(progress.note.as_bytes()),
        JobWrite::PutSchedule {
            cron,
            time_zone,
            kind,
            input,
            options,
            ..
        } => {
            let parts = parts
                .part(cron.as_bytes())
                .part(time_zone.as_bytes())
                .part(kind.as_bytes())
                .part(input.as_bytes());
            with_options(parts, options)
        }
    }
    .finish()
}

fn with_options(parts: DigestBuilder, options: &Options) -> DigestBuilder {
    let Options {
        delay,
        priority,
        retry,
        deadline,
        retention,
        idempotency_key,
    } = options;
    parts
        .number(Some(millis(*delay)))
        .number(Some(*priority as u64))
        .number(Some(u64::from(retry.attempts)))
        .number(Some(millis(retry.base)))
        .number(Some(millis(retry.cap)))
        .number(deadline.map(millis))
        .number(retention.map(millis))
        // A key is never empty, so none differs from all of them.
        .part(idempotency_key.as_deref().unwrap_or_default().as_bytes())
}

/// Whether runners must look at the tenant after this write: there is more to do, or something to stop.
pub(super) fn is_news(write: &JobWrite) -> bool {
    match write {
        JobWrite::Submit { .. }
        | JobWrite::Requeue { .. }
        | JobWrite::PutSchedule { .. }
        | JobWrite::Cancel { .. } => true,
        JobWrite::ReportProgress { .. } | JobWrite::DeleteSchedule { .. } => false,
    }
}

/// Applies a checked write inside a transaction, once for its id.
pub(super) fn apply_in(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    id: WriteId,
    digest: WriteDigest,
    write: &JobWrite,
) -> Result<JobAck> {
    let operation = write.operation();
    applied::once(tx, operation, id, digest, |tx| match write {
        JobWrite::Submit {
            kind,
            input,
            options,
        } => submit(tx, operation, scope, id, kind, input, options),
        JobWrite::Cancel { id } => cancel(tx, operation, scope, id),
        JobWrite::Requeue { id } => requeue(tx, operation, scope, id),
        JobWrite::ReportProgress {
            id,
            attempt,
            progress,
        } => report(tx, operation, scope, id, *attempt, progress),
        JobWrite::PutSchedule { name, .. } => schedules::put(tx, operation, scope, name, write),
        JobWrite::DeleteSchedule { name } => schedules::delete(tx, operation, scope, name),
    })
}

/// A job on its way into the table.
pub(super) struct NewJob<'j> {
    pub(super) agent: &'j str,
    pub(super) id: &'j str,
    pub(super) kind: &'j str,
    pub(super) input: &'j str,
    pub(super) options: &'j Options,
    /// Digest of the submission, for its idempotency key.
    pub(super) request: Option<[u8; DIGEST_BYTES]>,
    pub(super) schedule: Option<&'j str>,
}

fn submit(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    id: WriteId,
    kind: &str,
    input: &str,
    options: &Options,
) -> Result<JobAck> {
    let request = request_digest(scope, kind, input, options);
    if let Some(key) = &options.idempotency_key
        && let Some((id, before)) = of_key(tx, operation, scope, key)?
    {
        if before != request {
            return Err(Error::conflict(
                operation,
                "another job was submitted under this idempotency key; use a new key for a new job",
            )
            .with_context("job", id));
        }
        return Ok(JobAck::Submitted { id, existed: true });
    }
    let id = id.to_name();
    let job = NewJob {
        agent: scope.rows(),
        id: &id,
        kind,
        input,
        options,
        request: options.idempotency_key.is_some().then_some(request),
        schedule: None,
    };
    insert(tx, operation, &job)?;
    Ok(JobAck::Submitted { id, existed: false })
}

/// What tells submissions apart that use the same key.
fn request_digest(scope: &Scope, kind: &str, input: &str, options: &Options) -> [u8; DIGEST_BYTES] {
    let parts = DigestBuilder::new(scope, CapabilityName::Jobs, "key")
        .part(kind.as_bytes())
        .part(input.as_bytes());
    with_options(parts, options).finish().to_bytes()
}

/// The job that stays under an idempotency key. One whose time has passed is removed, so that the key is free.
fn of_key(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    key: &str,
) -> Result<Option<(String, [u8; DIGEST_BYTES])>> {
    let found = tx.first(
        operation,
        "SELECT seq, id, request, expires_at FROM job WHERE agent = ?1 AND key = ?2",
        (scope.rows(), key),
        |row| {
            let expires_at: Option<u64> = row.get(3)?;
            Ok((row.get::<_, i64>(0)?, row.get(1)?, row.get(2)?, expires_at))
        },
    )?;
    match found {
        Some((seq, _, _, Some(expires_at))) if expires_at <= tx.now.as_millis() => {
            rows::remove(
                tx,
                operation,
                "DELETE FROM job WHERE seq = ?1 RETURNING bytes",
                [seq],
            )?;
            Ok(None)
        }
        Some((_, id, request, _)) => Ok(Some((id, request))),
        None => Ok(None),
    }
}

/// Puts a job into the table and books it.
pub(super) fn insert(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    job: &NewJob<'_>,
) -> Result<()> {
    let options = job.options;
    let key = options.idempotency_key.as_deref();
    let texts = [job.id, job.kind, job.input, key.unwrap_or_default()];
    let bytes = texts.iter().map(|text| text.len() as u64).sum::<u64>() + ROW_BYTES;
    rows::book(tx, operation, bytes)?;
    let seq = tx.next_version();
    let now = tx.now;
    tx.statement(
        operation,
        "INSERT INTO job (seq, agent, id, kind, input, priority, deadline_ms, retention_ms, key, request, schedule,
           submitted_at, bytes, phase, due_at, attempts_max, base_ms, cap_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, 'waiting', ?14, ?15, ?16, ?17)",
    )?
    .execute(rusqlite::params![
        seq,
        job.agent,
        job.id,
        job.kind,
        job.input,
        options.priority as u8,
        options.deadline.map(millis),
        millis(options.retention.unwrap_or(RETENTION_DEFAULT)),
        key,
        job.request,
        job.schedule,
        now.as_millis(),
        bytes,
        now.saturating_add(options.delay).as_millis(),
        options.retry.attempts,
        millis(options.retry.base),
        millis(options.retry.cap),
    ])
    .map(drop)
    .map_err(|e| crate::error::sqlite(operation, e))
}

fn find(tx: &WriteTx<'_>, operation: &'static str, scope: &Scope, id: &str) -> Result<Found> {
    tx.first(
        operation,
        "SELECT seq, phase, attempt, retention_ms FROM job
         WHERE agent = ?1 AND id = ?2 AND (expires_at IS NULL OR expires_at > ?3)",
        (scope.rows(), id, tx.now.as_millis()),
        |row| {
            Ok(Found {
                seq: row.get(0)?,
                state: state_of(row.get_ref(1)?.as_str()?),
                attempt: row.get(2)?,
                retention_ms: row.get(3)?,
            })
        },
    )?
    .ok_or_else(|| absent(operation))
}

fn cancel(tx: &WriteTx<'_>, operation: &'static str, scope: &Scope, id: &str) -> Result<JobAck> {
    let found = find(tx, operation, scope, id)?;
    let was_open = !found.state.is_end();
    if was_open {
        TABLE.end(tx, operation, found.seq, State::Cancelled.as_str())?;
        rows::note_end(tx, operation, found.seq, found.retention_ms)?;
    }
    Ok(JobAck::Cancelled { was_open })
}

fn requeue(tx: &WriteTx<'_>, operation: &'static str, scope: &Scope, id: &str) -> Result<JobAck> {
    let found = find(tx, operation, scope, id)?;
    if !TABLE.requeue(tx, operation, found.seq)? {
        return Err(Error::conflict(
            operation,
            format!(
                "the job is {}; only a dead one is queued again",
                found.state.as_str()
            ),
        )
        .with_context("state", found.state.as_str()));
    }
    tx.execute(
        operation,
        "UPDATE job SET ended_at = NULL, expires_at = NULL WHERE seq = ?1",
        [found.seq],
    )?;
    Ok(JobAck::Requeued)
}

fn report(
    tx: &WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    id: &str,
    attempt: u32,
    progress: &Progress,
) -> Result<JobAck> {
    let found = find(tx, operation, scope, id)?;
    if found.state != State::Running || found.attempt != attempt {
        return Err(Error::conflict(
            operation,
            "this attempt of the job does not run any more: it was cancelled, or lost to another; end now",
        )
        .with_context("state", found.state.as_str()));
    }
    tx.execute(
        operation,
        "UPDATE job SET percent = ?2, note = ?3 WHERE seq = ?1",
        (found.seq, progress.percent, &progress.note),
    )?;
    Ok(JobAck::Noted)
}
