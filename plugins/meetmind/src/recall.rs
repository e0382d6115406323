//! The skill `recall`: past meetings of the tenant, newest first, or best match first when there is a query.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use stuga_sdk::{Error, Result};

use crate::analysis::dates;
use crate::input::checked_meeting_id;
use crate::language::Language;
use crate::matching;
use crate::store::{self, IndexItem};
use crate::summary::Summary;

/// Meetings that one call looks through; the answer says when there are more.
const MEETINGS_MAX: usize = 5_000;
/// Most meetings in an answer.
pub const LIMIT_MAX: usize = 100;
/// Most meetings in an answer with their summaries.
pub const LIMIT_FULL_MAX: usize = 10;
const LIMIT_DEFAULT: usize = 20;
/// Longest query in bytes.
pub const QUERY_MAX_BYTES: usize = 1_000;

/// Which meetings to bring back.
#[derive(Clone, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RecallInput {
    /// Words to look for; the best match comes first.
    #[serde(default)]
    #[schemars(length(max = 1_000))]
    pub query: Option<String>,
    /// One meeting by its id, with its summary.
    #[serde(default)]
    pub meeting_id: Option<String>,
    /// Only meetings on or after this day, `YYYY-MM-DD`; a meeting without a date counts by the day it was stored.
    #[serde(default)]
    pub since: Option<String>,
    /// At most this many meetings (1 to 100; 1 to 10 with `detail: full`).
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub limit: Option<usize>,
    /// `next_cursor` of the answer before, with the same query and day.
    #[serde(default)]
    pub cursor: Option<String>,
    /// Whether the summaries come along.
    #[serde(default)]
    pub detail: Detail,
}

/// How much of each meeting comes back.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Detail {
    /// Title, day and a line.
    #[default]
    List,
    /// The whole summary.
    Full,
}

/// The meetings found.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct RecallOutput {
    /// Newest or best first.
    pub meetings: Vec<Recalled>,
    /// How many there are in all.
    pub total: usize,
    /// Give this to read on; none when this was all.
    pub next_cursor: Option<String>,
    /// What could not be done as asked.
    pub warnings: Vec<String>,
}

/// A past meeting.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct Recalled {
    /// Its id.
    pub meeting_id: String,
    /// Its title.
    pub title: String,
    /// Its day, when known.
    pub date: Option<String>,
    /// Its language.
    pub language: Language,
    /// When it was first stored, in milliseconds since 1970-01-01 UTC.
    pub stored_at: u64,
    /// When it was stored last.
    pub updated_at: u64,
    /// The first sentence of its summary.
    pub preview: String,
    /// How well it fits the query; higher is better. None without a query.
    pub score: Option<f64>,
    /// The whole summary, when asked for.
    pub summary: Option<Summary>,
}

/// Where a meeting stands in the order of an answer; a cursor is the position of the last meeting given.
#[derive(Clone, PartialEq, PartialOrd, Debug, Serialize, Deserialize)]
struct Position {
    score: f64,
    day: String,
    stored_at: u64,
    meeting_id: String,
}

/// Answers the skill.
///
/// # Errors
/// `Invalid` for a wrong field, `NotFound` for an id that is not stored, else what the host said.
pub(crate) fn recall(input: RecallInput) -> Result<RecallOutput> {
    if let Some(id) = input.meeting_id {
        let id =
            checked_meeting_id(id).map_err(|error| invalid("meeting_id", error.to_string()))?;
        let item = store::find(&id)?;
        let summary = store::load(&id)?;
        return Ok(RecallOutput {
            meetings: vec![recalled(item, None, Some(summary))],
            total: 1,
            next_cursor: None,
            warnings: Vec::new(),
        });
    }
    let limit = limit(input.limit, input.detail)?;
    let since = input.since.as_deref().map(day).transpose()?;
    let after = input.cursor.as_deref().map(position).transpose()?;
    let query = query(input.query)?;
    let mut warnings = Vec::new();
    let items = items(since.as_deref(), &mut warnings)?;
    let mut found = ranked(items, query.as_deref(), &mut warnings);
    let total = found.len();
    found.sort_by(|(a, _), (b, _)| before(a, b));
    if let Some(after) = after {
        found.retain(|(position, _)| before(&after, position).is_lt());
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let next_cursor = found
        .last()
        .filter(|_| more)
        .map(|(position, _)| cursor(position))
        .transpose()?;
    let has_query = query.is_some();
    let meetings = found
        .into_iter()
        .map(|(position, item)| {
            let summary = (input.detail == Detail::Full)
                .then(|| store::load(&item.meeting_id))
                .transpose()?;
            Ok(recalled(item, has_query.then_some(position.score), summary))
        })
        .collect::<Result<_>>()?;
    Ok(RecallOutput {
        meetings,
        total,
        next_cursor,
        warnings,
    })
}

fn items(since: Option<&str>, warnings: &mut Vec<String>) -> Result<Vec<IndexItem>> {
    let mut items = Vec::new();
    for item in store::list() {
        if items.len() == MEETINGS_MAX {
            warnings.push(format!(
                "only {MEETINGS_MAX} of the stored meetings were looked through"
            ));
            break;
        }
        items.push(item?);
    }
    items.retain(|item| since.is_none_or(|since| day_of(item).as_str() >= since));
    Ok(items)
}

fn ranked(
    items: Vec<IndexItem>,
    query: Option<&str>,
    warnings: &mut Vec<String>,
) -> Vec<(Position, IndexItem)> {
    let scores = match query {
        None => vec![0.0; items.len()],
        Some(query) => match matching::scores(query, &items) {
            Some(scores) => scores,
            None => {
                warnings
                    .push("the query holds only common words; name a topic or a person".to_owned());
                return Vec::new();
            }
        },
    };
    let placed = items
        .into_iter()
        .zip(scores)
        .filter(|(_, score)| query.is_none() || *score > 0.0);
    placed
        .map(|(item, score)| {
            let position = Position {
                score,
                day: day_of(&item),
                stored_at: item.stored_at,
                meeting_id: item.meeting_id.clone(),
            };
            (position, item)
        })
        .collect()
}

/// Higher scores first, then later days, then what was stored later; the id makes the order total.
fn before(a: &Position, b: &Position) -> std::cmp::Ordering {
    b.score
        .total_cmp(&a.score)
        .then_with(|| b.day.cmp(&a.day))
        .then_with(|| b.stored_at.cmp(&a.stored_at))
        .then_with(|| a.meeting_id.cmp(&b.meeting_id))
}

fn day_of(item: &IndexItem) -> String {
    item.date
        .clone()
        .unwrap_or_else(|| dates::day_of_millis(item.stored_at))
}

fn recalled(item: IndexItem, score: Option<f64>, summary: Option<Summary>) -> Recalled {
    Recalled {
        meeting_id: item.meeting_id,
        title: item.title,
        date: item.date,
        language: item.language,
        stored_at: item.stored_at,
        updated_at: item.updated_at,
        preview: item.preview,
        score,
        summary,
    }
}

fn limit(limit: Option<usize>, detail: Detail) -> Result<usize> {
    let max = match detail {
        Detail::List => LIMIT_MAX,
        Detail::Full => LIMIT_FULL_MAX,
    };
    match limit {
        None => Ok(LIMIT_DEFAULT.min(max)),
        Some(limit) if (1..=max).contains(&limit) => Ok(limit),
        Some(limit) => Err(invalid(
            "limit",
            format!("limit is {limit}; give 1 to {max}"),
        )),
    }
}

fn query(query: Option<String>) -> Result<Option<String>> {
    match query {
        Some(query) if query.len() > QUERY_MAX_BYTES => Err(invalid(
            "query",
            format!(
                "query has {} bytes; give at most {QUERY_MAX_BYTES}",
                query.len()
            ),
        )),
        Some(query) if query.trim().is_empty() => Ok(None),
        query => Ok(query),
    }
}

fn day(text: &str) -> Result<String> {
    match dates::iso_date_in(text) {
        Some(date) if date.to_string() == text => Ok(text.to_owned()),
        _ => Err(invalid(
            "since",
            "since is not a calendar day; give it as YYYY-MM-DD".to_owned(),
        )),
    }
}

fn cursor(position: &Position) -> Result<String> {
    let json = serde_json::to_vec(position)
        .map_err(|error| Error::internal(format!("the cursor is no JSON: {error}")))?;
    Ok(URL_SAFE_NO_PAD.encode(json))
}

fn position(cursor: &str) -> Result<Position> {
    let json = URL_SAFE_NO_PAD.decode(cursor).ok();
    json.and_then(|json| serde_json::from_slice(&json).ok())
        .ok_or_else(|| {
            invalid(
                "cursor",
                "cursor is none of ours; give next_cursor of the answer before".to_owned(),
            )
        })
}

fn invalid(field: &str, message: String) -> Error {
    Error::invalid(message).with_context("path", format!("/{field}"))
}
