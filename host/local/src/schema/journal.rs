//! Tables of the journal. What is written lies sealed; `journal/rows.rs` says how.

/// Entries, the keys that seal them, and their counters.
pub(super) const V1: &str = "
CREATE TABLE journal (
    seq        INTEGER PRIMARY KEY,  -- where the write stands among all writes, given like a version
    state      TEXT NOT NULL,        -- waiting, parked or superseded
    capability TEXT NOT NULL,
    agent      TEXT NOT NULL,
    key        TEXT NOT NULL,
    operation  TEXT NOT NULL,
    invocation BLOB NOT NULL,
    call       INTEGER NOT NULL,
    at         INTEGER NOT NULL,
    bytes      INTEGER NOT NULL,     -- as the cap counts them
    refusals   INTEGER NOT NULL,
    reason     TEXT,
    settled_at INTEGER,              -- when it was superseded
    content    TEXT,                 -- digest of the content that it keeps from being swept
    sealed_by  INTEGER NOT NULL,     -- the row of journal_key
    sealed     BLOB NOT NULL         -- write and answer
) STRICT;
CREATE INDEX journal_waiting ON journal (capability, seq) WHERE state = 'waiting';
CREATE INDEX journal_parked ON journal (seq) WHERE state = 'parked';
CREATE INDEX journal_superseded ON journal (seq) WHERE state = 'superseded';
CREATE INDEX journal_old ON journal (settled_at) WHERE state = 'superseded';

-- Keys of entries, sealed by a master key of the host. The one with the largest id seals what comes.
CREATE TABLE journal_key (
    id        INTEGER PRIMARY KEY,
    sealed_by BLOB NOT NULL,  -- which master key
    sealed    BLOB NOT NULL
) STRICT;

ALTER TABLE tally ADD COLUMN journal_entries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN journal_bytes INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN journal_waiting INTEGER NOT NULL DEFAULT 0;
-- Grows with whatever changes what waits or is parked, so that a process sees that another one changed it.
ALTER TABLE tally ADD COLUMN journal_changes INTEGER NOT NULL DEFAULT 0;
";
