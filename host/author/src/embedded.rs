//! The SDK and the WIT that this program carries, and the folder `.stuga` of a project that holds a copy of them.
//!
//! A project depends on its copy, so that it builds without a registry that has the SDK and goes on building when
//! another `stuga` is installed (docs/adr/0021).

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::Language;

/// Name and content of every file that came with this program, in the order of the names.
pub(crate) static FILES: &[(&str, &[u8])] = &include!(concat!(env!("OUT_DIR"), "/embedded.rs"));

/// The folder of a project that holds what came with `stuga`.
pub(crate) const FOLDER: &str = ".stuga";

/// What editors check scenarios with.
const SCENARIO_SCHEMA: &str = "scenario.schema.json";

/// The parts of the workspace's manifest that the SDK inherits from begin here and end there.
const INHERITED: (&str, &str) = ("[workspace.package]", "[profile.dev]");

/// Writes or renews the folder `.stuga` of a project; files that are gone from the SDK go from the copy as well.
///
/// # Errors
/// When the folder cannot be written.
pub fn refresh(project: &Path, language: Language) -> Result<()> {
    let folder = project.join(FOLDER);
    if folder.exists() {
        fs::remove_dir_all(&folder)
            .with_context(|| format!("cannot renew {}", folder.display()))?;
    }
    for (name, content) in FILES {
        let of_language = match language {
            Language::Rust => name.starts_with("sdk/") || name.starts_with("host/"),
            Language::Js => name.starts_with("js/"),
            Language::Python => name.starts_with("python/"),
        };
        if of_language || name.starts_with("wit/") || *name == SCENARIO_SCHEMA {
            write(&folder.join(name), content)?;
        }
    }
    if language == Language::Rust {
        write(&folder.join("Cargo.toml"), workspace().as_bytes())?;
    }
    let readme = "Written by `stuga new` and `stuga build --refresh`: the SDK and the WIT that this agent is built with. \
                  Commit it, do not edit it.\n";
    write(&folder.join("README"), readme.as_bytes())
}

/// The lock file of the SDK's own workspace: a new project builds with the versions that the SDK was tested with.
pub(crate) fn lock_file() -> &'static [u8] {
    file("Cargo.lock").unwrap_or_default()
}

fn file(name: &str) -> Option<&'static [u8]> {
    let found = FILES.iter().find(|(known, _)| *known == name);
    found.map(|(_, content)| *content)
}

/// A workspace of the SDK and of what it needs, with the tables that both inherit from.
fn workspace() -> String {
    let manifest = String::from_utf8_lossy(file("workspace.toml").unwrap_or_default());
    let from = manifest.find(INHERITED.0).unwrap_or_default();
    let to = manifest.find(INHERITED.1).unwrap_or(manifest.len());
    let tables = manifest.get(from..to).unwrap_or_default();
    format!("[workspace]\nresolver = \"3\"\nmembers = [\"sdk\", \"host/core\"]\n\n{tables}")
}

pub(crate) fn write(path: &Path, content: &[u8]) -> Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    fs::create_dir_all(folder)
        .and_then(|()| fs::write(path, content))
        .with_context(|| format!("cannot write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_holds_the_tables_that_the_sdk_inherits_from() {
        let manifest: toml::Table = workspace().parse().unwrap();
        let workspace = manifest["workspace"].as_table().unwrap();
        for table in ["package", "dependencies", "lints"] {
            assert!(workspace.contains_key(table), "{table}");
        }
        assert!(!manifest.contains_key("profile"));
    }

    #[test]
    fn a_renewed_copy_keeps_nothing_of_the_old_one() {
        let project = tempfile::tempdir().unwrap();
        let folder = project.path().join(FOLDER);
        write(&folder.join("sdk/src/gone.rs"), b"").unwrap();
        refresh(project.path(), Language::Rust).unwrap();
        assert!(!folder.join("sdk/src/gone.rs").exists());
        assert!(folder.join("sdk/src/lib.rs").exists());
        assert!(folder.join("wit/world.wit").exists());
        assert!(folder.join(SCENARIO_SCHEMA).exists());
        assert!(!folder.join("host/core/src/testkit.rs").exists());
    }
}
