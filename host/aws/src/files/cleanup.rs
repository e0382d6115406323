//! What a call that ended early leaves behind is removed in the background.
//!
//! A future that is dropped cannot send requests any more, so its removal is done here: bounded in number and time, and
//! given up when the backend is. Whatever is not done is left to the bucket's lifecycle or to the next write of the path.

use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use stuga_core::Result;
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Most removals at the same time; more are not begun.
const REMOVALS_MAX: u32 = 256;
/// Longest time of one.
const REMOVAL_LONGEST: Duration = Duration::from_secs(30);

/// Removals that are under way. They end when it is dropped.
pub(super) struct Cleanup {
    turns: Arc<Semaphore>,
    tasks: Mutex<JoinSet<()>>,
}

impl Cleanup {
    pub(super) fn new() -> Self {
        Self {
            turns: Arc::new(Semaphore::new(REMOVALS_MAX as usize)),
            tasks: Mutex::new(JoinSet::new()),
        }
    }

    /// Begins a removal, which gets the moment at which it must have ended.
    pub(super) fn begin<F>(&self, what: &'static str, removal: impl FnOnce(Instant) -> F)
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let turn = Arc::clone(&self.turns).try_acquire_owned();
        let (Ok(turn), Ok(executor)) = (turn, Handle::try_current()) else {
            tracing::warn!(
                what,
                "too much is being removed; this is left to the bucket's lifecycle"
            );
            return;
        };
        let removal = removal(Instant::now() + REMOVAL_LONGEST);
        let task = async move {
            if let Err(error) = removal.await {
                tracing::warn!(what, %error, causes = error.causes(), "what a call left behind was not removed");
            }
            drop(turn);
        };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn_on(task, &executor);
    }

    /// Waits until everything that was begun has ended.
    pub(super) async fn settled(&self) {
        // Closed by nobody, so it cannot fail.
        drop(self.turns.acquire_many(REMOVALS_MAX).await);
    }
}
