//! The world of a project in JavaScript or Python, looked at before its tools are: they do not know what a host takes, and
//! name neither the place nor the fix.
//!
//! It reads lines, not WIT: what is wrong beyond the names of our interfaces is the tools' to say.

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use stuga_yaml::did_you_mean;

use crate::embedded::FOLDER;

/// Where a project keeps its world.
const WORLD: &str = "wit";
/// The package of the contract.
const PACKAGE: &str = "stuga:agent";
/// What an agent exports.
const AGENT: &str = "agent";

/// Holds the names of our interfaces in a project's world to the WIT of its SDK. A project without a world has nothing to
/// check.
///
/// # Errors
/// Every mistake, with its place and the fix.
pub(crate) fn check(project: &Path) -> Result<()> {
    let folder = project.join(WORLD);
    let files = wit_files(&folder)?;
    if files.is_empty() {
        return Ok(());
    }
    let contract = Contract::of(&project.join(FOLDER).join(WORLD))?;
    let (mut mistakes, mut exported) = (String::new(), false);
    for file in &files {
        let text = read(file)?;
        let shown = file.strip_prefix(project).unwrap_or(file).display();
        for (at, line) in code(&text) {
            let Some(name) = Name::in_line(line) else {
                continue;
            };
            exported |= name.interface == AGENT && line.trim_start().starts_with("export ");
            if let Some(mistake) = contract.mistake(&name) {
                let _ = write!(mistakes, "\n{shown}:{at}:{}: {mistake}", name.column);
            }
        }
    }
    if !exported {
        let version = &contract.version;
        let _ = write!(
            mistakes,
            "\n{WORLD}/: the world exports no agent; add `export {PACKAGE}/{AGENT}@{version};` to it"
        );
    }
    if mistakes.is_empty() {
        return Ok(());
    }
    bail!("the world of this agent cannot be built{mistakes}")
}

/// What the SDK of a project knows.
struct Contract {
    version: String,
    interfaces: Vec<String>,
}

impl Contract {
    fn of(folder: &Path) -> Result<Self> {
        let (mut version, mut interfaces) = (None, Vec::new());
        for file in wit_files(folder)? {
            let text = read(&file)?;
            for (_, line) in code(&text) {
                let package = line.strip_prefix("package ").unwrap_or_default();
                if let Some(found) = package.strip_prefix(PACKAGE) {
                    version = Some(found.trim_matches(['@', ';', ' ']).to_owned());
                }
                if let Some(name) = line.strip_prefix("interface ") {
                    interfaces.push(name.trim_end_matches(['{', ' ']).to_owned());
                }
            }
        }
        interfaces.sort();
        let version = version.with_context(|| {
            format!(
                "{} has no WIT of {PACKAGE}; `stuga build --refresh` brings it",
                folder.display()
            )
        })?;
        Ok(Self {
            version,
            interfaces,
        })
    }

    fn mistake(&self, name: &Name<'_>) -> Option<String> {
        let Name {
            interface, version, ..
        } = name;
        let spoken = &self.version;
        if *version != spoken {
            return Some(format!(
                "this is version {version} of {PACKAGE}, and the SDK of this project speaks {spoken}; write \
                 `{PACKAGE}/{interface}@{spoken}`, or renew the SDK with the `stuga build --refresh` of a stuga that knows it"
            ));
        }
        if self.interfaces.iter().any(|known| known == interface) {
            return None;
        }
        let close = did_you_mean(interface, self.interfaces.iter().map(String::as_str));
        let close = close.map_or_else(String::new, |c| format!("did you mean `{c}`? "));
        Some(format!(
            "{PACKAGE} has no interface `{interface}`; {close}there is {}",
            self.interfaces.join(", ")
        ))
    }
}

/// One of our interfaces where it is named.
struct Name<'l> {
    interface: &'l str,
    /// Empty when there is none.
    version: &'l str,
    /// From 1.
    column: usize,
}

impl<'l> Name<'l> {
    fn in_line(line: &'l str) -> Option<Self> {
        let at = line.find(PACKAGE)?;
        let rest = line.get(at + PACKAGE.len()..)?.strip_prefix('/')?;
        let end = rest.find([';', ' ', '{']).unwrap_or(rest.len());
        let named = rest.get(..end)?.trim_end_matches('.');
        let (interface, version) = named.split_once('@').unwrap_or((named, ""));
        Some(Self {
            interface,
            version,
            column: line.get(..at)?.chars().count() + 1,
        })
    }
}

/// The lines of a file without their comments, with their numbers from 1.
fn code(text: &str) -> impl Iterator<Item = (usize, &str)> {
    let bare = |line: &'_ str| line.find("//").unwrap_or(line.len());
    text.lines()
        .zip(1..)
        .map(move |(line, at)| (at, line.get(..bare(line)).unwrap_or_default()))
}

fn wit_files(folder: &Path) -> Result<Vec<PathBuf>> {
    if !folder.is_dir() {
        return Ok(Vec::new());
    }
    let mut files = Vec::new();
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "wit") {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<String> {
    fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Language, embedded};

    fn checked(world: &str) -> Result<()> {
        let project = tempfile::tempdir().unwrap();
        embedded::refresh(project.path(), Language::Js).unwrap();
        embedded::write(&project.path().join("wit/world.wit"), world.as_bytes()).unwrap();
        check(project.path())
    }

    const GOOD: &str = "package local:agent;
world component {
    import stuga:agent/memory@0.1.0; // not stuga:agent/telepathy@9.0.0
    import wasi:random/random@0.2.0;
    export stuga:agent/agent@0.1.0;
}
";

    #[test]
    fn a_world_of_the_sdk_has_no_mistake() {
        checked(GOOD).unwrap();
    }

    #[test]
    fn every_mistake_has_a_place_and_a_fix() {
        let world = GOOD
            .replace("memory@0.1.0", "memory@0.2.0")
            .replace("wasi:random/random@0.2.0", "stuga:agent/serch@0.1.0")
            .replace("export stuga", "import stuga");
        let error = checked(&world).unwrap_err().to_string();
        for line in [
            "\nwit/world.wit:3:12: this is version 0.2.0 of stuga:agent, and the SDK of this project speaks 0.1.0; write `stuga:agent/memory@0.1.0`",
            "\nwit/world.wit:4:12: stuga:agent has no interface `serch`; did you mean `search`? there is a2a, agent,",
            "\nwit/: the world exports no agent; add `export stuga:agent/agent@0.1.0;` to it",
        ] {
            assert!(error.contains(line), "{line}\n--\n{error}");
        }
    }

    #[test]
    fn a_project_without_a_world_is_not_held_to_one() {
        check(tempfile::tempdir().unwrap().path()).unwrap();
    }
}
