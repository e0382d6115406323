//! Guests: crates of `plugins/` and `tests/fixtures/` built for wasm32 and turned into components. Those in other languages
//! are `scripted`.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;
use stuga_author::component;
use stuga_author::toolchain::{Choice, TARGET, Toolchain};

use crate::scripted::{self, Outcome};
use crate::shell;

/// The folders whose crates are guests.
const HOMES: [&str; 2] = ["plugins", "tests/fixtures"];

#[derive(clap::Args)]
#[command(
    after_help = "Examples:\n  cargo xtask guests\n  cargo xtask guests meetmind fixture-echo-py\n  cargo xtask guests --toolchain debian"
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
    let (crates, scripted) = select(find()?, &args.names)?;
    if !crates.is_empty() {
        let toolchain = Toolchain::ready(args.toolchain)?;
        for built in build(&toolchain, &crates)? {
            built.print();
        }
    }
    build_scripted(&scripted)
}

/// Builds guests in other languages and prints what came of them.
fn build_scripted(names: &[String]) -> Result<()> {
    for guest in scripted::ALL {
        if !names.iter().any(|name| name == guest.name) {
            continue;
        }
        match guest.build()? {
            Outcome::Skipped(reason) => println!("{} is not built: {reason}", guest.name),
            Outcome::Built(path, changed) => {
                let size = usize::try_from(fs::metadata(&path)?.len()).unwrap_or(usize::MAX);
                Built {
                    path,
                    size,
                    changed,
                }
                .print();
            }
        }
    }
    Ok(())
}

/// Readies the toolchain, builds every guest, and returns the folder that holds the components.
pub(crate) fn build_all(choice: Choice) -> Result<PathBuf> {
    let toolchain = Toolchain::ready(choice)?;
    let (crates, scripted) = select(find()?, &[])?;
    build(&toolchain, &crates)?;
    build_scripted(&scripted)?;
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
    fn print(&self) {
        let size = self.size as f64 / 1024.0;
        let note = if self.changed { "built" } else { "unchanged" };
        let path = self.path.strip_prefix(shell::root()).unwrap_or(&self.path);
        println!("{:<40} {size:>8.1} KiB  {note}", path.display());
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

/// The crates and the other guests of those that are wanted; all when none is named.
fn select(crates: Vec<String>, wanted: &[String]) -> Result<(Vec<String>, Vec<String>)> {
    let scripted: Vec<String> = scripted::ALL.iter().map(|g| g.name.to_owned()).collect();
    let all: Vec<_> = crates.iter().chain(&scripted).cloned().collect();
    if let Some(unknown) = wanted.iter().find(|name| !all.contains(name)) {
        bail!("no guest `{unknown}`; there are: {}", all.join(", "));
    }
    let is_wanted = |name: &String| wanted.is_empty() || wanted.contains(name);
    Ok((
        crates.into_iter().filter(is_wanted).collect(),
        scripted.into_iter().filter(is_wanted).collect(),
    ))
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
