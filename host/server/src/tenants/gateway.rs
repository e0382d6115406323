//! `gateway` of a tenant's file: by which names a gateway in front of the host knows the tenant's clients.

use std::collections::BTreeSet;

use crate::api::is_identity;
use crate::yaml::{Node, Report};

/// Most names of one tenant.
const IDENTITIES_MAX: usize = 1_000;

/// Reads `gateway:`; the names of the tenant's clients, each once. Empty by default: nobody.
pub(super) fn read(node: &Node, report: &mut Report) -> BTreeSet<String> {
    let mut identities = BTreeSet::new();
    let Some(mut fields) = report.fields(node, "gateway") else {
        return identities;
    };
    if let Some(node) = fields.required("identities", report) {
        let nodes = report.list(node, "gateway.identities").unwrap_or_default();
        if nodes.len() > IDENTITIES_MAX {
            let what = format!("{} entries in gateway.identities", nodes.len());
            report.add(node.at, what, format!("write at most {IDENTITIES_MAX}"));
        }
        for node in nodes.iter().take(IDENTITIES_MAX) {
            let identity = report.parsed(node, "the identity", |text| match is_identity(text) {
                true => Ok(text.to_owned()),
                false => Err("it is not 1 to 256 visible characters of ASCII"),
            });
            identities.extend(identity);
        }
    }
    fields.finish(report);
    identities
}
