//! The vectors of one field in memory: a few are looked at one by one, many through a graph. SQLite is the truth; this
//! follows its sequence, so that a write is seen by the next search.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use rusqlite::{Connection, OptionalExtension};
use stuga_core::embed::normalise;

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

    /// Sees every change of SQLite; only the first ones, when nothing is loaded, unless `follows`.
    pub(super) fn catch_up(
        &self,
        conn: &Connection,
        index: u64,
        field: &str,
        gone_floor: u64,
        follows: bool,
    ) -> rusqlite::Result<()> {
        if self.read().is_loaded && !follows {
            return Ok(());
        }
        // One snapshot: a row that is replaced must not be missed on both sides.
        let snapshot = conn.unchecked_transaction()?;
        let set = self.read();
        let (began, is_behind) = (set.position, set.is_loaded && set.position < gone_floor);
        drop(set);
        let latest = last_seq(&snapshot, index)?;
        if latest <= began && self.read().is_loaded {
            return Ok(());
        }
        let added = self.added(&snapshot, index, field, began)?;
        let gone = match is_behind {
            false => gone_after(&snapshot, index, began)?,
            true => self.missing(&snapshot, index, field, latest)?,
        };
        let mut set = self.write();
        if set.position != began {
            // Somebody else did the same meanwhile and saw at least as much of what was acknowledged before.
            drop(set);
            return self.catch_up(conn, index, field, gone_floor, follows);
        }
        set.is_loaded = true;
        set.position = latest.max(began);
        set.flat.rows.extend(added.rows);
        set.flat.numbers.extend(added.numbers);
        // Much of what is gone never had a vector, or came and went unseen.
        let Set {
            flat, graph, dead, ..
        } = &mut *set;
        let in_graph = |seq| {
            graph
                .as_ref()
                .is_some_and(|graph| read(graph).contains(seq))
        };
        let seqs = gone.into_iter().map(|(_, seq)| seq);
        dead.extend(seqs.filter(|seq| flat.rows.binary_search(seq).is_ok() || in_graph(*seq)));
        self.compact(&mut set);
        Ok(())
    }

    fn added(
        &self,
        conn: &Connection,
        index: u64,
        field: &str,
        after: u64,
    ) -> rusqlite::Result<Flat> {
        let mut statement = conn.prepare_cached(
            "SELECT seq, vector FROM search_vector WHERE search_index = ?1 AND field = ?2 AND seq > ?3 ORDER BY seq",
        )?;
        let mut rows = statement.query((index, field, after))?;
        let mut added = Flat::default();
        let mut vector = Vec::with_capacity(self.dimension);
        while let Some(row) = rows.next()? {
            vector.clear();
            let (numbers, _) = row.get_ref(1)?.as_blob()?.as_chunks::<4>();
            vector.extend(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)));
            // Checked when they were stored; what does not fit would only mislead.
            if vector.len() == self.dimension && normalise("search.query", &mut vector).is_ok() {
                added.rows.push(row.get(0)?);
                added.numbers.extend_from_slice(&vector);
            }
        }
        Ok(added)
    }

    /// Rows that are in memory and no longer in SQLite, when what was gone is no longer remembered there.
    fn missing(
        &self,
        conn: &Connection,
        index: u64,
        field: &str,
        latest: u64,
    ) -> rusqlite::Result<Vec<(u64, u64)>> {
        let mut statement = conn.prepare_cached(
            "SELECT seq FROM search_vector WHERE search_index = ?1 AND field = ?2",
        )?;
        let alive = statement
            .query_map((index, field), |row| row.get(0))?
            .collect::<rusqlite::Result<HashSet<u64>>>()?;
        let set = self.read();
        let mut known = set.flat.rows.clone();
        if let Some(graph) = &set.graph {
            known.extend(read(graph).vectors().map(|(seq, _)| seq));
        }
        let gone = known.into_iter().filter(|seq| !alive.contains(seq));
        Ok(gone.map(|seq| (latest, seq)).collect())
    }

    /// Takes dead rows out of the part that is looked at one by one, when they are many.
    fn compact(&self, set: &mut Set) {
        let in_flat = |seq: &u64| set.flat.rows.binary_search(seq).is_ok();
        let dead = set.dead.iter().filter(|seq| in_flat(seq)).count();
        if dead == 0 || dead.saturating_mul(DEAD_SHARE) < set.flat.rows.len() {
            return;
        }
        let mut kept = Flat::default();
        for (seq, vector) in set.flat.vectors(self.dimension) {
            if !set.dead.contains(&seq) {
                kept.rows.push(seq);
                kept.numbers.extend_from_slice(vector);
            }
        }
        let gone = std::mem::replace(&mut set.flat, kept).rows;
        set.dead.retain(|seq| gone.binary_search(seq).is_err());
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

/// The latest change of the index; 0 when it is gone.
fn last_seq(conn: &Connection, index: u64) -> rusqlite::Result<u64> {
    let found = conn
        .prepare_cached("SELECT last_seq FROM search_index WHERE id = ?1")?
        .query_row([index], |row| row.get(0))
        .optional()?;
    Ok(found.unwrap_or_default())
}

/// Changes after `after` with the rows that they took away.
fn gone_after(conn: &Connection, index: u64, after: u64) -> rusqlite::Result<Vec<(u64, u64)>> {
    conn.prepare_cached(
        "SELECT change, seq FROM search_gone WHERE search_index = ?1 AND change > ?2 ORDER BY change",
    )?
    .query_map((index, after), |row| Ok((row.get(0)?, row.get(1)?)))?
    .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const DIMENSION: u32 = 16;
    const SMALL: Bounds = Bounds {
        exact_max: 200,
        join: 60,
    };

    /// Vectors in a table as SQLite has them, the same in a map, and the set that follows.
    struct Shelf {
        conn: Connection,
        alive: BTreeMap<u64, Vec<f32>>,
        vectors: Vectors,
        last: u64,
        random: u64,
    }

    impl Shelf {
        fn new() -> Self {
            let mut conn = Connection::open_in_memory().unwrap();
            crate::schema::migrations().to_latest(&mut conn).unwrap();
            let columns = "id, agent, name, fields, embeddings, created_at, documents, bytes, last_seq, gone_floor";
            conn.execute(
                &format!("INSERT INTO search_index ({columns}) VALUES (1, 'a', 'n', '', '', 0, 0, 0, 0, 0)"),
                [],
            )
            .unwrap();
            Self {
                conn,
                alive: BTreeMap::new(),
                vectors: Vectors::with(DIMENSION, SMALL),
                last: 0,
                random: 1,
            }
        }

        fn next(&mut self) -> u64 {
            self.random = self
                .random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1);
            self.random >> 33
        }

        /// A vector of length 1 near one of some centres.
        fn vector(&mut self) -> Vec<f32> {
            let centre = self.next() % 40;
            let mut of_centre = centre.wrapping_mul(977);
            let mut vector: Vec<f32> = (0..DIMENSION)
                .map(|_| {
                    of_centre = of_centre
                        .wrapping_mul(6_364_136_223_846_793_005)
                        .wrapping_add(99);
                    let far = (of_centre >> 40) as f32 / (1_u64 << 24) as f32 - 0.5;
                    far + (self.next() % 1_000) as f32 / 4_000.0
                })
                .collect();
            normalise("test", &mut vector).unwrap();
            vector
        }

        fn put(&mut self, count: usize) {
            for _ in 0..count {
                self.last += 1;
                let vector = self.vector();
                let bytes = stuga_core::embed::to_bytes(&vector);
                let sql = "INSERT INTO search_vector (search_index, field, seq, vector) VALUES (1, 'v', ?1, ?2)";
                self.conn.execute(sql, (self.last, bytes)).unwrap();
                self.alive.insert(self.last, vector);
            }
        }

        /// Deletes each so manieth.
        fn delete_each(&mut self, nth: usize) {
            let gone: Vec<u64> = self.alive.keys().copied().step_by(nth).collect();
            for seq in gone {
                self.last += 1;
                self.conn
                    .execute(
                        "INSERT INTO search_gone VALUES (1, ?1, ?2)",
                        (self.last, seq),
                    )
                    .unwrap();
                self.conn
                    .execute("DELETE FROM search_vector WHERE seq = ?1", [seq])
                    .unwrap();
                self.alive.remove(&seq);
            }
        }

        fn follow(&self) {
            let sql = "UPDATE search_index SET last_seq = ?1";
            self.conn.execute(sql, [self.last]).unwrap();
            self.vectors.catch_up(&self.conn, 1, "v", 0, true).unwrap();
        }

        fn tend(&self) {
            while self.vectors.needs_tending() {
                self.vectors.tend(&|| false);
            }
        }

        /// What part of the nearest `count` is found, over some queries. What is found must be alive and allowed.
        fn recall(&mut self, count: usize, allowed: Option<&[u64]>) -> f32 {
            const QUERIES: usize = 30;
            self.follow();
            let (mut hits, mut wanted) = (0, 0);
            for _ in 0..QUERIES {
                let query = self.vector();
                let is_allowed = |seq: &u64| allowed.is_none_or(|rows| rows.contains(seq));
                let alive = self.alive.iter().filter(|(seq, _)| is_allowed(seq));
                let mut exact: Vec<Near> = alive
                    .map(|(seq, vector)| (distance(&query, vector), *seq))
                    .collect();
                exact.sort_by(by_distance);
                exact.truncate(count);
                let found = self.vectors.nearest(&query, count, allowed);
                assert!(
                    found.len() >= exact.len(),
                    "{} of {}",
                    found.len(),
                    exact.len()
                );
                assert!(
                    found
                        .iter()
                        .all(|(_, seq)| self.alive.contains_key(seq) && is_allowed(seq))
                );
                let rows: HashSet<u64> = found.iter().map(|(_, seq)| *seq).collect();
                hits += exact.iter().filter(|(_, seq)| rows.contains(seq)).count();
                wanted += exact.len();
            }
            if wanted == 0 {
                1.0
            } else {
                hits as f32 / wanted as f32
            }
        }
    }

    #[test]
    fn few_vectors_are_found_exactly_whatever_happened_to_them() {
        let mut shelf = Shelf::new();
        assert!(shelf.recall(10, None) >= 1.0, "of none");
        for _ in 0..4 {
            shelf.put(60);
            shelf.delete_each(3);
            assert!(shelf.recall(10, None) >= 1.0);
            assert!(!shelf.vectors.needs_tending());
        }
    }

    #[test]
    fn many_vectors_are_found_through_a_graph_while_they_come_and_go() {
        let mut shelf = Shelf::new();
        shelf.put(900);
        assert!(shelf.recall(10, None) >= 1.0, "before there is a graph");
        shelf.tend();
        assert!(shelf.vectors.read().graph.is_some());
        assert!(shelf.recall(10, None) > 0.95);
        for round in 0..4 {
            shelf.put(100);
            shelf.delete_each(12);
            assert!(shelf.recall(10, None) > 0.95, "{round}: with a tail");
            shelf.tend();
            assert!(shelf.recall(10, None) > 0.95, "{round}: joined");
        }
    }

    #[test]
    fn a_graph_of_dead_vectors_is_built_anew() {
        let mut shelf = Shelf::new();
        shelf.put(1_000);
        shelf.recall(10, None);
        shelf.tend();
        shelf.delete_each(2);
        assert!(shelf.recall(10, None) > 0.95, "half of it is dead");
        assert!(shelf.vectors.needs_tending());
        shelf.tend();
        let set = shelf.vectors.read();
        assert!(set.dead.is_empty(), "{}", set.dead.len());
        assert_eq!(read(set.graph.as_ref().unwrap()).len(), 500);
        drop(set);
        assert!(shelf.recall(10, None) > 0.95);
    }

    #[test]
    fn a_filter_finds_what_it_lets_through_however_much_that_is() {
        let mut shelf = Shelf::new();
        shelf.put(2_000);
        shelf.recall(10, None);
        shelf.tend();
        shelf.put(50);
        for nth in [2, 7, 50, 2_000] {
            let allowed: Vec<u64> = (1..=shelf.last).step_by(nth).collect();
            assert!(shelf.recall(10, Some(&allowed)) > 0.95, "one in {nth}");
        }
        assert!(shelf.recall(10, Some(&[])) >= 1.0, "nothing at all");
        assert!(
            shelf.recall(10, Some(&[u64::MAX])) >= 1.0,
            "what does not exist"
        );
    }
}
