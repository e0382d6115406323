//! Items and records in the order of their writing, vectors beside them, and counters of each kind.

use rusqlite::{Connection, Transaction};
use rusqlite_migration::{HookResult, M};

use crate::vectors;

/// The number of an item's or a record's row is its version, so that a table lies in the order in which it was written.
const TABLES: &str = "
ALTER TABLE memory_item RENAME TO memory_item_before;
DROP INDEX memory_item_expiry;
CREATE TABLE memory_item (
    version    INTEGER PRIMARY KEY,
    agent      TEXT NOT NULL,
    key        TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    value      BLOB NOT NULL,
    UNIQUE (agent, key)
) STRICT;
INSERT INTO memory_item
    SELECT version, agent, key, created_at, updated_at, expires_at, value FROM memory_item_before ORDER BY version;
DROP TABLE memory_item_before;
CREATE INDEX memory_item_expiry ON memory_item (expires_at) WHERE expires_at IS NOT NULL;

ALTER TABLE record RENAME TO record_before;
CREATE TABLE record (
    version    INTEGER PRIMARY KEY,
    agent      TEXT NOT NULL,
    namespace  TEXT NOT NULL,
    name       TEXT NOT NULL,
    text       TEXT NOT NULL,
    metadata   TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,  -- of texts, names and vector, as the quota counts them
    UNIQUE (agent, namespace, name)
) STRICT;
INSERT INTO record
    SELECT version, agent, namespace, name, text, metadata, created_at, updated_at, bytes - octet_length(vector)
    FROM record_before ORDER BY version;
DROP TABLE record_before;

ALTER TABLE event ADD COLUMN bytes INTEGER NOT NULL DEFAULT 0;  -- of texts and vector, as the quota counts them
UPDATE event SET bytes = octet_length(id) + octet_length(content) + octet_length(metadata);
CREATE INDEX session_silent ON session (created_at) WHERE last_event_at = 0;

-- Of a record or an event: both are numbered in one sequence.
CREATE TABLE vector (
    version INTEGER PRIMARY KEY,
    model   TEXT NOT NULL,  -- what made it; only vectors of one model are compared
    numbers BLOB NOT NULL   -- the scale as 32 bit floating point, little endian, and a byte with a sign for each
) STRICT;
";

const COUNTERS: &str = "
-- What of memory_items and memory_bytes are items, events and records; the rest are sessions.
ALTER TABLE tally ADD COLUMN items INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN item_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN events INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN event_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN records INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN record_bytes INTEGER NOT NULL DEFAULT 0;
UPDATE tally SET
    items = (SELECT count(*) FROM memory_item),
    item_bytes = (SELECT coalesce(sum(octet_length(key) + octet_length(value)), 0) FROM memory_item),
    events = (SELECT count(*) FROM event),
    event_bytes = (SELECT coalesce(sum(bytes), 0) FROM event),
    records = (SELECT count(*) FROM record),
    record_bytes = (SELECT coalesce(sum(bytes), 0) FROM record);
UPDATE tally SET memory_bytes =
    item_bytes + event_bytes + record_bytes + (SELECT coalesce(sum(bytes), 0) FROM session);
";

/// The migration, with vectors for what had none in this form.
pub(super) fn v1() -> M<'static> {
    M::up_with_hook(TABLES, |transaction: &Transaction<'_>| -> HookResult {
        embed_all(
            transaction,
            "SELECT version, text FROM record WHERE version > ?1 ORDER BY version LIMIT 1000",
            "UPDATE record SET bytes = bytes + ?2 WHERE version = ?1",
        )?;
        embed_all(
            transaction,
            "SELECT seq, content FROM event WHERE seq > ?1 ORDER BY seq LIMIT 1000",
            "UPDATE event SET bytes = bytes + ?2 WHERE seq = ?1",
        )?;
        transaction.execute_batch(COUNTERS)?;
        Ok(())
    })
}

/// Makes the vector of each text that `read` finds, a thousand at a time, and books its bytes with `book`.
fn embed_all(conn: &Connection, read: &str, book: &str) -> rusqlite::Result<()> {
    let mut last = i64::MIN;
    loop {
        let texts = conn
            .prepare_cached(read)?
            .query_map([last], |row| Ok((row.get(0)?, row.get(1)?)))?
            .collect::<rusqlite::Result<Vec<(i64, String)>>>()?;
        let Some((end, _)) = texts.last() else {
            return Ok(());
        };
        last = *end;
        for (number, text) in &texts {
            let bytes = vectors::migrate(conn, *number, text)?;
            conn.prepare_cached(book)?.execute((number, bytes))?;
        }
    }
}
