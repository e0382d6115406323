//! Where meetings are kept: a small index item for lists, the whole summary beside it, and two files for people.
//!
//! The index item is written last: what `recall` lists is whole.

use serde::{Deserialize, Serialize};
use stuga_sdk::files::PutOptions;
use stuga_sdk::{Error, Result, clock, files, memory};

use crate::language::Language;
use crate::render;
use crate::summarize::shortened;
use crate::summary::Summary;
use crate::transcript::{Transcript, TurnKind};

const INDEX_PREFIX: &str = "meeting/";
const DETAIL_PREFIX: &str = "meeting-detail/";
const PREVIEW_MAX_CHARS: usize = 240;
/// Text of a meeting that queries are matched with.
const SEARCH_TEXT_MAX_CHARS: usize = 4_000;

/// What a list needs to know of a meeting.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize)]
pub(crate) struct IndexItem {
    pub(crate) meeting_id: String,
    pub(crate) title: String,
    pub(crate) date: Option<String>,
    pub(crate) language: Language,
    /// Milliseconds since 1970-01-01 UTC of the first and of the last time that it was stored.
    pub(crate) stored_at: u64,
    pub(crate) updated_at: u64,
    pub(crate) preview: String,
    /// Title, topics, summary, decisions and tasks, cut to a bound.
    pub(crate) search_text: String,
}

/// Stores a meeting, replacing what was stored of it before; returns the paths of its files.
///
/// # Errors
/// What the host said. Parts may have been stored then; storing again completes them.
pub(crate) fn save(summary: &Summary, transcript: &Transcript) -> Result<Vec<String>> {
    let id = &summary.meeting_id;
    let page = format!("meetings/{id}.md");
    let spoken = format!("meetings/{id}.transcript.txt");
    let options = |kind: &str| {
        let options = PutOptions::new()
            .content_type(kind)
            .metadata("meeting-id", id);
        match &summary.date {
            Some(date) => options.metadata("date", date),
            None => options,
        }
    };
    files::put_with(
        &page,
        summary.markdown.as_bytes(),
        &options("text/markdown; charset=utf-8"),
    )?;
    files::put_with(
        &spoken,
        readable(transcript).as_bytes(),
        &options("text/plain; charset=utf-8"),
    )?;
    let detail = Summary {
        markdown: String::new(),
        ..summary.clone()
    };
    memory::put_json(&format!("{DETAIL_PREFIX}{id}"), &detail)?;
    let now = clock::now();
    memory::update_json(
        &format!("{INDEX_PREFIX}{id}"),
        |before: Option<IndexItem>| {
            Ok(IndexItem {
                stored_at: before.map_or(now, |before| before.stored_at),
                ..index_item(summary, now)
            })
        },
    )?;
    Ok(vec![page, spoken])
}

/// The stored summary of a meeting, rendering included.
///
/// # Errors
/// `NotFound` when there is none of that id.
pub(crate) fn load(id: &str) -> Result<Summary> {
    let stored: Option<Summary> = memory::get_json(&format!("{DETAIL_PREFIX}{id}"))?;
    let mut summary = stored.ok_or_else(|| {
        Error::not_found(format!(
            "no meeting {id} is stored; list the stored ones with recall"
        ))
        .with_context("meeting_id", id)
    })?;
    summary.markdown = render::markdown(&summary);
    Ok(summary)
}

/// The index item of one meeting.
///
/// # Errors
/// `NotFound` when there is none of that id.
pub(crate) fn find(id: &str) -> Result<IndexItem> {
    memory::get_json(&format!("{INDEX_PREFIX}{id}"))?.ok_or_else(|| {
        Error::not_found(format!(
            "no meeting {id} is stored; list the stored ones with recall"
        ))
        .with_context("meeting_id", id)
    })
}

/// The index items of all meetings, in no useful order.
pub(crate) fn list() -> impl Iterator<Item = Result<IndexItem>> {
    memory::list_all(INDEX_PREFIX).map(|item| item?.json())
}

fn index_item(summary: &Summary, now: u64) -> IndexItem {
    let first = summary
        .summary
        .first()
        .map(|statement| statement.text.as_str());
    let mut text = vec![summary.title.as_str()];
    text.extend(
        summary
            .topics
            .iter()
            .flat_map(|topic| &topic.key_phrases)
            .map(String::as_str),
    );
    text.extend(
        summary
            .decisions
            .iter()
            .map(|decision| decision.text.as_str()),
    );
    text.extend(summary.action_items.iter().map(|item| item.quote.as_str()));
    text.extend(
        summary
            .summary
            .iter()
            .map(|statement| statement.text.as_str()),
    );
    text.extend(
        summary
            .speaking_time
            .iter()
            .map(|time| time.speaker.as_str()),
    );
    IndexItem {
        meeting_id: summary.meeting_id.clone(),
        title: summary.title.clone(),
        date: summary.date.clone(),
        language: summary.language,
        stored_at: now,
        updated_at: now,
        preview: shortened(first.unwrap_or_default(), PREVIEW_MAX_CHARS),
        search_text: shortened(&text.join("\n"), SEARCH_TEXT_MAX_CHARS),
    }
}

/// The transcript as text with speakers, whatever format it came in.
fn readable(transcript: &Transcript) -> String {
    let mut text = String::new();
    for turn in &transcript.turns {
        match (turn.kind, &turn.speaker) {
            (TurnKind::Speech, Some(speaker)) => {
                text.push_str(speaker);
                text.push_str(": ");
                text.push_str(&turn.text);
            }
            (TurnKind::Speech, None) => text.push_str(&turn.text),
            (TurnKind::Note, _) => {
                text.push('[');
                text.push_str(&turn.text);
                text.push(']');
            }
            (TurnKind::Heading, _) => {
                text.push_str("# ");
                text.push_str(&turn.text);
            }
        }
        text.push('\n');
    }
    text
}
