//! Uploads of a mock host: contents that grow in memory until they are finished.

use std::collections::BTreeMap;

use stuga_core::files::{UPLOADS_MAX_OPEN, check_part, check_path};

use super::files;
use super::state::State;
use crate::files::{FileInfo, PutOptions};
use crate::{Capability, Error, Result};

/// The uploads of the running invocation.
#[derive(Default)]
pub(crate) struct Uploads {
    open: BTreeMap<u64, Open>,
    last: u64,
}

struct Open {
    path: String,
    content: Vec<u8>,
    /// Whether `finish` was called, successfully or not.
    complete: bool,
}

impl Uploads {
    /// Ends all of them, as the end of an invocation does.
    pub(super) fn end_all(&mut self) {
        self.open.clear();
    }
}

pub(crate) fn begin(state: &mut State, path: &str) -> Result<u64> {
    state.admit(Capability::Files, "files.begin-upload")?;
    check_path("files.begin-upload", path)?;
    let uploads = &mut state.uploads;
    if uploads.open.len() >= UPLOADS_MAX_OPEN {
        return Err(Error::quota_exceeded(
            "the invocation has too many uploads open; finish or drop one",
        )
        .with_context("limit", UPLOADS_MAX_OPEN));
    }
    uploads.last += 1;
    let open = Open {
        path: path.to_owned(),
        content: Vec::new(),
        complete: false,
    };
    uploads.open.insert(uploads.last, open);
    Ok(uploads.last)
}

pub(crate) fn append(state: &mut State, upload: u64, part: &[u8]) -> Result<()> {
    state.admit(Capability::Files, "files.upload.append")?;
    check_part("files.upload.append", part.len())?;
    let open = find(state, upload)?;
    if open.complete {
        return Err(Error::conflict(
            "the upload takes no more parts once `finish` was called",
        ));
    }
    open.content.extend_from_slice(part);
    Ok(())
}

pub(crate) fn finish(state: &mut State, upload: u64, options: &PutOptions) -> Result<FileInfo> {
    state.admit(Capability::Files, "files.upload.finish")?;
    let open = find(state, upload)?;
    open.complete = true;
    let (path, content) = (open.path.clone(), open.content.clone());
    let info = files::store(state, &path, content, options)?;
    end(state, upload);
    Ok(info)
}

/// Ends an upload, finished or not.
pub(crate) fn end(state: &mut State, upload: u64) {
    state.uploads.open.remove(&upload);
}

fn find(state: &mut State, upload: u64) -> Result<&mut Open> {
    state.uploads.open.get_mut(&upload).ok_or_else(|| {
        Error::conflict("the upload is finished or belongs to an earlier invocation; begin another")
    })
}
