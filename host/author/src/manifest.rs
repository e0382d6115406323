//! `stuga-agent.toml`: what a project says of how its component is made.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow, bail};
use serde::Deserialize;
use stuga_yaml::did_you_mean;

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
        Self::parse(&text, &path).map(Some)
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        let manifest: Self = toml::from_str(text).map_err(|error| explain(&error, text, path))?;
        manifest
            .check()
            .with_context(|| format!("{} has a mistake", path.display()))
    }

    /// Looks for what the types do not hold.
    fn check(self) -> Result<Self> {
        let manifest = self;
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

/// The mistake with its place, and the word that was probably meant.
fn explain(error: &toml::de::Error, text: &str, path: &Path) -> anyhow::Error {
    let message = error.message().trim();
    let place = error.span().map_or_else(String::new, |span| {
        let before = text.get(..span.start).unwrap_or(text);
        let line = before.matches('\n').count() + 1;
        let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
        format!("{line}:{column}: ")
    });
    // unknown field `a`, expected one of `b`, `c`
    let words: Vec<&str> = message.split('`').skip(1).step_by(2).collect();
    let meant = words
        .split_first()
        .and_then(|(given, known)| did_you_mean(given, known.iter().copied()))
        .map_or_else(String::new, |word| format!("; did you mean `{word}`?"));
    anyhow!("{}:{place}{message}{meant}", path.display())
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Manifest {
        fn read_text(text: &str) -> Result<Self> {
            Self::parse(text, Path::new(MANIFEST))
        }
    }

    #[test]
    fn a_mistake_is_named_with_its_line_and_what_is_allowed() {
        let error =
            Manifest::read_text("language = \"rust\"\ncomponnent = \"x.wasm\"\n").unwrap_err();
        let text = format!("{error:#}");
        let place = "stuga-agent.toml:2:1: unknown field `componnent`";
        assert!(
            text.starts_with(place) && text.ends_with("did you mean `component`?"),
            "{text}"
        );
        let error = Manifest::read_text("language = \"go\"\n").unwrap_err();
        let text = format!("{error:#}");
        assert!(text.contains("`rust`, `js`, `python`"), "{text}");
    }

    #[test]
    fn a_language_with_steps_says_what_is_built_and_how() {
        let text = "language = \"js\"\ncomponent = \"build/a.wasm\"\n[[steps]]\nrun = [\"node\", \"build.mjs\"]\nneeds = \"node_modules\"\ninstall = \"npm install\"\n";
        let manifest = Manifest::read_text(text).unwrap();
        assert_eq!(manifest.steps[0].run, ["node", "build.mjs"]);
        assert_eq!(manifest.scenarios, Path::new("scenarios"));
        assert!(Manifest::read_text("language = \"python\"\n").is_err());
    }
}
