//! Reads of the tables `job` and `schedule`.

use rusqlite::{Connection, OptionalExtension, Row};
use stuga_core::cursor::{self, Listing};
use stuga_core::jobs::{Job, JobInfo, Page, Priority, Progress, Schedule, State};
use stuga_core::{Result, Timestamp};

use super::rows::state_of;
use crate::lease;
use crate::scope::Scope;

/// Longest text that a cursor carries: a state and a number.
const CURSOR_MAX_BYTES: usize = 64;
/// The columns that [`info`] reads, in its order.
const INFO: &str = "id, kind, phase, priority, attempt, submitted_at, due_at, began_at, ended_at, percent, note, error,
    schedule";
/// How many they are.
const INFO_COLUMNS: usize = 13;
/// Most rows that one page looks at: bounds a listing over many jobs whose time has passed and that are not swept yet.
const PAGE_MAX_ROWS_SEEN: usize = 10_000;

/// The job of that id.
pub(super) fn get(
    conn: &Connection,
    scope: &Scope,
    id: &str,
    now: Timestamp,
) -> rusqlite::Result<Option<Job>> {
    conn.prepare_cached(&format!(
        "SELECT {INFO}, input, output FROM job
         WHERE agent = ?1 AND id = ?2 AND (expires_at IS NULL OR expires_at > ?3)"
    ))?
    .query_row((scope.rows(), id, now.as_millis()), |row| {
        Ok(Job {
            info: info(row)?,
            input: row.get(INFO_COLUMNS)?,
            output: row.get(INFO_COLUMNS + 1)?,
        })
    })
    .optional()
}

/// What every cursor of a listing begins with.
fn place(state: Option<State>) -> String {
    format!("{}:", state.map_or("all", State::as_str))
}

/// The row after which to read on.
pub(super) fn decode(
    operation: &'static str,
    state: Option<State>,
    cursor: Option<&str>,
) -> Result<Option<i64>> {
    let Some(cursor) = cursor else {
        return Ok(None);
    };
    let place = place(state);
    let last = cursor::decode(operation, Listing::Jobs, &place, cursor, CURSOR_MAX_BYTES)?;
    let seq = last
        .strip_prefix(&place)
        .and_then(|last| last.parse().ok())
        .ok_or_else(|| cursor::malformed(operation))?;
    Ok(Some(seq))
}

/// One page of the agent's jobs, after the row `after`.
pub(super) fn list(
    conn: &Connection,
    scope: &Scope,
    state: Option<State>,
    after: Option<i64>,
    limit: u32,
    now: Timestamp,
) -> rusqlite::Result<Page> {
    let of_state = if state.is_some() {
        "phase = ?3 AND"
    } else {
        "?3 = '' AND"
    };
    let sql = format!(
        "SELECT {INFO}, seq, expires_at FROM job WHERE agent = ?1 AND {of_state} seq < ?2 ORDER BY seq DESC"
    );
    let mut statement = conn.prepare_cached(&sql)?;
    let wanted = state.map_or("", State::as_str);
    let mut rows = statement.query((scope.rows(), after.unwrap_or(i64::MAX), wanted))?;
    let mut page = Page::default();
    let (mut last, mut seen) = (0_i64, 0_usize);
    while let Some(row) = rows.next()? {
        if page.jobs.len() >= limit as usize || seen >= PAGE_MAX_ROWS_SEEN {
            let place = place(state);
            let key = format!("{place}{last}");
            page.next_cursor = Some(cursor::encode(Listing::Jobs, &place, &key));
            break;
        }
        seen += 1;
        last = row.get(INFO_COLUMNS)?;
        let expires_at: Option<u64> = row.get(INFO_COLUMNS + 1)?;
        if expires_at.is_none_or(|at| at > now.as_millis()) {
            page.jobs.push(info(row)?);
        }
    }
    Ok(page)
}

/// The agent's schedules by name.
pub(super) fn schedules(conn: &Connection, scope: &Scope) -> rusqlite::Result<Vec<Schedule>> {
    conn.prepare_cached(
        "SELECT name, cron, time_zone, kind, input, next_at FROM schedule WHERE agent = ?1 ORDER BY name",
    )?
    .query_map([scope.rows()], |row| {
        Ok(Schedule {
            name: row.get(0)?,
            cron: row.get(1)?,
            time_zone: row.get(2)?,
            kind: row.get(3)?,
            input: row.get(4)?,
            next_at: Timestamp::from_millis(row.get(5)?),
        })
    })?
    .collect()
}

/// The job in the columns of [`INFO`].
fn info(row: &Row<'_>) -> rusqlite::Result<JobInfo> {
    let time = |column| -> rusqlite::Result<Option<Timestamp>> {
        Ok(row
            .get::<_, Option<u64>>(column)?
            .map(Timestamp::from_millis))
    };
    let state = state_of(row.get_ref(2)?.as_str()?);
    let priority: usize = row.get(3)?;
    let percent: Option<u8> = row.get(9)?;
    let note: Option<String> = row.get(10)?;
    Ok(JobInfo {
        id: row.get(0)?,
        kind: row.get(1)?,
        state,
        priority: Priority::ALL.get(priority).copied().unwrap_or_default(),
        attempt: row.get(4)?,
        submitted_at: Timestamp::from_millis(row.get(5)?),
        due_at: Timestamp::from_millis(row.get(6)?),
        // An attempt that was put back keeps its time, but does not run.
        began_at: time(7)?.filter(|_| state == State::Running),
        ended_at: time(8)?,
        progress: percent.map(|percent| Progress {
            percent,
            note: note.unwrap_or_default(),
        }),
        failure: lease::failure(row, 11)?,
        schedule: row.get(12)?,
    })
}
