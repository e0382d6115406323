//! Questions that nobody answered: said not to be known, put off, or left standing when the meeting ended.

use super::cues::Cue;
use super::decisions::under_headings;
use super::document::{Document, Sentence};
use crate::transcript::TurnKind;

const QUESTION_MIN_WORDS: usize = 5;
/// A longer reply says something, whatever it does not know.
const UNKNOWN_MAX_WORDS: usize = 16;
const QUESTION_MIN_TERMS: usize = 2;
/// An asker who goes on for this many sentences did not wait for an answer.
const GOES_ON_SENTENCES: usize = 2;
/// How far an answer is looked for.
const ANSWER_REACH_TURNS: usize = 4;
/// A third person who says this many of the question's words again answers it.
const ANSWER_MIN_SHARED_TERMS: usize = 2;
/// Shorter replies are neither an answer nor a refusal: `Mm-hmm.`
const REPLY_MIN_WORDS: usize = 3;

/// A question and why it is open.
pub(crate) struct Found {
    pub(crate) sentence: usize,
    pub(crate) text: String,
    /// What was replied, when that was that nobody knows yet.
    pub(crate) reply: Option<String>,
}

enum Reply {
    Answered,
    Unknown(String),
    Silence,
}

/// Open questions in meeting order.
pub(crate) fn find(document: &Document<'_>) -> Vec<Found> {
    let listed = under_headings(document, |heading| {
        document.cues.is_question_heading(heading)
    });
    let open = |(index, sentence): (usize, &Sentence)| {
        if document.kind(sentence) != TurnKind::Speech {
            return None;
        }
        if listed.contains(&sentence.turn) && sentence.words >= 3 {
            return Some(Found {
                sentence: index,
                text: document.text(sentence),
                reply: None,
            });
        }
        if !sentence.is_question {
            return labelled(document, index, sentence);
        }
        if sentence.words < QUESTION_MIN_WORDS
            || document.terms(sentence).len() < QUESTION_MIN_TERMS
        {
            return None;
        }
        let text = document.text(sentence);
        // `..., right?` asserts more than it asks.
        if [" right?", " eller hur?", " va?"]
            .iter()
            .any(|tag| text.ends_with(tag))
        {
            return None;
        }
        let reply = match reply(document, index, sentence) {
            Reply::Answered => return None,
            Reply::Unknown(reply) => Some(reply),
            Reply::Silence => None,
        };
        Some(Found {
            sentence: index,
            text,
            reply,
        })
    };
    document
        .sentences
        .iter()
        .enumerate()
        .filter_map(open)
        .collect()
}

fn labelled(document: &Document<'_>, index: usize, sentence: &Sentence) -> Option<Found> {
    let turn = document.transcript.turns.get(sentence.turn)?;
    let raw = turn.text.get(sentence.start..sentence.end)?;
    // Cheap to tell before the sentence is cleaned once more.
    raw.char_indices()
        .take(40)
        .any(|(_, c)| c == ':')
        .then_some(())?;
    let text = document.text(sentence);
    let question = document.cues.after_question_label(&text)?.to_owned();
    Some(Found {
        sentence: index,
        text: question,
        reply: None,
    })
}

fn reply(document: &Document<'_>, index: usize, question: &Sentence) -> Reply {
    let asker = document.speaker(question);
    let (first, own) = document.turn_sentences(question.turn);
    let after = own.get(index + 1 - first..).unwrap_or_default();
    if let Some(unknown) = after
        .iter()
        .take(GOES_ON_SENTENCES)
        .find(|next| next.marks.has(Cue::Unknown))
    {
        return Reply::Unknown(document.text(unknown));
    }
    if after.iter().filter(|next| !next.is_question).count() >= GOES_ON_SENTENCES || asker.is_none()
    {
        return Reply::Answered;
    }
    let next_turns = document
        .transcript
        .turns
        .iter()
        .enumerate()
        .skip(question.turn + 1);
    let speech = next_turns
        .filter(|(_, turn)| turn.kind == TurnKind::Speech)
        .take(ANSWER_REACH_TURNS);
    for (turn, _) in speech {
        let (_, sentences) = document.turn_sentences(turn);
        let own = sentences
            .first()
            .is_some_and(|first| document.speaker(first) == asker);
        let words: usize = sentences.iter().map(|sentence| sentence.words).sum();
        if own && words >= REPLY_MIN_WORDS {
            return Reply::Answered;
        }
        if own || sentences.is_empty() {
            continue;
        }
        let unknown = sentences.iter().take(2).find(|next| {
            next.marks.has(Cue::Unknown) && !next.is_question && next.words <= UNKNOWN_MAX_WORDS
        });
        if let Some(unknown) = unknown.filter(|_| sentences.len() <= 3) {
            if somebody_else_knows(document, question, turn) {
                return Reply::Answered;
            }
            return Reply::Unknown(document.text(unknown));
        }
        let says_yes = sentences.first().is_some_and(|first| {
            let text = document.text(first).to_lowercase();
            text.split_whitespace()
                .next()
                .is_some_and(|word| document.cues.is_yes(super::clean::core(word)))
        });
        if words >= REPLY_MIN_WORDS || says_yes {
            return Reply::Answered;
        }
    }
    let is_last = document
        .transcript
        .turns
        .iter()
        .skip(question.turn + 1)
        .all(|turn| turn.kind != TurnKind::Speech);
    if is_last {
        Reply::Silence
    } else {
        Reply::Answered
    }
}

/// Whether the turn after `turn` is a third person's, and about what was asked.
fn somebody_else_knows(document: &Document<'_>, question: &Sentence, turn: usize) -> bool {
    let speaker = |sentences: &[Sentence]| {
        sentences
            .first()
            .and_then(|sentence| document.speaker(sentence))
            .map(str::to_owned)
    };
    let (_, replied) = document.turn_sentences(turn);
    let (_, next) = document.turn_sentences(turn + 1);
    let third = speaker(next);
    let is_third = third.is_some()
        && third != speaker(replied)
        && third.as_deref() != document.speaker(question);
    let asked = document.terms(question);
    let shared = |sentence: &&Sentence| {
        let terms = document.terms(sentence);
        let shared = asked.iter().filter(|term| terms.contains(term)).count();
        !sentence.is_question && shared >= ANSWER_MIN_SHARED_TERMS
    };
    is_third && next.iter().take(2).any(|sentence| shared(&sentence))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::language::Language;
    use crate::transcript::{Format, parse};

    fn questions(text: &str, language: Language) -> Vec<(String, Option<String>)> {
        let transcript = parse(text, Format::Text).unwrap();
        find(&Document::read(&transcript, language))
            .into_iter()
            .map(|found| (found.text, found.reply))
            .collect()
    }

    #[test]
    fn a_question_that_nobody_can_answer_is_open() {
        let found = questions(
            "A: How much does the battery cost in Sweden?\nB: I don't know, we'll come back to that.\nA: Which colour do customers prefer most?\nB: Yellow, by far, as the survey shows.\n",
            Language::En,
        );
        assert_eq!(
            found,
            [(
                "How much does the battery cost in Sweden?".to_owned(),
                Some("I don't know, we'll come back to that.".to_owned())
            )]
        );
    }

    #[test]
    fn the_last_question_of_the_meeting_is_open() {
        let found = questions(
            "Anna Berg: Tack.\nBo Ek: Vem betalar hyran för lokalen i sommar?\n",
            Language::Sv,
        );
        assert_eq!(
            found,
            [("Vem betalar hyran för lokalen i sommar?".to_owned(), None)]
        );
    }

    #[test]
    fn an_asker_who_goes_on_did_not_ask() {
        let found = questions(
            "A: Why do batteries of remotes fail? Because they are cheap. Everybody knows that by now.\nB: I don't know.\n",
            Language::En,
        );
        assert!(found.is_empty(), "{found:?}");
    }
}
