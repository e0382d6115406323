//! Real time, for guests that compute: while time stands still nothing else would stop them.

use std::future::Future;
use std::pin::pin;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use tokio::sync::oneshot;

/// Runs `work`; when it takes longer than `patience` by the machine's clock, the scenario's time jumps ahead by `leap`, so
/// that the deadline within it comes.
pub(crate) async fn watched<T>(
    patience: Duration,
    leap: Duration,
    work: impl Future<Output = T>,
) -> T {
    let (over, is_over) = oneshot::channel();
    let (_done, done) = mpsc::channel::<()>();
    let watch = move || {
        if done.recv_timeout(patience) == Err(RecvTimeoutError::Timeout) {
            // Nobody listens when the work ended at this moment.
            let _ = over.send(());
        }
    };
    // Without the thread a guest that never ends would not be stopped; every other scenario runs as well.
    let _ = std::thread::Builder::new()
        .name("stuga-watch".into())
        .spawn(watch);
    let mut work = pin!(work);
    tokio::select! {
        biased;
        result = &mut work => return result,
        Ok(()) = is_over => {}
    }
    tokio::time::advance(leap).await;
    work.await
}
