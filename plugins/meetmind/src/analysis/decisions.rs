//! What was settled: sentences that say so, under a heading that says so, or in the stenographer's notes.

use std::collections::HashSet;

use super::cues::Cue;
use super::document::{Document, Sentence, words};
use crate::transcript::TurnKind;

/// Shorter sentences refer to something said before, which is then given as context.
const STANDS_ALONE_MIN_TERMS: usize = 3;
const DECISION_MIN_WORDS: usize = 4;
/// A hedge this many words before the phrase takes it back: `if we decided`.
const HEDGE_REACH_WORDS: usize = 4;

/// A sentence that settles something.
pub(crate) struct Found {
    /// Index of the sentence.
    pub(crate) sentence: usize,
    /// What was decided, without a label in front.
    pub(crate) text: String,
    /// The sentence before, when this one only points at it.
    pub(crate) context: Option<String>,
}

/// Decisions in meeting order, each once.
pub(crate) fn find(document: &Document<'_>) -> Vec<Found> {
    let mut seen = HashSet::new();
    let under_heading = under_headings(document, |heading| {
        document.cues.is_decision_heading(heading)
    });
    document
        .sentences
        .iter()
        .enumerate()
        .filter_map(|(index, sentence)| {
            let listed = under_heading.contains(&sentence.turn);
            let text = decision(document, sentence, listed)?;
            seen.insert(text.to_lowercase()).then(|| Found {
                sentence: index,
                context: context(document, index, sentence),
                text,
            })
        })
        .collect()
}

/// The turns that stand under a heading of some kind.
pub(crate) fn under_headings(
    document: &Document<'_>,
    is_wanted: impl Fn(&str) -> bool,
) -> HashSet<usize> {
    let mut wanted = false;
    let mut turns = HashSet::new();
    for (index, turn) in document.transcript.turns.iter().enumerate() {
        if turn.kind == TurnKind::Heading {
            wanted = is_wanted(&turn.text);
        } else if wanted {
            turns.insert(index);
        }
    }
    turns
}

fn decision(document: &Document<'_>, sentence: &Sentence, listed: bool) -> Option<String> {
    if sentence.is_question
        || !listed && !sentence.marks.has(Cue::Decision) && !may_have_label(document, sentence)
    {
        return None;
    }
    let text = document.text(sentence);
    if let Some(decided) = document.cues.after_decision_label(&text) {
        return Some(decided.to_owned());
    }
    if listed {
        return (sentence.words >= 3).then_some(text);
    }
    if sentence.words < DECISION_MIN_WORDS {
        return None;
    }
    let lower = text.to_lowercase().replace('’', "'");
    let words = words(&lower);
    let asserted = document.cues.phrases.find(&words).any(|found| {
        let before = words
            .get(found.start.saturating_sub(HEDGE_REACH_WORDS)..found.start)
            .unwrap_or_default();
        found.tag == Cue::Decision && !before.iter().any(|word| document.cues.is_hedge(word))
    });
    asserted.then_some(text)
}

/// Whether the raw sentence has a colon or dash early on, so that cleaning every sentence again is not needed.
pub(crate) fn may_have_label(document: &Document<'_>, sentence: &Sentence) -> bool {
    let turn = document.transcript.turns.get(sentence.turn);
    let raw = turn
        .and_then(|turn| turn.text.get(sentence.start..sentence.end))
        .unwrap_or_default();
    raw.char_indices()
        .take(40)
        .any(|(_, c)| matches!(c, ':' | '–' | '—'))
}

fn context(document: &Document<'_>, index: usize, sentence: &Sentence) -> Option<String> {
    if document.terms(sentence).len() >= STANDS_ALONE_MIN_TERMS {
        return None;
    }
    let before = document.sentences.get(..index)?.iter().rev().take(4);
    before
        .into_iter()
        .find(|before| {
            document.terms(before).len() >= STANDS_ALONE_MIN_TERMS
                && document.kind(before) == TurnKind::Speech
        })
        .map(|before| document.text(before))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::transcript::{Format, parse};

    fn decisions(text: &str, language: Language) -> Vec<String> {
        let transcript = parse(text, Format::Text).unwrap();
        find(&Document::read(&transcript, language))
            .into_iter()
            .map(|found| found.text)
            .collect()
    }

    #[test]
    fn english_decisions_are_found_and_hedged_ones_are_not() {
        let found = decisions(
            "A: We decided to launch in May.\nB: If we decided to wait, it would cost.\nA: Have we agreed on the price?\nB: So let's go with the yellow case.\nA: We haven't decided on colours yet.\nB: Decision: no joystick.\n",
            Language::En,
        );
        assert_eq!(
            found,
            [
                "We decided to launch in May.",
                "Let's go with the yellow case.",
                "no joystick."
            ]
        );
    }

    #[test]
    fn swedish_decisions_are_found_in_speech_and_notes() {
        let found = decisions(
            "Anna Berg: Då är det bestämt att vi flyttar mötet.\nBo Ek: Vi har inte beslutat om budgeten.\nAnna Berg: Beslut: skjut på leveransen.\n\n[Överläggningen var slutad, och biföll kammaren utskottets hemställan.]\n",
            Language::Sv,
        );
        assert_eq!(
            found,
            [
                "Då är det bestämt att vi flyttar mötet.",
                "skjut på leveransen.",
                "Överläggningen var slutad, och biföll kammaren utskottets hemställan."
            ]
        );
    }

    #[test]
    fn a_decision_that_points_back_brings_its_context() {
        let transcript = parse(
            "A: The yellow rubber case costs two Euro.\nB: Okay, let's go with that then.\n",
            Format::Text,
        )
        .unwrap();
        let document = Document::read(&transcript, Language::En);
        let found = find(&document);
        assert_eq!(
            found[0].context.as_deref(),
            Some("The yellow rubber case costs two Euro.")
        );
    }
}
