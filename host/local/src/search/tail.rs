//! What happened to an index after a point of its sequence, in bounded pieces.

use rusqlite::{Connection, OptionalExtension};
use stuga_core::search::Fields;

use super::declared::json;

/// Most changes of a piece.
const PIECE_MAX_CHANGES: usize = 1_000;
/// Most bytes of documents in a piece, but for a single one.
const PIECE_MAX_BYTES: usize = 8 << 20;

/// A piece of the sequence.
pub(super) struct Changes {
    /// Rows that are gone.
    pub(super) gone: Vec<u64>,
    /// Rows that were added and still stand, in their order.
    pub(super) documents: Vec<Document>,
    last: u64,
    len: usize,
    is_empty: bool,
}

/// A row of `search_document`.
pub(super) struct Document {
    pub(super) seq: u64,
    pub(super) id: String,
    pub(super) fields: Fields,
}

impl Changes {
    /// The piece after the change `position`, as one snapshot.
    pub(super) fn after(conn: &Connection, index: u64, position: u64) -> rusqlite::Result<Self> {
        let snapshot = conn.unchecked_transaction()?;
        let mut documents = Vec::new();
        let mut bytes = 0_usize;
        let mut is_whole = true;
        let mut last = position;
        {
            let mut statement = snapshot.prepare_cached(
                "SELECT seq, id, fields FROM search_document WHERE search_index = ?1 AND seq > ?2 ORDER BY seq",
            )?;
            let mut rows = statement.query((index, position))?;
            while let Some(row) = rows.next()? {
                if documents.len() >= PIECE_MAX_CHANGES || bytes > PIECE_MAX_BYTES {
                    is_whole = false;
                    break;
                }
                bytes = bytes.saturating_add(row.get_ref(2)?.as_str()?.len());
                last = row.get(0)?;
                documents.push(Document {
                    seq: last,
                    id: row.get(1)?,
                    fields: json(row, 2)?,
                });
            }
        }
        if is_whole {
            // Changes that left nothing behind count as well: deletions that are pruned.
            let latest: Option<u64> = snapshot
                .prepare_cached("SELECT last_seq FROM search_index WHERE id = ?1")?
                .query_row([index], |row| row.get(0))
                .optional()?;
            last = last.max(latest.unwrap_or_default());
        }
        // A whole tail takes what is gone to its end; a piece, only what went before its last document.
        let until = if is_whole {
            i64::MAX
        } else {
            i64::try_from(last).unwrap_or(i64::MAX)
        };
        let mut gone = Vec::new();
        {
            let mut statement = snapshot.prepare_cached(
                "SELECT change, seq FROM search_gone WHERE search_index = ?1 AND change > ?2 AND change <= ?3
                 ORDER BY change",
            )?;
            let mut rows = statement.query((index, position, until))?;
            while let Some(row) = rows.next()? {
                last = last.max(row.get(0)?);
                gone.push(row.get(1)?);
            }
        }
        Ok(Self {
            len: documents.len().saturating_add(gone.len()),
            is_empty: last <= position,
            gone,
            documents,
            last,
        })
    }

    /// Whether nothing happened.
    pub(super) fn is_empty(&self) -> bool {
        self.is_empty
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// The last change of the piece.
    pub(super) fn last(&self) -> u64 {
        self.last
    }
}
