//! Events of an actor that are nearest to a query, over all of the actor's sessions.

use std::cmp::Reverse;

use rusqlite::{Connection, OptionalExtension, Row};
use stuga_core::Timestamp;
use stuga_core::records::RECALL_MAX_SEEN;
use stuga_core::sessions::EventHit;

use super::queries::event;
use crate::scope::Scope;
use crate::vectors::{self, Compared, Found, Query};

/// The `k` events nearest to `query` among those appended last; of equal scores the later ones.
pub(super) fn recall(
    conn: &Connection,
    scope: &Scope,
    actor: &str,
    query: &Query,
    k: u32,
    now: Timestamp,
) -> rusqlite::Result<Found<EventHit>> {
    // Of the session created last first. Both indexes hold all that is read here, but for the session's name and end.
    const REACHED: &str = "
        SELECT e.seq FROM session s CROSS JOIN event e ON e.session = s.id
        WHERE s.agent = ?1 AND s.actor = ?2 AND s.name IS NOT NULL
          AND (s.expires_at IS NULL OR s.expires_at > ?3)
        ORDER BY s.id DESC LIMIT ?4";
    let reached = (scope.rows(), actor, now.as_millis(), RECALL_MAX_SEEN);
    let rows = vectors::latest(conn, REACHED, reached)?;
    let later = |row: &vectors::Row| Reverse(row.number);
    let Compared { best, stale } = vectors::compare(conn, &rows, query, k, later)?;
    let mut by_seq = conn.prepare_cached(
        "SELECT e.seq, e.id, e.role, e.metadata, e.at, e.content, s.name
         FROM event e JOIN session s ON s.id = e.session WHERE e.seq = ?1 AND s.name IS NOT NULL",
    )?;
    let mut hits = Vec::with_capacity(best.len());
    for (score, Reverse(seq)) in best {
        let hit = |row: &Row<'_>| Ok((event(row)?, row.get(6)?));
        // Gone since the search; a hit must be there.
        if let Some((event, session)) = by_seq.query_row([seq], hit).optional()? {
            hits.push(EventHit {
                session,
                event,
                score,
            });
        }
    }
    Ok(Found { hits, stale })
}
