//! `stuga new`: a project for a new agent.

use std::path::PathBuf;
use std::process::ExitCode;

use serde_json::json;
use stuga_author::{Language, Sdk};

use super::print::Printer;

/// Make a project for a new agent, with its SDK, a first skill, a test and a scenario.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  stuga new my-agent
  stuga new my-agent --lang js
  stuga new my-agent --dir agents/my-agent --sdk ../stuga/sdk")]
pub(crate) struct Args {
    /// The agent's name: 1 to 63 characters of a-z, 0-9 and inner -
    name: String,
    /// What it is written in: rust, js or python
    #[arg(long, value_name = "LANGUAGE", default_value_t)]
    lang: Language,
    /// Where the project is put [default: a folder named like the agent]
    #[arg(long)]
    dir: Option<PathBuf>,
    /// Use the SDK crate in this folder instead of a copy of the one that came with stuga (Rust only)
    #[arg(long, value_name = "DIR")]
    sdk: Option<PathBuf>,
}

pub(crate) fn run(args: Args, printer: &Printer) -> anyhow::Result<ExitCode> {
    let folder = args.dir.unwrap_or_else(|| PathBuf::from(&args.name));
    let sdk = args.sdk.map_or(Sdk::Embedded, Sdk::Path);
    let created = stuga_author::create(&folder, &args.name, args.lang, &sdk)?;
    let shown = json!({ "folder": created.folder, "files": created.files });
    printer.print(&shown, |_| {
        let files: Vec<String> = created
            .files
            .iter()
            .map(|file| format!("  {}", folder.join(file).display()))
            .collect();
        format!(
            "{}\n\nNext:\n  cd {}\n  stuga build\n  stuga test",
            files.join("\n"),
            folder.display()
        )
    })?;
    Ok(ExitCode::SUCCESS)
}
