//! `secrets` of the real host.

use super::{Result, host::secrets as wit};

/// The host's handle; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Secret(wit::Secret);

impl Secret {
    pub(crate) fn get(name: &str, version: Option<u64>) -> Result<Self> {
        Ok(Self(wit::get(name, version)?))
    }

    pub(crate) fn name(&self) -> String {
        self.0.name()
    }

    pub(crate) fn version(&self) -> u64 {
        self.0.version()
    }

    pub(crate) fn created_at(&self) -> u64 {
        self.0.created_at()
    }

    pub(crate) fn reveal(&self) -> Result<Vec<u8>> {
        Ok(self.0.reveal()?)
    }
}
