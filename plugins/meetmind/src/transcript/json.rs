//! JSON transcripts: our turns, QMSum meetings, and the segments that speech recognisers write.

use serde::Deserialize;

use super::{GivenTurn, Mark, Transcript, Turn, TurnKind};
use crate::input_error::InputError;

/// One turn in any of the known spellings.
#[derive(Deserialize)]
struct AnyTurn {
    #[serde(default, alias = "name")]
    speaker: Option<String>,
    #[serde(alias = "content", alias = "utterance")]
    text: String,
    start_ms: Option<u64>,
    end_ms: Option<u64>,
    /// Seconds, as recognisers write them.
    start: Option<f64>,
    end: Option<f64>,
}

#[derive(Deserialize)]
struct Meeting {
    #[serde(alias = "meeting_transcripts", alias = "segments")]
    turns: Vec<AnyTurn>,
    title: Option<String>,
    date: Option<String>,
}

/// serde_json refuses more than 128 levels of nesting, so hostile depth is an error and never a deep stack.
pub(super) fn parse(text: &str) -> Result<Transcript, InputError> {
    let is_array = text.trim_start().starts_with('[');
    let meeting = if is_array {
        serde_json::from_str(text).map(|turns| Meeting {
            turns,
            title: None,
            date: None,
        })
    } else {
        serde_json::from_str(text)
    };
    let meeting = meeting.map_err(|error| {
        InputError::new(
            "transcript",
            format!(
                "transcript is not usable JSON: {error}; give an array of {{\"speaker\", \"text\"}}, an object with such \
                 `turns`, or QMSum's `meeting_transcripts`"
            ),
        )
    })?;
    let mut transcript = from_given(meeting.turns.into_iter().map(given).collect());
    transcript.title = meeting.title;
    transcript.date = meeting.date;
    Ok(transcript)
}

fn given(turn: AnyTurn) -> GivenTurn {
    GivenTurn {
        speaker: turn.speaker,
        text: turn.text,
        start_ms: turn.start_ms.or(turn.start.and_then(millis)),
        end_ms: turn.end_ms.or(turn.end.and_then(millis)),
    }
}

/// Seconds to milliseconds; what is negative or beyond a hundred years is no time of a meeting.
fn millis(seconds: f64) -> Option<u64> {
    (0.0..=3.2e9)
        .contains(&seconds)
        .then(|| (seconds * 1_000.0).round() as u64)
}

pub(super) fn from_given(given: Vec<GivenTurn>) -> Transcript {
    let mut transcript = Transcript::default();
    let mut backwards = 0_usize;
    for turn in given {
        let text = turn.text.trim();
        if text.is_empty() {
            continue;
        }
        let times = turn.start_ms.zip(turn.end_ms);
        backwards += usize::from(times.is_some_and(|(start, end)| end < start));
        let speaker = turn
            .speaker
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty());
        let marks = turn.start_ms.map(|start_ms| Mark {
            offset: 0,
            start_ms,
        });
        transcript.turns.push(Turn {
            speaker,
            kind: TurnKind::Speech,
            text: text.to_owned(),
            marks: marks.into_iter().collect(),
            spoken_ms: times.and_then(|(start, end)| end.checked_sub(start)),
            end_ms: turn.end_ms,
        });
    }
    if backwards > 0 {
        transcript.warnings.push(format!(
            "{backwards} turn(s) end before they start; their length was not used"
        ));
    }
    transcript
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_forms_are_read() {
        for text in [
            r#"[{"speaker":"A","text":"Hi."}]"#,
            r#"{"turns":[{"speaker":"A","text":"Hi."}]}"#,
            r#"{"topic_list":[],"meeting_transcripts":[{"speaker":"A ","content":"Hi."}]}"#,
        ] {
            let turns = parse(text).unwrap().turns;
            assert_eq!(turns.len(), 1);
            assert_eq!(turns[0].speaker.as_deref(), Some("A"), "{text}");
            assert_eq!(turns[0].text, "Hi.");
        }
    }

    #[test]
    fn seconds_of_recognisers_become_milliseconds() {
        let turns = parse(r#"{"segments":[{"start":1.5,"end":2.25,"text":" Hi."}]}"#)
            .unwrap()
            .turns;
        assert_eq!(turns[0].marks[0].start_ms, 1_500);
        assert_eq!(turns[0].spoken_ms, Some(750));
    }

    #[test]
    fn deep_nesting_is_an_error_with_its_place() {
        let deep = "{\"a\":".repeat(20_000);
        let error = parse(&deep).unwrap_err();
        assert_eq!(error.field(), "transcript");
        assert!(error.to_string().contains("line 1 column"), "{error}");
    }
}
