//! The resource `upload` of `files`.
//!
//! A guest's handle is a number; the upload itself belongs to the call and goes with it. So an instance that keeps a
//! handle over its calls keeps nothing of the host's.

use std::sync::Arc;

use stuga_core::files::{self, FilesWrite, Spooled, UPLOADS_MAX_OPEN};
use stuga_core::{CallCtx, CapabilityName, Error, Result};
use wasmtime::component::Resource;

use super::files::{name, put_of, stored};
use crate::bindings::stuga::agent::files::{HostUpload, Info, PutOptions, Upload};
use crate::state::HostState;

/// An upload that a call has open.
pub(crate) struct OpenUpload {
    path: String,
    content: Content,
}

enum Content {
    Written(Box<dyn files::Upload>),
    /// All of it is there; what is left is to name it.
    Spooled(Spooled),
}

impl HostState {
    pub(super) async fn begin_upload_at(&mut self, path: String) -> Result<Resource<Upload>> {
        const OPERATION: &str = "files.begin-upload";
        let (ctx, capabilities) = self.permit(CapabilityName::Files, OPERATION)?;
        files::check_path(OPERATION, &path)?;
        let open = self.call.as_ref().map_or(0, |call| call.uploads.len());
        if open >= UPLOADS_MAX_OPEN {
            return Err(Error::quota_exceeded(
                OPERATION,
                "the invocation has too many uploads open; finish or drop one",
            )
            .with_context("limit", UPLOADS_MAX_OPEN));
        }
        let upload = capabilities.files.begin_upload(ctx).await?;
        let handle = self.next_upload;
        self.next_upload = handle.checked_add(1).ok_or_else(|| {
            Error::quota_exceeded(OPERATION, "this instance has used up its uploads")
        })?;
        if let Some(call) = &mut self.call {
            let content = Content::Written(upload);
            call.uploads.insert(handle, OpenUpload { path, content });
        }
        Ok(Resource::new_own(handle))
    }

    /// An upload of the call that runs, and the call's context.
    fn upload(
        &mut self,
        handle: u32,
        operation: &'static str,
    ) -> Result<(Arc<CallCtx>, &mut OpenUpload)> {
        self.permit(CapabilityName::Files, operation)?;
        self.call
            .as_mut()
            .and_then(|call| {
                let upload = call.uploads.get_mut(&handle)?;
                Some((Arc::clone(&call.ctx), upload))
            })
            .ok_or_else(|| {
                Error::conflict(
                    operation,
                    "the upload is finished or belongs to an earlier invocation; begin another",
                )
            })
    }
}

impl HostUpload for HostState {
    async fn append(&mut self, upload: Resource<Upload>, content: Vec<u8>) -> Result<()> {
        const OPERATION: &str = "files.upload.append";
        let (ctx, upload) = self.upload(upload.rep(), OPERATION)?;
        files::check_part(OPERATION, content.len())?;
        ctx.check_deadline(OPERATION)?;
        match &mut upload.content {
            Content::Written(writer) => writer.append(&ctx, &content).await,
            Content::Spooled(_) => Err(Error::conflict(
                OPERATION,
                "the upload takes no more parts once `finish` was called",
            )),
        }
    }

    async fn finish(&mut self, upload: Resource<Upload>, options: PutOptions) -> Result<Info> {
        const OPERATION: &str = "files.upload.finish";
        let handle = upload.rep();
        let (ctx, upload) = self.upload(handle, OPERATION)?;
        let mut write: FilesWrite = put_of(upload.path.clone(), 0, options);
        // Everything but the digest is checked before the content is made durable.
        write.check()?;
        ctx.check_deadline(OPERATION)?;
        if let Content::Written(writer) = &mut upload.content {
            upload.content = Content::Spooled(writer.finish(&ctx).await?);
        }
        if let Content::Spooled(spooled) = &upload.content {
            name(&mut write, spooled.clone());
        }
        let (ctx, capabilities) = self.permit(CapabilityName::Files, OPERATION)?;
        let info = stored(OPERATION, capabilities.files.write(ctx, &write).await?)?;
        if let Some(call) = &mut self.call {
            call.uploads.remove(&handle);
        }
        Ok(info)
    }

    async fn drop(&mut self, upload: Resource<Upload>) -> wasmtime::Result<()> {
        if let Some(call) = &mut self.call {
            call.uploads.remove(&upload.rep());
        }
        Ok(())
    }
}
