//! Removes what has had its time, in bounded steps that ride on the writes of a tenant.
//!
//! Reads never depend on it: what is expired is absent to them at once.

use std::time::Duration;

use stuga_core::{Result, Timestamp};

use crate::ended::Ended;
use crate::retention::{self, Retention};
use crate::tx::WriteTx;
use crate::{applied, expiry, files, invocations, jobs, journal, mailbox, search};

/// Rows of each table that one step removes at most: some milliseconds of work inside somebody's write.
pub(crate) const STEP_MAX_ROWS: u32 = 256;
/// Time between two steps when the last one found less than its bound.
const PAUSE: Duration = Duration::from_secs(1);
/// Operation that errors of a step name.
const OPERATION: &str = "store.sweep";

/// When the next step is due.
#[derive(Debug, Default)]
pub(crate) struct Schedule {
    last: Option<Timestamp>,
    more: bool,
    applied: applied::Search,
}

impl Schedule {
    /// Takes a step when one is due. Writes of invocations that have ended are forgotten each time; contents of files go only
    /// while all that was committed is on the disk (`is_synced`), or power that fails could bring back what named them.
    pub(crate) fn step(
        &mut self,
        tx: &mut WriteTx<'_>,
        ended: &Ended,
        retention: &Retention,
        is_synced: bool,
    ) -> Result<()> {
        ended.step(tx, OPERATION)?;
        // A clock that was set back must not stop the sweep.
        let rests = self
            .last
            .is_some_and(|last| last <= tx.now && tx.now.since(last) < PAUSE);
        if rests && !self.more {
            return Ok(());
        }
        self.last = Some(tx.now);
        self.more = false;
        let removed = [
            expiry::items(tx, OPERATION, STEP_MAX_ROWS)?,
            expiry::sessions(tx, OPERATION, STEP_MAX_ROWS)?,
            retention::step(tx, OPERATION, retention, STEP_MAX_ROWS)?,
            invocations::sweep(tx, OPERATION, STEP_MAX_ROWS)?,
            jobs::sweep(tx, OPERATION, STEP_MAX_ROWS)?,
            mailbox::sweep(tx, OPERATION, STEP_MAX_ROWS)?,
            match is_synced {
                true => files::sweep(tx, OPERATION, STEP_MAX_ROWS)?,
                false => 0,
            },
            search::sweep(tx, OPERATION, STEP_MAX_ROWS)?,
            journal::sweep(tx, OPERATION, STEP_MAX_ROWS)?,
        ];
        let applied = self.applied.step(tx, OPERATION)?;
        self.more = applied || removed.iter().any(|rows| *rows >= STEP_MAX_ROWS);
        Ok(())
    }

    /// Whether the last step left something to the next.
    pub(crate) fn has_more(&self) -> bool {
        self.more
    }
}
