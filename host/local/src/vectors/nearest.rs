//! The nearest of many vectors, by comparing with each: exact, and bounded in what it looks at.

use rusqlite::{Connection, Params, Row};
use stuga_core::embed::EMBED_MAX_TEXTS;
use stuga_core::records::RECALL_MAX_COMPARED;

use super::{Query, product};

/// How many more than wanted are collected before the worst are dropped.
const SLACK: usize = 256;

/// A query for rows that may be compared, each with its number in the first column.
pub(crate) struct Rows<'q, P> {
    pub(crate) sql: &'q str,
    pub(crate) params: P,
}

/// The number from which on rows are compared, so that they are the [`RECALL_MAX_COMPARED`] that were written last.
pub(crate) fn first_compared(
    conn: &Connection,
    rows: Rows<'_, impl Params>,
) -> rusqlite::Result<i64> {
    let mut statement = conn.prepare_cached(rows.sql)?;
    let mut numbers = statement
        .query_map(rows.params, |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<i64>>>()?;
    let compared = RECALL_MAX_COMPARED as usize;
    match numbers.len().checked_sub(compared) {
        None | Some(0) => Ok(i64::MIN),
        Some(too_many) => Ok(*numbers.select_nth_unstable(too_many).1),
    }
}

/// What a comparison found.
pub(crate) struct Compared<T> {
    /// Scores and what they belong to, the best first.
    pub(crate) best: Vec<(f32, T)>,
    /// As [`super::Found::stale`].
    pub(crate) stale: Vec<i64>,
}

/// Compares `query` with the vector of each row and keeps the nearest, told apart by what `name` reads. The first columns
/// of a row are its number and model and numbers of its vector, or nothing when it has none.
pub(crate) fn compare<T: Ord>(
    conn: &Connection,
    rows: Rows<'_, impl Params>,
    query: &Query,
    keep: u32,
    name: impl Fn(&Row<'_>) -> rusqlite::Result<T>,
) -> rusqlite::Result<Compared<T>> {
    let mut statement = conn.prepare_cached(rows.sql)?;
    let mut found = statement.query(rows.params)?;
    let mut best = Best::new(keep as usize);
    let mut stale = Vec::new();
    while let Some(row) = found.next()? {
        if row.get_ref(1)?.as_str_or_null()? != Some(query.model.as_str()) {
            stale.push(row.get(0)?);
            continue;
        }
        let score = product(&query.numbers, row.get_ref(2)?.as_blob()?);
        if let Some(score) = score.filter(|score| best.takes(*score)) {
            best.add(score.min(1.0), name(row)?);
        }
    }
    stale.sort_unstable_by(|a: &i64, b| b.cmp(a));
    stale.truncate(EMBED_MAX_TEXTS);
    Ok(Compared {
        best: best.into_sorted(),
        stale,
    })
}

/// The best of what was found so far; of equal scores the first in the order of `T`.
pub(crate) struct Best<T> {
    keep: usize,
    /// No score below this one is among the best any more.
    floor: f32,
    found: Vec<(f32, T)>,
}

impl<T: Ord> Best<T> {
    pub(crate) fn new(keep: usize) -> Self {
        Self {
            keep,
            floor: 0.0,
            found: Vec::new(),
        }
    }

    /// Whether something of that score may be among the best. Nothing at 0 or below is.
    pub(crate) fn takes(&self, score: f32) -> bool {
        score > 0.0 && score.min(1.0) >= self.floor
    }

    pub(crate) fn add(&mut self, score: f32, what: T) {
        self.found.push((score, what));
        if self.found.len() >= self.keep.saturating_add(SLACK) {
            self.order();
            self.floor = self.found.last().map_or(0.0, |(score, _)| *score);
        }
    }

    fn into_sorted(mut self) -> Vec<(f32, T)> {
        self.order();
        self.found
    }

    fn order(&mut self) {
        let by_score = |a: &(f32, T), b: &(f32, T)| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1));
        self.found.sort_unstable_by(by_score);
        self.found.truncate(self.keep);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_best_are_those_of_a_full_sort() {
        let mut best = Best::new(10);
        // A fixed shuffle of scores, each of them many times.
        let all: Vec<(f32, u32)> = (0..5_000_u32)
            .map(|n| ((n.wrapping_mul(2_654_435_761) % 97) as f32 / 97.0, n))
            .collect();
        for (score, n) in &all {
            if best.takes(*score) {
                best.add(*score, *n);
            }
        }
        let mut sorted = all;
        sorted.retain(|(score, _)| *score > 0.0);
        sorted.sort_by(|a, b| b.0.total_cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        sorted.truncate(10);
        assert_eq!(best.into_sorted(), sorted);
    }
}
