//! Invocations that have ended, whose writes need not be remembered any more.
//!
//! A list in memory that the writer works off, some at a time, beside the next writes. It is a hint: what a crash or a
//! full list loses is forgotten when it is old.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use stuga_core::{InvocationId, Result, Timestamp};

use crate::applied;
use crate::tx::WriteTx;

/// Most invocations of a tenant that wait to be forgotten: one megabyte and a half.
const WAITING_MAX: usize = 1 << 16;
/// Most rows that are forgotten beside one batch of writes.
const STEP_MAX_ROWS: u32 = 4_096;
/// Most invocations that are looked up beside one batch of writes: twice as many as a batch can have ended.
const STEP_MAX_INVOCATIONS: usize = 512;

/// The invocations of one tenant that wait to be forgotten.
#[derive(Default)]
pub(crate) struct Ended(Mutex<Waiting>);

#[derive(Default)]
struct Waiting {
    /// To be forgotten at once.
    now: VecDeque<InvocationId>,
    /// To be forgotten from a moment on, earliest first.
    later: VecDeque<(Timestamp, InvocationId)>,
}

impl Ended {
    /// Notes an invocation of which nothing runs any more.
    pub(crate) fn note(&self, invocation: InvocationId) {
        let mut waiting = self.lock();
        if waiting.now.len() < WAITING_MAX {
            waiting.now.push_back(invocation);
        }
    }

    /// Notes an invocation of which nothing runs from a moment on.
    pub(crate) fn note_from(&self, invocation: InvocationId, from: Timestamp) {
        let mut waiting = self.lock();
        if waiting.later.len() < WAITING_MAX {
            waiting.later.push_back((from, invocation));
        }
    }

    /// Forgets writes of some that wait. When it fails, they are forgotten when they are old.
    pub(crate) fn step(&self, tx: &mut WriteTx<'_>, operation: &'static str) -> Result<()> {
        let mut rows_left = STEP_MAX_ROWS;
        for _ in 0..STEP_MAX_INVOCATIONS {
            let Some(invocation) = self.next(tx.now) else {
                break;
            };
            let forgotten = applied::forget(tx, operation, invocation, rows_left)?;
            rows_left = rows_left.saturating_sub(forgotten);
            if rows_left == 0 {
                self.lock().now.push_front(invocation);
                break;
            }
        }
        Ok(())
    }

    fn next(&self, now: Timestamp) -> Option<InvocationId> {
        let mut waiting = self.lock();
        if let Some(invocation) = waiting.now.pop_front() {
            return Some(invocation);
        }
        waiting
            .later
            .pop_front_if(|(from, _)| *from <= now)
            .map(|(_, invocation)| invocation)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
