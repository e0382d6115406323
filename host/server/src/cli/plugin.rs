//! `stuga plugin`: works on the files; a running server notices.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use semver::Version;
use serde::Serialize;
use stuga_core::{AgentName, Clock, SystemClock};

use super::inspect;
use super::print::{Printer, table};
use super::{component, tenant};
use crate::config::Config;
use crate::host::trial;
use crate::store::{Running, Store};
use crate::units;

#[derive(clap::Subcommand)]
#[command(after_help = "Examples:
  stuga plugin list
  stuga plugin inspect target/guests/meetmind.wasm
  stuga plugin load meetmind target/guests/meetmind.wasm
  stuga plugin unload meetmind meetmind")]
pub(crate) enum Command {
    /// List the plugins in the store and who runs them
    List,
    /// Show what a component is, as `stuga inspect` does
    Inspect {
        /// A component file, or NAME or NAME@VERSION from the store
        #[arg(value_name = "FILE|NAME[@VERSION]")]
        plugin: String,
    },
    /// Take a component into the store and make a tenant run it, without a restart
    Load {
        /// The tenant
        tenant: String,
        /// The component
        file: PathBuf,
    },
    /// Make a tenant run a plugin no longer; calls that run come to their end
    Unload {
        /// The tenant
        tenant: String,
        /// The plugin
        name: String,
    },
}

#[derive(Serialize)]
struct Listed {
    name: AgentName,
    version: Version,
    size: u64,
    tenants: Vec<String>,
}

pub(crate) async fn run(
    config: &Config,
    command: Command,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    match command {
        Command::List => list(config, printer)?,
        Command::Inspect { plugin } => return inspect(config, &plugin, printer).await,
        Command::Load { tenant, file } => load(config, &tenant, &file, printer).await?,
        Command::Unload { tenant, name } => unload(config, &tenant, &name, printer)?,
    }
    Ok(ExitCode::SUCCESS)
}

fn list(config: &Config, printer: &Printer) -> anyhow::Result<()> {
    let store = Store::new(&config.data_dir);
    let tenants = tenant::all(config)?;
    let mut listed = Vec::new();
    for stored in store.list()? {
        let runs = |tenant: &&crate::tenants::Tenant| {
            let running = store.running(&tenant.id).ok().flatten();
            let entry = tenant.plugin(stored.name.as_str());
            entry.is_some_and(|entry| matches!(store.resolve(running.as_ref(), entry), Ok(Some(v)) if v == stored.version))
        };
        let tenants = tenants
            .values()
            .filter(runs)
            .map(|tenant| tenant.id.to_string())
            .collect();
        listed.push(Listed {
            name: stored.name,
            version: stored.version,
            size: stored.size,
            tenants,
        });
    }
    printer.print(&listed, |listed| {
        let row = |p: &Listed| {
            vec![
                p.name.to_string(),
                p.version.to_string(),
                units::about_bytes(p.size),
                p.tenants.join(", "),
            ]
        };
        table(
            &["PLUGIN", "VERSION", "SIZE", "RUN BY"],
            listed.iter().map(row).collect(),
            "the store is empty; bring in a plugin with `stuga plugin load TENANT FILE`",
        )
    })
}

async fn inspect(config: &Config, plugin: &str, printer: &Printer) -> anyhow::Result<ExitCode> {
    let component = if Path::new(plugin).is_file() {
        component::read(Path::new(plugin))?
    } else {
        stored(config, plugin)?
    };
    let loaded = trial::load(config, component.clone()).await;
    let inspected = inspect::inspect(&component, |_| {
        loaded.map(|(_, plugin)| plugin.manifest().clone())
    })?;
    inspected.print(printer)?;
    Ok(inspected.exit_code())
}

fn stored(config: &Config, plugin: &str) -> anyhow::Result<Vec<u8>> {
    let store = Store::new(&config.data_dir);
    let (name, version) = plugin
        .split_once('@')
        .map_or((plugin, None), |(name, version)| (name, Some(version)));
    let Ok(name) = AgentName::new(name) else {
        bail!("there is no file {plugin}")
    };
    let version = match version {
        Some(version) => Version::parse(version)
            .with_context(|| format!("{version:?} is no version such as 1.2.3"))?,
        None => match store.versions(&name)?.pop() {
            Some(highest) => highest,
            None => bail!(
                "there is neither a file {plugin} nor a plugin of that name in the store; see `stuga plugin list`"
            ),
        },
    };
    Ok(store.get(&name, &version)?)
}

async fn load(config: &Config, tenant: &str, file: &Path, printer: &Printer) -> anyhow::Result<()> {
    let tenant = tenant::find(config, tenant)?;
    let component = component::read(file)?;
    let plugin = trial::for_tenant(config, &tenant, component.clone())
        .await
        .with_context(|| format!("{} is not loaded", file.display()))?;
    let manifest = plugin.manifest();
    let version = Version::parse(&manifest.version).with_context(|| {
        format!(
            "the plugin says that its version is {:?}; write one such as 1.2.3",
            manifest.version
        )
    })?;
    let store = Store::new(&config.data_dir);
    store.put(&manifest.name, &version, &component)?;
    let running = Running {
        version,
        digest: plugin.digest().to_owned(),
        loaded_at: SystemClock.now(),
    };
    store.load(&tenant, &manifest.name, running.clone())?;
    let shown = serde_json::json!({ "tenant": tenant.id, "plugin": manifest.name, "version": running.version, "digest": running.digest });
    printer.print(&shown, |_| {
        format!(
            "{} runs {} {} from now on",
            tenant.id, manifest.name, running.version
        )
    })
}

fn unload(config: &Config, tenant: &str, name: &str, printer: &Printer) -> anyhow::Result<()> {
    let tenant = tenant::find(config, tenant)?;
    let name = AgentName::new(name)?;
    let running = Store::new(&config.data_dir).unload(&tenant, &name)?;
    let shown =
        serde_json::json!({ "tenant": tenant.id, "plugin": name, "version": running.version });
    printer.print(&shown, |_| {
        format!(
            "{} runs {name} no longer (it was {}); the store keeps it",
            tenant.id, running.version
        )
    })
}
