//! `stuga secret`: what a tenant's agents may read and nobody sees. Works on the data directory; a running server sees
//! a change at its next call.
//!
//! A value comes from a file, from standard input or from a prompt without echo, never from an argument, which other
//! users of the machine and the shell's history would see. Nothing here prints one.

mod value;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::bail;
use serde_json::{Value, json};
use stuga_core::secrets::{Removal, SecretInfo, SecretStore, check_name};
use stuga_core::{CapabilityName, SystemClock, WriteId};

use super::print::{self, Printer, table};
use super::{invoke, show_time, tenant};
use crate::config::Config;
use crate::host::new_invocation;
use crate::tenants::Tenant;
use crate::wire::Backends;

#[derive(clap::Subcommand)]
#[command(after_help = "Examples:
  stuga secret set meetmind api-token                    # asks for the value, without echo
  stuga secret set meetmind api-token --file token.txt
  pass show token | stuga secret set meetmind api-token --file -
  stuga secret list meetmind
  stuga secret remove meetmind api-token --older         # what was replaced is no longer valid
  stuga secret rotate meetmind                           # encrypt all values anew

An agent may read the secrets that its plugin's entry in the tenant's file names:
  - name: meetmind
    grants: [secrets]
    secrets: [api-token]")]
pub(crate) enum Command {
    /// Give a secret a value, as its next version; earlier versions stay until they are removed
    Set {
        /// The tenant
        tenant: String,
        /// The secret
        name: String,
        /// File with the value, - for standard input [default: ask for it]
        #[arg(long, value_name = "FILE|-")]
        file: Option<String>,
        /// Keep a line break at the end of the value, which is removed otherwise
        #[arg(long)]
        exact: bool,
    },
    /// List a tenant's secrets with their versions, and who may read them
    List {
        /// The tenant
        tenant: String,
    },
    /// Encrypt all values of a tenant anew, under a new key of the tenant and the first of the master keys
    Rotate {
        /// The tenant
        tenant: String,
    },
    /// Remove a secret, or versions of it, for good
    Remove {
        /// The tenant
        tenant: String,
        /// The secret
        name: String,
        /// Remove all versions but the latest
        #[arg(long, conflicts_with = "only")]
        older: bool,
        /// Remove this version alone
        #[arg(long, value_name = "VERSION")]
        only: Option<u64>,
    },
}

pub(crate) async fn run(
    config: &Config,
    command: Command,
    printer: &Printer,
) -> anyhow::Result<ExitCode> {
    let name = match &command {
        Command::Set { tenant, .. }
        | Command::List { tenant }
        | Command::Rotate { tenant }
        | Command::Remove { tenant, .. } => tenant,
    };
    let tenant = tenant::find(config, name)?;
    let backends = Backends::open(config, Arc::new(SystemClock))?;
    let secrets = backends.secrets(&tenant.failover);
    let done = apply(&*secrets, &tenant, command, printer).await;
    backends.close().await;
    done.map(|()| ExitCode::SUCCESS)
}

async fn apply(
    secrets: &dyn SecretStore,
    tenant: &Tenant,
    command: Command,
    printer: &Printer,
) -> anyhow::Result<()> {
    let id = WriteId {
        invocation: new_invocation(),
        call: 0,
    };
    match command {
        Command::Set {
            name, file, exact, ..
        } => {
            check(&name)?;
            let value = value::read(file.as_deref(), exact)?;
            let set = secrets.set(&tenant.id, id, &name, &value).await;
            shown(tenant, &set.map_err(told)?, printer)
        }
        Command::List { .. } => {
            let listed = secrets.list(&tenant.id).await.map_err(told)?;
            list(tenant, &listed, printer)
        }
        Command::Rotate { .. } => {
            let count = secrets.rotate(&tenant.id, id).await.map_err(told)?;
            let shown = json!({ "tenant": tenant.id, "values": count });
            printer.print(&shown, |_| {
                format!("{count} values of {} are encrypted anew", tenant.id)
            })
        }
        Command::Remove {
            name, older, only, ..
        } => {
            check(&name)?;
            let what = match only {
                Some(version) => Removal::Version(version),
                None if older => Removal::Older,
                None => Removal::All,
            };
            let removed = secrets.remove(&tenant.id, id, &name, what).await;
            let removed = removed.map_err(told)?;
            if removed == 0 && what != Removal::Older {
                let listed = secrets.list(&tenant.id).await.map_err(told)?;
                bail!(nothing(&name, only, &listed));
            }
            let shown = json!({ "tenant": tenant.id, "name": name, "versions": removed });
            printer.print(&shown, |_| {
                format!("{removed} versions of {name} of {} are removed", tenant.id)
            })
        }
    }
}

/// Says what was wrong, and the causes, which the operator may know.
fn told(error: stuga_core::Error) -> anyhow::Error {
    match error.causes() {
        causes if causes.is_empty() => anyhow::anyhow!(error.message().to_owned()),
        causes => anyhow::anyhow!("{}: {causes}", error.message()),
    }
}

/// Before a value is asked for.
fn check(name: &str) -> anyhow::Result<()> {
    check_name("secret", name).map_err(|error| anyhow::anyhow!("{name:?}: {}", error.message()))
}

fn nothing(name: &str, version: Option<u64>, listed: &[SecretInfo]) -> String {
    let versions: Vec<String> = listed
        .iter()
        .filter(|info| info.name == name)
        .map(|info| info.version.to_string())
        .collect();
    match version {
        Some(version) if !versions.is_empty() => {
            let kept = versions.join(", ");
            format!("{name} has no version {version}; kept are {kept}")
        }
        _ => {
            let names: BTreeSet<&str> = listed.iter().map(|info| info.name.as_str()).collect();
            invoke::unknown("secret", name, names)
        }
    }
}

/// The plugins whose agents may read a secret.
fn readers<'t>(tenant: &'t Tenant, name: &str) -> Vec<&'t str> {
    tenant
        .plugins
        .iter()
        .filter(|entry| {
            entry.grants.allows(CapabilityName::Secrets) && entry.secrets.contains(name)
        })
        .map(|entry| entry.name.as_str())
        .collect()
}

fn describe(tenant: &Tenant, info: &SecretInfo) -> Value {
    json!({
        "tenant": tenant.id, "name": info.name, "version": info.version,
        "set_at": show_time(info.created_at), "readers": readers(tenant, &info.name),
    })
}

fn shown(tenant: &Tenant, info: &SecretInfo, printer: &Printer) -> anyhow::Result<()> {
    let SecretInfo { name, version, .. } = info;
    if readers(tenant, name).is_empty() {
        print::note(&format!(
            "no agent of {0} may read {name}; in {0}.yaml, give a plugin `grants: [secrets]` and `secrets: [{name}]`",
            tenant.id
        ));
    }
    printer.print(&describe(tenant, info), |_| {
        format!("{name} of {} has version {version}", tenant.id)
    })
}

fn list(tenant: &Tenant, listed: &[SecretInfo], printer: &Printer) -> anyhow::Result<()> {
    let described: Vec<Value> = listed.iter().map(|info| describe(tenant, info)).collect();
    printer.print(&described, |_| {
        let row = |info: &SecretInfo| {
            vec![
                info.name.clone(),
                info.version.to_string(),
                show_time(info.created_at),
                readers(tenant, &info.name).join(", "),
            ]
        };
        let empty = format!(
            "{0} has no secrets; set one with `stuga secret set {0} NAME`",
            tenant.id
        );
        table(
            &["SECRET", "VERSION", "SET", "READ BY"],
            listed.iter().map(row).collect(),
            &empty,
        )
    })
}
