//! Tables of mailboxes. A message lies with the tenant of the agent that it goes to.

/// Messages that wait, are being delivered or are dead. One that was delivered is gone.
pub(super) const V1: &str = "
CREATE TABLE message (
    seq       INTEGER PRIMARY KEY,  -- given like a version, so in the order of posting
    agent     TEXT NOT NULL,        -- to whom
    sender    TEXT NOT NULL,        -- tenant/agent
    id        TEXT NOT NULL,
    skill     TEXT NOT NULL,
    input     TEXT NOT NULL,
    session   TEXT,
    depth     INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,     -- as the quota counts them
    posted_at INTEGER NOT NULL,
    queued_at INTEGER NOT NULL,     -- when it was posted or put back
    ended_at  INTEGER,              -- when it died
    -- what a lease needs, see lease.rs
    phase        TEXT NOT NULL,
    due_at       INTEGER NOT NULL,
    attempt      INTEGER NOT NULL DEFAULT 1,
    failures     INTEGER NOT NULL DEFAULT 0,
    losses       INTEGER NOT NULL DEFAULT 0,
    attempts_max INTEGER NOT NULL,
    base_ms      INTEGER NOT NULL,
    cap_ms       INTEGER NOT NULL,
    began_at     INTEGER,
    lease        BLOB,
    lease_until  INTEGER,
    error        TEXT,
    UNIQUE (id, sender)
) STRICT;
CREATE INDEX message_order ON message (agent, sender, seq) WHERE ended_at IS NULL;
CREATE INDEX message_age ON message (queued_at) WHERE phase = 'waiting';
CREATE INDEX message_dead ON message (ended_at) WHERE ended_at IS NOT NULL;
CREATE INDEX message_lost ON message (lease_until) WHERE phase = 'running';
CREATE INDEX message_lease ON message (lease) WHERE lease IS NOT NULL;

-- One row: what the rows of message add up to.
CREATE TABLE mailbox (
    id       INTEGER PRIMARY KEY CHECK (id = 0),
    messages INTEGER NOT NULL,
    bytes    INTEGER NOT NULL
) STRICT;
INSERT INTO mailbox VALUES (0, 0, 0);
";
