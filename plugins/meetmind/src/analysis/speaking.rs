//! How long each participant spoke: measured where the transcript has times, else estimated from the words.

use std::collections::HashMap;

use super::document::Document;
use crate::summary::SpeakingTime;
use crate::transcript::TurnKind;

/// A usual pace of speech, for turns without times.
const WORDS_PER_MINUTE: f64 = 150.0;
/// Speakers listed by name; the rest is one line, so that hostile input cannot make a huge answer.
const SPEAKERS_MAX: usize = 200;

#[derive(Default)]
struct Tally {
    turns: usize,
    words: usize,
    measured_ms: u64,
    /// Words of turns without times.
    untimed_words: usize,
}

impl Tally {
    fn seconds(&self) -> f64 {
        self.measured_ms as f64 / 1_000.0 + self.untimed_words as f64 * 60.0 / WORDS_PER_MINUTE
    }

    fn add(&mut self, other: &Self) {
        self.turns += other.turns;
        self.words += other.words;
        self.measured_ms += other.measured_ms;
        self.untimed_words += other.untimed_words;
    }
}

/// Speaking times, longest first; turns without a speaker are left out.
pub(crate) fn times(document: &Document<'_>) -> Vec<SpeakingTime> {
    let mut tallies: HashMap<&str, Tally> = HashMap::new();
    for (index, turn) in document.transcript.turns.iter().enumerate() {
        let Some(speaker) = turn
            .speaker
            .as_deref()
            .filter(|_| turn.kind == TurnKind::Speech)
        else {
            continue;
        };
        let (_, sentences) = document.turn_sentences(index);
        let words = sentences.iter().map(|sentence| sentence.words).sum();
        tallies.entry(speaker).or_default().add(&Tally {
            turns: 1,
            words,
            measured_ms: turn.spoken_ms.unwrap_or(0),
            untimed_words: if turn.spoken_ms.is_some() { 0 } else { words },
        });
    }
    let mut ranked: Vec<(&str, Tally)> = tallies.into_iter().collect();
    ranked.sort_by(|(a_name, a), (b_name, b)| {
        b.seconds()
            .total_cmp(&a.seconds())
            .then_with(|| a_name.cmp(b_name))
    });
    let total: f64 = ranked.iter().map(|(_, tally)| tally.seconds()).sum();
    let rest = ranked.split_off(ranked.len().min(SPEAKERS_MAX));
    let mut times: Vec<_> = ranked
        .iter()
        .map(|(name, tally)| line(name, tally, total))
        .collect();
    if !rest.is_empty() {
        let mut others = Tally::default();
        rest.iter().for_each(|(_, tally)| others.add(tally));
        times.push(line(&format!("{} others", rest.len()), &others, total));
    }
    times
}

fn line(speaker: &str, tally: &Tally, total: f64) -> SpeakingTime {
    let seconds = tally.seconds();
    SpeakingTime {
        speaker: speaker.to_owned(),
        turns: tally.turns,
        words: tally.words,
        seconds: tenths(seconds),
        estimated: tally.untimed_words > 0,
        share: if total > 0.0 {
            (seconds / total * 1_000.0).round() / 1_000.0
        } else {
            0.0
        },
    }
}

fn tenths(seconds: f64) -> f64 {
    (seconds * 10.0).round() / 10.0
}
