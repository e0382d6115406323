//! From a transcript to a summary: asks every question of the analysis once and puts the answers together.

use std::collections::HashSet;

use sha2::{Digest, Sha256};

use crate::analysis::document::{Document, Sentence};
use crate::analysis::{actions, dates, decisions, questions, rank, speaking, topics};
use crate::language::{self, Language};
use crate::render;
use crate::summary::{
    ActionItem, Decision, OpenQuestion, Place, Statement, Statistics, Summary, Topic,
};
use crate::transcript::{Transcript, TurnKind};

/// Longest text of one sentence in the answer; what is longer is cut and ends in `…`.
const TEXT_MAX_CHARS: usize = 600;
/// Most entries in each list of the answer, and a warning says how many more there were.
const LIST_MAX: usize = 100;
const TITLE_MAX_CHARS: usize = 200;

/// What the caller wants.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Options {
    /// Sentences in the summary.
    pub sentences: usize,
    /// The language; found out when not given.
    pub language: Option<Language>,
    /// Instead of the title that the transcript carries.
    pub title: Option<String>,
    /// Instead of the date that the transcript carries, `YYYY-MM-DD`.
    pub date: Option<String>,
    /// Instead of the id made from the content.
    pub meeting_id: Option<String>,
}

/// Sentences in a summary of the usual length.
pub const MEDIUM_SENTENCES: usize = 10;

impl Default for Options {
    fn default() -> Self {
        Self {
            sentences: MEDIUM_SENTENCES,
            language: None,
            title: None,
            date: None,
            meeting_id: None,
        }
    }
}

/// Summarises a transcript. The same input always gives the same summary.
pub fn summarize(transcript: &Transcript, options: &Options) -> Summary {
    let mut warnings = transcript.warnings.clone();
    let language = options.language.unwrap_or_else(|| {
        let guess = language::detect(speech(transcript));
        warnings.extend(guess.warning);
        guess.language
    });
    let document = Document::read(transcript, language);
    let date = date(transcript, options, &mut warnings);
    let topics = topics(&document);
    let mut summary = Summary {
        meeting_id: options
            .meeting_id
            .clone()
            .unwrap_or_else(|| meeting_id(transcript)),
        title: title(transcript, options, &topics, language),
        language,
        summary: statements(&document, options.sentences),
        decisions: decisions(&document, &mut warnings),
        action_items: action_items(&document, date.as_deref(), &mut warnings),
        open_questions: open_questions(&document, &mut warnings),
        speaking_time: speaking::times(&document),
        statistics: statistics(&document),
        topics,
        date,
        warnings,
        markdown: String::new(),
    };
    if summary.summary.is_empty() {
        summary
            .warnings
            .push("no sentence was long enough to summarise".to_owned());
    }
    summary.markdown = render::markdown(&summary);
    summary
}

fn speech(transcript: &Transcript) -> impl Iterator<Item = &str> {
    let turns = transcript
        .turns
        .iter()
        .filter(|turn| turn.kind == TurnKind::Speech);
    turns.map(|turn| turn.text.as_str())
}

/// The id of a transcript: the same words by the same people are the same meeting, whatever the title or the format.
fn meeting_id(transcript: &Transcript) -> String {
    let mut hash = Sha256::new();
    for turn in &transcript.turns {
        hash.update(turn.speaker.as_deref().unwrap_or_default());
        hash.update([0]);
        hash.update(&turn.text);
        hash.update([0]);
    }
    let digest = hash.finalize();
    let hex: String = digest
        .iter()
        .take(8)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("m-{hex}")
}

fn date(transcript: &Transcript, options: &Options, warnings: &mut Vec<String>) -> Option<String> {
    if options.date.is_some() {
        return options.date.clone();
    }
    let found = transcript.date.as_deref()?;
    match dates::iso_date_in(found) {
        Some(date) => {
            warnings.push(format!(
                "the date {date} was taken from the transcript; give `date` to set it"
            ));
            Some(date.to_string())
        }
        None => {
            warnings.push("the transcript's date is not YYYY-MM-DD and was not used".to_owned());
            None
        }
    }
}

fn title(
    transcript: &Transcript,
    options: &Options,
    topics: &[Topic],
    language: Language,
) -> String {
    let given = options.title.as_deref().or(transcript.title.as_deref());
    if let Some(title) = given.map(str::trim).filter(|title| !title.is_empty()) {
        return shortened(title, TITLE_MAX_CHARS);
    }
    let mut phrases = topics
        .iter()
        .filter_map(|topic| topic.key_phrases.first())
        .map(String::as_str)
        .take(3);
    let about = phrases.by_ref().collect::<Vec<_>>().join(", ");
    match (language, about.is_empty()) {
        (Language::En, false) => format!("Meeting about {about}"),
        (Language::Sv, false) => format!("Möte om {about}"),
        (Language::En, true) => "Meeting".to_owned(),
        (Language::Sv, true) => "Möte".to_owned(),
    }
}

fn place(document: &Document<'_>, sentence: &Sentence) -> Place {
    Place {
        speaker: document.speaker(sentence).map(str::to_owned),
        turn: sentence.turn,
        start_ms: document.start_ms(sentence),
    }
}

fn place_of(document: &Document<'_>, index: usize) -> Place {
    document
        .sentences
        .get(index)
        .map(|sentence| place(document, sentence))
        .unwrap_or_default()
}

fn statements(document: &Document<'_>, count: usize) -> Vec<Statement> {
    let chosen = rank::choose(document, count).into_iter();
    let sentences = chosen.filter_map(|index| document.sentences.get(index));
    sentences
        .map(|sentence| Statement {
            text: shortened(&document.text(sentence), TEXT_MAX_CHARS),
            place: place(document, sentence),
        })
        .collect()
}

fn topics(document: &Document<'_>) -> Vec<Topic> {
    let turn = |index: usize| {
        document
            .sentences
            .get(index)
            .map_or(0, |sentence| sentence.turn)
    };
    topics::parts(document)
        .into_iter()
        .map(|part| Topic {
            first_turn: turn(part.first),
            last_turn: turn(part.last),
            start_ms: document
                .sentences
                .get(part.first)
                .and_then(|sentence| document.start_ms(sentence)),
            key_phrases: part.phrases,
        })
        .collect()
}

fn decisions(document: &Document<'_>, warnings: &mut Vec<String>) -> Vec<Decision> {
    bounded(decisions::find(document), "decisions", warnings)
        .map(|found| Decision {
            text: shortened(&found.text, TEXT_MAX_CHARS),
            context: found
                .context
                .map(|context| shortened(&context, TEXT_MAX_CHARS)),
            place: place_of(document, found.sentence),
        })
        .collect()
}

fn action_items(
    document: &Document<'_>,
    date: Option<&str>,
    warnings: &mut Vec<String>,
) -> Vec<ActionItem> {
    let meeting = date.and_then(dates::iso_date_in);
    bounded(actions::find(document, meeting), "action items", warnings)
        .map(|found| ActionItem {
            owner: found.owner.map(|owner| shortened(&owner, TITLE_MAX_CHARS)),
            task: shortened(&found.task, TEXT_MAX_CHARS),
            due: found.due,
            due_date: found.due_date.map(|date| date.to_string()),
            quote: shortened(&found.quote, TEXT_MAX_CHARS),
            place: place_of(document, found.sentence),
        })
        .collect()
}

fn open_questions(document: &Document<'_>, warnings: &mut Vec<String>) -> Vec<OpenQuestion> {
    bounded(questions::find(document), "open questions", warnings)
        .map(|found| OpenQuestion {
            text: shortened(&found.text, TEXT_MAX_CHARS),
            reply: found.reply.map(|reply| shortened(&reply, TEXT_MAX_CHARS)),
            place: place_of(document, found.sentence),
        })
        .collect()
}

fn bounded<T>(found: Vec<T>, what: &str, warnings: &mut Vec<String>) -> impl Iterator<Item = T> {
    let more = found.len().saturating_sub(LIST_MAX);
    if more > 0 {
        warnings.push(format!("{more} more {what} were left out"));
    }
    found.into_iter().take(LIST_MAX)
}

fn statistics(document: &Document<'_>) -> Statistics {
    let turns = &document.transcript.turns;
    let speech = turns.iter().filter(|turn| turn.kind == TurnKind::Speech);
    let speakers: HashSet<&str> = speech
        .clone()
        .filter_map(|turn| turn.speaker.as_deref())
        .collect();
    let said = document
        .sentences
        .iter()
        .filter(|sentence| document.kind(sentence) == TurnKind::Speech);
    let start = turns
        .iter()
        .flat_map(|turn| &turn.marks)
        .map(|mark| mark.start_ms)
        .min();
    let end = turns
        .iter()
        .filter_map(|turn| turn.end_ms.max(turn.marks.last().map(|mark| mark.start_ms)))
        .max();
    Statistics {
        turns: speech.count(),
        sentences: said.clone().count(),
        words: said.map(|sentence| sentence.words).sum(),
        speakers: speakers.len(),
        notes: turns
            .iter()
            .filter(|turn| turn.kind == TurnKind::Note)
            .count(),
        duration_seconds: start
            .zip(end)
            .map(|(start, end)| end.saturating_sub(start) / 1_000),
    }
}

/// At most `max` characters, cut at a blank where there is one.
pub(crate) fn shortened(text: &str, max: usize) -> String {
    let Some((end, _)) = text.char_indices().nth(max) else {
        return text.to_owned();
    };
    let kept = text.get(..end).unwrap_or_default();
    let kept = kept.rsplit_once(' ').map_or(kept, |(head, _)| head);
    format!("{kept}…")
}
