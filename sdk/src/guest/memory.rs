//! `memory` of the real host: bindings on one side, the records of this crate on the other.

use super::{Result, host::memory as wit};
use crate::memory::{Item, Page, Version};

fn item(item: wit::Item) -> Item {
    Item {
        key: item.key,
        value: item.value,
        version: item.version,
        created_at: item.created_at,
        updated_at: item.updated_at,
        expires_at: item.expires_at,
    }
}

pub(crate) fn get(key: &str) -> Result<Option<Item>> {
    Ok(wit::get(key)?.map(item))
}

pub(crate) fn put(key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<Version> {
    Ok(wit::put(key, value, ttl_ms)?)
}

pub(crate) fn compare_and_set(
    key: &str,
    expected: Option<Version>,
    value: &[u8],
    ttl_ms: Option<u64>,
) -> Result<Version> {
    Ok(wit::compare_and_set(key, expected, value, ttl_ms)?)
}

pub(crate) fn delete(key: &str) -> Result<bool> {
    Ok(wit::delete(key)?)
}

pub(crate) fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    let page = wit::list(prefix, cursor, limit)?;
    Ok(Page {
        items: page.items.into_iter().map(item).collect(),
        next_cursor: page.next_cursor,
    })
}
