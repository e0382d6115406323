//! What tantivy finds, in an order that does not depend on where it lies: equal ones by the bytes of their ids.

use std::collections::HashMap;

use stuga_core::search::rank::facet_of;
use stuga_core::search::{Facet, FieldKind, Sort};
use tantivy::collector::sort_key::{SortBySimilarityScore, SortByStaticFastValue, SortByString};
use tantivy::collector::{Collector, SegmentCollector, TopDocs};
use tantivy::columnar::{Column, StrColumn};
use tantivy::query::Query;
use tantivy::{DocAddress, DocId, Order, Score, Searcher, SegmentOrdinal, SegmentReader};

use super::words::{ID, SEQ};

/// Rows with their scores, the best first.
pub(super) type Ranked = Vec<(u64, Score)>;

/// The best `count` (at least 1) of what matches, by score.
pub(super) fn by_score(
    searcher: &Searcher,
    query: &dyn Query,
    count: usize,
) -> tantivy::Result<Ranked> {
    // This way skips what cannot be among the best, but does not choose between equal ones at the end: one more shows
    // whether there are any.
    let one_more = TopDocs::with_limit(count.saturating_add(1)).order_by_score();
    let mut found = searcher.search(query, &one_more)?;
    let is_cut = match (found.get(count.saturating_sub(1)), found.get(count)) {
        (Some((last, _)), Some((next, _))) => last.total_cmp(next).is_eq(),
        _ => false,
    };
    if is_cut {
        let exact = (
            SortBySimilarityScore,
            (SortByString::for_field(ID), Order::Asc),
        );
        let found = searcher.search(query, &TopDocs::with_limit(count).order_by(exact))?;
        let found = found.into_iter().map(|((score, _), at)| (score, at));
        return rows(searcher, found);
    }
    found.truncate(count);
    order_equals(searcher, &mut found)?;
    rows(searcher, found.into_iter())
}

/// The first `count` (at least 1) of what matches in the order of a field, or of the ids without one.
pub(super) fn by_field(
    searcher: &Searcher,
    query: &dyn Query,
    sort: Option<(&Sort, &FieldKind)>,
    count: usize,
) -> tantivy::Result<Ranked> {
    let by_id = || (SortByString::for_field(ID), Order::Asc);
    let top = TopDocs::with_limit(count);
    let Some((sort, kind)) = sort else {
        let found = searcher.search(query, &top.order_by(by_id()))?;
        return rows(searcher, found.into_iter().map(|(_, at)| (0.0, at)));
    };
    let order = if sort.descending {
        Order::Desc
    } else {
        Order::Asc
    };
    let name = &sort.field;
    let found: Vec<DocAddress> = match kind {
        FieldKind::Number => {
            let key = (
                (SortByStaticFastValue::<f64>::for_field(name), order),
                by_id(),
            );
            addresses(searcher.search(query, &top.order_by(key))?)
        }
        FieldKind::Date => {
            let key = (
                (SortByStaticFastValue::<i64>::for_field(name), order),
                by_id(),
            );
            addresses(searcher.search(query, &top.order_by(key))?)
        }
        _ => {
            let key = ((SortByString::for_field(name), order), by_id());
            addresses(searcher.search(query, &top.order_by(key))?)
        }
    };
    rows(searcher, found.into_iter().map(|at| (0.0, at)))
}

fn addresses<K>(found: Vec<(K, DocAddress)>) -> Vec<DocAddress> {
    found.into_iter().map(|(_, at)| at).collect()
}

/// Sorts runs of equal scores by id.
fn order_equals(searcher: &Searcher, found: &mut [(Score, DocAddress)]) -> tantivy::Result<()> {
    for run in found.chunk_by_mut(|(a, _), (b, _)| a.total_cmp(b).is_eq()) {
        if run.len() < 2 {
            continue;
        }
        let mut named = Vec::with_capacity(run.len());
        for (score, at) in run.iter() {
            named.push((id_of(searcher, *at)?, *score, *at));
        }
        named.sort_by(|(a, ..), (b, ..)| a.cmp(b));
        for (slot, (_, score, at)) in run.iter_mut().zip(named) {
            *slot = (score, at);
        }
    }
    Ok(())
}

fn id_of(searcher: &Searcher, at: DocAddress) -> tantivy::Result<Vec<u8>> {
    let segment = searcher.segment_reader(at.segment_ord);
    let mut id = Vec::new();
    if let Some(column) = segment.fast_fields().str(ID)?
        && let Some(ord) = column.ords().first(at.doc_id)
    {
        column.dictionary().ord_to_term(ord, &mut id)?;
    }
    Ok(id)
}

fn rows(
    searcher: &Searcher,
    found: impl Iterator<Item = (Score, DocAddress)>,
) -> tantivy::Result<Ranked> {
    let mut columns: HashMap<SegmentOrdinal, Column<u64>> = HashMap::new();
    let mut rows = Ranked::new();
    for (score, at) in found {
        let column = match columns.entry(at.segment_ord) {
            std::collections::hash_map::Entry::Occupied(known) => known.into_mut(),
            std::collections::hash_map::Entry::Vacant(new) => {
                let segment = searcher.segment_reader(at.segment_ord);
                new.insert(segment.fast_fields().u64(SEQ)?)
            }
        };
        if let Some(seq) = column.first(at.doc_id) {
            rows.push((seq, score));
        }
    }
    Ok(rows)
}

/// All rows that match, in ascending order.
pub(super) fn all_rows(searcher: &Searcher, query: &dyn Query) -> tantivy::Result<Vec<u64>> {
    let mut rows: Vec<u64> = searcher.search(query, &AllRows)?;
    rows.sort_unstable();
    Ok(rows)
}

struct AllRows;

struct AllRowsOfSegment {
    column: Column<u64>,
    rows: Vec<u64>,
}

impl Collector for AllRows {
    type Fruit = Vec<u64>;
    type Child = AllRowsOfSegment;

    fn for_segment(
        &self,
        _: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<AllRowsOfSegment> {
        Ok(AllRowsOfSegment {
            column: segment.fast_fields().u64(SEQ)?,
            rows: Vec::new(),
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(&self, fruits: Vec<Vec<u64>>) -> tantivy::Result<Vec<u64>> {
        Ok(fruits.concat())
    }
}

impl SegmentCollector for AllRowsOfSegment {
    type Fruit = Vec<u64>;

    fn collect(&mut self, doc: DocId, _: Score) {
        self.rows.extend(self.column.first(doc));
    }

    fn harvest(self) -> Vec<u64> {
        self.rows
    }
}

/// How often the values of a keyword field occur in what matches.
pub(super) fn facet(searcher: &Searcher, query: &dyn Query, field: &str) -> tantivy::Result<Facet> {
    let counts = searcher.search(query, &Counts { field })?;
    Ok(facet_of(field, counts))
}

struct Counts<'f> {
    field: &'f str,
}

struct CountsOfSegment {
    column: Option<StrColumn>,
    /// By ordinal of the value in the segment.
    counts: Vec<u64>,
}

impl Collector for Counts<'_> {
    type Fruit = HashMap<String, u64>;
    type Child = CountsOfSegment;

    fn for_segment(
        &self,
        _: SegmentOrdinal,
        segment: &SegmentReader,
    ) -> tantivy::Result<CountsOfSegment> {
        let column = segment.fast_fields().str(self.field)?;
        let values = column.as_ref().map_or(0, |column| column.num_terms());
        Ok(CountsOfSegment {
            column,
            counts: vec![0; values],
        })
    }

    fn requires_scoring(&self) -> bool {
        false
    }

    fn merge_fruits(
        &self,
        fruits: Vec<tantivy::Result<HashMap<String, u64>>>,
    ) -> tantivy::Result<HashMap<String, u64>> {
        let mut merged = HashMap::new();
        for fruit in fruits {
            for (value, count) in fruit? {
                *merged.entry(value).or_default() += count;
            }
        }
        Ok(merged)
    }
}

impl SegmentCollector for CountsOfSegment {
    type Fruit = tantivy::Result<HashMap<String, u64>>;

    fn collect(&mut self, doc: DocId, _: Score) {
        let Some(column) = &self.column else { return };
        // A value that was given twice counts once; a document has few.
        let ords: Vec<u64> = column.ords().values_for_doc(doc).collect();
        for (at, ord) in ords.iter().enumerate() {
            let again = ords.get(..at).is_some_and(|before| before.contains(ord));
            let place = usize::try_from(*ord).unwrap_or(usize::MAX);
            if let Some(count) = self.counts.get_mut(place)
                && !again
            {
                *count += 1;
            }
        }
    }

    fn harvest(self) -> Self::Fruit {
        let mut counts = HashMap::new();
        let Some(column) = &self.column else {
            return Ok(counts);
        };
        for (ord, count) in (0_u64..).zip(self.counts) {
            if count > 0 {
                let mut value = String::new();
                column.ord_to_str(ord, &mut value)?;
                counts.insert(value, count);
            }
        }
        Ok(counts)
    }
}
