//! `memory` of the mock host that is running on this thread.

use stuga_core::memory::Expected;

use super::with;
use crate::Result;
use crate::memory::{Item, Page, Version};
use crate::mock::memory as store;

pub(crate) fn get(key: &str) -> Result<Option<Item>> {
    with(|state| store::get(state, key))
}

pub(crate) fn put(key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<Version> {
    with(|state| store::put(state, key, value, ttl_ms, Expected::Any))
}

pub(crate) fn compare_and_set(
    key: &str,
    expected: Option<Version>,
    value: &[u8],
    ttl_ms: Option<u64>,
) -> Result<Version> {
    let expected = expected.map_or(Expected::Absent, Expected::Version);
    with(|state| store::put(state, key, value, ttl_ms, expected))
}

pub(crate) fn delete(key: &str) -> Result<bool> {
    with(|state| store::delete(state, key))
}

pub(crate) fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    with(|state| store::list(state, prefix, cursor, limit))
}
