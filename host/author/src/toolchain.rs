//! Finds or installs what builds a guest: a compiler with a standard library for wasm32.
//!
//! First choice is the target of the toolchain at hand, installed by rustup when it is missing. Where that cannot be
//! downloaded, Debian's Rust packages build the standard library from source.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::str::FromStr;

use crate::shell;
use anyhow::{Context, Result, bail};

/// What guests are compiled for.
pub const TARGET: &str = "wasm32-unknown-unknown";

/// Debian's packages but the linker, whose version follows the compiler's.
const DEBIAN_PACKAGES: [&str; 4] = ["rustc-web", "cargo-web", "rust-web-src", "rust-web-llvm"];

/// Which toolchain to take.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Choice {
    /// The first that works: the installed target, rustup, Debian
    #[default]
    Auto,
    /// The Rust toolchain at hand, with its target installed by rustup where it is missing
    Rustup,
    /// Debian's packages rustc-web and friends, which build the standard library from source
    Debian,
}

impl Choice {
    /// All of them with their names.
    pub const ALL: [(&'static str, Self); 3] = [
        ("auto", Self::Auto),
        ("rustup", Self::Rustup),
        ("debian", Self::Debian),
    ];
}

impl FromStr for Choice {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL.iter().find(|(name, _)| *name == text);
        found.map(|(_, choice)| *choice).ok_or_else(|| {
            let names = Self::ALL.map(|(name, _)| name).join(", ");
            format!("there is {names}")
        })
    }
}

impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = Self::ALL.iter().find(|(_, choice)| choice == self);
        f.write_str(name.map_or("auto", |(name, _)| name))
    }
}

/// A toolchain that can build guests.
#[derive(Debug)]
pub enum Toolchain {
    /// The one that runs us has the target.
    AtHand,
    /// Debian's, in `/usr/bin`.
    Debian,
}

impl Toolchain {
    /// Finds a toolchain and installs what it lacks.
    ///
    /// # Errors
    /// What was tried and what would help.
    pub fn ready(choice: Choice) -> Result<Self> {
        match choice {
            Choice::Rustup => at_hand(),
            Choice::Debian => debian(),
            Choice::Auto => at_hand().or_else(|first| {
                eprintln!("{first:#}\nTrying Debian's packages instead.");
                debian().with_context(|| {
                    format!("no toolchain can build guests; the first problem was: {first:#}")
                })
            }),
        }
    }

    /// `cargo build` in `folder` for the target, to be completed with packages and profile.
    pub fn cargo_build(&self, folder: &Path) -> Command {
        let mut cargo = match self {
            Self::AtHand => shell::cargo(),
            Self::Debian => debian_cargo(),
        };
        cargo.current_dir(folder);
        cargo.args(["build", "--target", TARGET]);
        if matches!(self, Self::Debian) {
            cargo.arg("-Zbuild-std=std,panic_abort");
        }
        cargo
    }
}

fn at_hand() -> Result<Toolchain> {
    let sysroot = shell::read(Command::new(rustc()).args(["--print", "sysroot"]))?;
    let library = Path::new(sysroot.trim())
        .join("lib/rustlib")
        .join(TARGET)
        .join("lib");
    if library.is_dir() {
        return Ok(Toolchain::AtHand);
    }
    if !shell::exists("rustup") {
        bail!(
            "the Rust toolchain has no target {TARGET} and there is no rustup to add it; install rustup from https://rustup.rs"
        );
    }
    eprintln!("Installing the target {TARGET} with rustup.");
    shell::run(Command::new("rustup").args(["target", "add", TARGET])).context(
        "rustup cannot add the target; check the network, or take Debian's packages with `--toolchain debian`",
    )?;
    Ok(Toolchain::AtHand)
}

fn rustc() -> PathBuf {
    std::env::var_os("RUSTC").map_or_else(|| "rustc".into(), PathBuf::from)
}

/// Debian's own commands, past any rustup in the path.
const DEBIAN_CARGO: &str = "/usr/bin/cargo";
const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// A link of Debian's compiler that names the linker it wants, such as `lld-22`; the package is called the same.
const DEBIAN_LINKER: &str = "/usr/bin/rust-lld";
/// A part of the sources that the standard library is built from.
const DEBIAN_SOURCE: &str = "/usr/lib/rustlib/src/rust/library/std/Cargo.toml";

/// Debian's cargo with Debian's compiler, which has to be allowed to build the standard library itself.
fn debian_cargo() -> Command {
    let mut cargo = Command::new(DEBIAN_CARGO);
    cargo.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
    cargo.env_remove("RUSTUP_TOOLCHAIN");
    cargo
}

fn debian() -> Result<Toolchain> {
    let there = [DEBIAN_CARGO, DEBIAN_RUSTC, DEBIAN_SOURCE];
    if !there.iter().all(|path| Path::new(path).exists()) {
        install(&DEBIAN_PACKAGES)?;
    }
    if !shell::exists(DEBIAN_LINKER) {
        let linker = std::fs::read_link(DEBIAN_LINKER)
            .with_context(|| format!("Debian's compiler has no {DEBIAN_LINKER}"))?;
        let package = linker.to_string_lossy();
        install(&[package.as_ref()])?;
    }
    Ok(Toolchain::Debian)
}

fn install(packages: &[&str]) -> Result<()> {
    let line = format!(
        "apt-get install --yes --no-install-recommends {}",
        packages.join(" ")
    );
    if !shell::exists("apt-get") {
        bail!(
            "this is no Debian, so `{line}` cannot be run; use a toolchain with the target {TARGET}"
        );
    }
    eprintln!("Installing {} with apt-get.", packages.join(", "));
    let words = line.split(' ').skip(1);
    shell::run(Command::new("apt-get").args(words))
        .with_context(|| format!("run `{line}` as root, then try again"))
}
