//! `failover` of a tenant's file: what this host alone serves, whatever lies on AWS.

use std::collections::BTreeSet;

use serde::Serialize;
use stuga_core::CapabilityName;

use crate::yaml::{Node, Report};

/// How a tenant is served while AWS is configured.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Failover {
    /// Capabilities that this host serves alone. Their data stays here: nothing is noted for the cloud, and a capability
    /// that is added or taken away leaves behind what was written on the other side.
    pub local: BTreeSet<CapabilityName>,
}

impl Failover {
    /// Reads the `failover` of a tenant's file.
    pub(super) fn read(node: &Node, report: &mut Report) -> Self {
        let mut failover = Self::default();
        let Some(mut fields) = report.fields(node, "failover") else {
            return failover;
        };
        if let Some(node) = fields.optional("local") {
            let words = CapabilityName::ALL.map(|capability| (capability.as_str(), capability));
            for node in report.list(node, "failover.local").unwrap_or_default() {
                failover
                    .local
                    .extend(report.word(node, "the capability", &words));
            }
        }
        fields.finish(report);
        failover
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::tenants::check::read_text;

    #[test]
    fn a_tenant_names_what_stays_on_this_host() {
        let text = "id: acme\nfailover: {local: [memory, files, memory]}\n";
        let tenant = read_text(Path::new("acme.yaml"), text).unwrap();
        let local: Vec<_> = tenant.failover.local.into_iter().collect();
        assert_eq!(local, [CapabilityName::Memory, CapabilityName::Files]);
        let silent = read_text(Path::new("acme.yaml"), "id: acme\n").unwrap();
        assert_eq!(silent.failover, Failover::default());
    }

    #[test]
    fn a_mistake_is_named_with_its_place() {
        for (text, told) in [
            ("failover: {local: [memry]}", "did you mean \"memory\"?"),
            ("failover: {locl: []}", "did you mean \"local\"?"),
            ("failover: {local: memory}", "write a list"),
        ] {
            let text = format!("id: acme\n{text}\n");
            let found = read_text(Path::new("acme.yaml"), &text).unwrap_err();
            let found: Vec<String> = found.iter().map(ToString::to_string).collect();
            assert_eq!(found.len(), 1, "{found:?}");
            assert!(
                found[0].contains("acme.yaml:2:") && found[0].contains(told),
                "{found:?}"
            );
        }
    }
}
