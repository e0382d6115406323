//! Paths of the repository, and other programs run in it.

use std::path::{Path, PathBuf};
use std::process::Command;

pub(crate) use stuga_author::shell::{executable, exists, read, run};

/// The folder of the root `Cargo.toml`.
pub(crate) fn root() -> &'static Path {
    let xtask = Path::new(env!("CARGO_MANIFEST_DIR"));
    xtask.parent().unwrap_or(xtask)
}

/// The folder for everything that can be built again. Not moved by `CARGO_TARGET_DIR`, so that scripts find it.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// The cargo that runs us, in the root folder.
pub(crate) fn cargo() -> Command {
    let mut cargo = stuga_author::shell::cargo();
    cargo.current_dir(root());
    cargo
}
