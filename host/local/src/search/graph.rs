//! A navigable graph over vectors: nearly exact, and fast where looking at every vector is not.
//!
//! hnsw_rs can neither delete nor filter without risk (a filter that lets nothing through ends in a panic), so both happen
//! outside: dead rows are left out of what it answers, and a filter asks for more than it needs or looks at every
//! vector that passes.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use hnsw_rs::prelude::{DistL2, Distance, Hnsw, Point};

/// Links of a node. With the breadths below the recall at 10 of 100,000 real embeddings stays over 0.95.
const LINKS: usize = 16;
/// Layers at most.
const LAYERS: usize = 16;
/// Breadth of the search for neighbours while it is built.
const BUILD_BREADTH: usize = 160;
/// Breadth of a search at least.
const SEARCH_BREADTH: usize = 128;
/// Distances that a search computes for each result, about: to choose between it and looking at every vector.
const COST_PER_RESULT: usize = 24;

/// Vectors of length 1 with links between those that are near each other.
pub(super) struct Graph {
    links: Hnsw<'static, f32, DistL2>,
    points: HashMap<u64, Arc<Point<'static, f32>>>,
}

/// A row and how far its vector is.
pub(super) type Near = (f32, u64);

/// How far two vectors of length 1 are from each other: 0 to 2.
pub(super) fn distance(a: &[f32], b: &[f32]) -> f32 {
    DistL2.eval(a, b)
}

impl Graph {
    /// An empty graph for about `expected` vectors.
    pub(super) fn new(expected: usize) -> Self {
        Self {
            links: Hnsw::new(LINKS, expected, LAYERS, BUILD_BREADTH, DistL2),
            points: HashMap::new(),
        }
    }

    /// Adds a vector. It is searched from now on; [`Graph::note_points`] must follow before a filter can see it.
    pub(super) fn insert(&self, seq: u64, vector: &[f32]) {
        // Rows are numbered far below the size of an address space.
        let id = usize::try_from(seq).unwrap_or(usize::MAX);
        self.links.insert_slice((vector, id));
    }

    /// Learns where the vectors lie that were added.
    pub(super) fn note_points(&mut self) {
        let points = self.links.get_point_indexation().into_iter();
        self.points = points
            .map(|point| (point.get_origin_id() as u64, point))
            .collect();
    }

    /// How many vectors it holds, dead ones as well.
    pub(super) fn len(&self) -> usize {
        self.points.len()
    }

    /// Whether it holds the row's vector.
    pub(super) fn contains(&self, seq: u64) -> bool {
        self.points.contains_key(&seq)
    }

    /// The vectors that it holds.
    pub(super) fn vectors(&self) -> impl Iterator<Item = (u64, &[f32])> {
        self.points.iter().map(|(seq, point)| (*seq, point.get_v()))
    }

    /// About the `count` nearest of the rows that are not `dead` and, when there is a filter, `allowed` (in ascending order).
    pub(super) fn nearest(
        &self,
        query: &[f32],
        count: usize,
        dead: &HashSet<u64>,
        allowed: Option<&[u64]>,
        exact_max: usize,
    ) -> Vec<Near> {
        let total = self.points.len();
        let passes = |seq: &u64| {
            !dead.contains(seq) && allowed.is_none_or(|rows| rows.binary_search(seq).is_ok())
        };
        if let Some(rows) = allowed {
            let searched = wanted(count, total, rows.len()).saturating_mul(COST_PER_RESULT);
            if rows.len() <= exact_max.max(searched) {
                return self.exact(query, rows.iter().filter(|seq| passes(seq)));
            }
        }
        let candidates = allowed.map_or(total, <[u64]>::len);
        let alive = candidates.saturating_sub(dead.len());
        let possible = count.min(alive);
        let mut asked = wanted(count, total, alive).min(total);
        loop {
            let found = self.links.search(query, asked, SEARCH_BREADTH.max(asked));
            let near: Vec<Near> = found
                .into_iter()
                .map(|point| (point.distance, point.d_id as u64))
                .filter(|(_, seq)| passes(seq))
                .collect();
            if near.len() >= possible {
                return near;
            }
            // The dead, or what the filter keeps out, lie just where the query looks.
            if asked.saturating_mul(COST_PER_RESULT) >= candidates {
                break;
            }
            asked = asked.saturating_mul(2).min(total);
        }
        match allowed {
            Some(rows) => self.exact(query, rows.iter().filter(|seq| passes(seq))),
            None => self.exact(query, self.points.keys().filter(|seq| passes(seq))),
        }
    }

    fn exact<'r>(&self, query: &[f32], rows: impl Iterator<Item = &'r u64>) -> Vec<Near> {
        rows.filter_map(|seq| {
            let point = self.points.get(seq)?;
            Some((distance(query, point.get_v()), *seq))
        })
        .collect()
    }
}

/// How many to ask for so that `count` remain when `alive` of `total` count.
fn wanted(count: usize, total: usize, alive: usize) -> usize {
    let share = count.saturating_mul(total) / alive.max(1);
    share.saturating_add(share / 4)
}
