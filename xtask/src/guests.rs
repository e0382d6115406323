//! Guests: crates of `plugins/` and `tests/fixtures/` built for wasm32 and turned into components.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use stuga_author::component;
use stuga_author::toolchain::{Choice, TARGET, Toolchain};

use crate::shell;

/// The folders whose crates are guests.
const HOMES: [&str; 2] = ["plugins", "tests/fixtures"];

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask guests\n  cargo xtask guests meetmind fixture-echo\n  cargo xtask guests --toolchain debian"
)]
pub(crate) struct Args {
    /// Only these crates; all guests when none is named
    names: Vec<String>,

    /// Which toolchain builds them: auto, rustup or debian
    #[arg(long, default_value_t)]
    toolchain: Choice,
}

/// The task `guests`.
pub(crate) fn run(args: &Args) -> Result<()> {
    let toolchain = Toolchain::ready(args.toolchain)?;
    let guests = select(find()?, &args.names)?;
    for built in build(&toolchain, &guests)? {
        let (size, note) = (built.size as f64 / 1024.0, built.note());
        let path = built
            .path
            .strip_prefix(shell::root())
            .unwrap_or(&built.path);
        println!("{:<40} {size:>8.1} KiB  {note}", path.display());
    }
    Ok(())
}

/// Readies the toolchain, builds every guest, and returns the folder that holds the components.
pub(crate) fn build_all(choice: Choice) -> Result<PathBuf> {
    let toolchain = Toolchain::ready(choice)?;
    build(&toolchain, &find()?)?;
    Ok(folder())
}

/// Readies the toolchain, builds these crates as components, and returns the folder that holds them.
pub(crate) fn build_named(choice: Choice, names: &[&str]) -> Result<PathBuf> {
    let toolchain = Toolchain::ready(choice)?;
    let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
    build(&toolchain, &names)?;
    Ok(folder())
}

/// Where the components are put, as `<crate>.wasm`.
pub(crate) fn folder() -> PathBuf {
    shell::target().join("guests")
}

/// A component that stands on disk.
struct Built {
    path: PathBuf,
    size: usize,
    changed: bool,
}

impl Built {
    fn note(&self) -> &'static str {
        if self.changed { "built" } else { "unchanged" }
    }
}

/// The names of all guest crates.
fn find() -> Result<Vec<String>> {
    let metadata =
        shell::read(shell::cargo().args(["metadata", "--no-deps", "--format-version=1"]))?;
    let metadata: Value = serde_json::from_str(&metadata).context("cargo metadata is not JSON")?;
    let packages = metadata
        .get("packages")
        .and_then(Value::as_array)
        .context("cargo metadata names no packages")?;
    let is_guest = |manifest: &str| {
        HOMES
            .iter()
            .any(|home| Path::new(manifest).starts_with(shell::root().join(home)))
    };
    let mut names: Vec<String> = packages
        .iter()
        .filter(|p| {
            p.get("manifest_path")
                .and_then(Value::as_str)
                .is_some_and(is_guest)
        })
        .filter_map(|p| Some(p.get("name")?.as_str()?.to_owned()))
        .collect();
    names.sort();
    Ok(names)
}

fn select(all: Vec<String>, wanted: &[String]) -> Result<Vec<String>> {
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        bail!("no guest `{unknown}`; there are: {}", all.join(", "));
    }
    if wanted.is_empty() {
        return Ok(all);
    }
    Ok(wanted.to_vec())
}

fn build(toolchain: &Toolchain, guests: &[String]) -> Result<Vec<Built>> {
    let target = folder().join("build");
    let mut cargo = toolchain.cargo_build(shell::root());
    cargo.args(["--lib", "--profile", "guest", "--target-dir"]);
    cargo.arg(&target);
    for guest in guests {
        cargo.args(["--package", guest]);
    }
    shell::run(&mut cargo)?;
    let modules = target.join(TARGET).join("guest");
    guests.iter().map(|guest| encode(&modules, guest)).collect()
}

/// Turns a core module into a component. The file is touched only when its content changed, and replaced at once.
fn encode(modules: &Path, guest: &str) -> Result<Built> {
    let module = modules.join(format!("{}.wasm", guest.replace('-', "_")));
    let bytes = fs::read(&module).with_context(|| {
        format!(
            "{} was not built; a guest needs `crate-type = [\"cdylib\"]`",
            module.display()
        )
    })?;
    let component = component::encode(guest, &bytes)?;
    let path = folder().join(format!("{guest}.wasm"));
    let changed = component::write_if_new(&path, &component)?;
    Ok(Built {
        path,
        size: component.len(),
        changed,
    })
}
