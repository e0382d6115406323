//! Tables of search: the documents and vectors themselves. What finds them quickly is derived and lies beside.

/// Indices, documents, vectors, and what a derived index must forget.
pub(super) const SEARCH: &str = "
CREATE TABLE search_index (
    id         INTEGER PRIMARY KEY,  -- given like a version: never twice, also after a drop
    agent      TEXT NOT NULL,
    name       TEXT,                 -- NULL once it was dropped, until its rows are swept
    fields     TEXT NOT NULL,
    embeddings TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    documents  INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,     -- of its documents, as the quota counts them
    last_seq   INTEGER NOT NULL,     -- the latest change of a document; 0 before the first
    gone_floor INTEGER NOT NULL,     -- rows of search_gone up to this change are pruned
    UNIQUE (agent, name)
) STRICT;
CREATE INDEX search_index_dropped ON search_index (id) WHERE name IS NULL;

CREATE TABLE search_document (
    seq          INTEGER PRIMARY KEY,  -- the version of the write: a replaced document is another row
    search_index INTEGER NOT NULL,
    id           TEXT NOT NULL,
    fields       TEXT NOT NULL,        -- without vectors
    created_at   INTEGER NOT NULL,
    updated_at   INTEGER NOT NULL,
    bytes        INTEGER NOT NULL,
    UNIQUE (search_index, id)
) STRICT;
CREATE INDEX search_document_order ON search_document (search_index, seq);

CREATE TABLE search_vector (
    id           INTEGER PRIMARY KEY,
    search_index INTEGER NOT NULL,
    field        TEXT NOT NULL,
    seq          INTEGER NOT NULL,  -- of its document
    vector       BLOB NOT NULL,     -- 32 bit floating point, little endian
    UNIQUE (search_index, field, seq)
) STRICT;

-- Rows of search_document that were replaced or deleted, by the change that did it.
CREATE TABLE search_gone (
    search_index INTEGER NOT NULL,
    change       INTEGER NOT NULL,
    seq          INTEGER NOT NULL,
    PRIMARY KEY (search_index, change, seq)
) STRICT, WITHOUT ROWID;

ALTER TABLE tally ADD COLUMN search_documents INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN search_bytes INTEGER NOT NULL DEFAULT 0;
";
