//! One tenant's journal: entries by key, several keys at a time.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use futures::StreamExt;
use futures::stream;
use stuga_core::journal::Entry;
use stuga_core::{AgentName, Result, TenantId};

use super::lane::Lane;
use super::{Pass, Replay};
use crate::modes::Mode;

/// Entries that are read from a journal at a time.
const BATCH: u32 = 256;
/// A page with fewer entries than were asked for, and not even so many bytes, is taken for the end of a journal.
const PAGE_BYTES: u64 = 4 << 20;
/// Batches of one tenant before others have their turn.
const SHARE: u32 = 8;

/// An agent of the tenant, and what its entries change.
pub(super) type Key = (AgentName, String);

/// How a share of a tenant's journal went.
pub(super) struct Drained {
    pub(super) pass: Pass,
    /// Whether there is more to replay at once.
    pub(super) more: bool,
    /// Whether an entry left those that wait.
    pub(super) progress: bool,
    /// For how long the cloud asks to be left alone.
    pub(super) asked: Duration,
}

impl Drained {
    /// Nothing went.
    pub(super) fn refused() -> Self {
        Self {
            pass: Pass::Refused,
            more: false,
            progress: false,
            asked: Duration::ZERO,
        }
    }
}

/// How far a tenant's journal is replayed.
#[derive(Default)]
pub(super) struct Place {
    after: u64,
    /// Keys with an entry that did not go: what comes after it waits as well.
    held: HashSet<Key>,
}

impl Replay {
    /// Replays one tenant once: whatever its journal held when it came to its end.
    ///
    /// # Errors
    /// What the journal answers.
    pub async fn drain(&self, tenant: &TenantId) -> Result<Pass> {
        let mut place = Place::default();
        loop {
            let drained = self.share(tenant, &mut place).await?;
            if !drained.more {
                return Ok(drained.pass);
            }
        }
    }

    /// Replays one tenant's share of a round, beyond `place`.
    pub(super) async fn share(&self, tenant: &TenantId, place: &mut Place) -> Result<Drained> {
        let mut drained = Drained {
            pass: Pass::Drained,
            more: true,
            progress: false,
            asked: Duration::ZERO,
        };
        for _ in 0..SHARE {
            let journal = self.route.journal();
            let capability = self.capability();
            let batch = journal.next(tenant, capability, place.after, BATCH).await?;
            // What is noted from now on is for the next pass, or one tenant that writes would keep it going for ever.
            let bytes = batch.iter().map(|entry| entry.info.bytes).sum::<u64>();
            let is_last = batch.is_empty() || batch.len() < BATCH as usize && bytes < PAGE_BYTES;
            place.after = batch.last().map_or(place.after, |last| last.info.seq);
            let stopped = self.route.mode(tenant) != Mode::Cloud
                || self
                    .batch(tenant, batch, is_last, place, &mut drained)
                    .await?;
            if stopped {
                (drained.pass, drained.more) = (Pass::Stopped, false);
                break;
            }
            if !place.held.is_empty() {
                drained.pass = Pass::Refused;
            }
            if is_last {
                drained.more = false;
                break;
            }
        }
        Ok(drained)
    }

    /// Replays one batch, and says whether the cloud is away.
    async fn batch(
        &self,
        tenant: &TenantId,
        batch: Vec<Entry>,
        is_last: bool,
        place: &mut Place,
        drained: &mut Drained,
    ) -> Result<bool> {
        let keys = self.tuning.load().settings.keys;
        let lanes = by_key(batch).into_iter();
        let lanes: Vec<_> = lanes.filter(|(key, _)| !place.held.contains(key)).collect();
        let mut lanes = stream::iter(lanes)
            .map(|(key, entries)| async move {
                let lane = self.lane(tenant, &key, entries, is_last).await;
                (key, lane)
            })
            .buffer_unordered(keys.max(1));
        while let Some((key, lane)) = lanes.next().await {
            match lane? {
                Lane::Empty => drained.progress = true,
                Lane::Held { progress, asked } => {
                    drained.progress |= progress;
                    drained.asked = drained.asked.max(asked);
                    place.held.insert(key);
                }
                Lane::Away => return Ok(true),
            }
        }
        Ok(false)
    }
}

/// Entries by key, each key's in order, the keys in the order of their first entries.
fn by_key(batch: Vec<Entry>) -> Vec<(Key, Vec<Entry>)> {
    let mut lanes: Vec<(Key, Vec<Entry>)> = Vec::new();
    let mut places: HashMap<Key, usize> = HashMap::new();
    for entry in batch {
        let key = (entry.info.agent.clone(), entry.info.key.clone());
        let place = *places.entry(key.clone()).or_insert(lanes.len());
        match lanes.get_mut(place) {
            Some((_, lane)) => lane.push(entry),
            None => lanes.push((key, vec![entry])),
        }
    }
    lanes
}
