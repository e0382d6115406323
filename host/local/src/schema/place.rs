//! Where sessions and events stand in listings: what their answers said, on whatever side they were made. Numbers of rows are of
//! this side alone.

/// Places of their own.
pub(super) const V1: &str = "
ALTER TABLE session ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
UPDATE session SET place = id;
CREATE INDEX session_place ON session (agent, actor, place) WHERE name IS NOT NULL;

ALTER TABLE event ADD COLUMN place INTEGER NOT NULL DEFAULT 0;
UPDATE event SET place = seq;
DROP INDEX event_order;
CREATE INDEX event_place ON event (session, place);
";
