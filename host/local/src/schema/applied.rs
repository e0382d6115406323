//! Applied writes in one tree, in the order of their ids.

/// What was remembered before stays remembered.
pub(super) const V1: &str = "
ALTER TABLE applied_write RENAME TO applied_write_before;
CREATE TABLE applied_write (
    invocation BLOB NOT NULL,
    call       INTEGER NOT NULL,
    applied_at INTEGER NOT NULL,  -- seconds since 1970-01-01 UTC
    digest     BLOB NOT NULL,     -- the first 16 bytes of SHA-256
    ack        TEXT NOT NULL,
    PRIMARY KEY (invocation, call)
) STRICT, WITHOUT ROWID;
INSERT INTO applied_write
    SELECT invocation, call, applied_at / 1000, substr(digest, 1, 16), ack FROM applied_write_before;
DROP TABLE applied_write_before;
";
