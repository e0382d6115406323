//! The transcript as sentences of terms: what every other question is asked of.

use super::clean::{clean, core};
use super::cues::{Cue, Cues};
use super::sentences;
use super::vocabulary::{Term, Vocabulary};
use crate::language::Language;
use crate::transcript::{Transcript, TurnKind};

/// A sentence that somebody said, by its place.
#[derive(Clone, Debug)]
pub(crate) struct Sentence {
    /// Index of the turn.
    pub(crate) turn: usize,
    /// Byte range in the turn's text.
    pub(crate) start: usize,
    pub(crate) end: usize,
    /// Words that remain after cleaning.
    pub(crate) words: usize,
    /// Range of its terms in the document.
    terms: (usize, usize),
    /// What phrases were found in it.
    pub(crate) marks: Marks,
    pub(crate) is_question: bool,
    /// Whether it ends as sentences do, and not because somebody cut in.
    pub(crate) is_whole: bool,
}

impl Sentence {
    /// How many of its words carry a topic, from 0 to 1.
    pub(crate) fn content_share(&self) -> f64 {
        (self.terms.1 - self.terms.0) as f64 / self.words.max(1) as f64
    }
}

/// A set of [`Cue`]s.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Marks(u8);

impl Marks {
    fn add(&mut self, cue: Cue) {
        self.0 |= 1 << (cue as u8);
    }

    pub(crate) fn has(self, cue: Cue) -> bool {
        self.0 & (1 << (cue as u8)) != 0
    }

    /// Whether somebody may have taken on or handed out work.
    pub(crate) fn may_be_task(self) -> bool {
        [Cue::IWill, Cue::YouDo, Cue::WeMust, Cue::SomebodyMust]
            .iter()
            .any(|cue| self.has(*cue))
    }
}

/// All sentences with their terms.
pub(crate) struct Document<'a> {
    pub(crate) transcript: &'a Transcript,
    pub(crate) sentences: Vec<Sentence>,
    pub(crate) vocabulary: Vocabulary,
    pub(crate) cues: Cues,
    pub(crate) language: Language,
    terms: Vec<Term>,
    /// For each turn, the index of its first sentence; one more at the end.
    first_sentences: Vec<usize>,
}

impl<'a> Document<'a> {
    /// Reads every turn once; the cost grows linearly with the text.
    pub(crate) fn read(transcript: &'a Transcript, language: Language) -> Self {
        let mut document = Self {
            transcript,
            sentences: Vec::new(),
            vocabulary: Vocabulary::new(language),
            cues: Cues::new(language),
            language,
            terms: Vec::new(),
            first_sentences: Vec::with_capacity(transcript.turns.len() + 1),
        };
        for (index, turn) in transcript.turns.iter().enumerate() {
            document.first_sentences.push(document.sentences.len());
            if turn.kind == TurnKind::Heading {
                continue;
            }
            for (start, end) in sentences::split(&turn.text) {
                document.push(index, start, end);
            }
        }
        document.first_sentences.push(document.sentences.len());
        document
    }

    fn push(&mut self, turn: usize, start: usize, end: usize) {
        let raw = self
            .transcript
            .turns
            .get(turn)
            .and_then(|turn| turn.text.get(start..end));
        let lower = clean(raw.unwrap_or_default())
            .to_lowercase()
            .replace('’', "'");
        if lower.is_empty() {
            return;
        }
        let words = words(&lower);
        let first_term = self.terms.len();
        for part in words.iter().flat_map(|word| word.split(['-', '/'])) {
            self.terms.extend(self.vocabulary.term(part));
        }
        let mut marks = Marks::default();
        for found in self.cues.phrases.find(&words) {
            marks.add(found.tag);
        }
        self.sentences.push(Sentence {
            turn,
            start,
            end,
            words: words.iter().filter(|word| !word.is_empty()).count(),
            terms: (first_term, self.terms.len()),
            marks,
            is_whole: lower.ends_with(['.', '?', '!', '"', '”', ')']),
            is_question: lower.trim_end_matches(['"', '”', ')']).ends_with('?'),
        });
    }

    pub(crate) fn terms(&self, sentence: &Sentence) -> &[Term] {
        self.terms
            .get(sentence.terms.0..sentence.terms.1)
            .unwrap_or_default()
    }

    /// The sentence in readable form.
    pub(crate) fn text(&self, sentence: &Sentence) -> String {
        let turn = self.transcript.turns.get(sentence.turn);
        clean(
            turn.and_then(|turn| turn.text.get(sentence.start..sentence.end))
                .unwrap_or_default(),
        )
    }

    pub(crate) fn speaker(&self, sentence: &Sentence) -> Option<&str> {
        self.transcript.turns.get(sentence.turn)?.speaker.as_deref()
    }

    pub(crate) fn kind(&self, sentence: &Sentence) -> TurnKind {
        self.transcript
            .turns
            .get(sentence.turn)
            .map(|turn| turn.kind)
            .unwrap_or_default()
    }

    pub(crate) fn start_ms(&self, sentence: &Sentence) -> Option<u64> {
        self.transcript
            .turns
            .get(sentence.turn)?
            .time_at(sentence.start)
    }

    /// The sentences of a turn and the index of the first.
    pub(crate) fn turn_sentences(&self, turn: usize) -> (usize, &[Sentence]) {
        let from = self
            .first_sentences
            .get(turn)
            .copied()
            .unwrap_or(self.sentences.len());
        let to = self.first_sentences.get(turn + 1).copied().unwrap_or(from);
        (from, self.sentences.get(from..to).unwrap_or_default())
    }
}

/// The words of a text without the punctuation around them. One entry a blank, so that indices fit the text's words.
pub(crate) fn words(text: &str) -> Vec<&str> {
    text.split_whitespace().map(core).collect()
}
