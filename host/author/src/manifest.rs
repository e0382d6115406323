//! `stuga-agent.toml`: what a project says of how its component is made.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::Language;

/// The file's name, at the root of a project.
pub const MANIFEST: &str = "stuga-agent.toml";

/// Where scenarios lie when the manifest does not say.
const SCENARIOS: &str = "scenarios";

/// What a project says of itself.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Manifest {
    /// What it is written in.
    pub language: Language,
    /// Where the component is put, relative to the project; `build/<name>.wasm` when it does not say.
    pub component: Option<PathBuf>,
    /// Where its scenarios lie, relative to the project.
    #[serde(default = "scenarios")]
    pub scenarios: PathBuf,
    /// What makes the component, one after the other. A Rust project has none: cargo is called for it.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// One program that is run in the project's folder.
#[derive(Clone, PartialEq, Eq, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct Step {
    /// The program and its arguments. A program with a `/` is one of the project's own.
    pub run: Vec<String>,
    /// What must be there for it, relative to the project, such as `node_modules`.
    pub needs: Option<PathBuf>,
    /// What to type when that or the program is missing, such as `npm install`.
    pub install: Option<String>,
}

fn scenarios() -> PathBuf {
    PathBuf::from(SCENARIOS)
}

impl Manifest {
    /// What stands for a crate without a manifest of its own.
    pub(crate) fn of_rust() -> Self {
        Self {
            language: Language::Rust,
            component: None,
            scenarios: scenarios(),
            steps: Vec::new(),
        }
    }

    /// Reads the manifest of the project in `folder`; none when it has none.
    pub(crate) fn read(folder: &Path) -> Result<Option<Self>> {
        let path = folder.join(MANIFEST);
        if !path.exists() {
            return Ok(None);
        }
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{} cannot be read", path.display()))?;
        let manifest =
            Self::parse(&text).with_context(|| format!("{} has a mistake", path.display()))?;
        Ok(Some(manifest))
    }

    fn parse(text: &str) -> Result<Self> {
        let manifest: Self = toml::from_str(text)?;
        match manifest.language {
            Language::Rust if !manifest.steps.is_empty() => {
                bail!("a Rust agent has no `steps`; `stuga build` calls cargo by itself")
            }
            Language::Rust => {}
            other => {
                if manifest.steps.is_empty() {
                    bail!(
                        "`steps` is missing: say with [[steps]] and `run = [..]` what builds a {other} agent"
                    )
                }
                if manifest.component.is_none() {
                    bail!("`component` is missing: name the file that the last step writes")
                }
            }
        }
        if manifest.steps.iter().any(|step| step.run.is_empty()) {
            bail!("a step runs nothing: `run` lists the program and its arguments");
        }
        Ok(manifest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mistake_is_named_with_its_line_and_what_is_allowed() {
        let error = Manifest::parse("language = \"rust\"\ncomponnent = \"x.wasm\"\n").unwrap_err();
        let text = format!("{error:#}");
        assert!(
            text.contains("line 2") && text.contains("`component`"),
            "{text}"
        );
        let error = Manifest::parse("language = \"go\"\n").unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("`rust`, `js`, `python`"), "{text}");
    }

    #[test]
    fn a_language_with_steps_says_what_is_built_and_how() {
        let text = "language = \"js\"\ncomponent = \"build/a.wasm\"\n[[steps]]\nrun = [\"node\", \"build.mjs\"]\nneeds = \"node_modules\"\ninstall = \"npm install\"\n";
        let manifest = Manifest::parse(text).unwrap();
        assert_eq!(manifest.steps[0].run, ["node", "build.mjs"]);
        assert_eq!(manifest.scenarios, Path::new("scenarios"));
        assert!(Manifest::parse("language = \"python\"\n").is_err());
    }
}
