//! `records` of the mock host that is running on this thread.

use super::with;
use crate::Result;
use crate::mock::records as store;
use crate::records::{Hit, Page, Record, Stored};

pub(crate) fn put(
    namespace: &str,
    id: Option<&str>,
    text: &str,
    metadata: &[(String, String)],
) -> Result<Stored> {
    with(|state| store::put(state, namespace, id, text, metadata))
}

pub(crate) fn get(namespace: &str, id: &str) -> Result<Option<Record>> {
    with(|state| store::get(state, namespace, id))
}

pub(crate) fn delete(namespace: &str, id: &str) -> Result<bool> {
    with(|state| store::delete(state, namespace, id))
}

pub(crate) fn list(under: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    with(|state| store::list(state, under, cursor, limit))
}

pub(crate) fn recall(under: &str, query: &str, k: u32) -> Result<Vec<Hit>> {
    with(|state| store::recall(state, under, query, k))
}
