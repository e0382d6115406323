//! Rows of the table `message`, and what they add up to.

use rusqlite::Row;
use stuga_core::a2a::delivery::{Letter, State};
use stuga_core::a2a::{Address, MailboxWrite, Message};
use stuga_core::retry::RetryPolicy;
use stuga_core::{AgentName, Error, Result, Timestamp, WriteId};

use crate::lease::{self, DEAD, Leased, RUNNING, WAITING, millis};
use crate::tx::WriteTx;

/// The table.
pub(super) const TABLE: Leased = Leased("message");
/// How often a message is tried: for about a quarter of an hour, so that what is restarted or repaired meanwhile gets it.
const RETRY: RetryPolicy = RetryPolicy {
    attempts: 10,
    base: std::time::Duration::from_secs(1),
    cap: std::time::Duration::from_secs(600),
};
/// What a row counts beside its texts.
const ROW_BYTES: u64 = 256;

/// The columns that [`letter`] reads.
pub(super) const LETTER: &str = "id, sender, agent, skill, input, session, depth, phase, posted_at, due_at, attempt, error, seq";

/// A message in the columns [`LETTER`].
pub(super) fn letter(row: &Row<'_>) -> rusqlite::Result<Letter> {
    Ok(Letter {
        id: row.get(0)?,
        sender: parsed(row, 1)?,
        agent: agent(row, 2)?,
        message: message(row, 3)?,
        depth: row.get(6)?,
        state: match row.get_ref(7)?.as_str()? {
            RUNNING => State::Running,
            DEAD => State::Dead,
            _ => State::Waiting,
        },
        posted_at: Timestamp::from_millis(row.get(8)?),
        due_at: Timestamp::from_millis(row.get(9)?),
        attempt: row.get(10)?,
        failure: lease::failure(row, 11)?,
    })
}

/// Skill, input and session from column `first` on.
pub(super) fn message(row: &Row<'_>, first: usize) -> rusqlite::Result<Message> {
    Ok(Message {
        skill: row.get(first)?,
        input: row.get(first + 1)?,
        session: row.get(first + 2)?,
    })
}

/// An address in a column.
pub(super) fn parsed(row: &Row<'_>, column: usize) -> rusqlite::Result<Address> {
    let text = row.get_ref(column)?.as_str()?;
    text.parse().map_err(|e| damaged(column, e))
}

/// An agent's name in a column.
pub(super) fn agent(row: &Row<'_>, column: usize) -> rusqlite::Result<AgentName> {
    let text = row.get_ref(column)?.as_str()?;
    AgentName::new(text).map_err(|e| damaged(column, e))
}

fn damaged(column: usize, error: Error) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, rusqlite::types::Type::Text, Box::new(error))
}

/// The phase of a state, as the column has it.
pub(super) fn phase(state: State) -> &'static str {
    match state {
        State::Waiting => WAITING,
        State::Running => RUNNING,
        State::Dead => DEAD,
    }
}

/// Enters a message, if the quota has room for it.
pub(super) fn insert(
    tx: &mut WriteTx<'_>,
    sender: &Address,
    to: &Address,
    write: WriteId,
    said: &MailboxWrite,
) -> Result<String> {
    const OPERATION: &str = "a2a.post";
    let MailboxWrite::Post { message, depth, .. } = said;
    let (id, from) = (write.to_name(), sender.to_string());
    let texts = [
        &id,
        &from,
        &message.skill,
        &message.input,
        message.session.as_ref().unwrap_or(&id),
    ];
    let bytes = texts
        .iter()
        .fold(ROW_BYTES, |sum, text| sum.saturating_add(text.len() as u64));
    check_room(tx, sender.tenant != to.tenant, bytes)?;
    let seq = tx.next_version();
    let now = tx.now.as_millis();
    let entered = tx.execute(
        OPERATION,
        "INSERT INTO message (seq, agent, sender, id, skill, input, session, depth, bytes, posted_at, queued_at,
           phase, due_at, attempts_max, base_ms, cap_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?10, ?11, ?10, ?12, ?13, ?14) ON CONFLICT (id, sender) DO NOTHING",
        rusqlite::params![
            seq,
            to.agent.as_str(),
            from,
            id,
            message.skill,
            message.input,
            message.session,
            depth,
            bytes,
            now,
            WAITING,
            RETRY.attempts,
            millis(RETRY.base),
            millis(RETRY.cap),
        ],
    )?;
    if entered == 0 {
        // The memory of the write is gone and its message is still here.
        return Ok(id);
    }
    tx.execute(
        OPERATION,
        "UPDATE mailbox SET messages = messages + 1, bytes = bytes + ?1 WHERE id = 0",
        [bytes],
    )?;
    Ok(id)
}

/// Refuses what the quota has no room for. Other tenants fill half of a mailbox at most and learn nothing of the rest.
fn check_room(tx: &WriteTx<'_>, is_stranger: bool, bytes: u64) -> Result<()> {
    const OPERATION: &str = "a2a.post";
    let held = tx.first(
        OPERATION,
        "SELECT messages, bytes FROM mailbox WHERE id = 0",
        [],
        |row| Ok((row.get::<_, u64>(0)?, row.get::<_, u64>(1)?)),
    )?;
    let (messages, used) = held.unwrap_or_default();
    let share = if is_stranger { 2 } else { 1 };
    let limits = (
        tx.quotas.mailbox_messages / share,
        tx.quotas.mailbox_bytes / share,
    );
    let (quota, limit, used) = if messages >= limits.0 {
        ("mailbox_messages", limits.0, messages)
    } else if used.saturating_add(bytes) > limits.1 {
        ("mailbox_bytes", limits.1, used)
    } else {
        return Ok(());
    };
    if is_stranger {
        return Err(Error::quota_exceeded(
            OPERATION,
            "the other tenant's mailbox takes no more messages now",
        ));
    }
    Err(Error::quota_exceeded(
        OPERATION,
        format!("the tenant's quota {quota} is reached; agents must take their messages, or the operator drops dead ones"),
    )
    .with_context("quota", quota)
    .with_context("limit", limit)
    .with_context("used", used))
}

/// Removes a row and what it counted.
pub(super) fn remove(tx: &WriteTx<'_>, operation: &'static str, seq: i64) -> Result<()> {
    let bytes = tx.first(
        operation,
        "DELETE FROM message WHERE seq = ?1 RETURNING bytes",
        [seq],
        |row| row.get::<_, u64>(0),
    )?;
    let Some(bytes) = bytes else { return Ok(()) };
    tx.execute(
        operation,
        "UPDATE mailbox SET messages = max(messages - 1, 0), bytes = max(bytes - ?1, 0) WHERE id = 0",
        [bytes],
    )
    .map(drop)
}

/// Notes when a row died whose attempts are used up.
pub(super) fn note_death(tx: &WriteTx<'_>, operation: &'static str, seq: i64) -> Result<()> {
    tx.execute(
        operation,
        "UPDATE message SET ended_at = ?2 WHERE seq = ?1",
        (seq, tx.now.as_millis()),
    )
    .map(drop)
}
