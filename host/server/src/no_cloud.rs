//! What [`crate::cloud`] is in a build without AWS: nothing.

use std::sync::Arc;

use stuga_core::{Clock, Result};

use crate::host::Elsewhere;

/// There is nothing to say.
pub(crate) type Settings = ();

/// There is nothing to read.
///
/// # Errors
/// Never.
pub(crate) fn settings() -> anyhow::Result<Settings> {
    Ok(())
}

/// No AWS.
pub(crate) struct Cloud;

impl Cloud {
    /// There is nothing to open.
    ///
    /// # Errors
    /// Never.
    pub(crate) fn open(_: &Settings, _: Arc<dyn Clock>) -> Result<Self> {
        Ok(Self)
    }

    /// Jobs run here.
    pub(crate) fn jobs(&self) -> Option<Elsewhere> {
        None
    }
}
