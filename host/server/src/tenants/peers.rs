//! `a2a` of a tenant's file: which agents of other tenants its agents may write to, and which may write to them.

use std::collections::BTreeSet;

use serde::Serialize;
use stuga_core::TenantId;
use stuga_core::a2a::Address;

use crate::yaml::{Node, Report};

/// Most entries of one list.
const ENTRIES_MAX: usize = 1_000;

/// Whom a tenant's agents write to and hear from, beyond their own tenant.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Peers {
    /// To whom they may write.
    pub to: Circle,
    /// Who may write to them.
    pub from: Circle,
}

/// Some agents of other tenants. Empty by default: nobody.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Circle {
    tenants: BTreeSet<TenantId>,
    agents: BTreeSet<Address>,
}

impl Circle {
    /// Whether an agent is in it, by itself or with its whole tenant.
    pub fn allows(&self, agent: &Address) -> bool {
        self.tenants.contains(&agent.tenant) || self.agents.contains(agent)
    }

    fn read(node: &Node, what: &str, report: &mut Report) -> Self {
        let mut circle = Self::default();
        let nodes = report.list(node, what).unwrap_or_default();
        if nodes.len() > ENTRIES_MAX {
            report.add(
                node.at,
                format!("{} entries in {what}", nodes.len()),
                format!("write at most {ENTRIES_MAX}"),
            );
            return circle;
        }
        for node in nodes {
            let entry = report.parsed(node, "the entry", |text| {
                let entry = if text.contains('/') {
                    text.parse().map(Entry::Agent)
                } else {
                    TenantId::new(text).map(Entry::Tenant)
                };
                entry.map_err(|error| format!("{}; write tenant or tenant/agent", error.message()))
            });
            match entry {
                Some(Entry::Tenant(tenant)) => drop(circle.tenants.insert(tenant)),
                Some(Entry::Agent(agent)) => drop(circle.agents.insert(agent)),
                None => {}
            }
        }
        circle
    }
}

enum Entry {
    Tenant(TenantId),
    Agent(Address),
}

impl Serialize for Circle {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tenants = self.tenants.iter().map(ToString::to_string);
        serializer.collect_seq(tenants.chain(self.agents.iter().map(ToString::to_string)))
    }
}

impl Peers {
    pub(super) fn read(node: &Node, report: &mut Report) -> Self {
        let mut peers = Self::default();
        let Some(mut fields) = report.fields(node, "a2a") else {
            return peers;
        };
        if let Some(node) = fields.optional("to") {
            peers.to = Circle::read(node, "a2a.to", report);
        }
        if let Some(node) = fields.optional("from") {
            peers.from = Circle::read(node, "a2a.from", report);
        }
        fields.finish(report);
        peers
    }
}
