//! `records` of the real host: bindings on one side, the records of this crate on the other.

use super::{Result, host::records as wit};
use crate::records::{Hit, Page, Record, Stored};

fn record(entry: wit::Entry) -> Record {
    Record {
        namespace: entry.namespace,
        id: entry.id,
        text: entry.text,
        metadata: entry.metadata,
        version: entry.version,
        created_at: entry.created_at,
        updated_at: entry.updated_at,
    }
}

pub(crate) fn put(
    namespace: &str,
    id: Option<&str>,
    text: &str,
    metadata: &[(String, String)],
) -> Result<Stored> {
    let stored = wit::put(namespace, id, text, metadata)?;
    Ok(Stored {
        id: stored.id,
        version: stored.version,
    })
}

pub(crate) fn get(namespace: &str, id: &str) -> Result<Option<Record>> {
    Ok(wit::get(namespace, id)?.map(record))
}

pub(crate) fn delete(namespace: &str, id: &str) -> Result<bool> {
    Ok(wit::delete(namespace, id)?)
}

pub(crate) fn list(under: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    let page = wit::list(under, cursor, limit)?;
    Ok(Page {
        records: page.entries.into_iter().map(record).collect(),
        next_cursor: page.next_cursor,
    })
}

pub(crate) fn recall(under: &str, query: &str, k: u32) -> Result<Vec<Hit>> {
    let hits = wit::recall(under, query, k)?.into_iter();
    Ok(hits
        .map(|hit| Hit {
            record: record(hit.entry),
            score: hit.score,
        })
        .collect())
}
