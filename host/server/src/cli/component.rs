//! What the commands for agent authors share: a component in the mock host, its code kept between commands.

use std::path::{Path, PathBuf};

use anyhow::Context;
use stuga_mock::Mock;

/// Loads a component into the mock host. Blocks; not to be called from async code.
///
/// # Errors
/// When it cannot be read or is no agent.
pub(crate) fn load(path: &Path) -> anyhow::Result<Mock> {
    let component = std::fs::read(path)
        .with_context(|| format!("{} cannot be read; `stuga build` makes it", path.display()))?;
    Mock::load(component, code_cache()).map_err(|error| {
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
