//! The nearest of many vectors, by comparing with each: exact, and bounded in what it looks at.

use rusqlite::{Connection, Params};
use stuga_core::embed::EMBED_MAX_TEXTS;
use stuga_core::records::RECALL_MAX_COMPARED;

use super::{Query, product};

/// How many more than wanted are collected before the worst are dropped.
const SLACK: usize = 256;

/// A row that is compared.
#[derive(Clone, Copy)]
pub(crate) struct Row {
    /// Its number, which grows with each write.
    pub(crate) number: i64,
    /// Its place in the order of the query that found it.
    pub(crate) place: u32,
}

/// Of the rows whose numbers a query finds the [`RECALL_MAX_COMPARED`] that were written last, in the order of their
/// numbers: so their vectors, which lie in that order, are read once from the first to the last.
pub(crate) fn latest(
    conn: &Connection,
    sql: &str,
    params: impl Params,
) -> rusqlite::Result<Vec<Row>> {
    let mut statement = conn.prepare_cached(sql)?;
    let mut found = statement.query(params)?;
    let mut rows = Vec::new();
    let mut place = 0;
    while let Some(row) = found.next()? {
        let number = row.get(0)?;
        rows.push(Row { number, place });
        place += 1;
    }
    rows.sort_unstable_by_key(|row| row.number);
    let too_many = rows.len().saturating_sub(RECALL_MAX_COMPARED as usize);
    rows.drain(..too_many);
    Ok(rows)
}

/// What a comparison found.
pub(crate) struct Compared<T> {
    /// Scores and what they belong to, the best first.
    pub(crate) best: Vec<(f32, T)>,
    /// As [`super::Found::stale`].
    pub(crate) stale: Vec<i64>,
}

/// Compares `query` with the vectors of `rows` and keeps the nearest, of equal ones the first in the order of `name`.
pub(crate) fn compare<T: Ord>(
    conn: &Connection,
    rows: &[Row],
    query: &Query,
    keep: u32,
    name: impl Fn(&Row) -> T,
) -> rusqlite::Result<Compared<T>> {
    let mut vector = conn.prepare_cached("SELECT model, numbers FROM vector WHERE number = ?1")?;
    let mut best = Best::new(keep as usize);
    let mut stale = Vec::new();
    for row in rows {
        let mut found = vector.query([row.number])?;
        let kept = found.next()?.map(|kept| {
            let is_same = kept.get_ref(0)?.as_str()? == query.model;
            let score = product(&query.numbers, kept.get_ref(1)?.as_blob()?);
            Ok::<_, rusqlite::Error>((is_same, score))
        });
        match kept.transpose()? {
            Some((true, Some(score))) if best.takes(score) => best.add(score.min(1.0), name(row)),
            Some((true, _)) => {}
            Some((false, _)) | None => stale.push(row.number),
        }
    }
    stale.reverse();
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
