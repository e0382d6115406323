//! A new project from a template.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use crate::embedded::{self, FILES, FOLDER};

/// What an agent is written in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Language {
    /// Rust
    #[default]
    Rust,
    /// JavaScript
    Js,
    /// Python
    Python,
}

impl Language {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Rust, Self::Js, Self::Python];

    /// The name as it stands in `--lang` and in a manifest.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::Js => "js",
            Self::Python => "python",
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Language {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.into_iter().find(|l| l.as_str() == text);
        found.ok_or_else(|| "there is rust, js and python".to_owned())
    }
}

/// Where a Rust project gets the SDK from.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Sdk {
    /// A copy of the one that came with this program, in the project's folder `.stuga`.
    Embedded,
    /// The crate in that folder.
    Path(PathBuf),
}

/// A project that stands on disk.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Created {
    /// Its folder.
    pub folder: PathBuf,
    /// The files of the template, in the order of their names; without the SDK's.
    pub files: Vec<PathBuf>,
}

/// Writes a new agent `name` in `language` into `folder`, which must not exist or be empty.
///
/// # Errors
/// When the name does not do, something stands in the folder, or it cannot be written.
pub fn create(folder: &Path, name: &str, language: Language, sdk: &Sdk) -> Result<Created> {
    check_name(name, language)?;
    if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
        bail!(
            "{} is not empty; choose another name or folder",
            folder.display()
        );
    }
    let prefix = format!("templates/{language}/");
    let template: Vec<_> = FILES
        .iter()
        .filter_map(|(name, content)| Some((name.strip_prefix(&prefix)?, *content)))
        .collect();
    if template.is_empty() {
        bail!("this stuga was built without a template for {language}");
    }
    let sdk_path = match sdk {
        Sdk::Embedded => format!("{FOLDER}/sdk"),
        Sdk::Path(path) => checked_sdk(path)?,
    };
    let fill = |text: &str| {
        text.replace("{{name}}", name)
            .replace("{{crate}}", &name.replace('-', "_"))
            .replace("{{type}}", &camel(name))
            .replace("{{sdk}}", &sdk_path)
    };
    let mut files = Vec::new();
    for (path, content) in template {
        let path = PathBuf::from(fill(&path.replace("_gitignore", ".gitignore")));
        match std::str::from_utf8(content) {
            Ok(text) => embedded::write(&folder.join(&path), fill(text).as_bytes())?,
            Err(_) => embedded::write(&folder.join(&path), content)?,
        }
        files.push(path);
    }
    if *sdk == Sdk::Embedded || language != Language::Rust {
        embedded::refresh(folder, language)?;
    }
    if language == Language::Rust {
        embedded::write(&folder.join("Cargo.lock"), embedded::lock_file())?;
    }
    files.sort();
    Ok(Created {
        folder: folder.to_owned(),
        files,
    })
}

fn check_name(name: &str, language: Language) -> Result<()> {
    if !stuga_core::id::is_name(name) {
        bail!("the name {name:?} is not 1 to 63 characters of a-z, 0-9 and inner -");
    }
    let begins_with_letter = name.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    if language == Language::Rust && !begins_with_letter {
        bail!("the name {name:?} does not begin with a letter, which a Rust crate's name must");
    }
    Ok(())
}

/// The SDK's folder as it stands in a manifest.
fn checked_sdk(path: &Path) -> Result<String> {
    let path = path
        .canonicalize()
        .with_context(|| format!("--sdk {} is not there", path.display()))?;
    if !path.join("Cargo.toml").exists() {
        bail!("--sdk {} is no crate: it has no Cargo.toml", path.display());
    }
    Ok(path.to_string_lossy().replace('\\', "/"))
}

/// `my-agent` as the name of a type: `MyAgent`.
fn camel(name: &str) -> String {
    let capital = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|c| c.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    name.split('-').map(capital).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(name: &str) -> Result<(tempfile::TempDir, Created)> {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("project");
        let created = create(&folder, name, Language::Rust, &Sdk::Embedded)?;
        Ok((parent, created))
    }

    #[test]
    fn a_project_bears_its_name_and_leaves_no_placeholder() {
        let (_parent, created) = new("my-agent").unwrap();
        let read = |path: &str| fs::read_to_string(created.folder.join(path)).unwrap();
        assert!(read("Cargo.toml").contains("name = \"my-agent\""));
        assert!(read("src/lib.rs").contains("struct MyAgent"));
        assert!(created.files.contains(&PathBuf::from(".gitignore")));
        for file in &created.files {
            assert!(
                !read(file.to_str().unwrap()).contains("{{"),
                "{}",
                file.display()
            );
        }
        let toml: toml::Table = read("Cargo.toml").parse().unwrap();
        assert!(
            created
                .folder
                .join(toml["dependencies"]["stuga-sdk"]["path"].as_str().unwrap())
                .join("Cargo.toml")
                .exists()
        );
    }

    #[test]
    fn a_name_that_cannot_be_a_crate_or_an_agent_is_refused() {
        for bad in ["", "My-Agent", "å", "a_b", "-a", "1a", "../x"] {
            assert!(new(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn nothing_is_written_over() {
        let (_parent, created) = new("a").unwrap();
        let again = create(&created.folder, "b", Language::Rust, &Sdk::Embedded);
        assert!(again.unwrap_err().to_string().contains("is not empty"));
    }
}
