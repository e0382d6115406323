//! Files of a mock host: the host's own checks over a map.

use std::collections::BTreeMap;
use std::ops::Bound;

use sha2::{Digest, Sha256};
use stuga_core::files::{
    DEFAULT_CONTENT_TYPE, FilesWrite, check_content, check_limit, check_path, check_prefix,
};

use super::memory::{begin, cursor_after};
use super::state::State;
use crate::files::{Expected, File, FileInfo, Page, PutOptions};
use crate::{Capability, Error, Result};

#[derive(Default)]
pub(crate) struct Store {
    files: BTreeMap<String, File>,
    last_version: u64,
}

pub(crate) fn put(
    state: &mut State,
    path: &str,
    content: &[u8],
    options: &PutOptions,
) -> Result<FileInfo> {
    state.admit(Capability::Files, "files.put")?;
    check_content("files.put", content.len())?;
    let sha256 = hex::encode(Sha256::digest(content));
    let content_type = options
        .content_type
        .as_deref()
        .unwrap_or(DEFAULT_CONTENT_TYPE);
    let mut metadata = options.metadata.clone();
    metadata.sort();
    let size = content.len() as u64;
    FilesWrite::Put {
        path: path.to_owned(),
        sha256: sha256.clone(),
        size,
        content_type: content_type.to_owned(),
        metadata: metadata.clone(),
        // Looked at below, beside what stands there.
        expected: stuga_core::files::Expected::Any,
    }
    .check()?;

    let (now, store) = (state.now, &mut state.files);
    let before = store.files.get(path).map(|file| &file.info);
    check_expected(path, options.expected, before.map(|info| info.version))?;
    let created_at = before.map_or(now, |info| info.created_at);
    store.last_version += 1;
    let info = FileInfo {
        path: path.to_owned(),
        size,
        content_type: content_type.to_owned(),
        sha256,
        version: store.last_version,
        created_at,
        updated_at: now,
        metadata,
    };
    let file = File {
        info: info.clone(),
        content: content.to_owned(),
    };
    store.files.insert(path.to_owned(), file);
    Ok(info)
}

fn check_expected(path: &str, expected: Expected, actual: Option<u64>) -> Result<()> {
    let holds = match expected {
        Expected::Any => true,
        Expected::Absent => actual.is_none(),
        Expected::Version(version) => actual == Some(version),
    };
    if holds {
        return Ok(());
    }
    let actual = actual.map_or_else(|| "absent".to_owned(), |version| version.to_string());
    Err(Error::conflict(format!(
        "`{path}` is not in the version expected; it is {actual}"
    ))
    .with_context("version", actual))
}

pub(crate) fn get(state: &State, path: &str) -> Result<Option<File>> {
    state.admit(Capability::Files, "files.get")?;
    check_path("files.get", path)?;
    Ok(state.files.files.get(path).cloned())
}

pub(crate) fn stat(state: &State, path: &str) -> Result<Option<FileInfo>> {
    state.admit(Capability::Files, "files.stat")?;
    check_path("files.stat", path)?;
    Ok(state.files.files.get(path).map(|file| file.info.clone()))
}

pub(crate) fn list(state: &State, prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    state.admit(Capability::Files, "files.list")?;
    check_prefix("files.list", prefix)?;
    check_limit("files.list", limit)?;
    let begin = begin(prefix, cursor)?;
    let mut files = state
        .files
        .files
        .range::<str, _>((begin, Bound::Unbounded))
        .map(|(_, file)| &file.info)
        .take_while(|info| info.path.starts_with(prefix));
    let page: Vec<_> = files.by_ref().take(limit as usize).cloned().collect();
    let more = files.next().and(page.last());
    Ok(Page {
        next_cursor: more.map(|last| cursor_after(prefix, &last.path)),
        files: page,
    })
}

pub(crate) fn delete(state: &mut State, path: &str) -> Result<bool> {
    state.admit(Capability::Files, "files.delete")?;
    check_path("files.delete", path)?;
    Ok(state.files.files.remove(path).is_some())
}
