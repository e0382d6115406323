//! The tables of a tenant's `state.db`, as migrations. Append to the list; never change what was released.

mod applied;
mod jobs;
mod journal;

use rusqlite_migration::{M, Migrations};
mod mailbox;
mod number;
mod order;
mod place;
mod search;
mod secrets;

/// Version 1. Text compares by its UTF-8 bytes (`BINARY`), which is the order that listings promise.
const V1: &str = "
-- One row: counters that change in the same transaction as what they count.
CREATE TABLE tally (
    id            INTEGER PRIMARY KEY CHECK (id = 0),
    version       INTEGER NOT NULL,  -- the last version given to an item or a file; only grows
    memory_items  INTEGER NOT NULL,
    memory_bytes  INTEGER NOT NULL,  -- keys and values
    files_count   INTEGER NOT NULL,
    files_bytes   INTEGER NOT NULL,  -- as the files' sizes say, equal contents counted each time
    content_bytes INTEGER NOT NULL,  -- as stored, with contents that no file names any more
    applied       INTEGER NOT NULL,  -- rows of applied_write
    claims        INTEGER NOT NULL,  -- rows of claim
    answer_bytes  INTEGER NOT NULL   -- bodies in claim
) STRICT;
INSERT INTO tally VALUES (0, 0, 0, 0, 0, 0, 0, 0, 0, 0);

CREATE TABLE memory_item (
    id         INTEGER PRIMARY KEY,
    agent      TEXT NOT NULL,
    key        TEXT NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    value      BLOB NOT NULL,
    UNIQUE (agent, key)
) STRICT;
CREATE INDEX memory_item_expiry ON memory_item (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE file (
    id           INTEGER PRIMARY KEY,
    agent        TEXT NOT NULL,
    path         TEXT NOT NULL,
    sha256       TEXT NOT NULL,
    size         INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    metadata     TEXT NOT NULL,
    version      INTEGER NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    UNIQUE (agent, path)
) STRICT;

-- A content is entered here before its file is written, so that no file on disk is unknown.
CREATE TABLE content (
    sha256     TEXT PRIMARY KEY,
    size       INTEGER NOT NULL,
    named_by   INTEGER NOT NULL,  -- how many rows of `file` name it
    wanted_at  INTEGER NOT NULL   -- when it was spooled or lost its name last
) STRICT, WITHOUT ROWID;
CREATE INDEX content_unnamed ON content (wanted_at) WHERE named_by = 0;

-- Writes that were applied, in their order, with what they answered.
CREATE TABLE applied_write (
    seq        INTEGER PRIMARY KEY,
    invocation BLOB NOT NULL,
    call       INTEGER NOT NULL,
    digest     BLOB NOT NULL,
    ack        TEXT NOT NULL,
    applied_at INTEGER NOT NULL,
    UNIQUE (invocation, call)
) STRICT;

-- Idempotency keys and the answers of their invocations.
CREATE TABLE claim (
    key            TEXT PRIMARY KEY,
    request_digest BLOB NOT NULL,
    invocation     BLOB NOT NULL,
    accepted_at    INTEGER NOT NULL,
    touched_at     INTEGER NOT NULL,  -- when it was claimed or finished
    status         INTEGER,
    body           BLOB
) STRICT;
CREATE INDEX claim_invocation ON claim (invocation);
CREATE INDEX claim_touched ON claim (touched_at);
";

/// Version 2: earlier versions of files.
const V2: &str = "
CREATE TABLE file_version (
    id           INTEGER PRIMARY KEY,  -- in the order in which they ended
    agent        TEXT NOT NULL,
    path         TEXT NOT NULL,
    version      INTEGER NOT NULL,
    sha256       TEXT NOT NULL,
    size         INTEGER NOT NULL,
    content_type TEXT NOT NULL,
    metadata     TEXT NOT NULL,
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    ended_at     INTEGER NOT NULL,
    UNIQUE (agent, path, version)
) STRICT;
-- Rows of file_version and their sizes; column named_by of content counts them as well.
ALTER TABLE tally ADD COLUMN file_versions INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN file_version_bytes INTEGER NOT NULL DEFAULT 0;
";

/// Version 3: sessions and their events. They count as items and bytes of memory.
const V3: &str = "
CREATE TABLE session (
    id            INTEGER PRIMARY KEY,  -- given like a version, so in the order of creation
    agent         TEXT NOT NULL,
    actor         TEXT NOT NULL,
    name          TEXT,                 -- NULL once it was deleted or has expired and another took its name
    bytes         INTEGER NOT NULL,     -- of actor, name and metadata, as the quota counts them
    metadata      TEXT NOT NULL,
    created_at    INTEGER NOT NULL,
    expires_at    INTEGER,
    closed_at     INTEGER,
    last_event_at INTEGER NOT NULL,
    UNIQUE (agent, actor, name)
) STRICT;
CREATE INDEX session_order ON session (agent, actor, id);
CREATE INDEX session_expiry ON session (expires_at) WHERE expires_at IS NOT NULL;

CREATE TABLE event (
    seq      INTEGER PRIMARY KEY,  -- given like a version, so in the order of appending
    session  INTEGER NOT NULL,
    id       TEXT NOT NULL,
    role     TEXT NOT NULL,
    content  TEXT NOT NULL,
    metadata TEXT NOT NULL,
    at       INTEGER NOT NULL
) STRICT;
CREATE INDEX event_order ON event (session, seq);
";

/// Version 4: records with their vectors. They count as items and bytes of memory.
const V4: &str = "
CREATE TABLE record (
    id         INTEGER PRIMARY KEY,
    agent      TEXT NOT NULL,
    namespace  TEXT NOT NULL,
    name       TEXT NOT NULL,
    text       TEXT NOT NULL,
    metadata   TEXT NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,  -- of texts, names and vector, as the quota counts them
    model      TEXT NOT NULL,     -- what made the vector; only vectors of one model are compared
    vector     BLOB NOT NULL,     -- 32 bit floating point, little endian; its length says the dimension
    UNIQUE (agent, namespace, name)
) STRICT;
";

/// All versions, oldest first.
pub(crate) fn migrations() -> Migrations<'static> {
    Migrations::new(vec![
        M::up(V1),
        M::up(V2),
        M::up(V3),
        M::up(V4),
        M::up(applied::V1),
        M::up(jobs::JOBS),
        M::up(search::SEARCH),
        M::up(secrets::V1),
        M::up(mailbox::V1),
        order::v1(),
        M::up(number::V1),
        M::up(journal::V1),
        M::up(place::V1),
    ])
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_migrations_apply_to_an_empty_database() {
        super::migrations().validate().unwrap();
    }

    #[test]
    fn what_an_earlier_version_stored_is_kept_and_counted() {
        let mut conn = rusqlite::Connection::open_in_memory().unwrap();
        super::migrations().to_version(&mut conn, 4).unwrap();
        conn.execute_batch(
            "INSERT INTO memory_item VALUES (7, 'a', 'k', 5, 1, 2, NULL, x'0102'), (8, 'a', 'l', 3, 1, 2, 9, x'03');
             INSERT INTO session VALUES (4, 'a', 'astrid', 's', 8, '[]', 1, NULL, NULL, 1);
             INSERT INTO event VALUES (6, 4, 'e', 'user', 'hej stuga', '[]', 1);
             INSERT INTO record VALUES (1, 'a', '/n', 'r', 'stugan', '[]', 9, 1, 2, 110, 'hashed-ngram-1', zeroblob(100));
             INSERT INTO applied_write VALUES (1, zeroblob(16), 0, zeroblob(32), 'ack', 5000);
             UPDATE tally SET version = 9, memory_items = 5, memory_bytes = 1000, applied = 1;",
        )
        .unwrap();
        super::migrations().to_latest(&mut conn).unwrap();
        let text = |sql: &str| -> String { conn.query_row(sql, [], |row| row.get(0)).unwrap() };
        // A vector takes 4 bytes for the scale and one for each of 512 numbers.
        for (sql, expected) in [
            (
                "SELECT group_concat(number || ' ' || version || key || hex(value), ' ') FROM memory_item",
                "3 3l03 5 5k0102",
            ),
            (
                "SELECT number || version || text || bytes FROM record",
                "99stugan526",
            ),
            ("SELECT seq || content || bytes FROM event", "6hej stuga528"),
            (
                "SELECT (SELECT place FROM session) || ' ' || (SELECT place FROM event)",
                "4 6",
            ),
            (
                "SELECT group_concat(number || model || octet_length(numbers), ' ') FROM vector",
                "6hashed-ngram-1516 9hashed-ngram-1516",
            ),
            (
                "SELECT applied_at || octet_length(digest) || ack FROM applied_write",
                "516ack",
            ),
            (
                "SELECT items || ' ' || item_bytes || ' ' || events || ' ' || event_bytes || ' ' || records || ' '
                 || record_bytes || ' ' || memory_items || ' ' || memory_bytes FROM tally",
                "2 5 1 528 1 526 5 1067",
            ),
        ] {
            assert_eq!(text(sql), expected, "{sql}");
        }
    }
}
