//! `stuga inspect`: what a component is, whether or not this host takes it. `stuga plugin inspect` shows the same of what is
//! in the store.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use flate2::Compression;
use flate2::write::GzEncoder;
use serde::Serialize;
use stuga_author::Project;
use stuga_runtime::{Interfaces, LoadError, Manifest, WIT_PACKAGE, WIT_VERSION};

use super::component;
use super::print::Printer;
use crate::units;

/// Show what a component is: its skills, what it imports and exports, its size and digest, and whether this host takes it.
/// Exit code 0: this host takes it, 1: it does not.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stuga inspect                                   the component of the project in this folder
  stuga inspect build/my-agent.wasm
  stuga inspect agents/my-agent --output json     with the schemas of its skills")]
pub(crate) struct Args {
    /// The component, or the folder of the project that makes it
    #[arg(value_name = "COMPONENT|DIR", default_value = ".")]
    component: PathBuf,
}

/// What is known of a component.
#[derive(Serialize)]
pub(crate) struct Inspected {
    /// Its size in bytes.
    size: u64,
    /// Its size in bytes as it goes over a network that compresses.
    size_gzip: u64,
    /// SHA-256, 64 lowercase hexadecimal digits.
    digest: String,
    signature: Signature,
    wit: Wit,
    /// Whether this host takes it.
    accepted: bool,
    /// Why it does not.
    refusal: Option<Refusal>,
    imports: Vec<String>,
    /// Those of the imports that are WASI's.
    wasi_imports: Vec<String>,
    exports: Vec<String>,
    /// What it says of itself; none when this host does not take it, because then it cannot be asked.
    manifest: Option<Manifest>,
}

/// Whether somebody stands for the component.
#[derive(Serialize)]
struct Signature {
    state: SignatureState,
}

/// There is one state so far: a signature will be a file of its own beside the component (Ed25519 over the digest), and
/// this version neither writes nor reads one.
#[derive(Serialize)]
#[serde(rename_all = "kebab-case")]
enum SignatureState {
    Unsigned,
}

/// The contract that the component was built with.
#[derive(Serialize)]
struct Wit {
    package: &'static str,
    /// None when it exports no agent.
    version: Option<String>,
    /// What this host speaks.
    spoken: &'static str,
}

#[derive(Serialize)]
struct Refusal {
    /// A stable word.
    kind: &'static str,
    /// What is wrong, with the fix.
    detail: String,
}

pub(crate) async fn run(args: Args, printer: &Printer) -> anyhow::Result<ExitCode> {
    let inspected = tokio::task::spawn_blocking(move || {
        let path = component_of(&args.component)?;
        let bytes = component::read(&path)?;
        inspect(&bytes, |bytes| {
            let mock = component::load(bytes)?;
            Ok(mock.manifest().clone())
        })
        .with_context(|| format!("{} cannot be inspected", path.display()))
    });
    let inspected = inspected.await??;
    inspected.print(printer)?;
    Ok(inspected.exit_code())
}

/// The component itself, or the one that the project in a folder makes.
fn component_of(path: &Path) -> anyhow::Result<PathBuf> {
    if path.is_file() {
        return Ok(path.to_owned());
    }
    if !path.is_dir() {
        bail!("there is neither a file nor a folder {}", path.display());
    }
    Project::find(path)?.component()
}

/// Looks at a component, and has `load` ask it what it is.
///
/// # Errors
/// When the bytes are no component.
pub(crate) fn inspect(
    bytes: &[u8],
    load: impl FnOnce(Vec<u8>) -> Result<Manifest, LoadError>,
) -> anyhow::Result<Inspected> {
    let interfaces = Interfaces::read(bytes)?;
    let (manifest, refusal) = match load(bytes.to_vec()) {
        Ok(manifest) => (Some(manifest), None),
        Err(error) => (
            None,
            Some(Refusal {
                kind: error.kind(),
                detail: error.to_string(),
            }),
        ),
    };
    Ok(Inspected {
        size: bytes.len() as u64,
        size_gzip: compressed(bytes).context("its size when compressed")?,
        digest: stuga_runtime::digest(bytes),
        signature: Signature {
            state: SignatureState::Unsigned,
        },
        wit: Wit {
            package: WIT_PACKAGE,
            version: interfaces.wit_version().map(str::to_owned),
            spoken: WIT_VERSION,
        },
        accepted: refusal.is_none(),
        refusal,
        wasi_imports: interfaces.wasi_imports().map(str::to_owned).collect(),
        imports: interfaces.imports,
        exports: interfaces.exports,
        manifest,
    })
}

fn compressed(bytes: &[u8]) -> std::io::Result<u64> {
    let mut encoder = GzEncoder::new(Count(0), Compression::default());
    encoder.write_all(bytes)?;
    Ok(encoder.finish()?.0)
}

/// Counts what is written and keeps nothing.
struct Count(u64);

impl Write for Count {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0 += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Inspected {
    /// Prints it for people or as JSON.
    pub(crate) fn print(&self, printer: &Printer) -> anyhow::Result<()> {
        printer.print(self, Self::describe)
    }

    /// How a command ends that showed it.
    pub(crate) fn exit_code(&self) -> ExitCode {
        if self.accepted {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        }
    }

    fn describe(&self) -> String {
        let mut lines = Vec::new();
        let mut row = |name: &str, value: &str| lines.push(format!("{name:<9} {value}"));
        let list = |names: &[String]| match names {
            [] => "none".to_owned(),
            names => names.join(", "),
        };
        row(
            "size",
            &format!(
                "{}, {} as gzip",
                units::about_bytes(self.size),
                units::about_bytes(self.size_gzip)
            ),
        );
        row("digest", &self.digest);
        row("signature", "unsigned (this version reads no signatures)");
        let wit = match &self.wit.version {
            Some(version) => format!("{}@{version}", self.wit.package),
            None => format!("not of {}", self.wit.package),
        };
        let verdict = if self.accepted { "takes" } else { "refuses" };
        row(
            "wit",
            &format!(
                "{wit}; this host speaks {} and {verdict} it",
                self.wit.spoken
            ),
        );
        let of_others = |import: &&String| !self.wasi_imports.contains(import);
        let imports: Vec<String> = self.imports.iter().filter(of_others).cloned().collect();
        row("imports", &list(&imports));
        row("wasi", &list(&self.wasi_imports));
        row("exports", &list(&self.exports));
        if let Some(refusal) = &self.refusal {
            row("refused", &refusal.detail);
            return lines.join("\n");
        }
        let Some(manifest) = &self.manifest else {
            return lines.join("\n");
        };
        row("wants", &list(&manifest.capabilities));
        for skill in &manifest.skills {
            row("skill", &format!("{}: {}", skill.name, skill.description));
        }
        for job in &manifest.jobs {
            row("job", &format!("{}: {}", job.name, job.description));
        }
        format!(
            "{} {}: {}\n{}\nThe schemas stand in --output json.",
            manifest.name,
            manifest.version,
            manifest.summary,
            lines.join("\n")
        )
    }
}
