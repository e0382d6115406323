//! What writes to sessions do inside a transaction.

use std::time::Duration;

use stuga_core::metadata::Metadata;
use stuga_core::sessions::{Role, SessionAck, SessionWrite};
use stuga_core::{CapabilityName, Error, Result, Write, WriteId};

use super::absent;
use crate::applied::{self, DigestBuilder, WriteDigest};
use crate::room;
use crate::scope::Scope;
use crate::tally::Kind;
use crate::tx::WriteTx;
use crate::vectors::{self, Kept};

/// Tells this write from any other under its id.
pub(super) fn digest(scope: &Scope, write: &SessionWrite) -> WriteDigest {
    let parts = DigestBuilder::new(scope, CapabilityName::Sessions, write.operation())
        .part(write.key().as_bytes());
    let with_metadata = |parts: DigestBuilder, metadata: &Metadata| {
        metadata.iter().fold(parts, |parts, (name, value)| {
            parts.part(name.as_bytes()).part(value.as_bytes())
        })
    };
    match write {
        SessionWrite::Create {
            id, ttl, metadata, ..
        } => {
            let ttl = ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
            // An id is never empty, so none differs from all of them.
            let parts = parts
                .part(id.as_deref().unwrap_or_default().as_bytes())
                .number(ttl);
            with_metadata(parts, metadata)
        }
        SessionWrite::Append {
            session,
            role,
            content,
            metadata,
            ..
        } => {
            let parts = parts
                .part(session.as_bytes())
                .part(role.as_str().as_bytes())
                .part(content.as_bytes());
            with_metadata(parts, metadata)
        }
        SessionWrite::Close { session, .. } | SessionWrite::Delete { session, .. } => {
            parts.part(session.as_bytes())
        }
    }
    .finish()
}

/// Applies a checked write inside a transaction, once for its id. `vector` is that of an event's content.
pub(super) fn apply_in(
    tx: &mut WriteTx<'_>,
    scope: &Scope,
    id: WriteId,
    digest: WriteDigest,
    write: &SessionWrite,
    vector: Option<&Kept>,
) -> Result<SessionAck> {
    let operation = write.operation();
    applied::once(tx, operation, id, digest, |tx| match write {
        SessionWrite::Create {
            actor,
            id: name,
            ttl,
            metadata,
        } => {
            let name = name.clone().unwrap_or_else(|| id.to_name());
            create(tx, operation, scope, actor, name, *ttl, metadata)
        }
        SessionWrite::Append {
            actor,
            session,
            role,
            content,
            metadata,
        } => {
            let found = find(tx, operation, scope, actor, session)?;
            let event = NewEvent {
                id: id.to_name(),
                role: *role,
                content,
                metadata,
                vector,
            };
            append(tx, operation, live(operation, found)?, event)
        }
        SessionWrite::Close { actor, session } => {
            let found = find(tx, operation, scope, actor, session)?;
            close(tx, operation, &live(operation, found)?)
        }
        SessionWrite::Delete { actor, session } => {
            let found = find(tx, operation, scope, actor, session)?;
            delete(tx, operation, found)
        }
    })
}

/// What stands in the row that has a session's name, expired or not.
struct Found {
    row: i64,
    live: bool,
    closed: bool,
    last_event_at: u64,
}

fn find(
    tx: &WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    actor: &str,
    name: &str,
) -> Result<Option<Found>> {
    let now = tx.now.as_millis();
    tx.first(
        operation,
        "SELECT id, expires_at, closed_at IS NOT NULL, last_event_at FROM session
         WHERE agent = ?1 AND actor = ?2 AND name = ?3",
        (scope.rows(), actor, name),
        |row| {
            Ok(Found {
                row: row.get(0)?,
                live: row.get::<_, Option<u64>>(1)?.is_none_or(|at| at > now),
                closed: row.get(2)?,
                last_event_at: row.get(3)?,
            })
        },
    )
}

fn live(operation: &'static str, found: Option<Found>) -> Result<Found> {
    found
        .filter(|found| found.live)
        .ok_or_else(|| absent(operation))
}

fn create(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    actor: &str,
    name: String,
    ttl: Option<Duration>,
    metadata: &Metadata,
) -> Result<SessionAck> {
    match find(tx, operation, scope, actor, &name)? {
        Some(found) if found.live => {
            return Err(Error::conflict(
                operation,
                "the actor has a session of that id; choose another or give none",
            ));
        }
        Some(expired) => give_up_name(tx, operation, expired.row)?,
        None => {}
    }
    let metadata = to_json(operation, metadata)?;
    let bytes = sum(&[actor, &name, &metadata]);
    book(tx, operation, Kind::Session, bytes)?;
    let expires_at = ttl.map(|ttl| tx.now.saturating_add(ttl));
    let row = tx.next_version();
    tx.execute(
        operation,
        "INSERT INTO session (id, agent, actor, name, bytes, metadata, created_at, expires_at, last_event_at)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0)",
        (
            row,
            scope.rows(),
            actor,
            &name,
            bytes,
            metadata,
            tx.now.as_millis(),
            expires_at.map(stuga_core::Timestamp::as_millis),
        ),
    )?;
    Ok(SessionAck::Created {
        id: name,
        at: tx.now,
        expires_at,
    })
}

struct NewEvent<'w> {
    id: String,
    role: Role,
    content: &'w str,
    metadata: &'w Metadata,
    vector: Option<&'w Kept>,
}

fn append(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    session: Found,
    event: NewEvent<'_>,
) -> Result<SessionAck> {
    if session.closed {
        return Err(Error::conflict(
            operation,
            "the session is closed; create another one",
        ));
    }
    let metadata = to_json(operation, event.metadata)?;
    let bytes = sum(&[&event.id, event.content, &metadata])
        .saturating_add(event.vector.map_or(0, Kept::bytes));
    book(tx, operation, Kind::Event, bytes)?;
    // A clock that was set back must not bring the events into another order than their times say.
    let at = tx.now.as_millis().max(session.last_event_at);
    let seq = tx.next_version();
    tx.execute(
        operation,
        "INSERT INTO event (seq, session, id, role, content, metadata, at, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        (
            seq,
            session.row,
            &event.id,
            event.role.as_str(),
            event.content,
            metadata,
            at,
            bytes,
        ),
    )?;
    if let Some(vector) = event.vector {
        vectors::keep(tx, operation, seq, vector)?;
    }
    tx.execute(
        operation,
        "UPDATE session SET last_event_at = ?2 WHERE id = ?1",
        (session.row, at),
    )?;
    Ok(SessionAck::Appended {
        id: event.id,
        at: stuga_core::Timestamp::from_millis(at),
    })
}

fn close(tx: &WriteTx<'_>, operation: &'static str, session: &Found) -> Result<SessionAck> {
    if !session.closed {
        tx.execute(
            operation,
            "UPDATE session SET closed_at = ?2 WHERE id = ?1",
            (session.row, tx.now.as_millis()),
        )?;
    }
    Ok(SessionAck::Closed {
        was_open: !session.closed,
    })
}

fn delete(tx: &WriteTx<'_>, operation: &'static str, found: Option<Found>) -> Result<SessionAck> {
    let existed = found.as_ref().is_some_and(|found| found.live);
    if let Some(found) = found {
        give_up_name(tx, operation, found.row)?;
    }
    Ok(SessionAck::Deleted { existed })
}

/// Leaves a session to the sweep. Its events may be many, so they do not go within somebody's write.
fn give_up_name(tx: &WriteTx<'_>, operation: &'static str, row: i64) -> Result<()> {
    // Zero, so that it stays expired when the clock is set back.
    tx.execute(
        operation,
        "UPDATE session SET name = NULL, expires_at = 0 WHERE id = ?1",
        [row],
    )?;
    Ok(())
}

fn to_json(operation: &'static str, metadata: &Metadata) -> Result<String> {
    serde_json::to_string(metadata)
        .map_err(|e| Error::internal(operation, "metadata cannot be kept").with_source(e))
}

/// Books one more row of that many bytes.
fn book(tx: &mut WriteTx<'_>, operation: &'static str, kind: Kind, bytes: u64) -> Result<()> {
    room::book(tx, operation, kind, bytes, None, |_| Ok(None))
}

fn sum(texts: &[&str]) -> u64 {
    texts.iter().map(|text| text.len() as u64).sum()
}
