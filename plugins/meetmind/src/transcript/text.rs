//! Plain text and Markdown minutes: one turn a line, speaker before a colon, times in front, notes in brackets.

use super::speaker::Labels;
use super::timestamp;
use super::{Mark, Transcript, Turn, TurnKind};
use crate::analysis::dates;

/// Lines at the top in which the meeting's date and title are looked for.
const HEAD_LINES: usize = 15;

/// Never fails: what has no form is speech without a speaker.
pub(super) fn parse(text: &str) -> Transcript {
    let separator = if text.contains('\n') { '\n' } else { '\r' };
    let lines = || {
        text.split(separator)
            .map(|line| line.trim_end_matches('\r'))
    };
    let labels = Labels::learn(
        lines()
            .map(|line| Line::read(line).text)
            .filter(|text| !text.is_empty()),
    );
    let mut reader = Reader {
        transcript: Transcript::default(),
        labels,
        after_blank: true,
        in_code: false,
        in_front_matter: false,
        speaker: None,
        start_ms: None,
    };
    for (index, line) in lines().enumerate() {
        reader.line(index, line);
    }
    reader.transcript
}

/// A line without its ornaments.
struct Line<'a> {
    kind: LineKind,
    start_ms: Option<u64>,
    text: &'a str,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum LineKind {
    Plain,
    Bullet,
    Heading,
    Note,
}

impl<'a> Line<'a> {
    fn read(line: &'a str) -> Self {
        let mut text = line.trim();
        let mut kind = LineKind::Plain;
        let heading = text.trim_start_matches('#');
        if heading.len() < text.len() && (heading.is_empty() || heading.starts_with([' ', '\t'])) {
            return Self {
                kind: LineKind::Heading,
                start_ms: None,
                text: heading.trim(),
            };
        }
        text = text.trim_start_matches(['>', '\t']).trim_start();
        if let Some(item) = bullet(text) {
            kind = LineKind::Bullet;
            text = item;
        }
        let (start_ms, rest) = time_in_front(text);
        if start_ms.is_none() && is_note(text) {
            kind = LineKind::Note;
        } else {
            text = rest;
        }
        Self {
            kind,
            start_ms,
            text,
        }
    }
}

struct Reader {
    transcript: Transcript,
    labels: Labels,
    after_blank: bool,
    in_code: bool,
    in_front_matter: bool,
    /// From a heading line such as `Anna Berg  0:03`, for the lines below it.
    speaker: Option<String>,
    start_ms: Option<u64>,
}

impl Reader {
    fn line(&mut self, index: usize, raw: &str) {
        let trimmed = raw.trim();
        if index == 0 && trimmed == "---" || self.in_front_matter {
            self.front_matter(index, trimmed);
            return;
        }
        if trimmed.starts_with("```") {
            self.in_code = !self.in_code;
            return;
        }
        if trimmed.is_empty() {
            self.after_blank = true;
            return;
        }
        if self.in_code || trimmed.starts_with("<!--") {
            return;
        }
        let line = Line::read(raw);
        if index < HEAD_LINES {
            self.head(&line);
        }
        if line.text.is_empty() {
            return;
        }
        match line.kind {
            LineKind::Heading => {
                self.speaker = None;
                self.push(TurnKind::Heading, None, None, line.text);
            }
            LineKind::Note => self.note(line.text.trim_matches(['[', ']'])),
            LineKind::Plain | LineKind::Bullet => self.speech(&line),
        }
        self.after_blank = false;
    }

    /// A word that a page break cut in two joins the notes before and after it.
    fn note(&mut self, text: &str) {
        if let Some(last) = self.transcript.turns.last_mut()
            && last.kind == TurnKind::Note
            && last.text.ends_with('-')
        {
            last.text.pop();
            last.text.push_str(text);
            return;
        }
        self.push(TurnKind::Note, None, None, text);
    }

    fn front_matter(&mut self, index: usize, line: &str) {
        self.in_front_matter = index == 0 || line != "---";
        if let Some(title) = line.strip_prefix("title:") {
            let title = title.trim().trim_matches(['"', '\'']);
            self.transcript.title = (!title.is_empty()).then(|| title.to_owned());
        }
        if self.transcript.date.is_none() {
            self.transcript.date = dates::iso_date_in(line).map(|date| date.to_string());
        }
    }

    /// Title and date stand in headings, and a date also after a word that says so.
    fn head(&mut self, line: &Line<'_>) {
        let lower = line.text.to_lowercase();
        let says_date = lower.contains("date:") || lower.contains("datum:");
        if (line.kind == LineKind::Heading || says_date) && self.transcript.date.is_none() {
            self.transcript.date = dates::iso_date_in(line.text).map(|date| date.to_string());
        }
        if line.kind == LineKind::Heading && self.transcript.title.is_none() {
            self.transcript.title = Some(line.text.to_owned());
        }
    }

    fn speech(&mut self, line: &Line<'_>) {
        if let Some((speaker, start_ms)) = speaker_heading(line.text) {
            self.speaker = Some(speaker.to_owned());
            self.start_ms = start_ms.or(line.start_ms);
            return;
        }
        let unmarked = line.text.trim_start_matches("**").trim_start_matches("__");
        let (label, text) = self.labels.split(unmarked);
        let text = text
            .trim_start_matches("**")
            .trim_start_matches("__")
            .trim_start();
        if let Some(label) = label {
            self.speaker = None;
            let label = without_record_number(label).to_owned();
            if text.is_empty() {
                self.speaker = Some(label);
                self.start_ms = line.start_ms;
            } else {
                self.push_split(Some(label), line.start_ms, text);
            }
            return;
        }
        let goes_on = !self.after_blank
            && line.kind == LineKind::Plain
            && line.start_ms.is_none()
            && self.speaker.is_none();
        let previous = self
            .transcript
            .turns
            .last_mut()
            .filter(|turn| turn.kind == TurnKind::Speech);
        if goes_on && let Some(previous) = previous {
            previous.text.push(' ');
            previous.text.push_str(text);
            return;
        }
        // A new paragraph in a record of speeches is still the same speech; in minutes it is nobody's.
        let speaker = self.speaker.clone().or_else(|| self.speaker_before(line));
        let start_ms = line.start_ms.or(self.start_ms.take());
        self.push_split(speaker, start_ms, text);
    }

    fn speaker_before(&self, line: &Line<'_>) -> Option<String> {
        if line.kind == LineKind::Bullet || !self.labels.are_the_rule() {
            return None;
        }
        let last_speech = self
            .transcript
            .turns
            .iter()
            .rev()
            .find(|turn| turn.kind == TurnKind::Speech);
        last_speech.and_then(|turn| turn.speaker.clone())
    }

    /// Pushes a turn, or several when other speakers begin inside the line.
    fn push_split(&mut self, mut speaker: Option<String>, start_ms: Option<u64>, text: &str) {
        let mut rest = text;
        while let Some((label, words)) = self.labels.find_inside(rest) {
            let (before, after) = rest.split_at_checked(label).unwrap_or((rest, ""));
            let (name, _) = self.labels.split(after);
            let name = name.map(|name| without_record_number(name).to_owned());
            self.push(TurnKind::Speech, speaker.take(), start_ms, before);
            speaker = name;
            rest = rest.get(words..).unwrap_or_default();
        }
        self.push(TurnKind::Speech, speaker, start_ms, rest);
    }

    fn push(&mut self, kind: TurnKind, speaker: Option<String>, start_ms: Option<u64>, text: &str) {
        let text = text.trim();
        if text.is_empty() {
            return;
        }
        let marks = start_ms.map(|start_ms| Mark {
            offset: 0,
            start_ms,
        });
        self.transcript.turns.push(Turn {
            speaker,
            kind,
            text: text.to_owned(),
            marks: marks.into_iter().collect(),
            ..Turn::default()
        });
    }
}

fn bullet(text: &str) -> Option<&str> {
    let item = ["- ", "* ", "+ ", "• ", "– "]
        .iter()
        .find_map(|mark| text.strip_prefix(mark))
        .or_else(|| {
            let digits = text.bytes().take_while(u8::is_ascii_digit).count();
            let (number, rest) = text.split_at_checked(digits)?;
            (1..=2)
                .contains(&number.len())
                .then(|| rest.strip_prefix(". ").or(rest.strip_prefix(") ")))
                .flatten()
        })?;
    let unchecked = item.trim_start();
    Some(
        ["[ ]", "[x]", "[X]"]
            .iter()
            .find_map(|mark| unchecked.strip_prefix(mark))
            .unwrap_or(unchecked)
            .trim_start(),
    )
}

/// `[00:01:02]`, `(1:02)`, `00:01:02 -` and the like at the start of a line.
fn time_in_front(text: &str) -> (Option<u64>, &str) {
    let inside = text.strip_prefix(['[', '(']);
    let Some((ms, rest)) = timestamp::leading(inside.unwrap_or(text)) else {
        return (None, text);
    };
    let rest = match inside {
        Some(_) => rest.strip_prefix([']', ')']),
        None => rest.starts_with([' ', '\t', '-']).then_some(rest),
    };
    match rest {
        Some(rest) => (Some(ms), rest.trim_start_matches([' ', '\t', '-', '–'])),
        None => (None, text),
    }
}

/// A whole line in square brackets that is no link.
fn is_note(text: &str) -> bool {
    text.starts_with('[') && text.ends_with(']') && text.matches('[').count() == 1
}

/// `Anna Berg  0:03` alone on a line, as some services write it.
fn speaker_heading(text: &str) -> Option<(&str, Option<u64>)> {
    let (name, time) = text.rsplit_once([' ', '\t'])?;
    let time = time.trim_matches(['[', ']', '(', ')']);
    let (ms, rest) = timestamp::leading(time)?;
    let name = name.trim();
    let words = name.split_whitespace().count();
    let is_name = (1..=5).contains(&words)
        && name
            .split_whitespace()
            .all(|word| word.starts_with(|c: char| c.is_uppercase() || c.is_ascii_digit()));
    (rest.is_empty() && is_name && name.contains(char::is_alphabetic)).then_some((name, Some(ms)))
}

/// `Anf. 12 ANNA BERG (S)` without the number that the record gives each speech.
fn without_record_number(label: &str) -> &str {
    let Some(rest) = label.strip_prefix("Anf. ") else {
        return label;
    };
    rest.trim_start_matches(|c: char| c.is_ascii_digit())
        .trim_start()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(transcript: &Transcript) -> Vec<(Option<&str>, &str)> {
        transcript
            .turns
            .iter()
            .filter(|turn| turn.kind == TurnKind::Speech)
            .map(|turn| (turn.speaker.as_deref(), turn.text.as_str()))
            .collect()
    }

    #[test]
    fn lines_with_speakers_and_times_become_turns() {
        let transcript = parse("[00:01:02] Anna: Hej.\n00:01:05 Bo: Hej hej.\nOch mer.\n");
        assert_eq!(
            said(&transcript),
            [(Some("Anna"), "Hej."), (Some("Bo"), "Hej hej. Och mer.")]
        );
        assert_eq!(transcript.turns[0].marks[0].start_ms, 62_000);
    }

    #[test]
    fn a_swedish_record_gives_title_date_notes_and_speakers_inside_lines() {
        let transcript = parse(
            "# Svar på interpellation\n# Källa: x. Datum: 1949-03-29. OCR.\n\nHerr AHLSTEN: Ett. Herr STRÄNG: Två.\n\nHerr STRÄNG: Tre.\n\n[Överläggningen var härmed slutad.]\n",
        );
        assert_eq!(transcript.title.as_deref(), Some("Svar på interpellation"));
        assert_eq!(transcript.date.as_deref(), Some("1949-03-29"));
        assert_eq!(
            said(&transcript),
            [
                (Some("Herr AHLSTEN"), "Ett."),
                (Some("Herr STRÄNG"), "Två."),
                (Some("Herr STRÄNG"), "Tre.")
            ]
        );
        let note = transcript.turns.last().unwrap();
        assert_eq!(
            (note.kind, note.text.as_str()),
            (TurnKind::Note, "Överläggningen var härmed slutad.")
        );
    }

    #[test]
    fn headings_of_speakers_hold_for_the_lines_below() {
        let transcript = parse("Anna Berg  0:03\nHello there.\n\nBo Ek  0:09\nHi.\n");
        assert_eq!(
            said(&transcript),
            [(Some("Anna Berg"), "Hello there."), (Some("Bo Ek"), "Hi.")]
        );
        assert_eq!(transcript.turns[1].marks[0].start_ms, 9_000);
    }

    #[test]
    fn minutes_in_markdown_lose_their_ornaments_and_code() {
        let transcript = parse(
            "---\ntitle: Triage 2022-09-20\n---\n## Action items\n- [ ] Niko to write docs\n\n```rust\nlet x = 1;\n```\n> quoted words\n",
        );
        assert_eq!(transcript.title.as_deref(), Some("Triage 2022-09-20"));
        assert_eq!(transcript.date.as_deref(), Some("2022-09-20"));
        assert_eq!(
            said(&transcript),
            [(None, "Niko to write docs"), (None, "quoted words")]
        );
    }

    #[test]
    fn a_decision_is_not_taken_for_a_speaker() {
        let transcript = parse("Anna: Hej.\nBeslut: Vi kör.\n");
        assert_eq!(said(&transcript), [(Some("Anna"), "Hej. Beslut: Vi kör.")]);
    }
}
