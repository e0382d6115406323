//! What `summarize` takes, and how it becomes a transcript and options: every wrong input is named here, with its fix.

use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use schemars::JsonSchema;
use serde::Deserialize;

use crate::analysis::dates;
use crate::decode;
use crate::input_error::InputError;
use crate::language::Language;
use crate::summarize::{MEDIUM_SENTENCES, Options};
use crate::transcript::{self, Format, GivenTurn, Transcript};

/// Largest transcript, in bytes as given; some sixty hours of speech.
pub const TRANSCRIPT_MAX_BYTES: usize = 8 << 20;
/// Most sentences in a summary.
pub const SENTENCES_MAX: usize = 100;
/// Longest id that a caller may choose.
pub const MEETING_ID_MAX_BYTES: usize = 64;

const SHORT_SENTENCES: usize = 5;
const LONG_SENTENCES: usize = 20;

/// What to summarise and how. Give exactly one of `transcript`, `transcript_base64` and `turns`.
#[derive(Clone, PartialEq, Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SummarizeInput {
    /// The transcript as text: WebVTT, SRT, text with speakers, or JSON turns.
    #[serde(default)]
    pub transcript: Option<String>,
    /// The transcript's bytes in base64, for files whose encoding is not known: UTF-8, UTF-16 with its mark, else
    /// Windows-1252.
    #[serde(default)]
    pub transcript_base64: Option<String>,
    /// The turns themselves.
    #[serde(default)]
    pub turns: Option<Vec<GivenTurn>>,
    /// The transcript's format; found out when not given.
    #[serde(default)]
    pub format: Format,
    /// The meeting's title; else what the transcript carries, else made from the topics.
    #[serde(default)]
    pub title: Option<String>,
    /// The day of the meeting, `YYYY-MM-DD`; due dates are resolved against it.
    #[serde(default)]
    pub date: Option<String>,
    /// The meeting's language; found out when not given.
    #[serde(default)]
    pub language: LanguageChoice,
    /// How long the summary is: 5, 10 or 20 sentences.
    #[serde(default)]
    pub length: Length,
    /// How many sentences (1 to 100) the summary has, instead of `length`.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub sentences: Option<usize>,
    /// Whether the meeting is kept for `recall`.
    #[serde(default = "yes")]
    pub store: bool,
    /// Names the meeting: 1 to 64 of `A-Z a-z 0-9 . _ -`, not beginning with a period. When not given it is made from
    /// the content, so that the same transcript is the same meeting.
    #[serde(default)]
    pub meeting_id: Option<String>,
}

fn yes() -> bool {
    true
}

/// The language to read in.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum LanguageChoice {
    /// Found out from the text.
    #[default]
    Auto,
    /// English.
    En,
    /// Swedish.
    Sv,
}

/// How long a summary is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum Length {
    /// 5 sentences.
    Short,
    /// 10 sentences.
    #[default]
    Medium,
    /// 20 sentences.
    Long,
}

impl SummarizeInput {
    /// Reads the transcript and checks the options.
    ///
    /// # Errors
    /// Names the field that is wrong and what to give instead.
    pub fn read(self) -> Result<(Transcript, Options), InputError> {
        let options = Options {
            sentences: sentences(self.sentences, self.length)?,
            language: match self.language {
                LanguageChoice::Auto => None,
                LanguageChoice::En => Some(Language::En),
                LanguageChoice::Sv => Some(Language::Sv),
            },
            title: self.title,
            date: self.date.map(checked_date).transpose()?,
            meeting_id: self.meeting_id.map(checked_meeting_id).transpose()?,
        };
        let transcript = match (self.transcript, self.transcript_base64, self.turns) {
            (Some(text), None, None) => {
                check_size("transcript", text.len())?;
                transcript::parse(&text, self.format)?
            }
            (None, Some(encoded), None) => from_base64(&encoded, self.format)?,
            (None, None, Some(turns)) => {
                check_size("turns", turns.iter().map(|turn| turn.text.len()).sum())?;
                transcript::from_turns(turns)?
            }
            (None, None, None) => {
                return Err(InputError::new(
                    "transcript",
                    "no transcript; give one of transcript, transcript_base64 and turns",
                ));
            }
            _ => {
                return Err(InputError::new(
                    "transcript",
                    "more than one of transcript, transcript_base64 and turns; give exactly one",
                ));
            }
        };
        Ok((transcript, options))
    }
}

fn sentences(count: Option<usize>, length: Length) -> Result<usize, InputError> {
    match (count, length) {
        (Some(count), _) if (1..=SENTENCES_MAX).contains(&count) => Ok(count),
        (Some(count), _) => Err(InputError::new(
            "sentences",
            format!("sentences is {count}; give 1 to {SENTENCES_MAX}"),
        )),
        (None, Length::Short) => Ok(SHORT_SENTENCES),
        (None, Length::Medium) => Ok(MEDIUM_SENTENCES),
        (None, Length::Long) => Ok(LONG_SENTENCES),
    }
}

fn checked_date(date: String) -> Result<String, InputError> {
    match dates::iso_date_in(&date) {
        Some(parsed) if parsed.to_string() == date => Ok(date),
        _ => Err(InputError::new(
            "date",
            "date is not a calendar day; give it as YYYY-MM-DD, such as 2026-03-18",
        )),
    }
}

/// Ids become part of a key and of a path, so they hold nothing that means something there.
pub(crate) fn checked_meeting_id(id: String) -> Result<String, InputError> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    let fits = (1..=MEETING_ID_MAX_BYTES).contains(&id.len())
        && !id.starts_with('.')
        && id.bytes().all(allowed);
    if fits {
        return Ok(id);
    }
    Err(InputError::new(
        "meeting_id",
        format!(
            "meeting_id is not an id; give 1 to {MEETING_ID_MAX_BYTES} of A-Z a-z 0-9 . _ - without a period in front"
        ),
    ))
}

fn from_base64(encoded: &str, format: Format) -> Result<Transcript, InputError> {
    let field = "transcript_base64";
    // Four characters carry three bytes; checked before anything is decoded.
    check_size(field, encoded.len() / 4 * 3)?;
    let compact: String = encoded
        .chars()
        .filter(|c| !c.is_ascii_whitespace())
        .collect();
    let bytes = STANDARD_NO_PAD
        .decode(compact.trim_end_matches('='))
        .map_err(|error| {
            InputError::new(
                field,
                format!("transcript_base64 is not base64 ({error}); use the standard alphabet"),
            )
        })?;
    let decoded = decode::decode(bytes);
    let mut transcript = transcript::parse(&decoded.text, format)?;
    transcript.warnings.splice(0..0, decoded.warning);
    Ok(transcript)
}

fn check_size(field: &'static str, bytes: usize) -> Result<(), InputError> {
    if bytes <= TRANSCRIPT_MAX_BYTES {
        return Ok(());
    }
    Err(InputError::new(
        field,
        format!(
            "{field} has {bytes} bytes; give at most {TRANSCRIPT_MAX_BYTES}, or summarise the meeting in parts"
        ),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(json: serde_json::Value) -> String {
        let input: SummarizeInput = serde_json::from_value(json).unwrap();
        input.read().unwrap_err().to_string()
    }

    #[test]
    fn each_wrong_input_is_told_with_its_fix() {
        for (input, expected) in [
            (serde_json::json!({}), "no transcript; give one of"),
            (
                serde_json::json!({"transcript": ""}),
                "transcript is empty; give",
            ),
            (
                serde_json::json!({"transcript": "a", "turns": []}),
                "give exactly one",
            ),
            (serde_json::json!({"turns": []}), "turns holds no speech"),
            (serde_json::json!({"transcript_base64": "%%"}), "not base64"),
            (
                serde_json::json!({"transcript": "A: b", "date": "18/3"}),
                "give it as YYYY-MM-DD",
            ),
            (
                serde_json::json!({"transcript": "A: b", "sentences": 0}),
                "give 1 to 100",
            ),
            (
                serde_json::json!({"transcript": "A: b", "meeting_id": "../x"}),
                "meeting_id is not an id",
            ),
            (
                serde_json::json!({"transcript": "WEBVTT\n\n"}),
                "holds no speech",
            ),
        ] {
            let message = error(input.clone());
            assert!(message.contains(expected), "{input}: {message}");
        }
    }

    #[test]
    fn bytes_of_an_unknown_encoding_are_read_with_a_warning() {
        let input = SummarizeInput {
            transcript_base64: Some(STANDARD_NO_PAD.encode(b"Anna: Vi b\xf6rjar m\xf6tet.")),
            store: true,
            ..SummarizeInput::default()
        };
        let (transcript, _) = input.read().unwrap();
        assert_eq!(transcript.turns[0].text, "Vi börjar mötet.");
        assert!(transcript.warnings[0].contains("Windows-1252"));
    }

    #[test]
    fn a_transcript_beyond_the_limit_is_refused_with_both_numbers() {
        let message =
            error(serde_json::json!({"transcript": "a".repeat(TRANSCRIPT_MAX_BYTES + 1)}));
        assert!(
            message.contains("8388609") && message.contains("8388608"),
            "{message}"
        );
    }
}
