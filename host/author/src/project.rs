//! A project on disk, and its build.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::toolchain::{Choice, TARGET, Toolchain};
use crate::{Language, MANIFEST, Manifest, Step, component, embedded, shell, world};

/// How a guest is compiled: small, fast, and a panic ends the call. Given on the command line, so that a project needs no
/// profile of its own.
const PROFILE: [&str; 7] = [
    "inherits=\"release\"",
    "opt-level=3",
    "lto=\"fat\"",
    "codegen-units=1",
    "debug=false",
    "strip=\"debuginfo\"",
    "panic=\"abort\"",
];

/// An agent's sources.
#[derive(Clone, Debug)]
pub struct Project {
    /// Its folder, absolute.
    pub folder: PathBuf,
    /// What it says of itself.
    pub manifest: Manifest,
}

/// A component that stands on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Built {
    /// Where.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// Whether its content is new.
    pub changed: bool,
}

impl Project {
    /// The project in `folder`: what its manifest says, or a crate when it has a Cargo.toml and no manifest.
    ///
    /// # Errors
    /// When there is neither, or the manifest has a mistake.
    pub fn find(folder: &Path) -> Result<Self> {
        let folder = folder
            .canonicalize()
            .with_context(|| format!("{} cannot be read", folder.display()))?;
        let manifest = match Manifest::read(&folder)? {
            Some(manifest) => manifest,
            None if folder.join("Cargo.toml").exists() => Manifest::of_rust(),
            None => bail!(
                "{} is no agent: it has neither {MANIFEST} nor Cargo.toml; `stuga new NAME` makes one",
                folder.display()
            ),
        };
        Ok(Self { folder, manifest })
    }

    /// Makes the component. What the tools say goes to standard error.
    ///
    /// # Errors
    /// When a tool is missing, with what installs it, or fails.
    pub fn build(&self, choice: Choice) -> Result<Built> {
        match self.manifest.language {
            Language::Rust => self.build_rust(choice),
            _ => self.run_steps(),
        }
    }

    /// Where the component is put.
    ///
    /// # Errors
    /// When the crate cannot be read whose name it bears.
    pub fn component(&self) -> Result<PathBuf> {
        let path = match &self.manifest.component {
            Some(path) => path.clone(),
            None => default_component(&Crate::of(&self.folder)?.name),
        };
        Ok(self.folder.join(path))
    }

    /// Where the scenarios lie.
    pub fn scenarios(&self) -> PathBuf {
        self.folder.join(&self.manifest.scenarios)
    }

    fn build_rust(&self, choice: Choice) -> Result<Built> {
        let crate_ = Crate::of(&self.folder)?;
        if crate_.uses_copy && !self.folder.join(embedded::FOLDER).exists() {
            embedded::refresh(&self.folder, Language::Rust)?;
        }
        let mut cargo = Toolchain::ready(choice)?.cargo_build(&self.folder);
        cargo.args(["--lib", "--package", &crate_.name, "--profile", "guest"]);
        for setting in PROFILE {
            cargo.args(["--config", &format!("profile.guest.{setting}")]);
        }
        shell::run(&mut cargo)?;
        let module = crate_
            .target_directory
            .join(TARGET)
            .join("guest")
            .join(format!("{}.wasm", crate_.library.replace('-', "_")));
        let bytes = std::fs::read(&module)
            .with_context(|| format!("{} was not built", module.display()))?;
        let component = component::encode(&crate_.name, &bytes)?;
        let named = self.manifest.component.clone();
        let path = self
            .folder
            .join(named.unwrap_or_else(|| default_component(&crate_.name)));
        Ok(Built {
            changed: component::write_if_new(&path, &component)?,
            size: component.len() as u64,
            path,
        })
    }

    fn run_steps(&self) -> Result<Built> {
        let Some(component) = &self.manifest.component else {
            bail!("{MANIFEST} names no `component`");
        };
        let path = self.folder.join(component);
        let before = std::fs::read(&path).ok();
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent)
                .with_context(|| format!("cannot make {}", parent.display()))?;
        }
        if !self.folder.join(embedded::FOLDER).exists() {
            embedded::refresh(&self.folder, self.manifest.language)?;
        }
        world::check(&self.folder)?;
        for step in &self.manifest.steps {
            self.run_step(step)?;
        }
        let bytes = std::fs::read(&path).with_context(|| {
            format!(
                "the steps of {MANIFEST} did not write {}, which it names as `component`",
                component.display()
            )
        })?;
        Ok(Built {
            changed: before.as_deref() != Some(&*bytes),
            size: bytes.len() as u64,
            path,
        })
    }

    fn run_step(&self, step: &Step) -> Result<()> {
        let help = || match &step.install {
            Some(install) => format!("run `{install}` in {} first", self.folder.display()),
            None => "install what builds it first".to_owned(),
        };
        if let Some(needs) = &step.needs
            && !self.folder.join(needs).exists()
        {
            bail!("{} is missing; {}", needs.display(), help());
        }
        let Some((program, arguments)) = step.run.split_first() else {
            bail!("a step of {MANIFEST} runs nothing");
        };
        let own = program.contains('/');
        let program = if own {
            self.folder.join(program)
        } else {
            PathBuf::from(program)
        };
        let mut command = Command::new(&program);
        command
            .args(arguments)
            .current_dir(&self.folder)
            // With it, componentize-py shows its own call stack below the mistake.
            .env("RUST_BACKTRACE", "0")
            .stdout(std::io::stderr());
        match command.status() {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => bail!("`{}` failed ({status})", shell::shown(&command)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                bail!("{} is missing; {}", program.display(), help())
            }
            Err(error) => {
                Err(error).with_context(|| format!("cannot start `{}`", shell::shown(&command)))
            }
        }
    }
}

/// Where a component is put whose manifest does not say.
fn default_component(name: &str) -> PathBuf {
    PathBuf::from("build").join(format!("{name}.wasm"))
}

/// What cargo knows of a crate.
struct Crate {
    name: String,
    library: String,
    target_directory: PathBuf,
    /// Whether it depends on the copy of the SDK in `.stuga`.
    uses_copy: bool,
}

impl Crate {
    fn of(folder: &Path) -> Result<Self> {
        let manifest = folder.join("Cargo.toml");
        if !manifest.exists() {
            bail!("{} is missing", manifest.display());
        }
        let metadata = shell::read(shell::cargo().current_dir(folder).args([
            "metadata",
            "--no-deps",
            "--format-version=1",
        ]))?;
        let metadata: Value =
            serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
        let list = |value: &Value, name: &str| value.get(name).and_then(Value::as_array).cloned();
        let text =
            |value: &Value, name: &str| value.get(name).and_then(Value::as_str).map(str::to_owned);
        let packages = list(&metadata, "packages").unwrap_or_default();
        let package = packages
            .iter()
            .find(|package| {
                text(package, "manifest_path").is_some_and(|path| Path::new(&path) == manifest)
            })
            .with_context(|| {
                format!(
                    "{} is no package of its own; run it in an agent's folder",
                    manifest.display()
                )
            })?;
        let is_cdylib = |target: &&Value| {
            list(target, "crate_types").is_some_and(|types| types.iter().any(|t| t == "cdylib"))
        };
        let targets = list(package, "targets").unwrap_or_default();
        let library = targets.iter().find(is_cdylib).with_context(|| {
            format!(
                "{} builds no component; add to it\n  [lib]\n  crate-type = [\"cdylib\", \"rlib\"]",
                manifest.display()
            )
        })?;
        let copy = folder.join(embedded::FOLDER).join("sdk");
        let dependencies = list(package, "dependencies").unwrap_or_default();
        Ok(Self {
            name: text(package, "name").context("the package has no name")?,
            library: text(library, "name").context("the library has no name")?,
            target_directory: text(&metadata, "target_directory")
                .context("cargo metadata names no target directory")?
                .into(),
            uses_copy: dependencies.iter().any(|dependency| {
                text(dependency, "path").is_some_and(|path| Path::new(&path) == copy)
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(files: &[(&str, &str)]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for (name, text) in files {
            embedded::write(&folder.path().join(name), text.as_bytes()).unwrap();
        }
        folder
    }

    fn failure(folder: &tempfile::TempDir) -> String {
        let built = Project::find(folder.path()).and_then(|p| p.build(Choice::Auto));
        format!("{:#}", built.unwrap_err())
    }

    #[test]
    fn a_folder_that_is_no_agent_says_how_to_make_one() {
        assert!(failure(&project(&[])).contains("`stuga new NAME` makes one"));
    }

    #[test]
    fn a_missing_tool_is_named_with_what_installs_it() {
        let text = "language = \"js\"\ncomponent = \"a.wasm\"\n[[steps]]\nrun = [\"no-such-program\"]\nneeds = \"node_modules\"\ninstall = \"npm install\"\n";
        let folder = project(&[(MANIFEST, text)]);
        let error = failure(&folder);
        assert!(
            error.contains("node_modules is missing") && error.contains("`npm install`"),
            "{error}"
        );
        std::fs::create_dir(folder.path().join("node_modules")).unwrap();
        let error = failure(&folder);
        assert!(error.contains("no-such-program is missing"), "{error}");
    }

    #[test]
    fn the_steps_of_a_project_make_its_component() {
        let text = "language = \"python\"\ncomponent = \"build/a.wasm\"\n[[steps]]\nrun = [\"cp\", \"in\", \"build/a.wasm\"]\n";
        let folder = project(&[(MANIFEST, text), ("in", "hej")]);
        let project = Project::find(folder.path()).unwrap();
        let built = project.build(Choice::Auto).unwrap();
        assert_eq!((built.size, built.changed), (3, true));
        assert!(!project.build(Choice::Auto).unwrap().changed);
    }

    #[test]
    fn a_crate_without_a_cdylib_is_told_the_lines_to_add() {
        let manifest =
            "[package]\nname = \"a\"\nversion = \"0.1.0\"\nedition = \"2024\"\n[workspace]\n";
        let folder = project(&[("Cargo.toml", manifest), ("src/lib.rs", "")]);
        let error = failure(&folder);
        assert!(
            error.contains("crate-type = [\"cdylib\", \"rlib\"]"),
            "{error}"
        );
    }
}
