//! What writes to sessions do inside a transaction.

use stuga_core::metadata::Metadata;
use stuga_core::sessions::{Role, SessionAck, SessionWrite};
use stuga_core::standby::Adopted;
use stuga_core::{CallCtx, CapabilityName, Error, Result, Write, WriteId};

use super::{absent, adopt};
use crate::Local;
use crate::applied::{DigestBuilder, WriteDigest};
use crate::effects::{Elsewhere, LocalWrite, metadata_to_json};
use crate::room;
use crate::scope::Scope;
use crate::tally::Kind;
use crate::tx::WriteTx;
use crate::vectors::{self, Kept};

impl LocalWrite for SessionWrite {
    type Kept = SessionAck;
    /// The vector of an event's content.
    type Prepared = Option<Kept>;

    fn check_bounds(&self) -> Result<()> {
        self.check()
    }

    fn digest(&self, scope: &Scope) -> Result<WriteDigest> {
        let parts = DigestBuilder::new(scope, CapabilityName::Sessions, self.operation())
            .part(self.key().as_bytes());
        let parts = match self {
            SessionWrite::Create {
                id, ttl, metadata, ..
            } => {
                let ttl = ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
                // An id is never empty, so none differs from all of them.
                parts
                    .part(id.as_deref().unwrap_or_default().as_bytes())
                    .number(ttl)
                    .metadata(metadata)
            }
            SessionWrite::Append {
                session,
                role,
                content,
                metadata,
                ..
            } => parts
                .part(session.as_bytes())
                .part(role.as_str().as_bytes())
                .part(content.as_bytes())
                .metadata(metadata),
            SessionWrite::Close { session, .. } | SessionWrite::Delete { session, .. } => {
                parts.part(session.as_bytes())
            }
        };
        Ok(parts.finish())
    }

    fn weight(&self) -> usize {
        match self {
            SessionWrite::Append { content, .. } => content.len(),
            _ => 0,
        }
    }

    async fn prepare(&self, local: &Local, ctx: &CallCtx) -> Result<Option<Kept>> {
        match self {
            SessionWrite::Append { content, .. } => local.embed(ctx, content).await,
            _ => Ok(None),
        }
    }

    fn make(
        &self,
        tx: &mut WriteTx<'_>,
        scope: &Scope,
        write: WriteId,
        vector: &Option<Kept>,
    ) -> Result<SessionAck> {
        let operation = self.operation();
        match self {
            SessionWrite::Create {
                actor,
                id,
                ttl,
                metadata,
            } => {
                let name = id.clone().unwrap_or_else(|| write.to_name());
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
                let (at, row) = (tx.now, tx.next_version());
                let expires_at = ttl.map(|ttl| at.saturating_add(ttl));
                let session = NewSession {
                    row,
                    place: row,
                    actor,
                    name: &name,
                    metadata,
                    created_at: at.as_millis(),
                    expires_at: expires_at.map(stuga_core::Timestamp::as_millis),
                };
                begin(tx, operation, scope, &session)?;
                Ok(SessionAck::Created {
                    id: name,
                    at,
                    expires_at,
                    place: row,
                })
            }
            SessionWrite::Append {
                actor,
                session,
                role,
                content,
                metadata,
            } => {
                let found = find(tx, operation, scope, actor, session)?;
                let session = live(operation, found)?;
                if session.closed {
                    return Err(Error::conflict(
                        operation,
                        "the session is closed; create another one",
                    ));
                }
                // A clock that was set back must not bring the events into another order than their times say.
                let at = tx.now.as_millis().max(session.last_event_at);
                let seq = tx.next_version();
                let event = NewEvent {
                    seq,
                    place: seq,
                    id: &write.to_name(),
                    at,
                    role: *role,
                    content,
                    metadata,
                    vector: vector.as_ref(),
                };
                append(tx, operation, &session, &event)?;
                Ok(SessionAck::Appended {
                    id: write.to_name(),
                    at: stuga_core::Timestamp::from_millis(at),
                    place: seq,
                })
            }
            SessionWrite::Close { actor, session } => {
                let found = find(tx, operation, scope, actor, session)?;
                let session = live(operation, found)?;
                close(tx, operation, &session, tx.now.as_millis())?;
                Ok(SessionAck::Closed {
                    was_open: !session.closed,
                })
            }
            SessionWrite::Delete { actor, session } => {
                let found = find(tx, operation, scope, actor, session)?;
                let existed = found.as_ref().is_some_and(|found| found.live);
                if let Some(found) = found {
                    give_up_name(tx, operation, found.row)?;
                }
                Ok(SessionAck::Deleted { existed })
            }
        }
    }

    fn adopt(
        &self,
        tx: &mut WriteTx<'_>,
        scope: &Scope,
        _: WriteId,
        vector: &Option<Kept>,
        origin: &Elsewhere<'_, SessionAck>,
    ) -> Result<Adopted> {
        adopt::adopt(tx, scope, self, vector.as_ref(), origin)
    }

    fn kept(&self, ack: &SessionAck) -> SessionAck {
        ack.clone()
    }

    fn answer(&self, kept: SessionAck) -> SessionAck {
        kept
    }
}

/// What stands in the row that has a session's name, expired or not.
pub(super) struct Found {
    pub(super) row: u64,
    pub(super) live: bool,
    pub(super) closed: bool,
    pub(super) created_at: u64,
    pub(super) last_event_at: u64,
    pub(super) place: u64,
}

pub(super) fn find(
    tx: &WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    actor: &str,
    name: &str,
) -> Result<Option<Found>> {
    let now = tx.now.as_millis();
    tx.first(
        operation,
        "SELECT id, expires_at, closed_at IS NOT NULL, created_at, last_event_at, place FROM session
         WHERE agent = ?1 AND actor = ?2 AND name = ?3",
        (scope.rows(), actor, name),
        |row| {
            Ok(Found {
                row: row.get(0)?,
                live: row.get::<_, Option<u64>>(1)?.is_none_or(|at| at > now),
                closed: row.get(2)?,
                created_at: row.get(3)?,
                last_event_at: row.get(4)?,
                place: row.get(5)?,
            })
        },
    )
}

fn live(operation: &'static str, found: Option<Found>) -> Result<Found> {
    found
        .filter(|found| found.live)
        .ok_or_else(|| absent(operation))
}

/// A session that is about to begin.
pub(super) struct NewSession<'w> {
    pub(super) row: u64,
    pub(super) place: u64,
    pub(super) actor: &'w str,
    pub(super) name: &'w str,
    pub(super) metadata: &'w Metadata,
    pub(super) created_at: u64,
    pub(super) expires_at: Option<u64>,
}

/// Begins a session under a name that is free.
pub(super) fn begin(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    scope: &Scope,
    session: &NewSession<'_>,
) -> Result<()> {
    let metadata = metadata_to_json(operation, session.metadata)?;
    let bytes = sum(&[session.actor, session.name, &metadata]);
    book(tx, operation, Kind::Session, bytes)?;
    tx.execute(
        operation,
        "INSERT INTO session (id, agent, actor, name, bytes, metadata, created_at, expires_at, last_event_at, place)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 0, ?9)",
        (
            session.row,
            scope.rows(),
            session.actor,
            session.name,
            bytes,
            metadata,
            session.created_at,
            session.expires_at,
            session.place,
        ),
    )?;
    Ok(())
}

/// An event that is about to be appended.
pub(super) struct NewEvent<'w> {
    pub(super) seq: u64,
    pub(super) place: u64,
    pub(super) id: &'w str,
    pub(super) at: u64,
    pub(super) role: Role,
    pub(super) content: &'w str,
    pub(super) metadata: &'w Metadata,
    pub(super) vector: Option<&'w Kept>,
}

/// Appends an event to an open session.
pub(super) fn append(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    session: &Found,
    event: &NewEvent<'_>,
) -> Result<()> {
    let metadata = metadata_to_json(operation, event.metadata)?;
    let bytes = sum(&[event.id, event.content, &metadata])
        .saturating_add(event.vector.map_or(0, Kept::bytes));
    book(tx, operation, Kind::Event, bytes)?;
    tx.execute(
        operation,
        "INSERT INTO event (seq, session, id, role, content, metadata, at, bytes, place)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        (
            event.seq,
            session.row,
            event.id,
            event.role.as_str(),
            event.content,
            metadata,
            event.at,
            bytes,
            event.place,
        ),
    )?;
    if let Some(vector) = event.vector {
        vectors::keep(tx, operation, event.seq, vector)?;
    }
    heard(tx, operation, session.row, event.at)
}

/// Something was said in the session at that moment.
pub(super) fn heard(tx: &WriteTx<'_>, operation: &'static str, row: u64, at: u64) -> Result<()> {
    tx.execute(
        operation,
        "UPDATE session SET last_event_at = max(last_event_at, ?2) WHERE id = ?1",
        (row, at),
    )?;
    Ok(())
}

/// Closes a session, if it is open.
pub(super) fn close(
    tx: &WriteTx<'_>,
    operation: &'static str,
    session: &Found,
    at: u64,
) -> Result<()> {
    if !session.closed {
        tx.execute(
            operation,
            "UPDATE session SET closed_at = ?2 WHERE id = ?1",
            (session.row, at),
        )?;
    }
    Ok(())
}

/// Leaves a session to the sweep. Its events may be many, so they do not go within somebody's write.
pub(super) fn give_up_name(tx: &WriteTx<'_>, operation: &'static str, row: u64) -> Result<()> {
    // Zero, so that it stays expired when the clock is set back.
    tx.execute(
        operation,
        "UPDATE session SET name = NULL, expires_at = 0 WHERE id = ?1",
        [row],
    )?;
    Ok(())
}

/// Books one more row of that many bytes.
fn book(tx: &mut WriteTx<'_>, operation: &'static str, kind: Kind, bytes: u64) -> Result<()> {
    room::book(tx, operation, kind, bytes, None, |_| Ok(None))
}

fn sum(texts: &[&str]) -> u64 {
    texts.iter().map(|text| text.len() as u64).sum()
}
