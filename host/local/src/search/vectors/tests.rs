//! Vectors that come and go, against all of them looked at one by one.

use std::collections::BTreeMap;

use rusqlite::Connection;
use stuga_core::embed::normalise;

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
            &format!(
                "INSERT INTO search_index ({columns}) VALUES (1, 'a', 'n', '', '', 0, 0, 0, 0, 0)"
            ),
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
