//! How a query is answered: candidates by words, by nearness or by both, then their documents.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use rusqlite::{Connection, OptionalExtension};
use stuga_core::search::analysis::look_for;
use stuga_core::search::highlight::highlight;
use stuga_core::search::plan::{Embedded, Plan};
use stuga_core::search::rank::{Window, facet_of, fuse};
use stuga_core::search::{
    Analyzer, Answer, CANDIDATES, Document, Freshness, Highlight, Hit, PAGE_MAX_BYTES, Query,
    Value, value,
};
use stuga_core::{Error, Result, Timestamp};
use tantivy::Searcher;

use super::declared::{self, Declared, json};
use super::room::{Handle, SearchRoom};
use super::{OPERATION_QUERY, collect, graph, words};
use crate::error;
use crate::scope::Scope;
use crate::tenant::Tenant;

/// So many equally near documents are put in the order of their ids; of more, the first written come first.
const EQUALS_MAX: usize = 1_000;

/// A query and what was made for it.
pub(super) struct Asked {
    pub(super) scope: Scope,
    pub(super) index: String,
    pub(super) query: Query,
    pub(super) window: Window,
    pub(super) embedded: Embedded,
}

/// What came of an attempt.
pub(super) enum Step {
    /// The answer, and the index when something of it is to be followed up.
    Done(Answer, Option<Arc<Handle>>),
    /// The derived index must come to this change first.
    Behind(Arc<Handle>, u64),
}

/// Tries to answer. `until` is what an earlier attempt has waited for.
pub(super) fn attempt(
    asked: &Asked,
    tenant: &Tenant,
    room: &SearchRoom,
    conn: &Connection,
    until: Option<u64>,
) -> Result<Step> {
    let declared = declared::must_find(OPERATION_QUERY, conn, &asked.scope, &asked.index)?;
    asked
        .query
        .check_declared(OPERATION_QUERY, &declared.fields)?;
    let plan = Plan::of(
        OPERATION_QUERY,
        &asked.query,
        &declared.fields,
        &declared.embeddings,
        &asked.embedded,
    )?;
    // Whether anything is asked that tantivy must answer.
    let needs_words = plan.text.is_some() || plan.vector.is_none() || asked.query.filter.is_some();
    let handle = room.handle(tenant.id(), &declared);
    let is_fresh = asked.query.freshness == Freshness::Fresh;
    let needed = match (is_fresh, until) {
        (_, Some(until)) => until,
        (true, None) => declared.last_seq,
        (false, None) => 0,
    };
    let searcher = match needs_words && declared.last_seq > 0 {
        false => None,
        true => {
            let snapshot = handle.derived().map(|derived| derived.snapshot());
            match snapshot {
                Some((position, searcher)) if position >= needed => Some(searcher),
                _ => return Ok(Step::Behind(handle, needed.max(1))),
            }
        }
    };
    let finding = Finding {
        asked,
        declared: &declared,
        conn,
        searcher: searcher.as_ref(),
    };
    let answer = finding.answer(&plan, &handle, is_fresh);
    match answer {
        Err(Failed::Said(error)) => Err(error),
        Err(Failed::Sqlite(e)) => Err(error::sqlite(OPERATION_QUERY, e)),
        // A derived index that cannot be read is made anew, once.
        Err(Failed::Words(e)) if until.is_none() => {
            tracing::warn!(index = declared.id, error = %e, "a search index cannot be read");
            handle.distrust();
            Ok(Step::Behind(handle, declared.last_seq))
        }
        Err(Failed::Words(e)) => Err(Error::internal(
            OPERATION_QUERY,
            "the search index cannot be read; see the host's log",
        )
        .with_source(e)),
        Ok(answer) => {
            if plan.vector.is_some() {
                room.trim_vectors();
            }
            let behind = handle.needs_following(declared.last_seq).then_some(handle);
            Ok(Step::Done(answer, behind))
        }
    }
}

enum Failed {
    Said(Error),
    Sqlite(rusqlite::Error),
    Words(tantivy::TantivyError),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Said(error)
    }
}

impl From<rusqlite::Error> for Failed {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

impl From<tantivy::TantivyError> for Failed {
    fn from(error: tantivy::TantivyError) -> Self {
        Self::Words(error)
    }
}

struct Finding<'a> {
    asked: &'a Asked,
    declared: &'a Declared,
    conn: &'a Connection,
    /// None when the index is empty or nothing is asked of it.
    searcher: Option<&'a Searcher>,
}

impl Finding<'_> {
    fn answer(&self, plan: &Plan<'_>, handle: &Handle, is_fresh: bool) -> Result<Answer, Failed> {
        let query = &self.asked.query;
        let texts = plan.texts(&self.declared.fields);
        let analyzers: Vec<Analyzer> = texts.iter().map(|(_, analyzer)| *analyzer).collect();
        let groups = match &plan.text {
            Some(text) => look_for(OPERATION_QUERY, &text.words, &analyzers)?,
            None => Vec::new(),
        };
        let matching = match self.searcher {
            None => None,
            Some(searcher) => {
                let schema = searcher.schema();
                let names: Vec<&str> = texts.iter().map(|(name, _)| *name).collect();
                let text = plan
                    .text
                    .as_ref()
                    .map(|text| words::text_query(schema, &names, &groups, text.operator));
                let text = text.transpose()?;
                Some(words::filtered(schema, text, query.filter.as_ref())?)
            }
        };
        let mut answer = Answer {
            degraded: plan.degraded.clone(),
            ..Answer::default()
        };
        let (ranked, is_scored) = match &plan.vector {
            None => {
                let (Some(searcher), Some(matching)) = (self.searcher, &matching) else {
                    return Ok(self.empty(answer));
                };
                answer.total = matching.count(searcher)? as u64;
                for field in &query.facets {
                    answer
                        .facets
                        .push(collect::facet(searcher, matching.as_ref(), field)?);
                }
                let reach = self.asked.window.reach();
                match &query.sort {
                    None if plan.text.is_some() => {
                        (collect::by_score(searcher, matching.as_ref(), reach)?, true)
                    }
                    sort => {
                        let sort = sort.as_ref().and_then(|sort| {
                            let fields = &self.declared.fields;
                            let field = stuga_core::search::check::find(fields, &sort.field)?;
                            Some((sort, &field.kind))
                        });
                        let found = collect::by_field(searcher, matching.as_ref(), sort, reach)?;
                        (found, false)
                    }
                }
            }
            Some((field, vector)) => {
                let by_words = match (&plan.text, self.searcher, &matching) {
                    (Some(_), Some(searcher), Some(matching)) => {
                        collect::by_score(searcher, matching.as_ref(), CANDIDATES)?
                    }
                    _ => Vec::new(),
                };
                let near = self.near(handle, field, vector, is_fresh)?;
                let ranked = match &plan.text {
                    None => near,
                    Some(_) => {
                        let rows = |ranked: &[(u64, f32)]| -> Vec<u64> {
                            ranked.iter().map(|(seq, _)| *seq).collect()
                        };
                        let fused = fuse(&[&rows(&by_words), &rows(&near)]);
                        self.in_order(fused, self.asked.window.reach())?
                    }
                };
                answer.total = ranked.len() as u64;
                self.count_candidates(&ranked, &mut answer)?;
                (ranked, true)
            }
        };
        let found = match plan.vector {
            None => usize::try_from(answer.total).unwrap_or(usize::MAX),
            Some(_) => ranked.len(),
        };
        let terms: HashSet<String> = groups.into_iter().flatten().map(|(_, term)| term).collect();
        self.page(&ranked, found, is_scored, &terms, &mut answer)?;
        Ok(answer)
    }

    /// The answer of an index in which nothing is.
    fn empty(&self, mut answer: Answer) -> Answer {
        let none = |field: &String| facet_of(field, HashMap::new());
        answer.facets = self.asked.query.facets.iter().map(none).collect();
        answer
    }

    /// The nearest rows with the cosine of their vectors.
    fn near(
        &self,
        handle: &Handle,
        field: &str,
        vector: &[f32],
        is_fresh: bool,
    ) -> Result<Vec<(u64, f32)>, Failed> {
        let Some(vectors) = handle.vectors(field).filter(|_| !vector.is_empty()) else {
            return Ok(Vec::new());
        };
        let (index, floor) = (self.declared.id, self.declared.gone_floor);
        vectors.catch_up(self.conn, index, field, floor, is_fresh)?;
        let allowed = match (&self.asked.query.filter, self.searcher) {
            (None, _) => None,
            (Some(_), None) => Some(Vec::new()),
            (Some(filter), Some(searcher)) => {
                let passing = words::filtered(searcher.schema(), None, Some(filter))?;
                Some(collect::all_rows(searcher, passing.as_ref())?)
            }
        };
        let near = vectors.nearest(vector, CANDIDATES, allowed.as_deref());
        // For vectors of length 1 the distance says the cosine.
        let cosine = |(distance, seq): &graph::Near| (*seq, 1.0 - distance * distance / 2.0);
        let mut near = self.in_order(near.iter().map(cosine).collect(), CANDIDATES)?;
        near.truncate(CANDIDATES);
        Ok(near)
    }

    /// Puts runs of equal scores in the order of their ids, as far as `reach`: ids are read one by one, and fusing two
    /// lists makes most scores equal in pairs.
    fn in_order(
        &self,
        mut ranked: Vec<(u64, f32)>,
        reach: usize,
    ) -> rusqlite::Result<Vec<(u64, f32)>> {
        let mut passed = 0;
        for run in ranked.chunk_by_mut(|(_, a), (_, b)| a.total_cmp(b).is_eq()) {
            if passed >= reach {
                break;
            }
            passed += run.len();
            if run.len() < 2 || run.len() > EQUALS_MAX {
                continue;
            }
            let mut named = Vec::with_capacity(run.len());
            for (seq, score) in run.iter() {
                named.push((self.id_of(*seq)?, *seq, *score));
            }
            named.sort_by(|(a, ..), (b, ..)| a.cmp(b));
            for (slot, (_, seq, score)) in run.iter_mut().zip(named) {
                *slot = (seq, score);
            }
        }
        Ok(ranked)
    }

    fn id_of(&self, seq: u64) -> rusqlite::Result<Option<String>> {
        self.conn
            .prepare_cached("SELECT id FROM search_document WHERE seq = ?1")?
            .query_row([seq], |row| row.get(0))
            .optional()
    }

    /// Counts the facets over what was found near or by words.
    fn count_candidates(&self, ranked: &[(u64, f32)], answer: &mut Answer) -> Result<(), Failed> {
        let facets = &self.asked.query.facets;
        if facets.is_empty() {
            return Ok(());
        }
        let mut counts: Vec<HashMap<String, u64>> = facets.iter().map(|_| HashMap::new()).collect();
        for (seq, _) in ranked {
            let Some((document, _)) = self.document(*seq)? else {
                continue;
            };
            for (field, counts) in facets.iter().zip(&mut counts) {
                if let Some(Value::Keywords(words)) = value(&document.fields, field) {
                    let different: HashSet<&String> = words.iter().collect();
                    for word in different {
                        *counts.entry(word.clone()).or_default() += 1;
                    }
                }
            }
        }
        let counted = facets.iter().zip(counts);
        answer.facets = counted
            .map(|(field, counts)| facet_of(field, counts))
            .collect();
        Ok(())
    }

    /// Fills in the hits of the window.
    fn page(
        &self,
        ranked: &[(u64, f32)],
        found: usize,
        is_scored: bool,
        terms: &HashSet<String>,
        answer: &mut Answer,
    ) -> Result<(), Failed> {
        let window = &self.asked.window;
        let shown = ranked.iter().skip(window.offset).take(window.limit);
        let (mut bytes, mut passed) = (0_usize, 0_usize);
        for (seq, score) in shown {
            // Gone since it was ranked; a hit must be there.
            if let Some((document, size)) = self.document(*seq)? {
                bytes = bytes.saturating_add(size);
                if bytes > PAGE_MAX_BYTES && !answer.hits.is_empty() {
                    break;
                }
                answer.hits.push(Hit {
                    highlights: self.highlights(&document, terms),
                    score: if is_scored { *score } else { 0.0 },
                    document,
                });
            }
            passed += 1;
        }
        answer.next_cursor = window.next_cursor(passed, found);
        Ok(())
    }

    fn highlights(&self, document: &Document, terms: &HashSet<String>) -> Vec<Highlight> {
        let asked = self.asked.query.highlight.iter();
        asked
            .filter_map(|name| {
                let (_, analyzer) = self.declared.texts().find(|(other, _)| other == name)?;
                match value(&document.fields, name)? {
                    Value::Text(text) => highlight(name, analyzer, text, terms),
                    _ => None,
                }
            })
            .collect()
    }

    /// The document in a row, without its vectors, and its size.
    fn document(&self, seq: u64) -> rusqlite::Result<Option<(Document, usize)>> {
        self.conn
            .prepare_cached(
                "SELECT id, fields, created_at, updated_at, version FROM search_document WHERE seq = ?1",
            )?
            .query_row([seq], |row| {
                let size = row.get_ref(1)?.as_str()?.len();
                let document = Document {
                    id: row.get(0)?,
                    fields: json(row, 1)?,
                    version: row.get(4)?,
                    created_at: Timestamp::from_millis(row.get(2)?),
                    updated_at: Timestamp::from_millis(row.get(3)?),
                };
                Ok((document, size))
            })
            .optional()
    }
}
