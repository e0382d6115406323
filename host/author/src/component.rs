//! From a core module to a component.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use wit_component::ComponentEncoder;

/// Turns the core module of `agent` into a component.
///
/// # Errors
/// When the module says nothing of the world of an agent or does not keep to it.
pub fn encode(agent: &str, module: &[u8]) -> Result<Vec<u8>> {
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .with_context(|| {
            format!("`{agent}` cannot become a component; does it call `stuga_sdk::export!`?")
        })
}

/// Writes `bytes` to `path` when they are not there already, all at once; says whether they were new.
///
/// # Errors
/// When the folder or the file cannot be written.
pub fn write_if_new(path: &Path, bytes: &[u8]) -> Result<bool> {
    if fs::read(path).ok().as_deref() == Some(bytes) {
        return Ok(false);
    }
    let folder = path.parent().unwrap_or(Path::new("."));
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let draft = folder.join(format!(".{name}.{}.tmp", std::process::id()));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(&draft, bytes))
        .and_then(|()| fs::rename(&draft, path))
        .with_context(|| format!("cannot write {}", path.display()))?;
    Ok(true)
}
