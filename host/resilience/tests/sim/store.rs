//! What one side keeps, as the contracts of core say it: items with versions, writes by their ids, and a journal.
//!
//! Everything in here is durable and changes at once, like a transaction. Nothing in here waits or fails by chance: that is
//! what [`crate::cloud`] and [`crate::local`] add.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use stuga_core::journal::{Entry, EntryInfo, EntryState, Settled};
use stuga_core::memory::{Expected, Item, MemoryAck, MemoryWrite};
use stuga_core::standby::{Adopted, Made};
use stuga_core::{
    AgentName, CallCtx, Error, InvocationId, Result, TenantId, Timestamp, Write, WriteId,
    next_version,
};
use uuid::Uuid;

/// Where an item lies.
pub(crate) type Place = (TenantId, AgentName, String);

/// What stands at a place, or what was removed there.
#[derive(Clone)]
pub(crate) struct Row {
    /// Where it stands among all writes.
    pub(crate) stamp: u64,
    /// The write that made it so.
    pub(crate) by: WriteId,
    pub(crate) item: Option<Item>,
}

/// A write that is remembered.
pub(crate) struct Known {
    write: MemoryWrite,
    pub(crate) ack: MemoryAck,
    /// Whether it came from the other side.
    pub(crate) adopted: bool,
}

/// One side.
#[derive(Default)]
pub(crate) struct Store(Mutex<State>);

#[derive(Default)]
pub(crate) struct State {
    pub(crate) rows: BTreeMap<Place, Row>,
    pub(crate) ids: HashMap<WriteId, Known>,
    /// Which write changed which place, in order.
    pub(crate) effects: Vec<(Place, WriteId)>,
    pub(crate) journal: BTreeMap<(TenantId, u64), Entry>,
    next_seq: u64,
    /// Whether it remembers nothing of a key that was removed but the ids of its writes, as SQLite here does. Rows without an
    /// item then only serve the check.
    pub(crate) forgets: bool,
    /// The largest version or stamp of each tenant.
    largest: BTreeMap<TenantId, u64>,
    /// Most entries of the journal that wait.
    pub(crate) cap: Option<usize>,
    /// Whose journal cannot be read.
    pub(crate) damaged: Option<TenantId>,
}

impl Store {
    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The write of an operation.
pub(crate) fn id(number: u64) -> WriteId {
    WriteId {
        invocation: InvocationId::from_uuid(Uuid::from_u128(u128::from(number))),
        call: 0,
    }
}

/// Whether what lies under a key must be begun, by a put where nothing stands, before another put can follow.
pub(crate) fn is_thread(key: &str) -> bool {
    key.starts_with("thread-")
}

/// Whether a write belongs to something that must be there.
pub(crate) fn belongs(write: &MemoryWrite) -> bool {
    matches!(write, MemoryWrite::Put { key, expected, .. } if is_thread(key) && *expected != Expected::Absent)
}

pub(crate) fn place(ctx: &CallCtx, key: &str) -> Place {
    (ctx.tenant.clone(), ctx.agent.clone(), key.to_owned())
}

impl State {
    /// Applies a write once for its id.
    pub(crate) fn apply(
        &mut self,
        place: &Place,
        id: WriteId,
        write: &MemoryWrite,
        now: Timestamp,
    ) -> Result<MemoryAck> {
        match self.ids.get(&id) {
            Some(known) if known.write == *write => return Ok(known.ack),
            Some(_) => {
                let error = Error::conflict(write.operation(), "another write has this id");
                return Err(error);
            }
            None => {}
        }
        let row = self.standing(place);
        let live = row.and_then(|row| row.item.as_ref());
        let version = live.map(|item| item.version);
        let largest = self.largest.get(&place.0).filter(|_| self.forgets);
        let last = largest.copied().or(row.map(|row| row.stamp));
        let stamp = next_version(last.unwrap_or(0), now);
        let existed = live.is_some();
        if belongs(write) && !existed {
            return Err(Error::not_found(write.operation(), "nobody began it"));
        }
        let created_at = live.map_or(now, |item| item.created_at);
        let ack = match write {
            MemoryWrite::Put { expected, .. } => {
                expected.check(write.operation(), "item", version)?;
                MemoryAck {
                    version: stamp,
                    existed,
                }
            }
            MemoryWrite::Delete { .. } => MemoryAck {
                version: version.unwrap_or(0),
                existed,
            },
        };
        let item = item(write, stamp, created_at, now);
        self.set(
            place,
            Row {
                stamp,
                by: id,
                item,
            },
        );
        self.remember(id, write, ack, false);
        Ok(ack)
    }

    /// Applies a write and notes it.
    pub(crate) fn apply_noted(
        &mut self,
        place: &Place,
        id: WriteId,
        write: &MemoryWrite,
        now: Timestamp,
    ) -> Result<MemoryAck> {
        let known = self.ids.contains_key(&id);
        let waiting = self.waiting(&place.0).count();
        if !known && self.cap.is_some_and(|cap| waiting >= cap) {
            let error = Error::quota_exceeded(write.operation(), "the journal is full");
            return Err(error);
        }
        let ack = self.apply(place, id, write, now)?;
        if !known {
            self.next_seq += 1;
            let seq = self.next_seq;
            let stamp = self.rows.get(place).map_or(0, |row| row.stamp);
            let write_json = serde_json::to_vec(write).unwrap();
            let entry = Entry {
                info: EntryInfo {
                    seq,
                    capability: MemoryWrite::CAPABILITY,
                    agent: place.1.clone(),
                    key: place.2.clone(),
                    operation: write.operation().to_owned(),
                    id,
                    at: now,
                    bytes: write_json.len() as u64,
                    state: EntryState::Waiting,
                    refusals: 0,
                    reason: None,
                },
                stamp,
                write: write_json,
                ack: serde_json::to_vec(&ack).unwrap(),
            };
            self.journal.insert((place.0.clone(), seq), entry);
        }
        Ok(ack)
    }

    /// Makes true here what another side made of a write.
    pub(crate) fn adopt(
        &mut self,
        place: &Place,
        id: WriteId,
        write: &MemoryWrite,
        made: &Made<MemoryAck>,
    ) -> Adopted {
        // A put stands where its version is; a removal gave none, and stands where its stamp is.
        let stamp = match write {
            MemoryWrite::Put { .. } => made.ack.version,
            MemoryWrite::Delete { .. } => made.stamp,
        };
        let standing = self.standing(place);
        if belongs(write) && standing.is_none() {
            self.see(&place.0, made.stamp);
            self.remember(id, write, made.ack, true);
            return Adopted::Superseded;
        }
        let mine = standing.is_some_and(|row| row.by == id);
        if !mine && self.ids.contains_key(&id) {
            return Adopted::Stands;
        }
        let is_later = |row: &Row| match (write, &row.item) {
            (MemoryWrite::Delete { .. }, Some(item)) => {
                row.stamp >= stamp && item.updated_at > made.at
            }
            _ => row.stamp >= stamp,
        };
        if !mine && standing.is_some_and(is_later) {
            self.see(&place.0, made.stamp);
            self.remember(id, write, made.ack, true);
            return Adopted::Superseded;
        }
        self.see(&place.0, made.stamp);
        let standing = self.standing(place);
        let live = standing.and_then(|row| row.item.as_ref());
        let created_at = live.map_or(made.at, |item| item.created_at);
        let item = item(write, made.ack.version, created_at, made.at);
        self.set(
            place,
            Row {
                stamp,
                by: id,
                item,
            },
        );
        self.remember(id, write, made.ack, true);
        Adopted::Stands
    }

    /// Makes stand here what the other side has, unless that is there already.
    pub(crate) fn learn(&mut self, place: &Place, item: Item, by: WriteId) {
        let stamp = item.version;
        if self.standing(place).is_none_or(|row| row.stamp < stamp) {
            let item = Some(item);
            self.set(place, Row { stamp, by, item });
        }
    }

    fn remember(&mut self, id: WriteId, write: &MemoryWrite, ack: MemoryAck, adopted: bool) {
        let write = write.clone();
        self.ids.insert(
            id,
            Known {
                write,
                ack,
                adopted,
            },
        );
    }

    /// What stands at a place, as far as this side remembers.
    fn standing(&self, place: &Place) -> Option<&Row> {
        let row = self.rows.get(place);
        row.filter(|row| row.item.is_some() || !self.forgets)
    }

    fn see(&mut self, tenant: &TenantId, stamp: u64) {
        let largest = self.largest.entry(tenant.clone()).or_default();
        *largest = stamp.max(*largest);
    }

    fn set(&mut self, place: &Place, row: Row) {
        self.see(&place.0, row.stamp);
        self.effects.push((place.clone(), row.by));
        self.rows.insert(place.clone(), row);
    }

    pub(crate) fn item(&self, place: &Place) -> Option<Item> {
        self.rows.get(place).and_then(|row| row.item.clone())
    }

    pub(crate) fn waiting<'s>(&'s self, tenant: &'s TenantId) -> impl Iterator<Item = &'s Entry> {
        self.of(tenant, EntryState::Waiting)
    }

    pub(crate) fn of<'s>(
        &'s self,
        tenant: &'s TenantId,
        state: EntryState,
    ) -> impl Iterator<Item = &'s Entry> {
        let range = (tenant.clone(), 0)..=(tenant.clone(), u64::MAX);
        let entries = self.journal.range(range).map(|(_, entry)| entry);
        entries.filter(move |entry| entry.info.state == state)
    }

    pub(crate) fn settle(&mut self, tenant: &TenantId, seq: u64, settled: Settled) {
        let key = (tenant.clone(), seq);
        let entry = self.journal.get_mut(&key);
        let Some(entry) = entry.filter(|entry| entry.info.state == EntryState::Waiting) else {
            return;
        };
        match settled {
            Settled::Adopted => {
                self.journal.remove(&key);
            }
            Settled::Superseded => entry.info.state = EntryState::Superseded,
            Settled::Refused(reason) => {
                entry.info.refusals += 1;
                entry.info.reason = Some(reason);
            }
            Settled::Parked(reason) => {
                entry.info.state = EntryState::Parked;
                entry.info.reason = Some(reason);
            }
        }
    }
}

fn item(
    write: &MemoryWrite,
    version: u64,
    created_at: Timestamp,
    updated_at: Timestamp,
) -> Option<Item> {
    match write {
        MemoryWrite::Put { key, value, .. } => Some(Item {
            key: key.clone(),
            value: value.clone(),
            version,
            created_at,
            updated_at,
            expires_at: None,
        }),
        MemoryWrite::Delete { .. } => None,
    }
}
