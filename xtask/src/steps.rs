//! The steps of a chore, so that a person sees what is being done and how long it took.
//!
//! Plain lines, in a terminal as in a log: within a step cargo and rustup show their own progress.

use std::time::Instant;

use anyhow::{Context, Result};

/// Counts the steps of one chore.
pub(crate) struct Steps {
    done: u32,
    of: u32,
}

impl Steps {
    /// A chore of so many steps.
    pub(crate) fn new(of: u32) -> Self {
        Self { done: 0, of }
    }

    /// Does one step; its name becomes part of the error.
    pub(crate) fn step<T>(&mut self, name: &str, work: impl FnOnce() -> Result<T>) -> Result<T> {
        self.done += 1;
        let (number, of) = (self.done, self.of);
        eprintln!("[{number}/{of}] {name}");
        let begin = Instant::now();
        let result = work().with_context(|| format!("step {number} of {of} ({name}) failed"))?;
        eprintln!(
            "[{number}/{of}] done in {:.1} s",
            begin.elapsed().as_secs_f64()
        );
        Ok(result)
    }
}
