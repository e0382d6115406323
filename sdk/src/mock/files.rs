//! Files of a mock host: the host's own checks over a map.

use std::collections::BTreeMap;
use std::ops::Bound;

use sha2::{Digest, Sha256};
use stuga_core::files::{
    DEFAULT_CONTENT_TYPE, EARLIER_VERSIONS_MAX, FilesWrite, check_content, check_limit, check_path,
    check_prefix, check_range, check_whole,
};

use super::memory::{begin, cursor_after};
use super::state::State;
use crate::files::{Expected, File, FileInfo, FileVersion, Page, Part, PutOptions, VersionPage};
use crate::{Capability, Error, Result};

#[derive(Default)]
pub(crate) struct Store {
    files: BTreeMap<String, File>,
    /// Earlier versions with their ends, the oldest first.
    earlier: BTreeMap<String, Vec<(File, u64)>>,
    last_version: u64,
}

impl Store {
    /// Makes a file stand at its path in a new version; what stood there becomes an earlier one.
    fn stand(&mut self, mut file: File, now: u64) -> FileInfo {
        let path = file.info.path.clone();
        let before = self.files.get(&path);
        file.info.created_at = before.map_or(now, |before| before.info.created_at);
        file.info.updated_at = now;
        self.retire(&path, now);
        self.last_version += 1;
        file.info.version = self.last_version;
        let info = file.info.clone();
        self.files.insert(path, file);
        info
    }

    /// Moves what stands at `path` into the earlier versions, of which the oldest go when there are too many.
    fn retire(&mut self, path: &str, now: u64) -> bool {
        let Some(file) = self.files.remove(path) else {
            return false;
        };
        let earlier = self.earlier.entry(path.to_owned()).or_default();
        earlier.push((file, now));
        let over = earlier.len().saturating_sub(EARLIER_VERSIONS_MAX);
        earlier.drain(..over);
        true
    }

    /// All versions of `path`, the newest first.
    fn versions(&self, path: &str) -> impl Iterator<Item = (&File, Option<u64>)> {
        let earlier = self.earlier.get(path).into_iter().flatten().rev();
        let stands = self.files.get(path).map(|file| (file, None));
        stands
            .into_iter()
            .chain(earlier.map(|(file, end)| (file, Some(*end))))
    }

    fn version(&self, path: &str, version: Option<u64>) -> Option<&File> {
        match version {
            None => self.files.get(path),
            Some(version) => self
                .versions(path)
                .map(|(file, _)| file)
                .find(|file| file.info.version == version),
        }
    }
}

pub(crate) fn put(
    state: &mut State,
    path: &str,
    content: &[u8],
    options: &PutOptions,
) -> Result<FileInfo> {
    state.admit(Capability::Files, "files.put")?;
    check_content("files.put", content.len())?;
    store(state, path, content.to_owned(), options)
}

/// Stores a content of any size.
pub(super) fn store(
    state: &mut State,
    path: &str,
    content: Vec<u8>,
    options: &PutOptions,
) -> Result<FileInfo> {
    let sha256 = hex::encode(Sha256::digest(&content));
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
    let info = FileInfo {
        path: path.to_owned(),
        size,
        content_type: content_type.to_owned(),
        sha256,
        version: 0,
        created_at: now,
        updated_at: now,
        metadata,
    };
    Ok(store.stand(File { info, content }, now))
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
    whole("files.get", state.files.files.get(path))
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
    Ok(state.files.retire(path, state.now))
}

pub(crate) fn list_versions(
    state: &State,
    path: &str,
    cursor: Option<&str>,
    limit: u32,
) -> Result<VersionPage> {
    state.admit(Capability::Files, "files.list-versions")?;
    check_path("files.list-versions", path)?;
    check_limit("files.list-versions", limit)?;
    let before = match cursor {
        None => u64::MAX,
        Some(cursor) => cursor
            .strip_prefix(path)
            .and_then(|rest| rest.strip_prefix("//"))
            .and_then(|version| version.parse().ok())
            .ok_or_else(|| {
                Error::invalid(
                    "the cursor is malformed or belongs to another path; list from the start",
                )
            })?,
    };
    let mut versions = state
        .files
        .versions(path)
        .filter(|(file, _)| file.info.version < before)
        .map(|(file, ended_at)| FileVersion {
            info: file.info.clone(),
            ended_at,
        });
    let page: Vec<_> = versions.by_ref().take(limit as usize).collect();
    let more = versions.next().and(page.last());
    Ok(VersionPage {
        // No path has two slashes in a row.
        next_cursor: more.map(|last| format!("{path}//{}", last.info.version)),
        versions: page,
    })
}

pub(crate) fn get_version(state: &State, path: &str, version: u64) -> Result<Option<File>> {
    state.admit(Capability::Files, "files.get-version")?;
    check_path("files.get-version", path)?;
    whole(
        "files.get-version",
        state.files.version(path, Some(version)),
    )
}

pub(crate) fn restore(state: &mut State, path: &str, version: u64) -> Result<FileInfo> {
    state.admit(Capability::Files, "files.restore")?;
    check_path("files.restore", path)?;
    let (now, store) = (state.now, &mut state.files);
    let old = store.version(path, Some(version)).cloned();
    let old = old.ok_or_else(|| {
        Error::not_found(format!(
            "version {version} of `{path}` is not kept; list its versions"
        ))
        .with_context("version", version)
    })?;
    Ok(store.stand(old, now))
}

pub(crate) fn purge(state: &mut State, path: &str) -> Result<bool> {
    state.admit(Capability::Files, "files.purge")?;
    check_path("files.purge", path)?;
    let stood = state.files.files.remove(path).is_some();
    let earlier = state.files.earlier.remove(path);
    Ok(stood || earlier.is_some_and(|earlier| !earlier.is_empty()))
}

pub(crate) fn read_range(
    state: &State,
    path: &str,
    version: Option<u64>,
    offset: u64,
    len: u32,
) -> Result<Option<Part>> {
    state.admit(Capability::Files, "files.read-range")?;
    check_path("files.read-range", path)?;
    check_range("files.read-range", len)?;
    let file = state.files.version(path, version);
    Ok(file.map(|file| {
        let begin = usize::try_from(offset).unwrap_or(usize::MAX);
        let rest = file.content.get(begin..).unwrap_or_default();
        Part {
            info: file.info.clone(),
            content: rest.iter().take(len as usize).copied().collect(),
        }
    }))
}

fn whole(operation: &'static str, file: Option<&File>) -> Result<Option<File>> {
    file.map(|file| {
        check_whole(operation, file.info.size)?;
        Ok(file.clone())
    })
    .transpose()
}
