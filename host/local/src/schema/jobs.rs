//! Jobs and schedules. The columns of a lease are those of `lease.rs`.

pub(super) const JOBS: &str = "
CREATE TABLE job (
    seq          INTEGER PRIMARY KEY,  -- given like a version, so in the order of submission
    agent        TEXT NOT NULL,
    id           TEXT NOT NULL,
    kind         TEXT NOT NULL,
    input        TEXT NOT NULL,
    output       TEXT,
    priority     INTEGER NOT NULL,     -- 0 low, 1 normal, 2 high
    deadline_ms  INTEGER,
    retention_ms INTEGER NOT NULL,
    key          TEXT,                 -- the idempotency key
    request      BLOB,                 -- digest of what was submitted under the key
    schedule     TEXT,                 -- which one made it
    submitted_at INTEGER NOT NULL,
    ended_at     INTEGER,
    expires_at   INTEGER,              -- when it goes, once it has ended
    percent      INTEGER,
    note         TEXT,
    bytes        INTEGER NOT NULL,     -- as the quota counts them
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
    UNIQUE (agent, id)
) STRICT;
CREATE INDEX job_order ON job (agent, seq);
CREATE INDEX job_phase ON job (agent, phase, seq);
CREATE INDEX job_next ON job (agent, priority, due_at) WHERE phase = 'waiting';
CREATE INDEX job_lease ON job (lease) WHERE lease IS NOT NULL;
CREATE INDEX job_running ON job (lease_until) WHERE phase = 'running';
CREATE INDEX job_expiry ON job (expires_at) WHERE expires_at IS NOT NULL;
CREATE UNIQUE INDEX job_key ON job (agent, key) WHERE key IS NOT NULL;
CREATE INDEX job_of_schedule ON job (agent, schedule) WHERE schedule IS NOT NULL AND ended_at IS NULL;

CREATE TABLE schedule (
    seq       INTEGER PRIMARY KEY,
    agent     TEXT NOT NULL,
    name      TEXT NOT NULL,
    cron      TEXT NOT NULL,
    time_zone TEXT NOT NULL,
    kind      TEXT NOT NULL,
    input     TEXT NOT NULL,
    options   TEXT NOT NULL,     -- JSON
    next_at   INTEGER NOT NULL,
    bytes     INTEGER NOT NULL,  -- as the quota counts them
    UNIQUE (agent, name)
) STRICT;
CREATE INDEX schedule_next ON schedule (agent, next_at);

-- Rows of job and schedule, and their bytes.
ALTER TABLE tally ADD COLUMN jobs INTEGER NOT NULL DEFAULT 0;
ALTER TABLE tally ADD COLUMN jobs_bytes INTEGER NOT NULL DEFAULT 0;
";
