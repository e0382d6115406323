//! A meeting as read: who said what, and when where that is known.
//!
//! The parsers beside this file turn each format into a [`Transcript`]; they recover from damage and say what they left
//! out in `warnings`. What was said is not changed here.

mod cues;
mod json;
mod markup;
mod speaker;
mod text;
mod timestamp;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::input_error::InputError;

/// The transcript's format.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// Found out from the text.
    #[default]
    Auto,
    /// WebVTT.
    Vtt,
    /// SubRip.
    Srt,
    /// Plain text or Markdown with speakers.
    Text,
    /// JSON turns: an array, or an object with `turns` or `segments`.
    Json,
    /// The QMSum form of JSON, with `meeting_transcripts`.
    Qmsum,
}

/// What a turn is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum TurnKind {
    /// Something that a participant said or that the minutes say.
    #[default]
    Speech,
    /// A note in brackets by the stenographer: not speech, but it may record a decision.
    Note,
    /// A heading of written minutes.
    Heading,
}

/// Where in a turn's text a known time applies.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Mark {
    /// Byte offset into the turn's text.
    pub offset: usize,
    /// Milliseconds since the meeting began.
    pub start_ms: u64,
}

/// What one participant said until another one spoke.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Turn {
    /// Who spoke, when the transcript says so.
    pub speaker: Option<String>,
    /// Speech, note or heading.
    pub kind: TurnKind,
    /// The words, as in the transcript.
    pub text: String,
    /// Known times in ascending order of offset.
    pub marks: Vec<Mark>,
    /// How long the words took, when start and end are known.
    pub spoken_ms: Option<u64>,
    /// When the last of them ended.
    pub end_ms: Option<u64>,
}

impl Turn {
    /// The time at or before `offset`, when known.
    pub fn time_at(&self, offset: usize) -> Option<u64> {
        let after = self.marks.partition_point(|mark| mark.offset <= offset);
        self.marks
            .get(after.saturating_sub(1))
            .map(|mark| mark.start_ms)
    }
}

/// A whole meeting.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Transcript {
    /// Turns in order.
    pub turns: Vec<Turn>,
    /// The title, when the text carries one.
    pub title: Option<String>,
    /// The day of the meeting as `YYYY-MM-DD`, when the text carries one.
    pub date: Option<String>,
    /// What was repaired, guessed or left out, for the caller.
    pub warnings: Vec<String>,
}

/// Two cues of one speaker with at most this long a silence between them are one turn.
const TURN_GAP_MAX_MS: u64 = 3_000;
/// Cues without a speaker are joined up to this length, so that a whole film does not become one turn.
const ANONYMOUS_TURN_MAX_BYTES: usize = 1_500;

impl Transcript {
    /// Adds what was said between two known times; joins it to the turn before when the same person goes on.
    fn push_cue(&mut self, speaker: Option<&str>, text: &str, times: Option<(u64, u64)>) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let (start_ms, end_ms) = times.unzip();
        if let Some(last) = self.turns.last_mut()
            && last.speaker.as_deref() == speaker
            && (speaker.is_some() || last.text.len() + text.len() <= ANONYMOUS_TURN_MAX_BYTES)
            && last
                .end_ms
                .zip(start_ms)
                .is_none_or(|(end, start)| start.saturating_sub(end) <= TURN_GAP_MAX_MS)
        {
            last.text.push(' ');
            last.marks.extend(start_ms.map(|start_ms| Mark {
                offset: last.text.len(),
                start_ms,
            }));
            last.text.push_str(text);
            last.spoken_ms = add(last.spoken_ms, times);
            last.end_ms = end_ms.or(last.end_ms);
            return;
        }
        self.turns.push(Turn {
            speaker: speaker.map(str::to_owned),
            kind: TurnKind::Speech,
            text: text.to_owned(),
            marks: start_ms
                .map(|start_ms| Mark {
                    offset: 0,
                    start_ms,
                })
                .into_iter()
                .collect(),
            spoken_ms: add(None, times),
            end_ms,
        });
    }
}

fn add(spoken: Option<u64>, times: Option<(u64, u64)>) -> Option<u64> {
    match (spoken, times) {
        (spoken, Some((start, end))) => Some(
            spoken
                .unwrap_or(0)
                .saturating_add(end.saturating_sub(start)),
        ),
        (spoken, None) => spoken,
    }
}

/// One turn as given in JSON.
#[derive(Clone, PartialEq, Debug, Deserialize, JsonSchema)]
pub struct GivenTurn {
    /// Who spoke; may be left out.
    #[serde(default, alias = "name")]
    pub speaker: Option<String>,
    /// What was said.
    #[serde(alias = "content")]
    pub text: String,
    /// Milliseconds from the start of the meeting to when the turn began.
    #[serde(default)]
    pub start_ms: Option<u64>,
    /// And to when it ended.
    #[serde(default)]
    pub end_ms: Option<u64>,
}

/// Reads a transcript in `format`.
///
/// # Errors
/// When it holds no speech at all, or JSON that does not parse; damage that leaves something to use is a warning.
pub fn parse(text: &str, format: Format) -> Result<Transcript, InputError> {
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(InputError::new(
            "transcript",
            "transcript is empty; give WebVTT, SRT, text with speakers or JSON turns with at least one sentence",
        ));
    }
    let transcript = match format {
        Format::Auto => match detect(text) {
            Format::Vtt | Format::Srt => cues::parse(text),
            Format::Json | Format::Qmsum => json::parse(text)?,
            Format::Text | Format::Auto => text::parse(text),
        },
        Format::Vtt | Format::Srt => cues::parse(text),
        Format::Text => text::parse(text),
        Format::Json | Format::Qmsum => json::parse(text)?,
    };
    spoken(transcript, "transcript")
}

/// Takes turns that were given as such.
///
/// # Errors
/// When there is no speech in them.
pub fn from_turns(turns: Vec<GivenTurn>) -> Result<Transcript, InputError> {
    spoken(json::from_given(turns), "turns")
}

fn spoken(transcript: Transcript, field: &'static str) -> Result<Transcript, InputError> {
    let speaks = |turn: &Turn| turn.text.contains(char::is_alphanumeric);
    if transcript.turns.iter().any(speaks) {
        return Ok(transcript);
    }
    let detail = transcript
        .warnings
        .first()
        .map(|warning| format!(" ({warning})"))
        .unwrap_or_default();
    Err(InputError::new(
        field,
        format!(
            "{field} holds no speech{detail}; check that the format is right and the file is whole"
        ),
    ))
}

fn detect(text: &str) -> Format {
    let start = text.trim_start();
    if start.starts_with("WEBVTT") {
        return Format::Vtt;
    }
    if start.starts_with("{\"") || start.starts_with("[{") || looks_like_json(start) {
        return Format::Json;
    }
    let times_in_head = start
        .lines()
        .take(20)
        .any(|line| timestamp::cue_times(line).is_some());
    if times_in_head {
        Format::Srt
    } else {
        Format::Text
    }
}

/// `{` or `[`, then white space, then what a JSON object or array goes on with; `[00:01:02] Anna: ...` is not JSON.
fn looks_like_json(text: &str) -> bool {
    let inside = |open| text.strip_prefix(open).map(str::trim_start);
    inside('{').is_some_and(|rest| rest.starts_with(['"', '}']))
        || inside('[').is_some_and(|rest| rest.starts_with(['{', '[', '"']))
}
