//! Guests in other languages than Rust: those fixtures that are no crates.
//!
//! Their tools come from npm and PyPI, into `target/guests/tools`, once. Where they cannot be had (no Node, no Python, no
//! network) the guest is not built, and `<guest>.skipped` beside the components says why: the tests that need it read it
//! there. A guest that fails to build although its tools are there is an error.

use std::fs;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{guests, shell};

/// A guest that is no crate.
pub(crate) struct Scripted {
    /// The component's name.
    pub(crate) name: &'static str,
    /// Its folder in `tests/fixtures`.
    folder: &'static str,
    language: Language,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Language {
    JavaScript,
    Python,
}

/// All of them.
pub(crate) const ALL: [Scripted; 2] = [
    Scripted {
        name: "fixture-echo-js",
        folder: "echo-js",
        language: Language::JavaScript,
    },
    Scripted {
        name: "fixture-echo-py",
        folder: "echo-py",
        language: Language::Python,
    },
];

/// What came of a guest.
pub(crate) enum Outcome {
    /// The component is there; whether it is new.
    Built(PathBuf, bool),
    /// Its tools cannot be had.
    Skipped(String),
}

impl Scripted {
    /// Installs the tools, puts the sources together and builds, as far as that was not done before.
    pub(crate) fn build(&self) -> Result<Outcome> {
        let component = guests::folder().join(format!("{}.wasm", self.name));
        let skipped = component.with_extension("skipped");
        fs::create_dir_all(guests::folder())?;
        let tools = match self.language.tools() {
            Ok(tools) => tools,
            Err(error) => {
                let reason = format!("{error:#}");
                remove(&component)?;
                fs::write(&skipped, &reason)
                    .with_context(|| format!("cannot write {}", skipped.display()))?;
                return Ok(Outcome::Skipped(reason));
            }
        };
        remove(&skipped)?;
        let project = self.assemble(&tools)?;
        let stamp = component.with_extension("stamp");
        let inputs = fingerprint(&project)?;
        if component.exists() && fs::read_to_string(&stamp).is_ok_and(|last| last == inputs) {
            return Ok(Outcome::Built(component, false));
        }
        shell::run(&mut self.language.builder(&project))
            .with_context(|| format!("`{}` was not built", self.name))?;
        fs::rename(project.join("build/component.wasm"), &component)
            .and_then(|()| fs::write(&stamp, inputs))
            .with_context(|| format!("cannot put {} in its place", component.display()))?;
        Ok(Outcome::Built(component, true))
    }

    /// A project as `stuga new` would make it: the fixture's own files, the template's way to build, the SDK and the WIT.
    fn assemble(&self, tools: &Path) -> Result<PathBuf> {
        let project = guests::folder().join("projects").join(self.folder);
        if project.exists() {
            fs::remove_dir_all(&project)
                .with_context(|| format!("cannot clear {}", project.display()))?;
        }
        let root = shell::root();
        let sdk = match self.language {
            Language::JavaScript => "js",
            Language::Python => "python",
        };
        copy(&root.join("tests/fixtures").join(self.folder), &project)?;
        fs::create_dir_all(project.join("build"))?;
        copy(&root.join("wit"), &project.join(".stuga/wit"))?;
        copy(
            &root.join("sdk").join(sdk),
            &project.join(".stuga").join(sdk),
        )?;
        match self.language {
            Language::JavaScript => {
                symlink(tools.join("node_modules"), project.join("node_modules"))?;
            }
            Language::Python => symlink(tools, project.join(".venv"))?,
        }
        let (language, script) = match self.language {
            Language::JavaScript => ("js", "build.mjs"),
            Language::Python => ("python", "build.py"),
        };
        let template = root.join("sdk/templates").join(language).join(script);
        let text = fs::read_to_string(&template)
            .with_context(|| format!("cannot read {}", template.display()))?;
        fs::write(project.join(script), text.replace("{{name}}", "component"))?;
        Ok(project)
    }
}

impl Language {
    /// The folder with the tools, which are installed unless they are there in the versions that the template names.
    fn tools(self) -> Result<PathBuf> {
        let (name, versions) = match self {
            Self::JavaScript => ("js", "sdk/templates/js/package.json"),
            Self::Python => ("python", "sdk/templates/python/requirements.txt"),
        };
        let (programs, missing): (&[&str], _) = match self {
            Self::JavaScript => (
                &["node", "npm"],
                "Node.js is missing: install node 20 or newer, with npm",
            ),
            Self::Python => (
                &["python3"],
                "Python is missing: install python 3.10 or newer, with venv",
            ),
        };
        if !programs.iter().all(shell::exists) {
            bail!(missing);
        }
        let wanted = fs::read_to_string(shell::root().join(versions))
            .with_context(|| format!("cannot read {versions}"))?;
        let folder = guests::folder().join("tools").join(name);
        let done = folder.join("installed");
        if fs::read_to_string(&done).is_ok_and(|installed| installed == wanted) {
            return Ok(folder);
        }
        fs::create_dir_all(&folder)?;
        match self {
            Self::JavaScript => {
                let manifest = wanted.replace("{{name}}", "tools");
                fs::write(folder.join("package.json"), manifest)?;
                let mut npm = Command::new("npm");
                npm.args(["install", "--no-audit", "--no-fund", "--loglevel=error"]);
                shell::read(npm.current_dir(&folder))?;
            }
            Self::Python => {
                let list = shell::root().join(versions);
                let mut venv = Command::new("python3");
                shell::read(venv.args(["-m", "venv"]).arg(&folder))?;
                let mut pip = Command::new(folder.join("bin/pip"));
                pip.args([
                    "install",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--requirement",
                ]);
                shell::read(pip.arg(&list))?;
            }
        }
        fs::write(&done, wanted)?;
        Ok(folder)
    }

    /// What makes `build/component.wasm` of a project.
    fn builder(self, project: &Path) -> Command {
        let mut command = match self {
            Self::JavaScript => {
                let mut node = Command::new("node");
                node.arg("build.mjs");
                node
            }
            Self::Python => {
                let mut python = Command::new(project.join(".venv/bin/python"));
                python.arg("build.py");
                python
            }
        };
        // With it, the tools show their own call stack instead of the mistake.
        command.env("RUST_BACKTRACE", "0").current_dir(project);
        command
    }
}

/// The content of all files of a project, as a short text. What is linked, the tools, has its own version above.
fn fingerprint(project: &Path) -> Result<String> {
    let mut hasher = DefaultHasher::new();
    hash(project, &mut hasher)?;
    // A change here makes everything anew.
    include_str!("scripted.rs").hash(&mut hasher);
    for versions in ["js/package.json", "python/requirements.txt"] {
        fs::read(shell::root().join("sdk/templates").join(versions))?.hash(&mut hasher);
    }
    Ok(format!("{:016x}", hasher.finish()))
}

fn hash(path: &Path, hasher: &mut DefaultHasher) -> Result<()> {
    let mut entries = fs::read_dir(path)?.collect::<std::io::Result<Vec<_>>>()?;
    entries.sort_by_key(fs::DirEntry::file_name);
    for entry in entries {
        let kind = entry.file_type()?;
        entry.file_name().hash(hasher);
        if kind.is_dir() {
            hash(&entry.path(), hasher)?;
        } else if kind.is_file() {
            fs::read(entry.path())?.hash(hasher);
        }
    }
    Ok(())
}

fn copy(from: &Path, to: &Path) -> Result<()> {
    let read = || format!("cannot copy {}", from.display());
    fs::create_dir_all(to).with_context(read)?;
    for entry in fs::read_dir(from).with_context(read)? {
        let entry = entry?;
        let to = to.join(entry.file_name());
        // Python's own leavings, and what the WIT was.
        if ["__pycache__", "published"]
            .iter()
            .any(|name| entry.file_name() == *name)
        {
            continue;
        }
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &to)?;
        } else {
            fs::copy(entry.path(), &to).with_context(read)?;
        }
    }
    Ok(())
}

fn remove(file: &Path) -> Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", file.display()))
        }
        _ => Ok(()),
    }
}
