//! Why a component cannot be loaded, and how a call can end without an answer.

use std::time::Duration;

use stuga_core::Error;

/// Why a component was not taken. `Display` names the thing and the fix, for agent authors and operators.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The bytes are no WebAssembly component.
    #[error("not a WebAssembly component: {0}")]
    NotAComponent(String),
    /// The component does not export what an agent exports.
    #[error(
        "the component is no agent: it does not export `{missing}`; it exports {found}. Build it for the world `guest` of stuga:agent@0.1.0; in Rust `stuga_sdk::export!(TYPE);` exports the agent TYPE"
    )]
    WrongWorld {
        /// The export that is missing.
        missing: String,
        /// What it exports instead, or `nothing`.
        found: String,
    },
    /// The component imports something that this host does not offer.
    #[error(
        "the component imports `{import}`, which this host does not offer; it offers {offered}"
    )]
    UnknownImport {
        /// The import.
        import: String,
        /// What there is.
        offered: String,
    },
    /// The component was built for a version of the contract that this host does not speak.
    #[error(
        "the component was built for `{interface}`, and this host speaks {spoken}; build it with the SDK or WIT of this host (`stuga build --refresh` brings it into a project), or run it on a host that speaks that version"
    )]
    UnknownVersion {
        /// The import or export.
        interface: String,
        /// The version that this host speaks.
        spoken: &'static str,
    },
    /// The tenant does not grant something that the component imports.
    #[error(
        "the component imports `{import}`, which tenant `{tenant}` does not grant; add `{grant}` to the `grants` of plugin `{agent}` in the tenant's file"
    )]
    NotGranted {
        /// The import.
        import: String,
        /// The grant that it needs.
        grant: String,
        /// Whose grants.
        tenant: String,
        /// For which agent.
        agent: String,
    },
    /// An import or export has another type than the host's WIT says.
    #[error(
        "the component does not fit stuga:agent@0.1.0: {0}. Build it with the SDK or WIT of this host"
    )]
    Mismatch(String),
    /// `describe` failed or answered something that is wrong.
    #[error("the agent's `describe` {0}")]
    Describe(String),
    /// A schema that `describe` answered is no JSON Schema.
    #[error("{0}")]
    Schema(String),
    /// The component needs more than the host gives.
    #[error("the component has {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The host failed.
    #[error("{0}")]
    Internal(#[from] Error),
}

impl LoadError {
    /// A stable word for the case, for machines.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotAComponent(_) => "not-a-component",
            Self::WrongWorld { .. } => "wrong-world",
            Self::UnknownImport { .. } => "unknown-import",
            Self::UnknownVersion { .. } => "unknown-version",
            Self::NotGranted { .. } => "not-granted",
            Self::Mismatch(_) => "mismatch",
            Self::Describe(_) => "describe-failed",
            Self::Schema(_) => "wrong-schema",
            Self::TooLarge { .. } => "too-large",
            Self::Internal(_) => "internal",
        }
    }
}

/// How a call can end without an answer.
#[derive(Debug, thiserror::Error)]
pub enum InvokeError {
    /// The agent answered an error of its own.
    #[error("the agent answered {}: {}", .0.kind(), .0.message())]
    Agent(Error),
    /// The agent stopped abnormally. Its instance is gone; the next call gets another.
    #[error("the agent stopped abnormally: {reason}")]
    Trapped {
        /// One line for the operator's log, not for clients.
        reason: String,
    },
    /// The context's deadline came first.
    #[error("the call was stopped at its deadline")]
    Deadline,
    /// All instances are busy and the waiting line is full.
    #[error("all instances are busy and the waiting line is full")]
    Busy {
        /// When trying again may help.
        retry_after: Duration,
    },
    /// The answer is too long.
    #[error("the answer has {bytes} bytes; the limit is {limit}")]
    TooLarge {
        /// Its size.
        bytes: usize,
        /// The limit.
        limit: usize,
    },
    /// The answer is not JSON.
    #[error("the agent's answer is not JSON: {reason}")]
    NotJson {
        /// Where and why.
        reason: String,
    },
    /// The host failed.
    #[error("{0}")]
    Internal(Error),
}
