//! Records of a mock host: the host's own checks and embedding over a map.

use std::collections::BTreeMap;

use stuga_core::Write;
use stuga_core::embed::{dot, embed};
use stuga_core::records::{
    PAGE_MAX_BYTES, RecordWrite, check_id, check_limit, check_namespace, check_recall, check_under,
    reaches,
};

use super::memory::{begin, cursor_after};
use super::state::State;
use crate::records::{Hit, Page, Record, Stored};
use crate::{Capability, Result};

/// Records by namespace and id, parted by what no namespace can hold.
#[derive(Default)]
pub(crate) struct Store {
    records: BTreeMap<String, Record>,
    last_version: u64,
}

fn place(namespace: &str, id: &str) -> String {
    format!("{namespace} {id}")
}

pub(crate) fn put(
    state: &mut State,
    namespace: &str,
    id: Option<&str>,
    text: &str,
    metadata: &[(String, String)],
) -> Result<Stored> {
    let mut metadata = metadata.to_vec();
    metadata.sort();
    let write = RecordWrite::Put {
        namespace: namespace.to_owned(),
        id: id.map(str::to_owned),
        text: text.to_owned(),
        metadata: metadata.clone(),
    };
    state.admit(Capability::Records, write.operation())?;
    write.check()?;
    let (now, store) = (state.now, &mut state.records);
    store.last_version += 1;
    let version = store.last_version;
    let id = id.map_or_else(|| format!("{version:032x}-0"), str::to_owned);
    let place = place(namespace, &id);
    let created_at = store
        .records
        .get(&place)
        .map_or(now, |record| record.created_at);
    let record = Record {
        namespace: namespace.to_owned(),
        id: id.clone(),
        text: text.to_owned(),
        metadata,
        version,
        created_at,
        updated_at: now,
    };
    store.records.insert(place, record);
    Ok(Stored { id, version })
}

pub(crate) fn get(state: &State, namespace: &str, id: &str) -> Result<Option<Record>> {
    state.admit(Capability::Records, "records.get")?;
    check_namespace("records.get", namespace)?;
    check_id("records.get", id)?;
    let place = place(namespace, id);
    Ok(state.records.records.get(&place).cloned())
}

pub(crate) fn delete(state: &mut State, namespace: &str, id: &str) -> Result<bool> {
    state.admit(Capability::Records, "records.delete")?;
    check_namespace("records.delete", namespace)?;
    check_id("records.delete", id)?;
    let place = place(namespace, id);
    Ok(state.records.records.remove(&place).is_some())
}

pub(crate) fn list(state: &State, under: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
    state.admit(Capability::Records, "records.list")?;
    check_under("records.list", under)?;
    check_limit("records.list", limit)?;
    let from = begin(under, cursor)?;
    let mut page = Page::default();
    let (mut last, mut bytes) = ("", 0);
    let ahead = (from, std::ops::Bound::Unbounded);
    for (place, record) in state.records.records.range::<str, _>(ahead) {
        if !reaches(under, &record.namespace) {
            continue;
        }
        let metadata = record.metadata.iter().map(|(n, v)| n.len() + v.len());
        bytes += record.text.len() + metadata.sum::<usize>();
        let full = page.records.len() == limit as usize || bytes > PAGE_MAX_BYTES;
        if full && !page.records.is_empty() {
            page.next_cursor = Some(cursor_after(under, last));
            break;
        }
        last = place;
        page.records.push(record.clone());
    }
    Ok(page)
}

pub(crate) fn recall(state: &State, under: &str, query: &str, k: u32) -> Result<Vec<Hit>> {
    state.admit(Capability::Records, "records.recall")?;
    check_under("records.recall", under)?;
    check_recall("records.recall", query, k)?;
    let query = embed(query);
    let records = state.records.records.values();
    let mut hits: Vec<Hit> = records
        .filter(|record| reaches(under, &record.namespace))
        .map(|record| Hit {
            record: record.clone(),
            score: dot(&query, &embed(&record.text)).min(1.0),
        })
        .filter(|hit| hit.score > 0.0)
        .collect();
    // Stable, so that equal ones stay in the order of a listing.
    hits.sort_by(|a, b| b.score.total_cmp(&a.score));
    hits.truncate(k as usize);
    Ok(hits)
}
