//! Records that are nearest to a query, by comparing with each among those that were written last. What is compared lies in a
//! hash in Redis; what is missing there is read from the records' events, which carry it.

use std::cmp::Reverse;

use futures::FutureExt;
use stuga_core::embed::{EMBED_MAX_TEXTS, Embedder};
use stuga_core::records::{Hit, RECALL_MAX_COMPARED, RECALL_MAX_SEEN};
use stuga_core::{Result, Timestamp};

use super::{record, unpack};
use crate::agentcore::card::{Change, What};
use crate::agentcore::entry::{Entry, Kind};
use crate::agentcore::ledger::Ledger;
use crate::agentcore::reach::each;
use crate::agentcore::redis::within;
use crate::agentcore::shelf::Shelf;
use crate::agentcore::vector::{self, Kept};

/// The name of the hash of vectors.
pub(super) const VECTORS: &str = "records-vectors";
/// Bytes of the version before a vector.
const VERSION_BYTES: usize = 8;

/// What is looked for.
pub(super) struct Query<'q> {
    pub(super) embedder: &'q dyn Embedder,
    pub(super) vector: &'q [f32],
    pub(super) k: u32,
}

/// A record that is compared.
struct Compared {
    key: String,
    /// The version that callers see.
    shown: u64,
    vector: Kept,
}

/// What a put tells of its record's vector.
pub(super) fn known(entry: &Entry, vector: &Kept) -> Option<Change> {
    (entry.kind == Kind::Put).then(|| Change {
        index: VECTORS.to_owned(),
        what: What::Keep(entry.key.clone().into_bytes(), pack(entry.shown, vector)),
    })
}

fn pack(shown: u64, vector: &Kept) -> Vec<u8> {
    let mut packed = shown.to_be_bytes().to_vec();
    packed.extend_from_slice(vector.model.as_bytes());
    packed.push(0);
    packed.extend_from_slice(&vector.bytes);
    packed
}

fn unpack_vector(packed: &[u8]) -> Option<(u64, Kept)> {
    let (shown, rest) = packed.split_first_chunk::<VERSION_BYTES>()?;
    let mut parts = rest.splitn(2, |byte| *byte == 0);
    let model = String::from_utf8(parts.next()?.to_vec()).ok()?;
    let bytes = parts.next()?.to_vec();
    Some((u64::from_be_bytes(*shown), Kept { model, bytes }))
}

/// The `k` records nearest to a query; of equal scores the first in the order of a listing.
pub(super) async fn recall(
    ledger: &Ledger<'_>,
    shelf: &Shelf,
    prefixes: &[String],
    query: &Query<'_>,
    now: Timestamp,
) -> Result<Vec<Hit>> {
    let compared = last_written(ledger, shelf, prefixes, now).await?;
    let model = query.embedder.model();
    let mut scored = Vec::with_capacity(compared.len());
    let mut stale = Vec::new();
    for one in &compared {
        match one.vector.score(model, query.vector) {
            Some(score) => scored.push((score, (one.key.as_str(), one.shown))),
            None if stale.len() < EMBED_MAX_TEXTS => stale.push(one),
            None => {}
        }
    }
    // Of another model: those written last are compared all the same.
    let renewed = each(stale.into_iter().map(|one| {
        async move {
            let Some((_, content)) = shelf.find(ledger, &one.key, now).await? else {
                return Ok(None);
            };
            let text = unpack(ledger.operation, &content)?.text;
            let kept = vector::of(query.embedder, &text).await?;
            let score = kept.score(model, query.vector);
            Ok(score.map(|score| (score, (one.key.as_str(), one.shown))))
        }
        .boxed()
    }));
    scored.extend(renewed.await?.into_iter().flatten());
    let best = vector::best(scored, query.k);
    let hits = each(best.into_iter().map(|(score, (key, shown))| {
        async move {
            // Written again since it was compared: then its score says nothing.
            let found = shelf
                .find(ledger, key, now)
                .await?
                .filter(|(entry, _)| entry.shown == shown);
            let record = found
                .map(|found| record(ledger.operation, found))
                .transpose()?;
            Ok(record.map(|record| Hit { record, score }))
        }
        .boxed()
    }));
    Ok(hits.await?.into_iter().flatten().collect())
}

/// The records written last among those that keys with one of `prefixes` name.
async fn last_written(
    ledger: &Ledger<'_>,
    shelf: &Shelf,
    prefixes: &[String],
    now: Timestamp,
) -> Result<Vec<Compared>> {
    let most = RECALL_MAX_COMPARED as usize;
    let hash = ledger.cards().index(VECTORS);
    let mut compared: Vec<Compared> = Vec::new();
    let mut seen = 0_usize;
    let mut keys = shelf.reader(ledger, prefixes).await?;
    while seen < RECALL_MAX_SEEN as usize {
        let chunk = keys.next().await?;
        if chunk.is_empty() {
            break;
        }
        seen = seen.saturating_add(chunk.len());
        let mut connection = ledger.cards().connection();
        let mut command = redis::cmd("HMGET");
        command.arg(&hash).arg(&chunk);
        let found: Vec<Option<Vec<u8>>> = within(
            ledger.ctx,
            ledger.operation,
            command.query_async(&mut connection),
        )
        .await?;
        let all = chunk.into_iter().zip(found);
        let read = each(all.map(|(key, packed)| {
            async move {
                let known = packed.and_then(|packed| unpack_vector(&packed));
                let found = match known {
                    Some(known) => Some(known),
                    None => missing(ledger, shelf, &key, now).await?,
                };
                Ok(found.map(|(shown, vector)| Compared { key, shown, vector }))
            }
            .boxed()
        }));
        compared.extend(read.await?.into_iter().flatten());
        if compared.len() > most * 2 {
            compared.sort_unstable_by_key(|one| Reverse(one.shown));
            compared.truncate(most);
        }
    }
    compared.sort_unstable_by_key(|one| Reverse(one.shown));
    compared.truncate(most);
    Ok(compared)
}

/// The vector of a record that Redis does not know, from its event; Redis knows it then. None when the record is gone.
async fn missing(
    ledger: &Ledger<'_>,
    shelf: &Shelf,
    key: &str,
    now: Timestamp,
) -> Result<Option<(u64, Kept)>> {
    let Some((entry, content)) = shelf.find(ledger, key, now).await? else {
        return Ok(None);
    };
    let vector = unpack(ledger.operation, &content)?.vector;
    if let Some(change) = known(&entry, &vector) {
        let shown = entry.shown;
        let head = Some(entry);
        ledger
            .cards()
            .change(
                ledger.ctx,
                ledger.operation,
                &shelf.stream(key),
                &head,
                &change,
            )
            .await?;
        return Ok(Some((shown, vector)));
    }
    Ok(None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vector_comes_back_with_its_version() {
        for bytes in [vec![], vec![0, 1, 0, 255]] {
            let vector = Kept {
                model: "hashed".to_owned(),
                bytes,
            };
            assert_eq!(unpack_vector(&pack(7, &vector)), Some((7, vector)));
        }
        assert_eq!(unpack_vector(b"short"), None);
    }
}
