//! The vectors of one field in memory: a few are looked at one by one, many through a graph. SQLite is the truth; this
//! follows its sequence, so that a write is seen by the next search.

mod follow;

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use super::graph::{Graph, Near, distance};

/// From how many vectors on things are done in another way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    /// So many vectors are looked at one by one; a graph is built for more.
    exact_max: usize,
    /// So many vectors beside a graph are looked at one by one; then they join it, so many before searches see them and
    /// the next ones follow.
    join: usize,
}

const BOUNDS: Bounds = Bounds {
    exact_max: 10_000,
    join: 2_000,
};
/// A graph is built anew when one in so many of its vectors is dead.
const DEAD_SHARE: usize = 5;

/// The vectors of one field of one index.
pub(super) struct Vectors {
    dimension: usize,
    bounds: Bounds,
    set: RwLock<Set>,
}

#[derive(Default)]
struct Set {
    is_loaded: bool,
    /// The last change that is in it.
    position: u64,
    flat: Flat,
    graph: Option<Arc<RwLock<Graph>>>,
    /// Rows that are gone and still in `flat` or in the graph.
    dead: HashSet<u64>,
}

/// Vectors one after the other, their rows in ascending order.
#[derive(Default)]
struct Flat {
    rows: Vec<u64>,
    numbers: Vec<f32>,
}

impl Flat {
    fn vectors(&self, dimension: usize) -> impl Iterator<Item = (u64, &[f32])> {
        self.rows
            .iter()
            .copied()
            .zip(self.numbers.chunks_exact(dimension))
    }
}

impl Vectors {
    pub(super) fn new(dimension: u32) -> Self {
        Self::with(dimension, BOUNDS)
    }

    fn with(dimension: u32, bounds: Bounds) -> Self {
        Self {
            dimension: (dimension as usize).max(1),
            bounds,
            set: RwLock::default(),
        }
    }

    /// Whether it holds anything that `forget` would free.
    pub(super) fn bytes(&self) -> usize {
        let set = self.read();
        let in_graph = set.graph.as_ref().map_or(0, |graph| read(graph).len());
        let vectors = set.flat.rows.len().saturating_add(in_graph);
        vectors.saturating_mul(self.dimension).saturating_mul(4)
    }

    /// Gives the memory back; the next search loads it again.
    pub(super) fn forget(&self) {
        *self.write() = Set::default();
    }

    /// The at least `count` nearest rows that stand and, when there is a filter, are `allowed` (in ascending order), the
    /// nearest first. More when several are as far as the last.
    pub(super) fn nearest(
        &self,
        query: &[f32],
        count: usize,
        allowed: Option<&[u64]>,
    ) -> Vec<Near> {
        let set = self.read();
        let is_allowed = |seq: &u64| allowed.is_none_or(|rows| rows.binary_search(seq).is_ok());
        let mut found: Vec<Near> = set
            .flat
            .vectors(self.dimension)
            .filter(|(seq, _)| is_allowed(seq))
            .map(|(seq, vector)| (distance(query, vector), seq))
            .collect();
        // Most are far away: only of what may be among the nearest is it asked whether it is dead.
        let mut near = Vec::new();
        while near.len() < count && !found.is_empty() {
            let take = count.saturating_mul(2).max(64).min(found.len());
            if take < found.len() {
                found.select_nth_unstable_by(take - 1, by_distance);
            }
            let limit = found.get(..take).and_then(|head| {
                head.iter()
                    .map(|(distance, _)| *distance)
                    .max_by(f32::total_cmp)
            });
            let limit = limit.unwrap_or(f32::INFINITY);
            let is_near = |(distance, _): &Near| *distance <= limit;
            let alive = |(_, seq): &&Near| !set.dead.contains(seq);
            near.extend(found.iter().filter(|near| is_near(near)).filter(alive));
            found.retain(|near| !is_near(near));
        }
        if let Some(graph) = &set.graph {
            let graph = read(graph);
            near.extend(graph.nearest(query, count, &set.dead, allowed, self.bounds.exact_max));
        }
        near.sort_by(|a, b| by_distance(a, b).then_with(|| a.1.cmp(&b.1)));
        // A vector that is joining the graph is in both.
        near.dedup_by_key(|(_, seq)| *seq);
        let limit = near
            .get(count.saturating_sub(1))
            .map(|(distance, _)| *distance);
        near.retain(|(distance, _)| limit.is_none_or(|limit| *distance <= limit));
        near
    }

    /// Whether [`Vectors::tend`] has something to do.
    pub(super) fn needs_tending(&self) -> bool {
        let set = self.read();
        let waiting = set.flat.rows.len();
        match &set.graph {
            None => waiting > self.bounds.exact_max,
            Some(graph) => {
                waiting >= self.bounds.join
                    || set.dead.len().saturating_mul(DEAD_SHARE) > read(graph).len()
            }
        }
    }

    /// Builds the graph, adds to it, or builds it anew: a step that takes long. Searches go on meanwhile. Only one caller
    /// at a time; it stops early when `stops` says so.
    pub(super) fn tend(&self, stops: &dyn Fn() -> bool) {
        let set = self.read();
        let standing = set.graph.clone();
        let is_worn = standing
            .as_ref()
            .is_none_or(|graph| set.dead.len().saturating_mul(DEAD_SHARE) > read(graph).len());
        let mut rows = Vec::new();
        let mut numbers: Vec<f32> = Vec::new();
        let alive = |(seq, _): &(u64, &[f32])| !set.dead.contains(seq);
        let mut take = |(seq, vector): (u64, &[f32])| {
            rows.push(seq);
            numbers.extend_from_slice(vector);
        };
        if is_worn {
            if let Some(graph) = &standing {
                read(graph).vectors().filter(alive).for_each(&mut take);
            }
            set.flat
                .vectors(self.dimension)
                .filter(alive)
                .for_each(&mut take);
        } else {
            let some = set.flat.vectors(self.dimension).take(self.bounds.join);
            some.filter(alive).for_each(&mut take);
        }
        // Everything up to here leaves the part that is looked at one by one, the dead as well.
        let taken = match is_worn {
            true => set.flat.rows.len(),
            false => set.flat.rows.len().min(self.bounds.join),
        };
        let last = taken
            .checked_sub(1)
            .and_then(|at| set.flat.rows.get(at))
            .copied();
        drop(set);
        let graph = match standing {
            Some(graph) if !is_worn => graph,
            _ => Arc::new(RwLock::new(Graph::new(rows.len()))),
        };
        for (seq, vector) in rows.iter().zip(numbers.chunks_exact(self.dimension)) {
            if stops() {
                return;
            }
            read(&graph).insert(*seq, vector);
        }
        drop(numbers);
        let mut set = self.write();
        if !set.is_loaded {
            // Forgotten meanwhile, to give memory back.
            return;
        }
        graph
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .note_points();
        let Set { flat, dead, .. } = &mut *set;
        let joined = last.map_or(0, |last| flat.rows.partition_point(|seq| *seq <= last));
        flat.rows.drain(..joined);
        flat.numbers.drain(..joined.saturating_mul(self.dimension));
        let known = read(&graph);
        dead.retain(|seq| known.contains(*seq) || flat.rows.binary_search(seq).is_ok());
        drop(known);
        set.graph = Some(graph);
    }

    fn read(&self) -> RwLockReadGuard<'_, Set> {
        self.set.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Set> {
        self.set.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn read(graph: &RwLock<Graph>) -> RwLockReadGuard<'_, Graph> {
    graph.read().unwrap_or_else(PoisonError::into_inner)
}

fn by_distance(a: &Near, b: &Near) -> std::cmp::Ordering {
    a.0.total_cmp(&b.0)
}

#[cfg(test)]
mod tests;
