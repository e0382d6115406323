//! `stuga tenant`: works on the files; a running server notices.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, bail};
use serde_json::{Value, json};
use stuga_core::TenantId;

use super::print::{self, Printer, table};
use super::{invoke, today};
use crate::config::Config;
use crate::tenants::{self, Tenant, check, edit, keys};
use crate::{atomic, units};

#[derive(clap::Subcommand)]
#[command(after_help = "Examples:
  stuga tenant check
  stuga tenant show meetmind
  stuga tenant key create meetmind --name ci
  stuga tenant key revoke meetmind 0123456789ab")]
pub(crate) enum Command {
    /// List the tenants
    List,
    /// Show a tenant: plugins, grants, limits, keys
    Show {
        /// The tenant
        tenant: String,
    },
    /// Check tenant files and explain every mistake [default: the tenants directory]
    Check {
        /// Directories and files
        #[arg(value_name = "DIR|FILE")]
        paths: Vec<PathBuf>,
    },
    /// Make and revoke API keys
    #[command(subcommand)]
    Key(Key),
    /// Make what a tenant needs in AWS, or plan it
    #[cfg(feature = "aws")]
    Provision(super::provision::Provision),
    /// Remove what a tenant has in AWS
    #[cfg(feature = "aws")]
    Deprovision(super::provision::Deprovision),
}

#[derive(clap::Subcommand)]
pub(crate) enum Key {
    /// Make a key and show it, this once
    Create {
        /// The tenant
        tenant: String,
        /// What the key is for
        #[arg(long)]
        name: String,
    },
    /// Make a key invalid at once
    Revoke {
        /// The tenant
        tenant: String,
        /// The key's id: its middle part, also in `stuga tenant show`
        id: String,
    },
}

pub(crate) async fn run(
    config: &Config,
    command: Command,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    match command {
        Command::List => list(config, printer)?,
        Command::Show { tenant } => show(&find(config, &tenant)?, printer)?,
        Command::Check { paths } => return check(config, &paths, printer),
        Command::Key(Key::Create { tenant, name }) => create_key(config, &tenant, &name, printer)?,
        Command::Key(Key::Revoke { tenant, id }) => revoke_key(config, &tenant, &id, printer)?,
        #[cfg(feature = "aws")]
        Command::Provision(args) => {
            return super::provision::provision(config, args, printer).await;
        }
        #[cfg(feature = "aws")]
        Command::Deprovision(args) => {
            return super::provision::deprovision(config, args, printer).await;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// Every sound tenant; the mistakes of the others are printed as remarks.
pub(crate) fn all(config: &Config) -> anyhow::Result<BTreeMap<TenantId, Tenant>> {
    let directory = &config.tenants;
    let loaded = check::read_dir(directory).with_context(|| {
        format!(
            "tenants directory {} cannot be read; name it with --tenants",
            directory.display()
        )
    })?;
    for diagnostic in &loaded.diagnostics {
        print::note(&format!("warning: {diagnostic}"));
    }
    Ok(loaded.tenants)
}

/// The tenant of that name, or an error that lists those there are.
pub(crate) fn find(config: &Config, name: &str) -> anyhow::Result<Tenant> {
    if let Ok(id) = TenantId::new(name) {
        let path = tenants::path(&config.tenants, &id);
        if path.exists() {
            return check::read_file(&path).map_err(|diagnostics| {
                let mistakes: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
                anyhow::anyhow!(
                    "the file of tenant {id} has mistakes\n{}",
                    mistakes.join("\n")
                )
            });
        }
    }
    let known = all(config)?;
    bail!(invoke::unknown(
        "tenant",
        name,
        known.keys().map(TenantId::as_str)
    ))
}

/// The tenant that is meant when none is named: the only one there is.
pub(crate) fn only(config: &Config) -> anyhow::Result<TenantId> {
    let known = all(config)?;
    let mut ids = known.keys();
    match (ids.next(), ids.next()) {
        (Some(only), None) => Ok(only.clone()),
        (None, _) => bail!("name the tenant with --tenant"),
        _ => {
            let known: Vec<&str> = known.keys().map(TenantId::as_str).collect();
            bail!(
                "name the tenant with --tenant; there is {}",
                known.join(", ")
            )
        }
    }
}

fn list(config: &Config, printer: &Printer) -> anyhow::Result<()> {
    let tenants = all(config)?;
    let listed: Vec<Value> = tenants.values().map(describe).collect();
    printer.print(&listed, |_| {
        let row = |tenant: &Tenant| {
            let plugins: Vec<&str> = tenant
                .plugins
                .iter()
                .map(|entry| entry.name.as_str())
                .collect();
            vec![
                tenant.id.to_string(),
                tenant.display_name.clone(),
                plugins.join(", "),
                tenant.keys.len().to_string(),
            ]
        };
        let empty = format!("there are no tenants in {}", config.tenants.display());
        table(
            &["TENANT", "NAME", "PLUGINS", "KEYS"],
            tenants.values().map(row).collect(),
            &empty,
        )
    })
}

fn describe(tenant: &Tenant) -> Value {
    let plugins: Vec<Value> = tenant
        .plugins
        .iter()
        .map(|entry| {
            json!({
                "name": entry.name, "version": entry.version, "grants": entry.grants, "instance": entry.instance,
                "max_instances": entry.max_instances, "max_invocations": entry.max_invocations,
                "idle": units::show_duration(entry.idle), "config": entry.config.keys().collect::<Vec<_>>(),
            })
        })
        .collect();
    json!({ "id": tenant.id, "display_name": tenant.display_name, "plugins": plugins, "limits": tenant.limits, "a2a": tenant.a2a, "failover": tenant.failover, "retention": tenant.retention, "record": tenant.record, "keys": tenant.keys, "gateway": { "identities": tenant.identities } })
}

fn show(tenant: &Tenant, printer: &Printer) -> anyhow::Result<()> {
    printer.print(&describe(tenant), |_| {
        let plugin = |entry: &tenants::PluginEntry| {
            let grants: Vec<&str> = entry.grants.iter().map(stuga_core::CapabilityName::as_str).collect();
            let version = entry.version.as_ref().map_or_else(|| "highest".to_owned(), ToString::to_string);
            vec![entry.name.to_string(), version, grants.join(", "), entry.max_instances.to_string()]
        };
        let key = |key: &tenants::ApiKey| vec![key.id.clone(), key.name.clone(), key.created.clone()];
        let limits = &tenant.limits;
        format!(
            "{} ({})\n\n{}\n\nlimits: memory {}, deadline {}, {} calls at once, request {}, answer {}, stored memory {}, files {}\n\n{}",
            tenant.id,
            tenant.display_name,
            table(&["PLUGIN", "VERSION", "GRANTS", "INSTANCES"], tenant.plugins.iter().map(plugin).collect(), "no plugins"),
            units::show_bytes(limits.memory),
            units::show_duration(limits.deadline),
            limits.concurrent_calls,
            units::show_bytes(limits.request_bytes),
            units::show_bytes(limits.answer_bytes),
            units::show_bytes(limits.storage.memory),
            units::show_bytes(limits.storage.files),
            table(&["KEY", "NAME", "CREATED"], tenant.keys.iter().map(key).collect(), "no keys; make one with `stuga tenant key create`"),
        )
    })
}

fn check(config: &Config, paths: &[PathBuf], printer: &Printer) -> anyhow::Result<ExitCode> {
    let default = [config.tenants.clone()];
    let paths = if paths.is_empty() {
        &default[..]
    } else {
        paths
    };
    let (mut sound, mut diagnostics) = (Vec::new(), Vec::new());
    for path in paths {
        if path.is_dir() {
            let loaded = check::read_dir(path)
                .with_context(|| format!("{} cannot be read", path.display()))?;
            sound.extend(loaded.tenants.into_keys());
            diagnostics.extend(loaded.diagnostics);
        } else {
            match check::read_file(path) {
                Ok(tenant) => sound.push(tenant.id),
                Err(found) => diagnostics.extend(found),
            }
        }
    }
    printer.print(&json!({ "sound": sound, "mistakes": diagnostics }), |_| {
        let mut lines: Vec<String> = diagnostics.iter().map(ToString::to_string).collect();
        let names: Vec<&str> = sound.iter().map(TenantId::as_str).collect();
        lines.push(format!(
            "{} sound ({}), {} mistakes",
            names.len(),
            names.join(", "),
            diagnostics.len()
        ));
        lines.join("\n")
    })?;
    Ok(if diagnostics.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}

fn create_key(config: &Config, tenant: &str, name: &str, printer: &Printer) -> anyhow::Result<()> {
    let id = find(config, tenant)?.id;
    let pepper = keys::Pepper::open(&config.data_dir)?;
    let (text, key) = pepper.create(name, &today())?;
    rewrite(config, &id, |path, file| edit::add_key(path, file, &key))?;
    let shown = json!({ "tenant": id, "id": key.id, "name": key.name, "key": text });
    printer.print(&shown, |_| {
        print::note(&format!(
            "key {} of {id}, valid in a moment where a server runs; it is shown this once:",
            key.id
        ));
        text.clone()
    })
}

fn revoke_key(config: &Config, tenant: &str, key: &str, printer: &Printer) -> anyhow::Result<()> {
    let id = find(config, tenant)?.id;
    rewrite(config, &id, |path, file| edit::remove_key(path, file, key))?;
    printer.print(&json!({ "tenant": id, "id": key }), |_| {
        format!("key {key} of {id} is revoked")
    })
}

fn rewrite(
    config: &Config,
    id: &TenantId,
    edit: impl FnOnce(&Path, &str) -> stuga_core::Result<String>,
) -> anyhow::Result<()> {
    let _lock = atomic::lock(&config.data_dir)
        .with_context(|| format!("{} cannot be written", config.data_dir.display()))?;
    let path = tenants::path(&config.tenants, id);
    let text = std::fs::read_to_string(&path)
        .with_context(|| format!("{} cannot be read", path.display()))?;
    let edited = edit(&path, &text).map_err(|error| anyhow::anyhow!(error.message().to_owned()))?;
    atomic::write(&path, edited.as_bytes())
        .with_context(|| format!("{} cannot be written", path.display()))
}
