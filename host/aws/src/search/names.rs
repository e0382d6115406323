//! What the indices and entries of an agent are called in OpenSearch.
//!
//! A name is made of what [`crate::scope`] says of the tenant and the agent, and of nothing else that a caller said but the
//! checked name of an index. An [`Index`] cannot be made elsewhere.

use stuga_core::{CallCtx, Result, WriteId};

use crate::Shared;
use crate::scope::guard;

/// The ending of the alias by which documents are read and written. A request that needs an alias never makes an index by
/// itself, as OpenSearch otherwise does for every name that it does not know.
const ALIAS: &str = ".docs";

/// The names of an agent.
#[derive(Clone, Debug)]
pub(super) struct Names {
    tenant: String,
    /// What the names of the agent's indices begin with.
    indices: String,
    agent: String,
}

/// The name of an index of OpenSearch.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub(super) struct Index(String);

impl Index {
    /// The catalog of the tenant whose names begin with `prefix`.
    pub(super) fn catalog(prefix: &str) -> Self {
        Self(format!("{prefix}_catalog"))
    }

    /// An index that the domain named.
    ///
    /// # Errors
    /// `Denied` when it does not begin with `prefix`, the tenant's own.
    pub(super) fn listed(operation: &'static str, prefix: &str, name: &str) -> Result<Self> {
        guard(operation, prefix, name)?;
        Ok(Self(name.to_owned()))
    }

    /// The index itself, to make and to remove it.
    pub(super) fn itself(&self) -> &str {
        &self.0
    }

    /// The alias, for everything else.
    pub(super) fn alias(&self) -> String {
        format!("{}{ALIAS}", self.0)
    }
}

impl Names {
    /// The names of the agent that is running.
    pub(super) fn of(shared: &Shared, ctx: &CallCtx) -> Result<Self> {
        let scope = shared.scope(&ctx.tenant);
        Ok(Self {
            tenant: scope.tenant_indices()?,
            indices: scope.indices(&ctx.agent)?,
            agent: ctx.agent.as_str().to_owned(),
        })
    }

    /// What all names of the tenant begin with.
    pub(super) fn prefix(&self) -> &str {
        &self.tenant
    }

    /// The agent's name, as it stands in entries of the catalog.
    pub(super) fn agent(&self) -> &str {
        &self.agent
    }

    /// The tenant's catalog: what indices there are, and which writes were applied. No agent's name begins with `_`.
    pub(super) fn catalog(&self) -> Index {
        Index::catalog(&self.tenant)
    }

    /// What holds the documents of the agent's index of that name. One that is made anew has another generation.
    pub(super) fn documents(&self, index: &str, generation: u64) -> Index {
        Index(format!("{}{index}_{generation:x}", self.indices))
    }

    /// The entry of an index in the catalog.
    pub(super) fn head(&self, index: &str) -> String {
        format!("index/{}/{index}", self.agent)
    }

    /// The entry of a write in the catalog.
    pub(super) fn mark(&self, id: WriteId) -> String {
        format!("write/{}/{}", self.agent, id.to_name())
    }
}

#[cfg(test)]
pub(super) use tests::names;

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    /// The names of an agent under the default prefix.
    pub(in crate::search) fn names(tenant: &str, agent: &str) -> Names {
        Names {
            tenant: format!("stuga_{tenant}_"),
            indices: format!("stuga_{tenant}_{agent}_"),
            agent: agent.to_owned(),
        }
    }

    #[test]
    fn no_two_indices_share_a_name_or_an_entry() {
        let mut seen = HashSet::new();
        for (tenant, agent) in [("a", "b-c"), ("a-b", "c"), ("a", "b"), ("a", "b-c-d")] {
            let names = names(tenant, agent);
            seen.insert(names.catalog().alias());
            for (index, generation) in [("d", 1), ("d", 2), ("c-d", 1), ("catalog", 1)] {
                let documents = names.documents(index, generation);
                assert!(documents.itself().starts_with(names.prefix()));
                assert!(seen.insert(documents.alias()), "{documents:?}");
            }
        }
        // Four agents with four indices each, of two tenants.
        assert_eq!(seen.len(), 4 * 4 + 2);
        assert_ne!(names("a", "b").head("c"), names("a", "c").head("b"));
    }

    #[test]
    fn the_longest_name_is_one_that_opensearch_takes() {
        let (prefix, name) = ("p".repeat(40), "n".repeat(63));
        let longest = Names {
            tenant: format!("{prefix}{name}"),
            indices: format!("{prefix}{name}{name}_"),
            agent: name.clone(),
        };
        // A generation of the year 2500.
        let alias = longest.documents(&name, 16_725_225_600_000 << 10).alias();
        assert!(alias.len() <= 255, "{}", alias.len());
    }
}
