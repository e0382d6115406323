//! Notices changed files and reloads. Watches directories, because editors and deployments replace files.

use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::Duration;

use notify::{RecommendedWatcher, RecursiveMode, Watcher};
use stuga_core::{Error, Result};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Host;

/// How long files must be quiet before they are read: an editor writes more than once.
const QUIET: Duration = Duration::from_millis(100);
/// How long they may stay restless until they are read all the same.
const RESTLESS_MAX: Duration = Duration::from_secs(2);

/// Watches the tenants' files and the plugin store until the host is closed.
pub(super) fn start(host: &Arc<Host>) -> Result<()> {
    // One waiting signal is enough: it stands for everything that changed until it is taken.
    let (changed, mut changes) = mpsc::channel::<()>(1);
    let on_event = move |event: notify::Result<notify::Event>| match event {
        Ok(event) if event.kind.is_access() => {}
        // Full means that a reload is due already.
        Ok(_) => drop(changed.try_send(())),
        Err(error) => tracing::warn!(%error, "watching files failed once"),
    };
    let mut watcher =
        notify::recommended_watcher(on_event).map_err(|error| failed(Path::new("files"), error))?;
    watch(&mut watcher, &host.tenants_dir)?;
    let plugins = host.store.plugins_dir();
    std::fs::create_dir_all(&plugins)
        .map_err(|error| failed(&plugins, notify::Error::io(error)))?;
    watch(&mut watcher, &plugins)?;

    let (host, stop, tasks) = (Arc::downgrade(host), host.stop.clone(), host.tasks.clone());
    tasks.spawn(async move {
        let _watcher = watcher;
        while let Some(Some(())) = stop.run_until_cancelled(changes.recv()).await {
            settle(&mut changes).await;
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

/// Waits until files are quiet.
pub(super) async fn settle(changes: &mut mpsc::Receiver<()>) {
    let quiet = async { while let Ok(Some(())) = timeout(QUIET, changes.recv()).await {} };
    // Restless for too long they are read as they are; whoever reads half a file reads again when it is whole.
    let _ = timeout(RESTLESS_MAX, quiet).await;
}

pub(super) fn watch(watcher: &mut RecommendedWatcher, directory: &Path) -> Result<()> {
    watcher
        .watch(directory, RecursiveMode::NonRecursive)
        .map_err(|error| failed(directory, error))
}

pub(super) fn failed(path: &Path, error: notify::Error) -> Error {
    Error::internal(
        "watch",
        format!("{} cannot be watched: {error}", path.display()),
    )
    .with_source(error)
}
