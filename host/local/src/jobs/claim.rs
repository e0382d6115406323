//! What is to run next, inside a transaction: leases that ran out, schedules that are due, then the jobs themselves.

use std::time::Duration;

use stuga_core::jobs::queue::{Claimed, Claims, WAITING_COUNTED_MAX};
use stuga_core::jobs::{PRIORITY_STEP, Priority};
use stuga_core::lease::Lease;
use stuga_core::retry::{Next, next_roll};
use stuga_core::{AgentName, Error, Result, Timestamp};

use super::{TABLE, rows, schedules};
use crate::error;
use crate::lease::millis;
use crate::tx::WriteTx;

/// Most leases that have run out which one claim puts back.
const LOST_MAX: u32 = 64;

/// Takes what is due of these agents, one job under each lease.
pub(super) fn claim(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    agents: &[AgentName],
    leases: &[Lease],
    roll: u64,
) -> Result<Claims> {
    put_back_lost(tx, operation, roll)?;
    for agent in agents {
        schedules::make_due_jobs(tx, operation, agent.as_str())?;
    }
    let due = due(tx, operation, agents, leases.len())?;
    let mut jobs = Vec::with_capacity(due.len());
    for (candidate, lease) in due.into_iter().zip(leases) {
        jobs.extend(take(tx, operation, candidate.seq, lease)?);
    }
    Ok(Claims {
        jobs,
        next_at: next_at(tx, operation, agents)?,
        waiting: waiting(tx, operation)?,
    })
}

fn put_back_lost(tx: &WriteTx<'_>, operation: &'static str, roll: u64) -> Result<()> {
    let mut roll = roll;
    for seq in TABLE.lost(tx, operation, LOST_MAX)? {
        roll = next_roll(roll);
        if let Some(Next::GiveUp) = TABLE.lose(tx, operation, seq, roll)? {
            rows::note_death(tx, operation, seq)?;
        }
    }
    Ok(())
}

/// A job that could run now. Its rank is when it became due, made earlier by its priority: so a higher priority goes
/// first, and yet none waits forever.
struct Candidate {
    rank: i128,
    seq: i64,
}

/// At most `max` jobs that are due, those to run first in front.
fn due(
    tx: &WriteTx<'_>,
    operation: &'static str,
    agents: &[AgentName],
    max: usize,
) -> Result<Vec<Candidate>> {
    let mut statement = tx.statement(
        operation,
        "SELECT seq, due_at FROM job WHERE phase = 'waiting' AND agent = ?1 AND priority = ?2 AND due_at <= ?3
         ORDER BY due_at, seq LIMIT ?4",
    )?;
    let mut found = Vec::new();
    for agent in agents {
        for priority in Priority::ALL {
            let params = (agent.as_str(), priority as u8, tx.now.as_millis(), max);
            let head_start = i128::from(millis(PRIORITY_STEP)) * priority as i128;
            let candidates = statement.query_map(params, |row| {
                Ok(Candidate {
                    rank: i128::from(row.get::<_, u64>(1)?) - head_start,
                    seq: row.get(0)?,
                })
            });
            for candidate in candidates.map_err(|e| error::sqlite(operation, e))? {
                found.push(candidate.map_err(|e| error::sqlite(operation, e))?);
            }
        }
    }
    found.sort_by_key(|candidate| (candidate.rank, candidate.seq));
    found.truncate(max);
    Ok(found)
}

fn take(
    tx: &WriteTx<'_>,
    operation: &'static str,
    seq: i64,
    lease: &Lease,
) -> Result<Option<Claimed>> {
    let Some(taken) = TABLE.take(tx, operation, seq, lease)? else {
        return Ok(None);
    };
    let job = tx.first(
        operation,
        "SELECT agent, id, kind, input, deadline_ms FROM job WHERE seq = ?1",
        [seq],
        |row| {
            Ok((
                row.get::<_, String>(0)?,
                row.get(1)?,
                row.get(2)?,
                row.get(3)?,
                row.get::<_, Option<u64>>(4)?,
            ))
        },
    )?;
    let (agent, id, kind, input, deadline_ms) =
        job.ok_or_else(|| Error::internal(operation, "a job that was taken is not there"))?;
    Ok(Some(Claimed {
        token: lease.token,
        agent: AgentName::new(&agent)?,
        id,
        kind,
        input,
        attempt: taken.attempt,
        began_at: taken.began_at,
        losses: taken.losses,
        deadline: deadline_ms.map(Duration::from_millis),
    }))
}

/// When there may be something to do next for these agents.
fn next_at(
    tx: &WriteTx<'_>,
    operation: &'static str,
    agents: &[AgentName],
) -> Result<Option<Timestamp>> {
    let earliest = |sql: &str, params: &[&dyn rusqlite::ToSql]| {
        let found = tx.first(operation, sql, params, |row| row.get::<_, Option<u64>>(0));
        found.map(Option::flatten)
    };
    let mut next = earliest(
        "SELECT min(lease_until) FROM job WHERE phase = 'running'",
        &[],
    )?;
    for agent in agents {
        let agent = agent.as_str();
        for priority in Priority::ALL {
            let waiting = earliest(
                "SELECT min(due_at) FROM job WHERE phase = 'waiting' AND agent = ?1 AND priority = ?2",
                &[&agent, &(priority as u8)],
            )?;
            next = sooner(next, waiting);
        }
        let scheduled = earliest(
            "SELECT min(next_at) FROM schedule WHERE agent = ?1",
            &[&agent],
        )?;
        next = sooner(next, scheduled);
    }
    Ok(next.map(Timestamp::from_millis))
}

fn waiting(tx: &WriteTx<'_>, operation: &'static str) -> Result<u32> {
    let counted = tx.first(
        operation,
        "SELECT count(*) FROM (SELECT 1 FROM job WHERE phase = 'waiting' LIMIT ?1)",
        [WAITING_COUNTED_MAX],
        |row| row.get(0),
    )?;
    Ok(counted.unwrap_or_default())
}

fn sooner(a: Option<u64>, b: Option<u64>) -> Option<u64> {
    a.into_iter().chain(b).min()
}
