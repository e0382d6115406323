//! Memory of a mock host: the host's own checks over a map.

use std::collections::BTreeMap;
use std::ops::Bound;
use std::time::Duration;

use stuga_core::memory::{
    Expected, MemoryWrite, PAGE_MAX_BYTES, check_key, check_limit, check_prefix,
};

use super::state::State;
use crate::memory::{Item, Page, Version};
use crate::{Capability, Error, Result};

#[derive(Default)]
pub(crate) struct Store {
    items: BTreeMap<String, Item>,
    last_version: Version,
}

impl Store {
    fn at(&self, key: &str, now: u64) -> Option<&Item> {
        self.items.get(key).filter(|item| is_there(item, now))
    }
}

fn is_there(item: &Item, now: u64) -> bool {
    item.expires_at.is_none_or(|end| now < end)
}

pub(crate) fn get(state: &State, key: &str) -> Result<Option<Item>> {
    state.admit(Capability::Memory, "memory.get")?;
    check_key("memory.get", key)?;
    Ok(state.memory.at(key, state.now).cloned())
}

pub(crate) fn put(
    state: &mut State,
    key: &str,
    value: &[u8],
    ttl_ms: Option<u64>,
    expected: Expected,
) -> Result<Version> {
    let write = MemoryWrite::Put {
        key: key.to_owned(),
        value: value.to_owned(),
        ttl: ttl_ms.map(Duration::from_millis),
        expected,
    };
    state.admit(Capability::Memory, operation(&write))?;
    write.check()?;

    let (now, store) = (state.now, &mut state.memory);
    let before = store.at(key, now);
    let created_at = before.map_or(now, |item| item.created_at);
    check_expected(key, expected, before.map(|item| item.version))?;

    store.last_version += 1;
    let item = Item {
        key: key.to_owned(),
        value: value.to_owned(),
        version: store.last_version,
        created_at,
        updated_at: now,
        expires_at: ttl_ms.map(|ttl| now.saturating_add(ttl)),
    };
    store.items.insert(key.to_owned(), item);
    Ok(store.last_version)
}

fn operation(write: &MemoryWrite) -> &'static str {
    stuga_core::Write::operation(write)
}

fn check_expected(key: &str, expected: Expected, actual: Option<Version>) -> Result<()> {
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
        "`{key}` is not in the version expected; it is {actual}"
    ))
    .with_context("version", actual))
}

pub(crate) fn delete(state: &mut State, key: &str) -> Result<bool> {
    state.admit(Capability::Memory, "memory.delete")?;
    check_key("memory.delete", key)?;
    let now = state.now;
    let removed = state.memory.items.remove(key);
    Ok(removed.is_some_and(|item| is_there(&item, now)))
}

pub(crate) fn list(state: &State, prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    state.admit(Capability::Memory, "memory.list")?;
    check_prefix("memory.list", prefix)?;
    check_limit("memory.list", limit)?;
    let begin = begin(prefix, cursor)?;
    let mut items = state
        .memory
        .items
        .range::<str, _>((begin, Bound::Unbounded))
        .map(|(_, item)| item)
        .take_while(|item| item.key.starts_with(prefix))
        .filter(|item| is_there(item, state.now))
        .peekable();

    let mut page = Page::default();
    let mut bytes = 0;
    while let Some(item) = items.peek() {
        bytes += item.value.len();
        let full = page.items.len() == limit as usize || bytes > PAGE_MAX_BYTES;
        if let (true, Some(last)) = (full, page.items.last()) {
            page.next_cursor = Some(cursor_after(prefix, &last.key));
            break;
        }
        page.items.extend(items.next().cloned());
    }
    Ok(page)
}

/// A cursor names the prefix it belongs to by its length, and the last entry that was read.
pub(super) fn cursor_after(prefix: &str, last: &str) -> String {
    format!("{}:{}:{last}", prefix.len(), last.len())
}

/// Where a listing of `prefix` goes on.
pub(super) fn begin<'a>(prefix: &'a str, cursor: Option<&'a str>) -> Result<Bound<&'a str>> {
    let Some(cursor) = cursor else {
        return Ok(Bound::Included(prefix));
    };
    let last = cursor.splitn(3, ':').nth(2).unwrap_or_default();
    if cursor != cursor_after(prefix, last) || !last.starts_with(prefix) {
        return Err(Error::invalid(
            "the cursor is malformed or belongs to another prefix; list from the start",
        ));
    }
    Ok(Bound::Excluded(last))
}
