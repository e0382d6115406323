//! From the text of a tenant's file to a [`Tenant`], or to every reason why not.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use stuga_core::{AgentName, CapabilityName, Grants, TenantId};
use stuga_runtime::InstanceMode;

use super::{
    ApiKey, Failover, Limits, Peers, PluginEntry, Record, Retention, Tenant, gateway, keys,
};
use crate::yaml::{Diagnostic, Entry, Node, Report, Value, did_you_mean};

/// Most plugins of one tenant.
const PLUGINS_MAX: usize = 100;
/// Most keys of one tenant.
const KEYS_MAX: usize = 1_000;
/// Most bytes of a display name or a key's name.
const LABEL_MAX_BYTES: usize = 200;

/// Most secrets that one plugin may ask for.
const PLUGIN_SECRETS_MAX: usize = 100;

/// Instances of one agent when the file does not say.
const MAX_INSTANCES: u32 = 8;
/// Calls of one instance when the file does not say.
const MAX_INVOCATIONS: u64 = 10_000;
/// Rest of one instance when the file does not say.
const IDLE: Duration = Duration::from_secs(300);

/// Reads a tenant's file.
///
/// # Errors
/// Every mistake in it, in the file's order.
pub(super) fn read(file: &Path, text: &str) -> Result<Tenant, Vec<Diagnostic>> {
    let mut report = Report::new(file);
    let tenant = report
        .parse(text)
        .and_then(|node| tenant(&node, file, &mut report));
    match tenant {
        Some(tenant) if report.is_empty() => Ok(tenant),
        _ => Err(report.into_diagnostics()),
    }
}

fn tenant(node: &Node, file: &Path, report: &mut Report) -> Option<Tenant> {
    let mut fields = report.fields(node, "the tenant file")?;
    let id = fields.required("id", report).and_then(|node| {
        let id = report.parsed(node, "id", TenantId::new)?;
        let expected = file.file_stem().unwrap_or_default().to_string_lossy();
        if id.as_str() != expected {
            report.add(
                node.at,
                format!(
                    "id is {:?}, but the file is named {expected:?}",
                    id.as_str()
                ),
                format!("rename the file to {id}.yaml or write `id: {expected}`"),
            );
        }
        Some(id)
    });
    let display_name = fields
        .optional("display_name")
        .and_then(|node| label(report, node, "display_name"));
    let plugins = fields
        .optional("plugins")
        .map(|node| plugins(node, report))
        .unwrap_or_default();
    let limits = fields
        .optional("limits")
        .map(|node| Limits::read(node, report))
        .unwrap_or_default();
    let a2a = fields
        .optional("a2a")
        .map(|node| Peers::read(node, report))
        .unwrap_or_default();
    let failover = fields
        .optional("failover")
        .map(|node| Failover::read(node, report))
        .unwrap_or_default();
    let retention = fields
        .optional("retention")
        .map(|node| Retention::read(node, report))
        .unwrap_or_default();
    let record = fields
        .optional("record")
        .and_then(|node| Record::read(node, report));
    let keys = fields
        .optional("keys")
        .map(|node| api_keys(node, report))
        .unwrap_or_default();
    let identities = fields
        .optional("gateway")
        .map(|node| gateway::read(node, report))
        .unwrap_or_default();
    fields.finish(report);
    let id = id?;
    Some(Tenant {
        display_name: display_name.unwrap_or_else(|| id.to_string()),
        id,
        plugins,
        limits,
        a2a,
        failover,
        retention,
        record,
        keys,
        identities,
    })
}

fn label(report: &mut Report, node: &Node, what: &str) -> Option<String> {
    let text = report.text(node, what)?;
    if text.len() > LABEL_MAX_BYTES || text.chars().any(char::is_control) {
        report.add(
            node.at,
            format!("{what} is too long or has control characters"),
            format!("write at most {LABEL_MAX_BYTES} bytes on one line"),
        );
        return None;
    }
    Some(text.to_owned())
}

fn plugins(node: &Node, report: &mut Report) -> Vec<PluginEntry> {
    let Some(nodes) = report.list(node, "plugins") else {
        return Vec::new();
    };
    if nodes.len() > PLUGINS_MAX {
        report.add(
            node.at,
            format!("{} plugins", nodes.len()),
            format!("a tenant has at most {PLUGINS_MAX}"),
        );
        return Vec::new();
    }
    let mut names = BTreeSet::new();
    let mut entries = Vec::new();
    for node in nodes {
        let Some(entry) = plugin(node, report) else {
            continue;
        };
        if names.insert(entry.name.clone()) {
            entries.push(entry);
        } else {
            report.add(
                node.at,
                format!("plugin {:?} is listed twice", entry.name.as_str()),
                "keep one entry per plugin",
            );
        }
    }
    entries
}

fn plugin(node: &Node, report: &mut Report) -> Option<PluginEntry> {
    let mut fields = report.fields(node, "the plugin entry")?;
    let name = fields
        .required("name", report)
        .and_then(|node| report.parsed(node, "name", AgentName::new));
    let version = fields
        .optional("version")
        .and_then(|node| report.parsed(node, "version", semver::Version::parse));
    let granted = fields
        .optional("grants")
        .map(|node| grants(node, report))
        .unwrap_or_default();
    let config = fields
        .optional("config")
        .map(|node| config(node, report))
        .unwrap_or_default();
    let secrets = fields
        .optional("secrets")
        .map(|node| secrets(node, granted, report))
        .unwrap_or_default();
    let modes = [("warm", InstanceMode::Warm), ("fresh", InstanceMode::Fresh)];
    let instance = fields
        .optional("instance")
        .and_then(|node| report.word(node, "instance", &modes));
    let max_instances = fields
        .optional("max_instances")
        .and_then(|node| report.integer(node, "max_instances", 1..=1_000));
    let max_invocations = fields
        .optional("max_invocations")
        .and_then(|node| report.integer(node, "max_invocations", 1..=1_000_000_000));
    let idle = fields.optional("idle").and_then(|node| {
        report.duration(
            node,
            "idle",
            Duration::from_secs(1)..=Duration::from_secs(24 * 3_600),
        )
    });
    fields.finish(report);
    Some(PluginEntry {
        name: name?,
        version,
        grants: granted,
        config,
        secrets,
        instance: instance.unwrap_or(InstanceMode::Warm),
        max_instances: max_instances
            .and_then(|value| u32::try_from(value).ok())
            .unwrap_or(MAX_INSTANCES),
        max_invocations: max_invocations.unwrap_or(MAX_INVOCATIONS),
        idle: idle.unwrap_or(IDLE),
    })
}

fn grants(node: &Node, report: &mut Report) -> Grants {
    let words = CapabilityName::ALL.map(|capability| (capability.as_str(), capability));
    let nodes = report.list(node, "grants").unwrap_or_default();
    nodes
        .iter()
        .filter_map(|node| grant(node, report, &words))
        .collect()
}

fn grant(
    node: &Node,
    report: &mut Report,
    words: &[(&'static str, CapabilityName)],
) -> Option<CapabilityName> {
    /// What every agent has, so that granting it is a misunderstanding worth explaining.
    const OPEN: [&str; 5] = ["log", "clock", "random", "output", "config"];
    if let Value::Text(text) = &node.value
        && OPEN.contains(&text.as_str())
    {
        report.add(
            node.at,
            format!("`{text}` needs no grant"),
            "remove it; every agent has it",
        );
        return None;
    }
    report.word(node, "the grant", words)
}

fn secrets(node: &Node, granted: Grants, report: &mut Report) -> BTreeSet<String> {
    let nodes = report.list(node, "secrets").unwrap_or_default();
    if nodes.len() > PLUGIN_SECRETS_MAX {
        report.add(
            node.at,
            format!("{} secrets", nodes.len()),
            format!("a plugin names at most {PLUGIN_SECRETS_MAX}"),
        );
        return BTreeSet::new();
    }
    if !nodes.is_empty() && !granted.allows(CapabilityName::Secrets) {
        report.add(
            node.at,
            "the plugin names secrets and may read none",
            "add `secrets` to its grants",
        );
    }
    let name = |text: &str| match stuga_core::secrets::check_name("secrets", text) {
        Ok(()) => Ok(text.to_owned()),
        Err(error) => Err(error.message().to_owned()),
    };
    nodes
        .iter()
        .filter_map(|node| report.parsed(node, "the secret", name))
        .collect()
}

fn config(node: &Node, report: &mut Report) -> BTreeMap<String, String> {
    match &node.value {
        Value::Map(entries) => entries
            .iter()
            .map(|Entry { key, node, .. }| (key.clone(), node.value.to_json().to_string()))
            .collect(),
        other => {
            report.add(
                node.at,
                format!("config is {}", other.kind()),
                "write a mapping of names to values",
            );
            BTreeMap::new()
        }
    }
}

fn api_keys(node: &Node, report: &mut Report) -> Vec<ApiKey> {
    let Some(nodes) = report.list(node, "keys") else {
        return Vec::new();
    };
    if nodes.len() > KEYS_MAX {
        report.add(
            node.at,
            format!("{} keys", nodes.len()),
            format!("a tenant has at most {KEYS_MAX}"),
        );
        return Vec::new();
    }
    let mut ids = BTreeSet::new();
    let mut found = Vec::new();
    for node in nodes {
        let Some(key) = api_key(node, report) else {
            continue;
        };
        if ids.insert(key.id.clone()) {
            found.push(key);
        } else {
            report.add(
                node.at,
                format!("key {:?} is listed twice", key.id),
                "keep one entry per key",
            );
        }
    }
    found
}

fn api_key(node: &Node, report: &mut Report) -> Option<ApiKey> {
    let mut fields = report.fields(node, "the key")?;
    let id = fields
        .required("id", report)
        .and_then(|node| report.parsed(node, "id", keys::parse_id));
    let name = fields
        .required("name", report)
        .and_then(|node| label(report, node, "name"));
    let hash = fields
        .required("hash", report)
        .and_then(|node| report.parsed(node, "hash", keys::parse_hash));
    let created = fields
        .optional("created")
        .and_then(|node| label(report, node, "created"));
    fields.finish(report);
    Some(ApiKey {
        id: id?,
        name: name?,
        hash: hash?,
        created: created.unwrap_or_default(),
    })
}

/// The closest name among `known` to what was asked for, as a half sentence; empty when none is close.
pub(crate) fn suggestion<'k>(asked: &str, known: impl IntoIterator<Item = &'k str>) -> String {
    did_you_mean(asked, known)
        .map(|close| format!("; did you mean {close:?}?"))
        .unwrap_or_default()
}
