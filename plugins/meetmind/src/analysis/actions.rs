//! Who has to do what by when: promises, requests that were taken on, tasks given to a named person, listed action items.

use std::cell::OnceCell;
use std::collections::HashSet;

use jiff::civil::Date;

use super::cues::Cue;
use super::dates::{self, Due};
use super::decisions::{may_have_label, under_headings};
use super::document::{Document, Sentence, words};
use super::pattern::Match;
use super::people::People;
use crate::language::Language;
use crate::transcript::TurnKind;

/// Words of a task that are kept; what follows is rarely the task any more.
const TASK_MAX_WORDS: usize = 30;
const TASK_MIN_WORDS: usize = 2;
/// A vague verb (`make`, `look`) needs this many words to be a task.
const VAGUE_TASK_MIN_WORDS: usize = 4;
const HEDGE_REACH_WORDS: usize = 3;
/// Longest name in front of `to` in a list of action items.
const LISTED_OWNER_MAX_WORDS: usize = 3;

/// Verbs that ask for words, not for work, when they stand in a question.
const ASKS_FOR_WORDS: &[&str] = &[
    "confirm",
    "clarify",
    "comment",
    "discuss",
    "respond",
    "report",
    "reply",
    "summarize",
    "summarise",
    "svara",
    "bekräfta",
    "rapportera",
];

/// Subjects that own nothing.
const NOBODY: &[&str] = &[
    "all",
    "everybody",
    "everyone",
    "it",
    "needs",
    "somebody",
    "someone",
    "the",
    "they",
    "this",
    "we",
    "alla",
    "det",
    "någon",
    "vi",
];

/// Words that a whole task does not end in: the speaker was interrupted.
const DANGLING: &[&str] = &[
    "a", "and", "for", "in", "my", "of", "or", "our", "the", "to", "with", "your", "att", "en",
    "ett", "för", "med", "min", "och", "om", "på", "till",
];

/// Verbs that do what they say by being said: `I will remind members`. Only a date makes them a task.
const SAYS_AND_DOES: &[&str] = &[
    "announce",
    "comment",
    "discuss",
    "inform",
    "propose",
    "remind",
    "reply",
    "report",
    "respond",
    "svara",
    "informera",
    "påminna",
];

/// Who is told, not what is done: `please update the House`.
const TOLD: &[&str] = &["me", "us", "house", "committee", "mig", "oss"];

/// A task that was found.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) sentence: usize,
    pub(crate) owner: Option<String>,
    pub(crate) task: String,
    pub(crate) due: Option<String>,
    pub(crate) due_date: Option<Date>,
    pub(crate) quote: String,
}

/// Tasks in meeting order, at most one a sentence.
pub(crate) fn find(document: &Document<'_>, meeting: Option<Date>) -> Vec<Found> {
    let finder = Finder {
        document,
        people: People::of(document.transcript),
        stop_words: document.language.stop_words(),
        meeting,
    };
    let listed = under_headings(document, |heading| document.cues.is_action_heading(heading));
    let mut found: Vec<Found> = Vec::new();
    for (index, sentence) in document.sentences.iter().enumerate() {
        let is_first = document.turn_sentences(sentence.turn).0 == index;
        let is_listed = is_first && listed.contains(&sentence.turn);
        if document.kind(sentence) != TurnKind::Speech {
            continue;
        }
        if let Some(item) = finder.item(index, sentence, is_listed)
            && !found
                .iter()
                .rev()
                .take(20)
                .any(|known| known.task == item.task && known.owner == item.owner)
        {
            found.push(item);
        }
    }
    found
}

struct Finder<'a> {
    document: &'a Document<'a>,
    people: People,
    stop_words: HashSet<&'static str>,
    meeting: Option<Date>,
}

/// A sentence taken apart once for all rules.
struct Spoken<'a> {
    index: usize,
    sentence: &'a Sentence,
    /// Words as said, with punctuation.
    said: Vec<&'a str>,
    /// The same words in lowercase without punctuation.
    words: Vec<&'a str>,
    /// Looked for when a rule first asks: most sentences have no task.
    due: OnceCell<Option<Due>>,
    meeting: Option<Date>,
    language: Language,
}

/// Where a task begins and who has it.
struct Task {
    owner: Option<String>,
    verb: usize,
}

impl Finder<'_> {
    fn item(&self, index: usize, sentence: &Sentence, is_listed: bool) -> Option<Found> {
        if sentence.words < TASK_MIN_WORDS || sentence.words > 80 {
            return None;
        }
        let marks = sentence.marks;
        let promising = marks.may_be_task() || marks.has(Cue::AfterName);
        if !is_listed && !promising && !may_have_label(self.document, sentence) {
            return None;
        }
        let quote = self.document.text(sentence);
        let labelled = self.document.cues.after_action_label(&quote);
        let text = labelled.unwrap_or(&quote);
        let lower = text.to_lowercase().replace('’', "'");
        let words = words(&lower);
        let spoken = Spoken {
            index,
            sentence,
            said: text.split_whitespace().collect(),
            words,
            due: OnceCell::new(),
            meeting: self.meeting,
            language: self.document.language,
        };
        let task = if labelled.is_some() || is_listed {
            self.listed(&spoken, labelled.is_some())
        } else {
            None
        };
        let task = task
            .or_else(|| self.phrase(&spoken))
            .or_else(|| self.named(&spoken))?;
        let (text, due) = spoken.task_text(task.verb)?;
        if !is_listed && labelled.is_none() && !self.is_informative(&text) {
            return None;
        }
        Some(Found {
            sentence: index,
            owner: task.owner,
            task: text,
            due,
            due_date: spoken.due().and_then(|due| due.date),
            quote,
        })
    }

    /// Whether the task names a thing: `send you that` tells a reader nothing.
    fn is_informative(&self, task: &str) -> bool {
        let lower = task.to_lowercase();
        let mut objects = words(&lower).into_iter().skip(1);
        objects.any(|word| !word.is_empty() && !self.stop_words.contains(word))
    }

    /// `Niko to reach out`, `Anna: skicka rapporten`, or just the task, where a label or heading says that it is one.
    fn listed(&self, spoken: &Spoken<'_>, labelled: bool) -> Option<Task> {
        let words = &spoken.words;
        let is_link =
            |word: &str| word == "to" || word == "att" || self.document.cues.is_future(word);
        if let Some((end, name)) = self.people.at(words, 0) {
            let verb = end + usize::from(words.get(end).is_some_and(|word| is_link(word)));
            return Some(Task {
                owner: Some(name.to_owned()),
                verb,
            });
        }
        let future = words
            .iter()
            .take(LISTED_OWNER_MAX_WORDS + 1)
            .position(|word| is_link(word));
        if let Some(at) = future.filter(|at| *at > 0 && words.len() > at + 1) {
            let owner = self.as_written(spoken.sentence, spoken.said.get(..at)?.join(" "));
            let nobody = words.first().is_some_and(|word| NOBODY.contains(word));
            return Some(Task {
                owner: (!nobody).then_some(owner),
                verb: at + 1,
            });
        }
        let head = spoken
            .said
            .iter()
            .take(LISTED_OWNER_MAX_WORDS)
            .position(|word| word.ends_with(':'));
        if let Some(at) = head {
            let owner = spoken.said.get(..=at)?.join(" ");
            return Some(Task {
                owner: Some(owner.trim_end_matches(':').to_owned()),
                verb: at + 1,
            });
        }
        let imperative = words
            .first()
            .is_some_and(|word| self.document.cues.is_task(word));
        (labelled || imperative).then_some(Task {
            owner: None,
            verb: 0,
        })
    }

    /// Handles are written small: takes back the capital that cleaning gave to the first word.
    fn as_written(&self, sentence: &Sentence, owner: String) -> String {
        let turn = self.document.transcript.turns.get(sentence.turn);
        let raw = turn
            .and_then(|turn| turn.text.get(sentence.start..))
            .unwrap_or_default();
        let small = owner.to_lowercase();
        if raw.starts_with(&small) {
            small
        } else {
            owner
        }
    }

    /// `I'll send`, `can you check`, `jag skickar`, `we have to decide by Friday`.
    fn phrase(&self, spoken: &Spoken<'_>) -> Option<Task> {
        if let Some(task) = self.promise(spoken) {
            return Some(task);
        }
        if !spoken.sentence.marks.may_be_task() {
            return None;
        }
        let cues = &self.document.cues;
        cues.phrases.find(&spoken.words).find_map(|found| {
            let verb = *spoken.words.get(found.end)?;
            if spoken.is_hedged(&found, |word| cues.is_hedge(word)) {
                return None;
            }
            let mut certainty = self.certainty(spoken, found.end)?;
            certainty += usize::from(spoken.due().is_some());
            let owner = match found.tag {
                Cue::IWill
                    if certainty >= 2
                        && !spoken.sentence.is_question
                        && (spoken.due().is_some() || !SAYS_AND_DOES.contains(&verb)) =>
                {
                    self.document.speaker(spoken.sentence).map(str::to_owned)
                }
                Cue::YouDo if certainty >= 2 && !spoken.asks_for_words(found.end) => {
                    // A request that nobody took is no task, unless it has a date.
                    let owner = self.addressed(spoken);
                    if owner.is_none() && spoken.due().is_none() {
                        return None;
                    }
                    owner
                }
                Cue::SomebodyMust if certainty >= 2 => None,
                Cue::WeMust if certainty >= 3 && !spoken.sentence.is_question => None,
                _ => return None,
            };
            Some(Task {
                owner,
                verb: found.end,
            })
        })
    }

    /// Two for a verb that is work, one for a vague one with an object; none for others.
    fn certainty(&self, spoken: &Spoken<'_>, verb: usize) -> Option<usize> {
        let word = *spoken.words.get(verb)?;
        let after = spoken.words.len().saturating_sub(verb);
        if self.document.cues.is_task(word) {
            Some(2)
        } else {
            (self.document.cues.is_vague_task(word) && after >= VAGUE_TASK_MIN_WORDS).then_some(1)
        }
    }

    /// `jag skickar`, `då bokar jag`.
    fn promise(&self, spoken: &Spoken<'_>) -> Option<Task> {
        let cues = &self.document.cues;
        if spoken.sentence.is_question {
            return None;
        }
        let pair = (0..spoken.words.len()).position(|at| match spoken.words.get(at..) {
            Some(["jag", verb, rest @ ..] | [verb, "jag", rest @ ..]) => {
                cues.is_promise(verb, rest)
            }
            _ => false,
        })?;
        let first = *spoken.words.get(pair)?;
        let verb = if first == "jag" { pair + 1 } else { pair };
        let before = spoken
            .words
            .get(pair.saturating_sub(HEDGE_REACH_WORDS)..pair)
            .unwrap_or_default();
        if before.iter().any(|word| cues.is_hedge(word))
            || spoken
                .words
                .get(verb + 1..)
                .is_none_or(|rest| rest.contains(&"inte"))
        {
            return None;
        }
        let owner = self.document.speaker(spoken.sentence).map(str::to_owned);
        Some(Task { owner, verb })
    }

    /// `Niko will write`, `the Industrial Designer will be working on`, `Anna skickar`, `Bo ansvarar för`.
    fn named(&self, spoken: &Spoken<'_>) -> Option<Task> {
        let cues = &self.document.cues;
        if spoken.sentence.is_question {
            return None;
        }
        (1..spoken.words.len()).find_map(|at| {
            let word = *spoken.words.get(at)?;
            let future = cues.is_future(word);
            if !future
                && !cues.is_promise(word, spoken.words.get(at + 1..).unwrap_or_default())
                && word != "is"
            {
                return None;
            }
            let (start, name) = self.people.before(&spoken.words, at)?;
            let before = spoken
                .words
                .get(start.saturating_sub(HEDGE_REACH_WORDS)..start)
                .unwrap_or_default();
            if before.iter().any(|word| cues.is_hedge(word)) {
                return None;
            }
            let verb = self.verb_of_named(spoken, at, future)?;
            Some(Task {
                owner: Some(name.to_owned()),
                verb,
            })
        })
    }

    fn verb_of_named(&self, spoken: &Spoken<'_>, at: usize, future: bool) -> Option<usize> {
        let next = *spoken.words.get(at + 1)?;
        let after_next = spoken.words.get(at + 2).copied().unwrap_or_default();
        if !future {
            let responsible = next == "responsible" && after_next == "for";
            return if responsible {
                Some(at + 3)
            } else {
                self.document
                    .cues
                    .is_promise(spoken.words.get(at)?, spoken.words.get(at + 1..)?)
                    .then_some(at)
            };
        }
        if next == "be" {
            return after_next.ends_with("ing").then_some(at + 2);
        }
        let certainty = self.certainty(spoken, at + 1)? + usize::from(spoken.due().is_some());
        (certainty >= 2).then_some(at + 1)
    }

    /// Who was asked: the person named in the sentence, else whoever says yes next.
    fn addressed(&self, spoken: &Spoken<'_>) -> Option<String> {
        let words = &spoken.words;
        let named = self
            .people
            .at(words, 0)
            .or_else(|| self.people.before(words, words.len()));
        if let Some((_, name)) = named {
            return Some(name.to_owned());
        }
        let asker = self.document.speaker(spoken.sentence);
        let next = self
            .document
            .sentences
            .get(spoken.index + 1..)?
            .iter()
            .find(|next| next.turn != spoken.sentence.turn)?;
        let speaker = self
            .document
            .speaker(next)
            .filter(|speaker| Some(*speaker) != asker)?;
        let answer = self.document.text(next).to_lowercase().replace('’', "'");
        let says_yes = answer
            .split_whitespace()
            .next()
            .is_some_and(|word| self.document.cues.is_yes(super::clean::core(word)));
        says_yes.then(|| speaker.to_owned())
    }
}

impl Spoken<'_> {
    fn due(&self) -> Option<&Due> {
        self.due
            .get_or_init(|| dates::due(&self.words, self.meeting, self.language))
            .as_ref()
    }

    fn is_hedged(&self, found: &Match<Cue>, is_hedge: impl Fn(&str) -> bool) -> bool {
        let before = self
            .words
            .get(found.start.saturating_sub(HEDGE_REACH_WORDS)..found.start)
            .unwrap_or_default();
        before.iter().any(|word| is_hedge(word))
    }

    fn asks_for_words(&self, verb: usize) -> bool {
        let told = |word: &&str| TOLD.contains(word);
        let after = self.words.get(verb + 1..).unwrap_or_default();
        let asks = self
            .words
            .get(verb)
            .is_some_and(|verb| ASKS_FOR_WORDS.contains(verb));
        self.sentence.is_question && asks || after.iter().take(2).any(told)
    }

    /// The task from its verb on, without a due date at its end, and the due date as said.
    fn task_text(&self, verb: usize) -> Option<(String, Option<String>)> {
        let due = self
            .due()
            .filter(|due| due.start >= verb || due.end <= verb);
        let end = match due {
            Some(due) if due.start > verb && due.end >= self.said.len() => due.start,
            _ => self.said.len().min(verb + TASK_MAX_WORDS),
        };
        let task = self.said.get(verb..end)?;
        let last = self.words.get(end.checked_sub(1)?)?;
        (task.len() >= TASK_MIN_WORDS && !DANGLING.contains(last)).then_some(())?;
        let task = task.join(" ");
        let task = task
            .trim_end_matches(|c: char| ".,;:?! ".contains(c))
            .to_owned();
        let said = self.due().and_then(|due| self.said.get(due.start..due.end));
        let said = said.map(|words| {
            words
                .join(" ")
                .trim_end_matches(|c: char| ".,;:?!".contains(c))
                .to_owned()
        });
        Some((task, said))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::{Format, parse};

    /// Owner, task, due as said, due date.
    type Item = (Option<String>, String, Option<String>, Option<String>);

    fn items(text: &str, language: Language) -> Vec<Item> {
        let transcript = parse(text, Format::Text).unwrap();
        let document = Document::read(&transcript, language);
        find(&document, dates::iso_date_in("2026-03-18"))
            .into_iter()
            .map(|item| {
                (
                    item.owner,
                    item.task,
                    item.due,
                    item.due_date.map(|date| date.to_string()),
                )
            })
            .collect()
    }

    fn item(owner: Option<&str>, task: &str, due: Option<(&str, &str)>) -> Item {
        let owned = |text: &str| text.to_owned();
        (
            owner.map(owned),
            task.to_owned(),
            due.map(|(said, _)| owned(said)),
            due.map(|(_, date)| owned(date)),
        )
    }

    #[test]
    fn promises_and_requests_in_english() {
        let found = items(
            "Anna Berg: I'll send the report by Friday.\nBo Ek: If I send it, will you read it?\nAnna Berg: Bo, can you book the room?\nBo Ek: Could you check the figures?\nAnna Berg: Sure.\nBo Ek: Anna will write the minutes tomorrow.\nBo Ek: I'll go first.\n",
            Language::En,
        );
        assert_eq!(
            found,
            [
                item(
                    Some("Anna Berg"),
                    "send the report",
                    Some(("by Friday", "2026-03-20"))
                ),
                item(Some("Bo Ek"), "book the room", None),
                item(Some("Anna Berg"), "check the figures", None),
                item(
                    Some("Anna Berg"),
                    "write the minutes",
                    Some(("tomorrow", "2026-03-19"))
                ),
            ]
        );
    }

    #[test]
    fn promises_and_requests_in_swedish() {
        let found = items(
            "Anna Berg: Jag skickar protokollet senast på fredag.\nBo Ek: Kan du boka lokalen, Anna?\nAnna Berg: Ja.\nBo Ek: Jag kan inte skicka något.\nAnna Berg: Bo ska kontakta leverantören nästa vecka.\n",
            Language::Sv,
        );
        assert_eq!(
            found,
            [
                item(
                    Some("Anna Berg"),
                    "skickar protokollet",
                    Some(("senast på fredag", "2026-03-20"))
                ),
                item(Some("Anna Berg"), "boka lokalen, Anna", None),
                item(
                    Some("Bo Ek"),
                    "kontakta leverantören",
                    Some(("nästa vecka", "2026-03-27"))
                ),
            ]
        );
    }

    #[test]
    fn listed_items_name_their_owner() {
        let found = items(
            "## Action items\n- Niko to reach out to Aaron about fallback\n- what options exist\n- josh to post a comment\n\n## Other\n- Niko to reach\n",
            Language::En,
        );
        assert_eq!(
            found,
            [
                item(Some("Niko"), "reach out to Aaron about fallback", None),
                item(Some("josh"), "post a comment", None)
            ]
        );
    }
}
