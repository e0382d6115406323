//! MeetMind: summarises meetings and remembers them.
//!
//! Two skills. `summarize` reads a transcript (WebVTT, SRT, text with speakers, JSON) in English or Swedish and answers with
//! a summary in the meeting's own sentences, topics, decisions, tasks, open questions and speaking times. `recall` brings
//! past meetings back. Everything is extracted, nothing is invented: each sentence of the answer was said.
//!
//! This file is the agent; the reading and the analysis beside it are pure functions that know no host. They are public
//! for tests and evaluation.

mod analysis;
mod decode;
pub mod input;
mod input_error;
mod language;
mod matching;
pub mod recall;
mod render;
mod store;
mod summarize;
pub mod summary;
pub mod transcript;

use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use stuga_sdk::{Agent, Capability, Context, Error, Result, Skills, log, output};

pub use input::SummarizeInput;
pub use input_error::InputError;
pub use language::Language;
use recall::{RecallInput, RecallOutput};
pub use summarize::{MEDIUM_SENTENCES, Options, summarize};
use summary::Summary;
use transcript::Transcript;

/// The agent. It keeps nothing between calls: meetings live in the tenant's memory and files.
#[derive(Default)]
pub struct MeetMind;

/// The answer of `summarize`.
#[derive(Clone, PartialEq, Debug, Serialize, JsonSchema)]
pub struct SummarizeOutput {
    /// The summary.
    #[serde(flatten)]
    pub summary: Summary,
    /// Whether the meeting is kept for `recall`.
    pub stored: bool,
    /// Files with the rendered summary and the transcript, when stored.
    pub files: Vec<String>,
}

impl Agent for MeetMind {
    const NAME: &'static str = "meetmind";
    const VERSION: &'static str = env!("CARGO_PKG_VERSION");
    const SUMMARY: &'static str = "Summarises meetings in English and Swedish and remembers them.";
    const CAPABILITIES: &'static [Capability] = &[Capability::Memory, Capability::Files];

    fn skills() -> Skills<Self> {
        Skills::new()
            .skill(
                "summarize",
                "Summarises a meeting's transcript: summary, topics, decisions, action items, open questions and speaking time.",
                Self::summarize,
            )
            .skill(
                "recall",
                "Lists, finds and returns the meetings that were summarised before.",
                Self::recall,
            )
    }
}

impl MeetMind {
    fn summarize(&self, _: &Context, input: SummarizeInput) -> Result<SummarizeOutput> {
        let store = input.store;
        let (transcript, options) = input.read().map_err(invalid)?;
        emit(
            &json!({"part": "transcript", "turns": transcript.turns.len(), "warnings": &transcript.warnings}),
        );
        let mut summary = summarize(&transcript, &options);
        emit(&json!({"part": "summary", "title": &summary.title, "summary": &summary.summary}));
        let files = if store {
            save(&mut summary, &transcript)
        } else {
            None
        };
        log::info!(
            meeting_id = summary.meeting_id,
            turns = summary.statistics.turns,
            words = summary.statistics.words,
            stored = files.is_some(),
            "meeting summarised"
        );
        Ok(SummarizeOutput {
            summary,
            stored: files.is_some(),
            files: files.unwrap_or_default(),
        })
    }

    fn recall(&self, _: &Context, input: RecallInput) -> Result<RecallOutput> {
        recall::recall(input)
    }
}

stuga_sdk::export!(MeetMind);

/// Stores the meeting. The summary is worth having without it, so a host that cannot store costs a warning only.
fn save(summary: &mut Summary, transcript: &Transcript) -> Option<Vec<String>> {
    match store::save(summary, transcript) {
        Ok(files) => Some(files),
        Err(error) => {
            log::warn!(kind = error.kind().as_str(), "meeting not stored");
            summary
                .warnings
                .push(format!("not stored: {}", error.message()));
            None
        }
    }
}

/// Partial results are for whoever watches; that nobody can is no reason to fail.
fn emit(part: &serde_json::Value) {
    if let Err(error) = output::emit(part) {
        log::debug!(kind = error.kind().as_str(), "partial result not delivered");
    }
}

fn invalid(error: InputError) -> Error {
    Error::invalid(error.to_string()).with_context("path", format!("/{}", error.field()))
}
