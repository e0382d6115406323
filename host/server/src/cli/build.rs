//! `stuga build`: the component of a project, looked at as a host looks at it when it is loaded.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use stuga_author::toolchain::Choice;
use stuga_author::{Built, Project};
use stuga_runtime::Manifest;

use super::component;
use super::print::{self, Printer};

/// Make the component of an agent and check it as a host would.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stuga build
  stuga build agents/my-agent
  stuga build --refresh                after stuga itself was upgraded")]
pub(crate) struct Args {
    /// The project's folder
    #[arg(default_value = ".")]
    dir: PathBuf,
    /// Bring the copy of the SDK in .stuga to the version of this stuga first
    #[arg(long)]
    refresh: bool,
    /// Which toolchain builds Rust: auto, rustup or debian
    #[arg(long, default_value_t)]
    toolchain: Choice,
}

pub(crate) async fn run(args: Args, printer: &Printer) -> anyhow::Result<ExitCode> {
    let built = tokio::task::spawn_blocking(move || {
        let project = Project::find(&args.dir)?;
        if args.refresh {
            stuga_author::refresh(&project.folder, project.manifest.language)?;
        }
        let built = project.build(args.toolchain)?;
        let mock = component::open(&built.path)?;
        anyhow::Ok((built, mock.manifest().clone()))
    });
    let (built, manifest) = built.await??;
    for remark in remarks(&manifest) {
        print::note(&format!("warning: {remark}"));
    }
    let shown = json!({
        "component": built.path, "size": built.size, "changed": built.changed,
        "name": manifest.name, "version": manifest.version, "imports": manifest.imports,
    });
    printer.print(&shown, |_| line(&built, &manifest))?;
    Ok(ExitCode::SUCCESS)
}

/// One line for people.
pub(crate) fn line(built: &Built, manifest: &Manifest) -> String {
    let here = std::env::current_dir().unwrap_or_default();
    let path = built.path.strip_prefix(here).unwrap_or(&built.path);
    let skills: Vec<&str> = manifest.skills.iter().map(|s| s.name.as_str()).collect();
    format!(
        "{} {} in {} ({} KiB{}): {}",
        manifest.name,
        manifest.version,
        path.display(),
        built.size / 1_024,
        if built.changed { "" } else { ", unchanged" },
        skills.join(", ")
    )
}

/// Where what the agent says of itself and what its component shows differ.
fn remarks(manifest: &Manifest) -> Vec<String> {
    let imported: Vec<&str> = manifest
        .imports
        .iter()
        .filter_map(|import| import.strip_prefix("stuga:agent/")?.split('@').next())
        .filter(|name| stuga_core::CapabilityName::from_name(name).is_some())
        .collect();
    let mut remarks = Vec::new();
    for name in &imported {
        if !manifest.capabilities.iter().any(|c| c == name) {
            remarks.push(format!(
                "the component imports `{name}`, which the agent does not list among its capabilities; \
                 add it, so that an operator knows to grant it"
            ));
        }
    }
    for name in &manifest.capabilities {
        if stuga_core::CapabilityName::from_name(name).is_none() {
            let known = stuga_core::CapabilityName::ALL.map(stuga_core::CapabilityName::as_str);
            let close = stuga_yaml::did_you_mean(name, known);
            let close = close.map_or_else(String::new, |c| format!("; did you mean {c:?}?"));
            remarks.push(format!(
                "the agent lists the capability {name:?}, which this host does not know{close}"
            ));
        } else if !imported.contains(&name.as_str()) {
            remarks.push(format!(
                "the agent lists the capability `{name}`, which its component does not import; remove it, \
                 or an operator grants more than it needs"
            ));
        }
    }
    remarks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn manifest(capabilities: &[&str], imports: &[&str]) -> Manifest {
        Manifest {
            name: stuga_core::AgentName::new("a").unwrap(),
            version: "1.0.0".into(),
            summary: String::new(),
            skills: vec![],
            jobs: vec![],
            capabilities: capabilities.iter().map(|c| (*c).to_owned()).collect(),
            imports: imports
                .iter()
                .map(|i| format!("stuga:agent/{i}@0.1.0"))
                .collect(),
            exports: vec![],
            wit_version: "0.1.0".into(),
        }
    }

    #[test]
    fn what_is_listed_and_what_is_imported_must_agree() {
        assert!(remarks(&manifest(&["memory"], &["memory", "log", "types"])).is_empty());
        let found = remarks(&manifest(&["memry", "sessions"], &["memory"]));
        assert_eq!(found.len(), 3, "{found:?}");
        assert!(found[0].contains("imports `memory`"), "{found:?}");
        assert!(found[1].contains("did you mean \"memory\""), "{found:?}");
        assert!(found[2].contains("`sessions`"), "{found:?}");
    }
}
