//! Where servers, their logs and their data lie.

use std::fs::{self, File};
use std::path::{Path, PathBuf};

use crate::{Problem, Result};

/// `target/servers` of the repository, or the folder in `STUGA_SERVERS`. Not moved by `CARGO_TARGET_DIR`.
pub fn servers() -> PathBuf {
    if let Some(folder) = std::env::var_os("STUGA_SERVERS") {
        return PathBuf::from(folder);
    }
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    let root = here.ancestors().nth(2).unwrap_or(here);
    root.join("target/servers")
}

/// Runs `install` for `name` unless `wanted` (what is installed, and of which versions) was installed before. One process at
/// a time installs; the others wait for it.
pub(crate) fn installed(
    name: &str,
    wanted: &str,
    install: impl FnOnce(&Path) -> Result<()>,
) -> Result<PathBuf> {
    let folder = servers().join(name);
    let cannot = |what: &str, e: std::io::Error| {
        Problem::new(format!("{what} in {} failed: {e}", folder.display()))
    };
    fs::create_dir_all(servers()).map_err(|e| cannot("making a folder", e))?;
    let lock = File::create(servers().join(format!("{name}.lock")));
    let lock = lock.map_err(|e| cannot("making a lock", e))?;
    lock.lock().map_err(|e| cannot("taking the lock", e))?;
    let done = folder.join("installed.txt");
    if fs::read_to_string(&done).ok().as_deref() != Some(wanted) {
        // Whatever half an installation left behind.
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).map_err(|e| cannot("making a folder", e))?;
        install(&folder)?;
        fs::write(&done, wanted).map_err(|e| cannot("writing", e))?;
    }
    Ok(folder)
}

/// The file that a server of this process writes its output to.
pub(crate) fn log(name: &str) -> Result<PathBuf> {
    let logs = servers().join("logs");
    fs::create_dir_all(&logs)
        .map_err(|e| Problem::new(format!("{} cannot be made: {e}", logs.display())))?;
    Ok(logs.join(format!("{name}-{}.log", std::process::id())))
}

/// An empty folder for the data of a server of this process. Those of processes that have ended are removed first.
pub fn data(name: &str) -> Result<PathBuf> {
    let all = servers().join("data");
    for entry in fs::read_dir(&all).into_iter().flatten().flatten() {
        let file = entry.file_name();
        let process = file.to_str().and_then(|name| name.rsplit_once('-'));
        let gone = process.is_some_and(|(_, id)| !Path::new("/proc").join(id).exists());
        if gone {
            fs::remove_dir_all(entry.path()).ok();
        }
    }
    let folder = all.join(format!("{name}-{}", std::process::id()));
    fs::remove_dir_all(&folder).ok();
    fs::create_dir_all(&folder)
        .map_err(|e| Problem::new(format!("{} cannot be made: {e}", folder.display())))?;
    Ok(folder)
}
