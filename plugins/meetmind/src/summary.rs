//! What a summary says: the output of `summarize` and what `recall` gives back. Plain records, no logic.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::language::Language;

/// A meeting, summarised.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Summary {
    /// Names the meeting in `recall`; the same transcript always gets the same id.
    pub meeting_id: String,
    /// As given, as found in the transcript, or made from its topics.
    pub title: String,
    /// The day of the meeting, `YYYY-MM-DD`, when it is known.
    pub date: Option<String>,
    /// Language of the meeting.
    pub language: Language,
    /// What was repaired, guessed or left out; empty when all went well.
    pub warnings: Vec<String>,
    /// Sentences that stand for the meeting, in its order.
    pub summary: Vec<Statement>,
    /// What was talked about, part by part.
    pub topics: Vec<Topic>,
    /// What was settled.
    pub decisions: Vec<Decision>,
    /// Who has to do what by when.
    pub action_items: Vec<ActionItem>,
    /// Questions that nobody answered.
    pub open_questions: Vec<OpenQuestion>,
    /// How long each participant spoke, longest first.
    pub speaking_time: Vec<SpeakingTime>,
    /// Counts over the whole meeting.
    pub statistics: Statistics,
    /// The same as a document for people.
    pub markdown: String,
}

/// Where in the meeting something was said.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Place {
    /// Who said it, when known.
    pub speaker: Option<String>,
    /// Index of the turn, from 0.
    pub turn: usize,
    /// Milliseconds since the meeting began, when known.
    pub start_ms: Option<u64>,
}

/// A sentence that was said, without the noise of speech.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Statement {
    /// The sentence.
    pub text: String,
    /// Where it was said.
    #[serde(flatten)]
    pub place: Place,
}

/// A part of the meeting that was about one thing.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Topic {
    /// The words that set this part apart from the others, best first.
    pub key_phrases: Vec<String>,
    /// Index of its first turn, from 0.
    pub first_turn: usize,
    /// Index of its last turn.
    pub last_turn: usize,
    /// When it began, in milliseconds since the meeting began, when known.
    pub start_ms: Option<u64>,
}

/// Something that was settled.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct Decision {
    /// The sentence that settles it.
    pub text: String,
    /// The sentence before, when this one only points at it.
    pub context: Option<String>,
    /// Where it was said.
    #[serde(flatten)]
    pub place: Place,
}

/// A task that somebody took on or was given.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct ActionItem {
    /// Who has it, when that was said.
    pub owner: Option<String>,
    /// What to do.
    pub task: String,
    /// By when, as it was said.
    pub due: Option<String>,
    /// That day as `YYYY-MM-DD`, when it can be told from the day of the meeting.
    pub due_date: Option<String>,
    /// The sentence it comes from.
    pub quote: String,
    /// Where it was said.
    #[serde(flatten)]
    pub place: Place,
}

/// A question that nobody answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct OpenQuestion {
    /// The question.
    pub text: String,
    /// What was replied, when that was that nobody knows yet.
    pub reply: Option<String>,
    /// Where it was asked.
    #[serde(flatten)]
    pub place: Place,
}

/// How long a participant spoke.
#[derive(Clone, PartialEq, Debug, Serialize, Deserialize, JsonSchema)]
pub struct SpeakingTime {
    /// Who.
    pub speaker: String,
    /// In how many turns.
    pub turns: usize,
    /// How many words, fillers left out.
    pub words: usize,
    /// How many seconds.
    pub seconds: f64,
    /// Whether some of the seconds are estimated from words (150 a minute) because the transcript has no times.
    pub estimated: bool,
    /// Part of all speaking time, from 0 to 1.
    pub share: f64,
}

/// Counts over the whole meeting.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
pub struct Statistics {
    /// Turns of speech.
    pub turns: usize,
    /// Sentences.
    pub sentences: usize,
    /// Words, fillers left out.
    pub words: usize,
    /// People who spoke.
    pub speakers: usize,
    /// Notes in brackets that are no speech.
    pub notes: usize,
    /// From the first to the last known time, in seconds.
    pub duration_seconds: Option<u64>,
}
