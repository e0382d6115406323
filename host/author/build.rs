//! Puts the templates and the SDK into the library, so that `stuga new` needs neither a checkout nor a registry.

use std::fmt::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// What is taken along: the name it gets, and where it lies in the repository.
const SOURCES: [(&str, &str); 11] = [
    ("templates", "sdk/templates"),
    ("sdk/Cargo.toml", "sdk/Cargo.toml"),
    ("sdk/src", "sdk/src"),
    ("js", "sdk/js"),
    ("python", "sdk/python"),
    ("host/core/Cargo.toml", "host/core/Cargo.toml"),
    ("host/core/src", "host/core/src"),
    ("wit", "wit"),
    (
        "scenario.schema.json",
        "docs/reference/scenario.schema.json",
    ),
    ("workspace.toml", "Cargo.toml"),
    ("Cargo.lock", "Cargo.lock"),
];

/// What is of no use to an author: core's contract suites, and what the WIT was and may become.
const LEFT_OUT: [&str; 4] = [
    "host/core/src/testkit",
    "host/core/src/testkit.rs",
    "wit/PENDING.md",
    "wit/published",
];

fn main() -> io::Result<()> {
    let repository = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default())
        .join("../..")
        .canonicalize()?;
    let mut files = Vec::new();
    for (name, path) in SOURCES {
        let path = repository.join(path);
        if !path.exists() {
            continue;
        }
        println!("cargo::rerun-if-changed={}", path.display());
        collect(name, &path, &mut files)?;
    }
    files.sort();
    let mut table = String::from("[\n");
    for (name, path) in files {
        let _ = writeln!(table, "    ({name:?}, include_bytes!({path:?})),");
    }
    table.push(']');
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    fs::write(out.join("embedded.rs"), table)
}

fn collect(name: &str, path: &Path, files: &mut Vec<(String, PathBuf)>) -> io::Result<()> {
    if LEFT_OUT.contains(&name) {
        return Ok(());
    }
    if !path.is_dir() {
        files.push((name.to_owned(), path.to_owned()));
        return Ok(());
    }
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let name = format!("{name}/{}", entry.file_name().to_string_lossy());
        collect(&name, &entry.path(), files)?;
    }
    Ok(())
}
