//! Spoken words to readable ones: noise marks, fillers, stutters and the spaces of tokenised transcripts go.
//!
//! It only ever leaves out: every word that remains was said, in that order. Tests hold it to that.

use std::borrow::Cow;

/// Longest `{mark}` or `[note]` inside speech that is taken for noise.
const MARK_MAX_BYTES: usize = 60;

const FILLERS: &[&str] = &[
    "uh", "um", "umm", "uhm", "er", "erm", "eh", "ehm", "hm", "hmm", "mm", "mmm", "mhm", "uh-huh",
    "mm-hmm", "mm-hm", "ah", "öh", "öhm", "äh", "ähm", "hmm-mm", "uh-uh",
];

/// Words of two letters, which are no fragments of the word after them.
const SHORT_WORDS: &[&str] = &[
    "ah", "am", "an", "as", "at", "av", "be", "by", "de", "do", "du", "en", "er", "et", "ex", "ge",
    "go", "ha", "he", "hi", "if", "in", "is", "it", "ja", "jo", "ju", "me", "my", "ni", "no", "nu",
    "of", "oh", "ok", "om", "on", "or", "re", "se", "so", "ta", "to", "up", "us", "ut", "vi", "we",
];

/// Words that open a turn without saying anything. Not `så` and `då`: without them the inverted Swedish order reads as a question.
const OPENERS: &[&str] = &[
    "okay", "ok", "yeah", "yep", "yes", "so", "well", "alright", "right", "and", "but", "oh",
    "now", "anyway", "ja", "jo", "jaha", "nja", "okej", "alltså", "men", "och", "nå",
];
/// An opener only goes when at least this many words follow it.
const WORDS_AFTER_OPENER_MIN: usize = 4;

/// The sentence without noise, its first letter a capital. Empty when nothing but noise was said.
pub(crate) fn clean(raw: &str) -> String {
    let marked = without_marks(raw);
    let tokenised = is_tokenised(&marked);
    let mut words = Words::default();
    for token in marked.split_whitespace() {
        words.take(token, tokenised);
    }
    capitalised(without_openers(&words.text))
}

/// The part of a word that makes it that word: without punctuation around it.
pub(crate) fn core(word: &str) -> &str {
    word.trim_matches(|c: char| !c.is_alphanumeric())
}

#[derive(Default)]
struct Words {
    text: String,
    /// Where each word begins in `text`.
    starts: Vec<usize>,
    /// A lone hyphen came: the next word belongs to the last one.
    joining: bool,
}

impl Words {
    fn take(&mut self, token: &str, tokenised: bool) {
        if token.starts_with("http://") || token.starts_with("https://") {
            return;
        }
        let word = core(token);
        if word.is_empty() {
            self.punctuation(token, tokenised);
            return;
        }
        if tokenised && (token.starts_with('\'') || token == "n't") && !self.text.is_empty() {
            self.text.push_str(token);
            return;
        }
        if self.joining {
            self.joining = false;
            self.text.push('-');
            self.text.push_str(token);
            if self.last().is_some_and(|last| is_filler(core(last))) {
                self.drop_last();
            }
            return;
        }
        if is_filler(word) {
            let ends = token.ends_with(['.', '?', '!']);
            if ends && let Some(end) = token.chars().next_back() {
                self.end_with(end);
            }
            return;
        }
        self.drop_stutter(word);
        if !self.text.is_empty() {
            self.text.push(' ');
        }
        self.starts.push(self.text.len());
        self.text.push_str(token);
        self.drop_repeated_pair();
    }

    fn punctuation(&mut self, token: &str, tokenised: bool) {
        match token {
            "-" if tokenised => self.joining = !self.text.is_empty() && !self.ends_in_punctuation(),
            "," | "." | "?" | "!" | ";" | ":" | "..." | "…" => {
                self.joining = false;
                if let Some(mark) = token.chars().next() {
                    self.end_with(mark);
                }
            }
            _ if tokenised || token.chars().all(|c| ".,".contains(c)) => {}
            _ if !self.text.is_empty() => {
                self.text.push(' ');
                self.starts.push(self.text.len());
                self.text.push_str(token);
            }
            _ => {}
        }
    }

    /// Puts a mark after the last word; a full stop wins over a comma, otherwise the first mark stays.
    fn end_with(&mut self, mark: char) {
        if self.text.is_empty() {
            return;
        }
        if self.text.ends_with([',', ';', ':']) && ".?!".contains(mark) {
            self.text.pop();
        }
        if !self.ends_in_punctuation() {
            self.text.push(mark);
        }
    }

    fn ends_in_punctuation(&self) -> bool {
        self.text.ends_with(['.', '?', '!', ',', ';', ':', '…'])
    }

    fn last(&self) -> Option<&str> {
        self.starts.last().and_then(|start| self.text.get(*start..))
    }

    fn drop_last(&mut self) {
        if let Some(start) = self.starts.pop() {
            self.text.truncate(start);
            let trimmed = self.text.trim_end().len();
            self.text.truncate(trimmed);
        }
    }

    /// `the the plan`, `w what`, `ho how`.
    fn drop_stutter(&mut self, word: &str) {
        let Some(last) = self.last() else { return };
        if last.ends_with(['.', '?', '!']) {
            return;
        }
        let before = core(last);
        let fragment = starts_with_ignoring_case(word, before) && is_fragment(before);
        if fragment || eq_ignoring_case(before, word) {
            self.drop_last();
        }
    }

    /// `I want I want to` keeps the second pair, whose punctuation is the later one.
    fn drop_repeated_pair(&mut self) {
        let [.., a, b, c, d] = self.starts.as_slice() else {
            return;
        };
        let (a, b, c, d) = (*a, *b, *c, *d);
        let word = |from: usize, to: usize| {
            self.text
                .get(from..to)
                .map(str::trim_end)
                .unwrap_or_default()
        };
        let pairs = [
            (word(a, b), word(c, d)),
            (word(b, c), word(d, self.text.len())),
        ];
        let same = pairs.iter().all(|(first, second)| {
            !core(first).is_empty()
                && !first.ends_with(['.', '?', '!'])
                && eq_ignoring_case(core(first), core(second))
        });
        if same {
            self.text.replace_range(a..c, "");
            self.starts.truncate(self.starts.len() - 4);
            self.starts.extend([a, a + (d - c)]);
        }
    }
}

/// Whether one or two letters are the start of a word that was begun again, and no word themselves.
fn is_fragment(letters: &str) -> bool {
    let small = letters.bytes().all(|byte| byte.is_ascii_lowercase());
    match letters.len() {
        1 => small && !matches!(letters, "a" | "i" | "o"),
        2 => small && !SHORT_WORDS.contains(&letters),
        _ => false,
    }
}

fn is_filler(word: &str) -> bool {
    // Most words are told apart by their first letter alone.
    if !word.starts_with(|first| "uehmaöäUEHMAÖÄ".contains(first)) {
        return false;
    }
    word.len() <= 7 && FILLERS.iter().any(|filler| eq_ignoring_case(filler, word))
}

/// Words of different length in bytes differ: the few letters whose case changes it do not matter here.
fn eq_ignoring_case(a: &str, b: &str) -> bool {
    a.len() == b.len()
        && (a.eq_ignore_ascii_case(b)
            || !a.is_ascii()
                && a.chars()
                    .flat_map(char::to_lowercase)
                    .eq(b.chars().flat_map(char::to_lowercase)))
}

fn starts_with_ignoring_case(word: &str, start: &str) -> bool {
    word.len() > start.len()
        && word
            .get(..start.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(start))
}

/// Whether punctuation stands by itself, as corpora of speech write it.
fn is_tokenised(text: &str) -> bool {
    [" .", " ,", " ?", " '", " - "]
        .iter()
        .any(|mark| text.contains(mark))
        && text
            .split_whitespace()
            .any(|token| matches!(token, "." | "," | "?") || token.starts_with('\''))
}

/// Drops `{vocalsound}`, `[laughter]` and Markdown's marks; a Markdown link keeps its text.
fn without_marks(raw: &str) -> Cow<'_, str> {
    if !raw.contains(['{', '[', '*', '`', '~', '\u{fffd}', '\u{200e}', '\u{200f}'])
        && !raw.contains(char::is_control)
    {
        return Cow::Borrowed(raw);
    }
    let mut text = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(character) = rest.chars().next() {
        let after = rest.get(character.len_utf8()..).unwrap_or_default();
        rest = match character {
            '{' => after_mark(after, '}')
                .map(|(_, tail)| tail)
                .unwrap_or(after),
            '[' => match after_mark(after, ']') {
                Some((inside, tail)) if tail.starts_with('(') => {
                    text.push_str(inside);
                    after_mark(tail, ')').map(|(_, tail)| tail).unwrap_or(tail)
                }
                Some((_, tail)) => tail,
                None => after,
            },
            '*' | '`' | '~' | '\u{fffd}' | '\u{200e}' | '\u{200f}' => after,
            character if character.is_control() => {
                text.push(' ');
                after
            }
            character => {
                text.push(character);
                after
            }
        };
    }
    Cow::Owned(text)
}

/// What stands before `close`, and what after, when it comes soon enough; links in brackets may be longer.
fn after_mark(text: &str, close: char) -> Option<(&str, &str)> {
    let limit = if close == '}' {
        MARK_MAX_BYTES
    } else {
        4 * MARK_MAX_BYTES
    };
    let end = text
        .bytes()
        .take(limit)
        .position(|byte| char::from(byte) == close)?;
    Some((text.get(..end)?, text.get(end + close.len_utf8()..)?))
}

fn without_openers(text: &str) -> &str {
    let mut rest = text;
    while let Some((first, after)) = rest.split_once(' ') {
        let opener = core(first).to_lowercase();
        if !OPENERS.contains(&opener.as_str())
            || after.split(' ').take(WORDS_AFTER_OPENER_MIN).count() < WORDS_AFTER_OPENER_MIN
        {
            break;
        }
        rest = after;
    }
    rest.trim_start_matches([',', '.', ' '])
}

fn capitalised(text: &str) -> String {
    let mut rest = text.chars();
    let Some(first) = rest.next() else {
        return String::new();
    };
    let mut upper = first.to_uppercase();
    match (upper.next(), upper.next()) {
        // Only letters that come back the same: `ß` and the long s would turn into something that was not said.
        (Some(capital), None) if capital.to_lowercase().eq(std::iter::once(first)) => {
            let mut text = String::with_capacity(text.len());
            text.push(capital);
            text.push_str(rest.as_str());
            text
        }
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_marks_fillers_and_stutters_go() {
        for (raw, expected) in [
            (
                "this is the the plan for today's meeting is um firstly just to {disfmarker} introduce .",
                "This is the plan for today's meeting is firstly just to introduce.",
            ),
            (
                "Okay . So , this is uh first meeting of this design project .",
                "This is first meeting of this design project.",
            ),
            (
                "there 's no uh low - pass filtering",
                "There's no low-pass filtering",
            ),
            ("Mm - hmm . {vocalsound}", ""),
            ("w what do you mean ?", "What do you mean?"),
            ("I want I want to go .", "I want to go."),
            (
                "Ja, öh, vi vi måste boka lokalen.",
                "Vi måste boka lokalen.",
            ),
            (
                "See [the RFC](https://x.y/z) **now** please",
                "See the RFC now please",
            ),
            ("He said - again - no.", "He said - again - no."),
            ("", ""),
        ] {
            assert_eq!(clean(raw), expected, "{raw}");
        }
    }

    #[test]
    fn a_short_sentence_keeps_its_opener() {
        assert_eq!(clean("So we agreed."), "So we agreed.");
    }

    #[test]
    fn unclosed_marks_stay_readable() {
        assert_eq!(clean("a { b [ c"), "A b c");
    }
}
