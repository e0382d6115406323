//! How two rankings become one, and where a page of an answer begins: the same for every backend.

use std::collections::HashMap;
use std::hash::Hash;

use super::{FACET_VALUES_MAX, Facet, Query, WINDOW_MAX_HITS};
use crate::{Error, Result};

/// The constant of reciprocal rank fusion: how slowly the weight of a rank falls.
pub const RRF_K: f32 = 60.0;

/// Reciprocal rank fusion: a thing gets `1 / (k + rank)` from each ranking that holds it, ranks counted from 1. The best
/// first; who needs an order of equal ones sorts again.
pub fn fuse<T: Eq + Hash + Ord + Clone>(rankings: &[&[T]]) -> Vec<(T, f32)> {
    let mut scores: HashMap<&T, f32> = HashMap::new();
    for ranking in rankings {
        let mut rank = RRF_K;
        for thing in *ranking {
            rank += 1.0;
            *scores.entry(thing).or_default() += rank.recip();
        }
    }
    let mut fused: Vec<(T, f32)> = scores
        .into_iter()
        .map(|(t, score)| (t.clone(), score))
        .collect();
    fused.sort_by(|(a, x), (b, y)| y.total_cmp(x).then_with(|| a.cmp(b)));
    fused
}

/// The most frequent values of a field, of equal ones the first in the order of their bytes.
pub fn facet_of(field: &str, counts: HashMap<String, u64>) -> Facet {
    let mut values: Vec<(String, u64)> = counts.into_iter().collect();
    values.sort_by(|(a, x), (b, y)| y.cmp(x).then_with(|| a.cmp(b)));
    values.truncate(FACET_VALUES_MAX);
    Facet {
        field: field.to_owned(),
        values,
    }
}

/// Which hits an answer shows: those from `offset` on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Window {
    /// Hits before the first.
    pub offset: usize,
    /// Most hits to show.
    pub limit: usize,
    query: u64,
}

impl Window {
    /// The window of a query.
    ///
    /// # Errors
    /// `Invalid` when its cursor is not one that an answer to the same query gave.
    pub fn of(operation: &'static str, index: &str, query: &Query) -> Result<Self> {
        let digest = digest(index, query);
        let offset = match &query.cursor {
            None => 0,
            Some(cursor) => decode(cursor, digest).ok_or_else(|| {
                Error::invalid(
                    operation,
                    "the cursor is not one that this query returned; begin without a cursor",
                )
            })?,
        };
        let room = WINDOW_MAX_HITS.saturating_sub(offset);
        let limit = usize::try_from(query.limit).unwrap_or(usize::MAX);
        Ok(Self {
            offset,
            limit: limit.min(room),
            query: digest,
        })
    }

    /// One hit more than it shows, so that one knows whether there are further ones.
    pub fn reach(&self) -> usize {
        self.offset.saturating_add(self.limit).saturating_add(1)
    }

    /// Where to read on after `shown` hits; none when `found` hits in all were shown or paging ends.
    pub fn next_cursor(&self, shown: usize, found: usize) -> Option<String> {
        let next = self.offset.saturating_add(shown);
        (shown > 0 && next < found.min(WINDOW_MAX_HITS))
            .then(|| format!("{:016x}{next:x}", self.query))
    }
}

fn decode(cursor: &str, digest: u64) -> Option<usize> {
    let (query, offset) = cursor.split_at_checked(16)?;
    let ours = u64::from_str_radix(query, 16).ok()? == digest;
    let offset = usize::from_str_radix(offset, 16).ok()?;
    (ours && (1..WINDOW_MAX_HITS).contains(&offset)).then_some(offset)
}

/// FNV-1a over what makes a query that query. A cursor carries no authority; this only catches mistakes.
fn digest(index: &str, query: &Query) -> u64 {
    let Query {
        text,
        vector,
        filter,
        sort,
        highlight: _,
        facets: _,
        freshness: _,
        cursor: _,
        limit: _,
    } = query;
    let text = format!("{index} {text:?} {vector:?} {filter:?} {sort:?}");
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::search::Sort;

    #[test]
    fn what_both_rankings_hold_comes_before_what_one_holds() {
        let fused = fuse(&[&["a", "b", "c"], &["c", "d"]]);
        let order: Vec<&str> = fused.iter().map(|(thing, _)| *thing).collect();
        assert_eq!(order, ["c", "a", "b", "d"]);
        assert!((fused[0].1 - (1.0 / 63.0 + 1.0 / 61.0)).abs() < 1e-6);
    }

    #[test]
    fn equal_ones_come_in_their_own_order() {
        let fused = fuse(&[&["b"], &["a"]]);
        assert_eq!(fused[0].0, "a");
        assert_eq!(fused[0].1, fused[1].1);
    }

    #[test]
    fn a_cursor_leads_on_in_its_query_only() {
        let mut query = Query::default();
        let first = Window::of("search.query", "notes", &query).unwrap();
        assert_eq!((first.offset, first.limit, first.reach()), (0, 10, 11));
        assert_eq!(first.next_cursor(10, 10), None);
        query.cursor = first.next_cursor(10, 11);
        query.limit = 3;
        let second = Window::of("search.query", "notes", &query).unwrap();
        assert_eq!((second.offset, second.limit), (10, 3));
        assert!(Window::of("search.query", "other", &query).is_err());
        query.sort = Some(Sort {
            field: "date".to_owned(),
            descending: true,
        });
        assert!(Window::of("search.query", "notes", &query).is_err());
        for bad in ["", "å", "zz", "0000000000000000å", "00000000000000001"] {
            query.cursor = Some(bad.to_owned());
            assert!(
                Window::of("search.query", "notes", &query).is_err(),
                "{bad}"
            );
        }
    }

    #[test]
    fn paging_ends_at_the_window() {
        let query = Query {
            limit: 100,
            ..Query::default()
        };
        let first = Window::of("search.query", "notes", &query).unwrap();
        let cursor = Window {
            offset: 900,
            ..first
        }
        .next_cursor(99, 5_000);
        let query = Query { cursor, ..query };
        let last = Window::of("search.query", "notes", &query).unwrap();
        assert_eq!((last.offset, last.limit), (999, 1));
        assert_eq!(last.next_cursor(1, 5_000), None);
    }
}
