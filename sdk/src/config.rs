//! What the operator configured for this agent in the tenant's file. Not for secrets.

use serde::de::DeserializeOwned;

use crate::backend::config as backend;
use crate::{Error, Result};

/// The value of the top-level key `name`, or none when it is not set.
///
/// # Errors
/// `Internal` when the value does not fit `T`, naming the key: the operator has to correct the tenant's file.
pub fn get<T: DeserializeOwned>(name: &str) -> Result<Option<T>> {
    let Some(json) = backend::get(name) else {
        return Ok(None);
    };
    serde_json::from_str(&json).map(Some).map_err(|e| {
        Error::internal(format!(
            "the configuration value `{name}` of this agent is not what it expects: {e}"
        ))
        .with_context("config", name)
    })
}
