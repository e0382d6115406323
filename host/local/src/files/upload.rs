//! Contents that are spooled part by part: hashed and written as they come, held in memory never as a whole.
//!
//! What is being written lies under a temporary name. It goes with the upload that is dropped; what a crash leaves behind
//! goes when the tenant is opened.

use std::path::PathBuf;
use std::sync::Arc;

use async_trait::async_trait;
use cap_std::fs::File;
use sha2::{Digest, Sha256};
use stuga_core::files::{Spooled, Upload, check_part};
use stuga_core::{CallCtx, Error, Result};
use tokio::sync::OwnedSemaphorePermit;

use super::naming;
use crate::tenant::{Tenant, within};

/// An upload of one tenant.
pub(super) struct LocalUpload {
    tenant: Arc<Tenant>,
    /// None once it is finished or failed, and while a part is on its way: a call that is cancelled ends the upload.
    draft: Option<Draft>,
}

impl LocalUpload {
    pub(super) async fn begin(operation: &'static str, tenant: Arc<Tenant>) -> Result<Self> {
        let turn = tenant.begin_upload(operation)?;
        let owner = Arc::clone(&tenant);
        let draft = tenant
            .blocking(operation, move || {
                let (name, file) = owner.content().create_temporary(operation)?;
                Ok(Draft {
                    name: Some(name),
                    file,
                    hasher: Sha256::new(),
                    size: 0,
                    tenant: owner,
                    _turn: turn,
                })
            })
            .await?;
        Ok(Self {
            tenant,
            draft: Some(draft),
        })
    }

    fn take(&mut self, operation: &'static str) -> Result<Draft> {
        self.draft.take().ok_or_else(|| {
            Error::conflict(
                operation,
                "the upload is finished or has failed; begin another",
            )
        })
    }
}

#[async_trait]
impl Upload for LocalUpload {
    async fn append(&mut self, ctx: &CallCtx, part: &[u8]) -> Result<()> {
        const OPERATION: &str = "files.upload.append";
        check_part(OPERATION, part.len())?;
        let mut draft = self.take(OPERATION)?;
        let part = part.to_vec();
        let written = self.tenant.blocking(OPERATION, move || {
            draft.append(OPERATION, &part)?;
            Ok(draft)
        });
        self.draft = Some(within(ctx, OPERATION, written).await?);
        Ok(())
    }

    async fn finish(&mut self, ctx: &CallCtx) -> Result<Spooled> {
        const OPERATION: &str = "files.upload.finish";
        let mut draft = self.take(OPERATION)?;
        let (sha256, size) = (hex::encode(draft.hasher.finalize_reset()), draft.size);
        let tenant = Arc::clone(&self.tenant);
        within(ctx, OPERATION, async move {
            let entered = sha256.clone();
            tenant
                .write(OPERATION, 0, move |tx| {
                    naming::enter(tx, OPERATION, &entered, size)
                })
                .await?;
            tenant
                .blocking(OPERATION, move || {
                    draft.adopt(OPERATION, &sha256)?;
                    Ok(Spooled { sha256, size })
                })
                .await
        })
        .await
    }
}

/// What is being written.
struct Draft {
    tenant: Arc<Tenant>,
    /// None once the content has its final name.
    name: Option<PathBuf>,
    file: File,
    hasher: Sha256,
    size: u64,
    _turn: OwnedSemaphorePermit,
}

impl Draft {
    /// Blocks.
    fn append(&mut self, operation: &'static str, part: &[u8]) -> Result<()> {
        let bytes = part.len() as u64;
        self.tenant.reserve_upload(operation, bytes)?;
        self.size = self.size.saturating_add(bytes);
        self.tenant
            .content()
            .append_temporary(operation, &mut self.file, part)?;
        self.hasher.update(part);
        Ok(())
    }

    /// Blocks.
    fn adopt(&mut self, operation: &'static str, sha256: &str) -> Result<()> {
        if let Some(name) = &self.name {
            self.tenant
                .content()
                .adopt(operation, name, &self.file, sha256)?;
        }
        self.name = None;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        self.tenant.release_upload(self.size);
        let Some(name) = self.name.take() else {
            return;
        };
        let tenant = Arc::clone(&self.tenant);
        let remove = move || tenant.content().discard_temporary(&name);
        // Removing a large file takes its time, which is not the executor's.
        match tokio::runtime::Handle::try_current() {
            Ok(_) => self.tenant.detached(remove),
            Err(_) => remove(),
        }
    }
}
