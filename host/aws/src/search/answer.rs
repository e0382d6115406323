//! How a query is answered: one search, or one for the words and one for the nearness, then the documents of the page.

use std::collections::{HashMap, HashSet};

use opensearch::http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value as Json, json};
use stuga_core::search::analysis::look_for;
use stuga_core::search::highlight::highlight;
use stuga_core::search::plan::Plan;
use stuga_core::search::rank::{Window, facet_of, fuse};
use stuga_core::search::{
    Analyzer, Answer, CANDIDATES, Document, Facet, FieldKind, Highlight, Hit, PAGE_MAX_BYTES,
    Query, Value, value,
};
use stuga_core::{Error, Result};

use super::OPERATION_QUERY;
use super::catalog::Head;
use super::failed::{Refusal, Said};
use super::many::{self, Get, Got};
use super::names::Index;
use super::query::{self, by_field, by_score, by_words, cosine, facets, filtered, near};
use super::shape::{HIT, Stored, indexed};
use super::wire::{Body, Request, Wire, json as to_json, read};

/// A query on its way.
pub(super) struct Asking<'a> {
    pub(super) wire: &'a Wire,
    pub(super) index: &'a Index,
    pub(super) head: &'a Head,
    pub(super) query: &'a Query,
    pub(super) plan: &'a Plan<'a>,
    pub(super) window: Window,
}

/// What was found at a place of the ranking.
struct Ranked {
    id: String,
    score: f32,
    stored: Option<Stored>,
}

#[derive(Deserialize)]
struct Responses {
    responses: Vec<Response>,
}

#[derive(Deserialize)]
struct Response {
    #[serde(default)]
    status: u16,
    error: Option<Said>,
    hits: Option<Hits>,
    #[serde(default)]
    aggregations: HashMap<String, Buckets>,
}

#[derive(Deserialize)]
struct Hits {
    total: Option<Total>,
    hits: Vec<RawHit>,
}

#[derive(Deserialize)]
struct Total {
    value: u64,
}

#[derive(Deserialize)]
struct RawHit {
    _id: String,
    _score: Option<f32>,
    _source: Option<Box<RawValue>>,
    #[serde(default)]
    fields: HashMap<String, Vec<Json>>,
}

#[derive(Deserialize)]
struct Buckets {
    buckets: Vec<Bucket>,
}

#[derive(Deserialize)]
struct Bucket {
    key: String,
    doc_count: u64,
}

impl Asking<'_> {
    /// The answer, or none when what holds the documents is gone.
    pub(super) async fn answer(&self) -> Result<Option<Answer>> {
        let (plan, query) = (self.plan, self.query);
        let texts = plan.texts(&self.head.fields);
        let analyzers: Vec<Analyzer> = texts.iter().map(|(_, analyzer)| *analyzer).collect();
        let groups = match &plan.text {
            Some(text) => look_for(OPERATION_QUERY, &text.words, &analyzers)?,
            None => Vec::new(),
        };
        let names: Vec<String> = texts.iter().map(|(name, _)| format!("t_{name}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let words = plan
            .text
            .as_ref()
            .map(|text| by_words(OPERATION_QUERY, &names, &groups, text.operator));
        let words = words.transpose()?;
        let terms: HashSet<String> = groups.into_iter().flatten().map(|(_, term)| term).collect();
        let mut answer = Answer {
            degraded: plan.degraded.clone(),
            ..Answer::default()
        };
        let filter = query.filter.as_ref().map(query::filter);
        let found = match &plan.vector {
            None => self.plain(words, filter, &mut answer).await?,
            Some((field, vector)) => {
                self.candidates(field, vector, words, filter, &mut answer)
                    .await?
            }
        };
        let Some((ranked, found)) = found else {
            return Ok(None);
        };
        self.page(ranked, found, &terms, &mut answer)?;
        Ok(Some(answer))
    }

    /// Hits of the window with their documents, and how many there are in all.
    async fn plain(
        &self,
        words: Option<Json>,
        filter: Option<Json>,
        answer: &mut Answer,
    ) -> Result<Option<(Vec<Ranked>, usize)>> {
        let query = self.query;
        let is_scored = words.is_some() && query.sort.is_none();
        let sort = match is_scored {
            true => by_score(),
            false => by_field(query.sort.as_ref(), &self.head.fields),
        };
        let mut body = json!({
            "from": self.window.offset,
            "size": self.window.limit,
            "track_total_hits": true,
            "_source": HIT,
            "query": filtered(words, filter.into_iter().collect()),
            "sort": sort,
        });
        if let (false, Json::Object(body)) = (query.facets.is_empty(), &mut body) {
            body.insert("aggs".to_owned(), facets(&query.facets));
        }
        let Some(mut responses) = self.search(&[body]).await? else {
            return Ok(None);
        };
        let Some(response) = responses.pop() else {
            return Err(cut());
        };
        let hits = response.hits.ok_or_else(cut)?;
        answer.total = hits.total.map_or(0, |total| total.value);
        let mut aggregations = response.aggregations;
        for (place, field) in query.facets.iter().enumerate() {
            let counts = aggregations.remove(&place.to_string()).ok_or_else(cut)?;
            let values = counts.buckets.into_iter();
            answer.facets.push(Facet {
                field: field.clone(),
                values: values
                    .map(|bucket| (bucket.key, bucket.doc_count))
                    .collect(),
            });
        }
        let mut ranked = Vec::with_capacity(hits.hits.len());
        for hit in hits.hits {
            let source = hit._source.ok_or_else(cut)?;
            ranked.push(Ranked {
                id: hit._id,
                score: if is_scored {
                    hit._score.unwrap_or(0.0)
                } else {
                    0.0
                },
                stored: Some(read(OPERATION_QUERY, source.get().as_bytes())?),
            });
        }
        let found = usize::try_from(answer.total).unwrap_or(usize::MAX);
        Ok(Some((ranked, found)))
    }

    /// The best by nearness, fused with the best by words when there are any, and the hits of the window among them with
    /// their documents.
    async fn candidates(
        &self,
        field: &str,
        vector: &[f32],
        words: Option<Json>,
        filter: Option<Json>,
        answer: &mut Answer,
    ) -> Result<Option<(Vec<Ranked>, usize)>> {
        let is_fused = words.is_some();
        let mut bodies = Vec::new();
        if let Some(words) = words {
            let filters = filter.clone().into_iter().collect();
            bodies.push(self.candidates_body(filtered(Some(words), filters)));
        }
        if !vector.is_empty() {
            bodies.push(self.candidates_body(near(field, vector, filter, self.head.documents)));
        }
        let responses = match bodies.is_empty() {
            true => Vec::new(),
            false => match self.search(&bodies).await? {
                Some(responses) => responses,
                None => return Ok(None),
            },
        };
        let mut seen: HashMap<String, HashMap<String, Vec<Json>>> = HashMap::new();
        let mut rankings: Vec<Vec<(String, f32)>> = Vec::new();
        for response in responses {
            let hits = response.hits.ok_or_else(cut)?.hits;
            let mut ranking = Vec::with_capacity(hits.len());
            for hit in hits {
                seen.insert(hit._id.clone(), hit.fields);
                ranking.push((hit._id, hit._score.unwrap_or(0.0)));
            }
            rankings.push(ranking);
        }
        let ranked: Vec<(String, f32)> = match is_fused {
            false => {
                let near = rankings.pop().unwrap_or_default().into_iter();
                near.map(|(id, score)| (id, cosine(score))).collect()
            }
            true => {
                let ids: Vec<Vec<String>> = rankings
                    .into_iter()
                    .map(|ranking| ranking.into_iter().map(|(id, _)| id).collect())
                    .collect();
                let ids: Vec<&[String]> = ids.iter().map(Vec::as_slice).collect();
                fuse(&ids)
            }
        };
        answer.total = ranked.len() as u64;
        for field in &self.query.facets {
            let name = indexed(&FieldKind::Keyword, field);
            let mut counts: HashMap<String, u64> = HashMap::new();
            let values = seen
                .values()
                .filter_map(|fields| fields.get(&name))
                .flatten();
            for value in values.filter_map(Json::as_str) {
                *counts.entry(value.to_owned()).or_default() += 1;
            }
            answer.facets.push(facet_of(field, counts));
        }
        let found = ranked.len();
        let (mut bytes, mut shown) = (0_u64, Vec::new());
        let window = ranked.into_iter().skip(self.window.offset);
        for (id, score) in window.take(self.window.limit) {
            let size = seen.get(&id).and_then(|fields| fields.get("bytes"));
            let size = size
                .and_then(|values| values.first())
                .and_then(Json::as_u64);
            bytes = bytes.saturating_add(size.unwrap_or(0));
            if bytes > PAGE_MAX_BYTES as u64 && !shown.is_empty() {
                break;
            }
            shown.push(Ranked {
                id,
                score,
                stored: None,
            });
        }
        self.fetch(&mut shown).await?;
        Ok(Some((shown, found)))
    }

    fn candidates_body(&self, query: Json) -> Json {
        let facets = self.query.facets.iter();
        let mut fields: Vec<String> = facets
            .map(|field| indexed(&FieldKind::Keyword, field))
            .collect();
        fields.push("bytes".to_owned());
        json!({
            "size": CANDIDATES,
            "track_total_hits": false,
            "_source": false,
            "docvalue_fields": fields,
            "query": query,
            "sort": by_score(),
        })
    }

    /// Reads the documents of hits; one that is gone since it was ranked keeps its place without one.
    async fn fetch(&self, ranked: &mut [Ranked]) -> Result<()> {
        let gets: Vec<Get<'_>> = ranked
            .iter()
            .map(|ranked| Get {
                index: self.index,
                id: ranked.id.clone(),
                only: HIT,
                without: &[],
            })
            .collect();
        let got = many::get(self.wire, OPERATION_QUERY, self.index, &gets).await?;
        for (ranked, got) in ranked.iter_mut().zip(got) {
            if let Got::Found(_, source) = got {
                ranked.stored = Some(read(OPERATION_QUERY, source.get().as_bytes())?);
            }
        }
        Ok(())
    }

    /// Sends searches in one request; none when what holds the documents is gone.
    async fn search(&self, bodies: &[Json]) -> Result<Option<Vec<Response>>> {
        let mut lines = Vec::new();
        for body in bodies {
            lines.extend_from_slice(b"{\"allow_partial_search_results\":false}\n");
            lines.extend(to_json(OPERATION_QUERY, body)?);
            lines.push(b'\n');
        }
        let request = Request {
            operation: OPERATION_QUERY,
            method: Method::Post,
            index: self.index,
            what: "_msearch",
            query: &[],
            body: Body::Lines(lines),
        };
        let responses: Responses = self.wire.ask(request).await?;
        if responses.responses.len() != bodies.len() {
            return Err(cut());
        }
        let mut all = Vec::with_capacity(bodies.len());
        for mut response in responses.responses {
            if let Some(said) = response.error.take() {
                let refusal = Refusal::said(response.status, said);
                return match refusal.is_no_index() {
                    true => Ok(None),
                    false => Err(refusal.into_error(OPERATION_QUERY)),
                };
            }
            all.push(response);
        }
        Ok(Some(all))
    }

    /// Fills in the hits.
    fn page(
        &self,
        ranked: Vec<Ranked>,
        found: usize,
        terms: &HashSet<String>,
        answer: &mut Answer,
    ) -> Result<()> {
        let (mut bytes, mut passed) = (0_u64, 0_usize);
        for Ranked { score, stored, .. } in ranked {
            if let Some(stored) = stored {
                bytes = bytes.saturating_add(stored.bytes);
                if bytes > PAGE_MAX_BYTES as u64 && !answer.hits.is_empty() {
                    break;
                }
                let document = stored.into_document();
                answer.hits.push(Hit {
                    highlights: self.highlights(&document, terms),
                    score,
                    document,
                });
            }
            passed += 1;
        }
        answer.next_cursor = self.window.next_cursor(passed, found);
        Ok(())
    }

    fn highlights(&self, document: &Document, terms: &HashSet<String>) -> Vec<Highlight> {
        let asked = self.query.highlight.iter();
        asked
            .filter_map(|name| {
                let field = stuga_core::search::check::find(&self.head.fields, name)?;
                match (&field.kind, value(&document.fields, name)?) {
                    (FieldKind::Text(analyzer), Value::Text(text)) => {
                        highlight(name, *analyzer, text, terms)
                    }
                    _ => None,
                }
            })
            .collect()
    }
}

fn cut() -> Error {
    Error::unavailable(
        OPERATION_QUERY,
        "the search domain's answer is not complete; try again",
    )
}
