//! Tables of secrets. Everything secret in them is sealed; `secrets/seal.rs` says how.

/// The tenant's key and the values that it seals.
pub(super) const V1: &str = "
-- One row once the tenant has had a secret: the key of its values, sealed by a master key of the host.
CREATE TABLE secret_key (
    id        INTEGER PRIMARY KEY CHECK (id = 0),
    sealed_by BLOB NOT NULL,  -- which master key
    sealed    BLOB NOT NULL
) STRICT;

CREATE TABLE secret (
    name       TEXT NOT NULL,
    version    INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    sealed     BLOB NOT NULL,
    PRIMARY KEY (name, version)
) STRICT, WITHOUT ROWID;
";
