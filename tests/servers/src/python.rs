//! Servers that come as Python packages, each in a virtual environment of its own.

use std::path::PathBuf;
use std::process::Command;

use crate::{Problem, Result, folder};

/// A virtual environment with packages.
#[derive(Clone, Debug)]
pub struct Venv {
    folder: PathBuf,
}

impl Venv {
    /// Makes the environment `name` with exactly these packages, such as `ministack==1.5.33`, and what they need.
    ///
    /// # Errors
    /// When there is no Python, or the packages cannot be had.
    pub fn install(name: &str, packages: &[&str]) -> Result<Self> {
        let folder = folder::installed(name, &packages.join("\n"), |folder| {
            let venv = folder.join("venv");
            run(Command::new("python3").args(["-m", "venv"]).arg(&venv)).map_err(|why| {
                Problem::new(format!(
                    "no virtual environment can be made; install python3 and python3-venv: {why}"
                ))
            })?;
            let pip = [
                "-m",
                "pip",
                "install",
                "--quiet",
                "--disable-pip-version-check",
            ];
            run(Command::new(venv.join("bin/python"))
                .args(pip)
                .args(packages))
            .map_err(|why| {
                Problem::new(format!(
                    "{} cannot be installed: {why}",
                    packages.join(", ")
                ))
            })
        })?;
        Ok(Self {
            folder: folder.join("venv"),
        })
    }

    /// A program of the environment.
    pub fn program(&self, name: &str) -> PathBuf {
        self.folder.join("bin").join(name)
    }
}

/// Runs a command and says what it wrote when it fails.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command
        .output()
        .map_err(|e| Problem::new(format!("{program} cannot be run: {e}")))?;
    if output.status.success() {
        return Ok(());
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(Problem::new(format!("{program} failed: {}", errors.trim())))
}
