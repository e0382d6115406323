//! Where whoever waits for a job finds the runner, which is there once there is an agent.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use stuga_core::Result;
use tokio::time::Instant;

use crate::runner::{Runner, Turned};

/// The runner of a world, if it has one. It is held weakly: its agent reaches the world.
#[derive(Default)]
pub(crate) struct Turn(Mutex<Weak<Runner>>);

impl Turn {
    /// Connects a runner, in place of the one that was there.
    pub(crate) fn connect(&self, runner: &Arc<Runner>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Arc::downgrade(runner);
    }

    /// Runs the next job that is due. None when one ran, else when there may be one, which may be never.
    ///
    /// # Errors
    /// When the queue cannot be read.
    pub(crate) async fn take(&self) -> Result<Option<Option<Instant>>> {
        let Some(runner) = self.runner() else {
            return Ok(Some(None));
        };
        Ok(match runner.turn().await? {
            Turned::Ran => None,
            Turned::Idle(next_at) => Some(next_at.map(|at| runner.instant(at))),
        })
    }

    fn runner(&self) -> Option<Arc<Runner>> {
        let runner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        runner.upgrade()
    }
}
