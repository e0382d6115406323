//! The one place where a tenant and an agent become a directory and the beginning of a row's key.
//!
//! Every statement and every path of this crate takes its tenant and agent from here, so that isolation can be read in
//! one file. Both names are checked when they are made (`a-z`, `0-9`, `-`): they can neither leave a directory nor
//! collide on a file system that folds case.

use std::path::PathBuf;

use stuga_core::{AgentName, CallCtx, TenantId};

/// Whose data a call may touch.
#[derive(Clone, Debug)]
pub(crate) struct Scope {
    /// Chooses the directory, and with it the database.
    pub(crate) tenant: TenantId,
    agent: AgentName,
}

impl Scope {
    /// The scope of a call: what the host put into its context, nothing that a guest said.
    pub(crate) fn of(ctx: &CallCtx) -> Self {
        Self {
            tenant: ctx.tenant.clone(),
            agent: ctx.agent.clone(),
        }
    }

    /// The value of column `agent` in every row of the call.
    pub(crate) fn rows(&self) -> &str {
        self.agent.as_str()
    }
}

/// The directory of a tenant, relative to the data directory.
pub(crate) fn directory(tenant: &TenantId) -> PathBuf {
    PathBuf::from("tenants").join(tenant.as_str())
}
