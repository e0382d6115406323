//! Programs that come as packages of Debian.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::Result;
use crate::python::run;

/// Where a program is that the path has.
pub(crate) fn found(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .map(|folder| folder.join(name))
        .find(|program| is_file(program))
}

fn is_file(path: &Path) -> bool {
    path.metadata().is_ok_and(|known| known.is_file())
}

/// Installs packages, for which this must be root's process.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    // A machine that was never asked knows no packages.
    run(Command::new("apt-get").args(["update", "--quiet"]))?;
    run(Command::new("apt-get")
        .args(["install", "--yes", "--quiet", "--no-install-recommends"])
        .args(packages)
        .env("DEBIAN_FRONTEND", "noninteractive"))
}
