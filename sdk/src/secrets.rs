//! Secrets that the operator gave to the tenant: tokens, passwords, keys. An agent reads them and never writes one.
//!
//! The tenant's file names the secrets that an agent may use, in `secrets` of its plugin.
//! Wants [`Capability::Secrets`](crate::Capability::Secrets).
//!
//! ```
//! use stuga_sdk::{mock, secrets};
//!
//! # let host = mock::Host::new().secret("api-token", "t-0123456789");
//! # host.run(|| -> stuga_sdk::Result<()> {
//! let token = secrets::get("api-token")?.reveal()?;
//! let header = format!("Bearer {}", token.as_str()?);
//! # assert_eq!(header, "Bearer t-0123456789");
//! # Ok(())
//! # }).unwrap();
//! ```
//!
//! A revealed value of 8 bytes or more that is text is replaced by `[secret NAME]` wherever it appears, as it is, in a log
//! line of the invocation or in the error that it ends with. The output goes out as the agent made it.

use std::fmt;

use crate::backend::secrets as backend;
use crate::{Error, Result};

/// One version of a secret, without its value. Holding it reveals nothing.
#[derive(Debug)]
pub struct Secret(backend::Secret);

/// A revealed value. It is never printed; keep it no longer than it is needed.
#[derive(Clone, PartialEq, Eq)]
pub struct Value(Vec<u8>);

/// The latest version of the secret.
///
/// `Denied` when the tenant's file does not name it for this agent, `NotFound` when it does and no value is set.
pub fn get(name: &str) -> Result<Secret> {
    backend::Secret::get(name, None).map(Secret)
}

/// The given version, as long as the operator keeps it: so two values can be valid while one replaces the other.
pub fn get_version(name: &str, version: u64) -> Result<Secret> {
    backend::Secret::get(name, Some(version)).map(Secret)
}

impl Secret {
    /// Its name.
    pub fn name(&self) -> String {
        self.0.name()
    }

    /// 1 for the first value since the secret was last absent; each later value has the next number.
    pub fn version(&self) -> u64 {
        self.0.version()
    }

    /// When this version was set, in milliseconds since 1970-01-01 UTC.
    pub fn created_at(&self) -> u64 {
        self.0.created_at()
    }

    /// The value. `NotFound` when the operator removed this version meanwhile.
    ///
    /// An invocation reveals at most 64 different versions of secrets; one more is `QuotaExceeded`.
    pub fn reveal(&self) -> Result<Value> {
        self.0.reveal().map(Value)
    }
}

impl Value {
    /// The value as bytes.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The value as text. `Invalid` when it is none.
    pub fn as_str(&self) -> Result<&str> {
        std::str::from_utf8(&self.0).map_err(|_| Error::invalid("the secret's value is not UTF-8"))
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Value(..)")
    }
}
