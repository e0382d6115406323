//! Sessions and events that another side made.
//!
//! What was begun or said keeps its id, its time and its place in listings, which the answer says. Of two
//! sessions of one name the one that began later is the later one. Two sessions that both sides began under one name
//! without seeing each other become one: what is known of it is of the later one, and no event is lost.

use stuga_core::sessions::{SessionAck, SessionWrite};
use stuga_core::standby::Adopted;
use stuga_core::{Result, Timestamp, Write};

use super::effects::{
    Found, NewEvent, NewSession, append, begin, close, find, give_up_name, heard,
};
use crate::effects::{Elsewhere, metadata_to_json, other_answer};
use crate::number;
use crate::scope::Scope;
use crate::tx::WriteTx;
use crate::vectors::Kept;

/// Makes true what another side made of a write.
pub(super) fn adopt(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    write: &SessionWrite,
    vector: Option<&Kept>,
    origin: &Elsewhere<'_, SessionAck>,
) -> Result<Adopted> {
    let operation = write.operation();
    let is_known = origin.known.is_some();
    // Answers that were kept before they said a place stand where the write does.
    let place = origin.made.ack.place().unwrap_or(origin.made.stamp);
    match (write, &origin.made.ack) {
        (
            SessionWrite::Create {
                actor,
                id: named,
                metadata,
                ..
            },
            SessionAck::Created {
                id, at, expires_at, ..
            },
        ) if named.as_ref().is_none_or(|named| named == id) => {
            let session = NewSession {
                row: place,
                place,
                actor,
                name: id,
                metadata,
                created_at: at.as_millis(),
                expires_at: expires_at.map(Timestamp::as_millis),
            };
            create(tx, operation, scope, session, is_known)
        }
        (
            SessionWrite::Append {
                actor,
                session,
                role,
                content,
                metadata,
            },
            SessionAck::Appended { id, at, .. },
        ) => {
            let found = find(tx, operation, scope, actor, session)?;
            let Some(session) = found.filter(|found| found.live) else {
                return Ok(Adopted::Superseded);
            };
            let event = NewEvent {
                seq: place,
                place,
                id,
                at: at.as_millis(),
                role: *role,
                content,
                metadata,
                vector,
            };
            insert(tx, operation, &session, event, is_known)
        }
        (SessionWrite::Close { .. }, SessionAck::Closed { .. })
        | (SessionWrite::Delete { .. }, SessionAck::Deleted { .. })
            if is_known =>
        {
            Ok(Adopted::Stands)
        }
        (SessionWrite::Close { actor, session }, SessionAck::Closed { .. }) => {
            match find(tx, operation, scope, actor, session)? {
                Some(found) if !origin.comes_before_time(found.created_at) => {
                    close(tx, operation, &found, origin.made.at.as_millis())?;
                    Ok(Adopted::Stands)
                }
                _ => Ok(Adopted::Superseded),
            }
        }
        (SessionWrite::Delete { actor, session }, SessionAck::Deleted { .. }) => {
            match find(tx, operation, scope, actor, session)? {
                Some(found) if origin.comes_before_time(found.created_at) => {
                    return Ok(Adopted::Superseded);
                }
                Some(found) => give_up_name(tx, operation, found.row)?,
                None => {}
            }
            Ok(Adopted::Stands)
        }
        _ => Err(other_answer(operation)),
    }
}

fn create(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    mut session: NewSession<'_>,
    is_known: bool,
) -> Result<Adopted> {
    let found = find(tx, operation, scope, session.actor, session.name)?;
    match found {
        Some(found) if found.created_at == session.created_at => {
            if found.place != session.place {
                // It landed here, and was answered elsewhere.
                stand_at(tx, operation, found.row, session.place)?;
            }
            Ok(Adopted::Stands)
        }
        Some(found) if found.created_at > session.created_at => Ok(Adopted::Superseded),
        Some(found) if found.live => {
            take_over(tx, operation, &found, &session, is_known)?;
            Ok(Adopted::Stands)
        }
        // It was here, and was removed since.
        None if is_known => Ok(Adopted::Superseded),
        gone => {
            if let Some(expired) = gone {
                give_up_name(tx, operation, expired.row)?;
            }
            session.row = number::free(tx, operation, number::SESSIONS, session.row)?;
            begin(tx, operation, scope, &session)?;
            Ok(Adopted::Stands)
        }
    }
}

/// Makes an earlier session of the name the later one, with its events. One that is the same, and only landed at another
/// moment, stays closed when it is.
fn take_over(
    tx: &WriteTx<'_>,
    operation: &'static str,
    found: &Found,
    session: &NewSession<'_>,
    is_same: bool,
) -> Result<()> {
    // Its bytes stay as they were booked: they are given back with the row as they stand in it.
    tx.execute(
        operation,
        "UPDATE session SET metadata = ?2, created_at = ?3, expires_at = ?4,
           closed_at = CASE WHEN ?5 THEN closed_at END, place = ?6 WHERE id = ?1",
        (
            found.row,
            metadata_to_json(operation, session.metadata)?,
            session.created_at,
            session.expires_at,
            is_same,
            session.place,
        ),
    )?;
    Ok(())
}

/// Gives a session the place that its beginning was answered with.
fn stand_at(tx: &WriteTx<'_>, operation: &'static str, row: u64, place: u64) -> Result<()> {
    tx.execute(
        operation,
        "UPDATE session SET place = ?2 WHERE id = ?1",
        (row, place),
    )?;
    Ok(())
}

fn insert(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    session: &Found,
    mut event: NewEvent<'_>,
    is_known: bool,
) -> Result<Adopted> {
    if stands(tx, operation, session, &event, is_known)? {
        return Ok(Adopted::Stands);
    }
    // It was here, and was removed since; or the session was closed first.
    if is_known || session.closed {
        return Ok(Adopted::Superseded);
    }
    event.seq = number::free(tx, operation, number::RECORDS_AND_EVENTS, event.seq)?;
    append(tx, operation, session, &event)?;
    Ok(Adopted::Stands)
}

/// Whether the event is in the session; then it stands where was answered.
fn stands(
    tx: &WriteTx<'_>,
    operation: &'static str,
    session: &Found,
    event: &NewEvent<'_>,
    is_known: bool,
) -> Result<bool> {
    let found = match is_known {
        // It may have landed with a number of this side.
        true => tx.first(
            operation,
            "SELECT seq, place, at FROM event WHERE session = ?1 AND id = ?2 ORDER BY place DESC LIMIT 1",
            (session.row, event.id),
            standing,
        )?,
        false => tx.first(
            operation,
            "SELECT seq, place, at FROM event WHERE session = ?1 AND place = ?2 AND id = ?3",
            (session.row, event.place, event.id),
            standing,
        )?,
    };
    let Some(found) = found else { return Ok(false) };
    if (found.place, found.at) != (event.place, event.at) {
        tx.execute(
            operation,
            "UPDATE event SET place = ?2, at = ?3 WHERE seq = ?1",
            (found.seq, event.place, event.at),
        )?;
        heard(tx, operation, session.row, event.at)?;
    }
    Ok(true)
}

/// An event as it was made here.
struct Standing {
    seq: u64,
    place: u64,
    at: u64,
}

fn standing(row: &rusqlite::Row<'_>) -> rusqlite::Result<Standing> {
    Ok(Standing {
        seq: row.get(0)?,
        place: row.get(1)?,
        at: row.get(2)?,
    })
}
