//! `secrets`: which names the agent may use is decided here, before anything is read; what is revealed is noted, so that
//! the host's own records leave it out.
//!
//! A guest's handle is a name and a version, never a value. It belongs to the instance, which is of one agent of one
//! tenant, so it may outlive the call that got it.

use stuga_core::secrets::{SecretInfo, check_name};
use stuga_core::{CapabilityName, Error, Result};
use wasmtime::component::Resource;

use crate::bindings::stuga::agent::secrets::{Host, HostSecret, Secret};
use crate::state::HostState;

/// Most handles of an instance at a time.
const HANDLES_MAX: usize = 256;

impl HostState {
    fn secret(&self, handle: &Resource<Secret>) -> wasmtime::Result<&SecretInfo> {
        self.secrets
            .get(&handle.rep())
            .ok_or_else(|| wasmtime::Error::msg("a secret's handle is not known"))
    }

    /// Refuses a name that the tenant's file does not give to the agent. Tells nothing of whether there is such a secret.
    fn permit_secret(&self, name: &str, operation: &'static str) -> Result<()> {
        check_name(operation, name)?;
        if self.authority.secrets.contains(name) {
            return Ok(());
        }
        Err(Error::denied(
            operation,
            format!(
                "the tenant does not give the secret `{name}` to this agent; the operator adds it to `secrets` of its plugin"
            ),
        )
        .with_context("secret", name))
    }
}

impl Host for HostState {
    async fn get(&mut self, name: String, version: Option<u64>) -> Result<Resource<Secret>> {
        const OPERATION: &str = "secrets.get";
        let (ctx, capabilities) = self.permit(CapabilityName::Secrets, OPERATION)?;
        self.permit_secret(&name, OPERATION)?;
        if self.secrets.len() >= HANDLES_MAX {
            return Err(Error::quota_exceeded(
                OPERATION,
                "the instance holds too many handles of secrets; drop some",
            )
            .with_context("limit", HANDLES_MAX));
        }
        let asked = name.as_str();
        let found = capabilities
            .secrets
            .read(ctx, OPERATION, &(asked, version), |secrets| async move {
                secrets.find(ctx, asked, version).await
            })
            .await?;
        let info = found.ok_or_else(|| absent(OPERATION, &name, version))?;
        let handle = self.next_secret;
        self.next_secret = handle.checked_add(1).ok_or_else(|| {
            Error::quota_exceeded(
                OPERATION,
                "this instance has used up its handles of secrets",
            )
        })?;
        self.secrets.insert(handle, info);
        Ok(Resource::new_own(handle))
    }
}

impl HostSecret for HostState {
    async fn name(&mut self, handle: Resource<Secret>) -> wasmtime::Result<String> {
        Ok(self.secret(&handle)?.name.clone())
    }

    async fn version(&mut self, handle: Resource<Secret>) -> wasmtime::Result<u64> {
        Ok(self.secret(&handle)?.version)
    }

    async fn created_at(&mut self, handle: Resource<Secret>) -> wasmtime::Result<u64> {
        Ok(self.secret(&handle)?.created_at.as_millis())
    }

    async fn reveal(&mut self, handle: Resource<Secret>) -> Result<Vec<u8>> {
        const OPERATION: &str = "secrets.reveal";
        let (ctx, capabilities) = self.permit(CapabilityName::Secrets, OPERATION)?;
        let SecretInfo { name, version, .. } = self
            .secrets
            .get(&handle.rep())
            .ok_or_else(|| Error::invalid(OPERATION, "the secret's handle is not known"))?
            .clone();
        self.permit_secret(&name, OPERATION)?;
        if let Some(call) = &self.call {
            call.revealed.check_room(OPERATION, &name, version)?;
        }
        let found = capabilities.secrets.reveal(ctx, &name, version).await?;
        let value = found.ok_or_else(|| absent(OPERATION, &name, Some(version)))?;
        if let Some(call) = &mut self.call {
            call.revealed.note(&name, version, &value);
        }
        // Lowered into the guest's memory, which is the guest's own from here on.
        Ok(value.reveal().to_vec())
    }

    async fn drop(&mut self, handle: Resource<Secret>) -> wasmtime::Result<()> {
        self.secrets.remove(&handle.rep());
        Ok(())
    }
}

fn absent(operation: &'static str, name: &str, version: Option<u64>) -> Error {
    let message = match version {
        None => format!(
            "the secret `{name}` has no value; the operator sets it with `stuga secret set`"
        ),
        Some(version) => format!("the secret `{name}` has no version {version}"),
    };
    Error::not_found(operation, message).with_context("secret", name)
}
