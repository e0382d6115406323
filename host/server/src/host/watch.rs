//! Notices changed files and reloads. Watches directories, because editors and deployments replace files.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use stuga_core::{Error, Result};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

use super::Host;

/// How long files must be quiet before they are read: an editor writes more than once.
const QUIET: Duration = Duration::from_millis(100);
/// How long they may stay restless until they are read all the same.
const RESTLESS_MAX: Duration = Duration::from_secs(2);

/// Watches the tenants' files and the plugin store until the host is closed.
pub(super) fn start(host: &Arc<Host>) -> Result<()> {
    let plugins = host.store.plugins_dir();
    std::fs::create_dir_all(&plugins)
        .map_err(|error| failed(&plugins, notify::Error::io(error)))?;
    let mut changes = Changes::watch(&[&host.tenants_dir, &plugins], &host.stop)?;

    let (host, tasks) = (Arc::downgrade(host), host.tasks.clone());
    tasks.spawn(async move {
        while let Some(()) = changes.next().await {
            let Some(host) = Weak::upgrade(&host) else {
                return;
            };
            match host.reload().await {
                Ok(reloaded) => tracing::info!(
                    deployed = reloaded.deployed,
                    failed = reloaded.failed,
                    "files changed, reloaded"
                ),
                Err(error) => tracing::error!(%error, "reload failed; what ran before goes on"),
            }
        }
    });
    Ok(())
}

/// What happens in some directories, but not below them, from the moment they are watched.
pub(super) struct Changes {
    happened: mpsc::Receiver<()>,
    stop: CancellationToken,
    /// Watches for as long as it lives.
    _watcher: RecommendedWatcher,
}

impl Changes {
    /// Watches `directories` until this is dropped.
    ///
    /// # Errors
    /// `Internal` naming the first of them that cannot be watched, such as one that is not there.
    pub(super) fn watch(directories: &[&Path], stop: &CancellationToken) -> Result<Self> {
        // One waiting signal is enough: it stands for everything that changed until it is taken.
        let (changed, happened) = mpsc::channel::<()>(1);
        let on_event = move |event: notify::Result<notify::Event>| match event {
            Ok(event) if event.kind.is_access() => {}
            // Full means that whoever waits has to look already.
            Ok(_) => drop(changed.try_send(())),
            Err(error) => tracing::warn!(%error, "watching files failed once"),
        };
        let mut watcher = notify::recommended_watcher(on_event)
            .map_err(|error| failed(Path::new("files"), error))?;
        for directory in directories {
            watcher
                .watch(directory, RecursiveMode::NonRecursive)
                .map_err(|error| failed(directory, error))?;
        }
        Ok(Self {
            happened,
            stop: stop.clone(),
            _watcher: watcher,
        })
    }

    /// Waits until something was changed and all is quiet again; what was changed is not said. None once `stop` is cancelled.
    pub(super) async fn next(&mut self) -> Option<()> {
        let stop = self.stop.clone();
        stop.run_until_cancelled(self.settled()).await.flatten()
    }

    async fn settled(&mut self) -> Option<()> {
        self.happened.recv().await?;
        let quiet =
            async { while let Ok(Some(())) = timeout(QUIET, self.happened.recv()).await {} };
        // Restless for too long they are read as they are; whoever reads half a file reads again when it is whole.
        let _ = timeout(RESTLESS_MAX, quiet).await;
        Some(())
    }
}

fn failed(path: &Path, error: notify::Error) -> Error {
    Error::internal(
        "watch",
        format!("{} cannot be watched: {error}", path.display()),
    )
    .with_source(error)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_change_in_any_of_the_directories_is_told_until_the_stop() {
        let (one, two) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let stop = CancellationToken::new();
        let watch = || Changes::watch(&[one.path(), two.path()], &stop).unwrap();
        for directory in [&one, &two] {
            let mut changes = watch();
            fs::write(directory.path().join("file"), "anything").unwrap();
            assert_eq!(changes.next().await, Some(()));
        }
        let mut changes = watch();
        stop.cancel();
        fs::write(one.path().join("file"), "something else").unwrap();
        assert_eq!(changes.next().await, None);
    }

    #[test]
    fn a_directory_that_is_not_there_is_named() {
        let directory = tempfile::tempdir().unwrap();
        let nowhere = directory.path().join("nowhere");
        let refused = Changes::watch(&[&nowhere], &CancellationToken::new()).map(drop);
        let refused = refused.unwrap_err();
        assert!(refused.message().contains("nowhere"), "{refused}");
    }
}
