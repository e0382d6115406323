//! What the commands share that take a component: its bytes, and for agent authors the mock host with the code that it
//! keeps between commands.

use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use stuga_mock::Mock;
use stuga_runtime::LoadError;

use crate::store::COMPONENT_MAX_BYTES;

/// Reads a component.
///
/// # Errors
/// When it is not there or is larger than a component may be.
pub(crate) fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    let missing = || format!("{} cannot be read; `stuga build` makes it", path.display());
    let size = std::fs::metadata(path).with_context(missing)?.len();
    if size > COMPONENT_MAX_BYTES {
        bail!(
            "{} has {size} bytes; a component may have {COMPONENT_MAX_BYTES}",
            path.display()
        );
    }
    std::fs::read(path).with_context(missing)
}

/// Loads a component into the mock host. Blocks; not to be called from async code.
///
/// # Errors
/// Why it was not taken.
pub(crate) fn load(component: Vec<u8>) -> Result<Mock, LoadError> {
    Mock::load(component, code_cache())
}

/// Reads a component and loads it into the mock host. Blocks; not to be called from async code.
///
/// # Errors
/// When it cannot be read or is no agent.
pub(crate) fn open(path: &Path) -> anyhow::Result<Mock> {
    load(read(path)?).map_err(|error| {
        let error = anyhow::Error::msg(error.to_string());
        error.context(format!(
            "{} is no agent that this host can run",
            path.display()
        ))
    })
}

/// Where compiled code is kept between commands, so that only a new component is compiled; none when there is no place.
fn code_cache() -> Option<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| Some(PathBuf::from(std::env::var_os("HOME")?).join(".cache")))?;
    base.is_absolute().then(|| base.join("stuga/code"))
}
