//! Numbers of rows apart from versions: what another side made keeps its version, which is unique for one key only.

/// Items, records and documents with a version of their own.
pub(super) const V1: &str = "
DROP INDEX memory_item_expiry;
ALTER TABLE memory_item RENAME TO memory_item_before;
CREATE TABLE memory_item (
    number     INTEGER PRIMARY KEY,  -- its version, or where another row has that the next free number
    version    INTEGER NOT NULL,
    agent      TEXT NOT NULL,
    key        TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    expires_at INTEGER,
    value      BLOB NOT NULL,
    UNIQUE (agent, key)
) STRICT;
INSERT INTO memory_item
    SELECT version, version, agent, key, created_at, updated_at, expires_at, value FROM memory_item_before
    ORDER BY version;
DROP TABLE memory_item_before;
CREATE INDEX memory_item_expiry ON memory_item (expires_at) WHERE expires_at IS NOT NULL;

ALTER TABLE record RENAME TO record_before;
CREATE TABLE record (
    number     INTEGER PRIMARY KEY,  -- as of an item, and no event has it
    version    INTEGER NOT NULL,
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
    SELECT version, version, agent, namespace, name, text, metadata, created_at, updated_at, bytes FROM record_before
    ORDER BY version;
DROP TABLE record_before;

ALTER TABLE vector RENAME COLUMN version TO number;

DROP INDEX search_document_order;
ALTER TABLE search_document RENAME TO search_document_before;
CREATE TABLE search_document (
    seq          INTEGER PRIMARY KEY,  -- given like a version when the row was written here; what is derived follows it
    version      INTEGER NOT NULL,
    search_index INTEGER NOT NULL,
    id           TEXT NOT NULL,
    fields       TEXT NOT NULL,        -- without vectors
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    UNIQUE (search_index, id)
) STRICT;
INSERT INTO search_document
    SELECT seq, seq, search_index, id, fields, created_at, updated_at, bytes FROM search_document_before ORDER BY seq;
DROP TABLE search_document_before;
CREATE INDEX search_document_order ON search_document (search_index, seq);
";
