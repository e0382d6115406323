//! `secrets` of the mock host.

use stuga_core::secrets::SecretInfo;

use super::with;
use crate::Result;
use crate::mock::secrets as store;

/// What the host knows of a version.
#[derive(Debug)]
pub(crate) struct Secret(SecretInfo);

impl Secret {
    pub(crate) fn get(name: &str, version: Option<u64>) -> Result<Self> {
        with(|state| store::get(state, name, version)).map(Self)
    }

    pub(crate) fn name(&self) -> String {
        self.0.name.clone()
    }

    pub(crate) fn version(&self) -> u64 {
        self.0.version
    }

    pub(crate) fn created_at(&self) -> u64 {
        self.0.created_at.as_millis()
    }

    pub(crate) fn reveal(&self) -> Result<Vec<u8>> {
        with(|state| store::reveal(state, &self.0))
    }
}
