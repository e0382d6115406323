//! Speaker labels at the start of a line: `Anna:`, `Herr SPÅNGBERG:`, `Mr. Martin Champoux (Trois-Rivières, BQ):`.
//!
//! Any short phrase before a colon may be one, so a label is believed when its form leaves no doubt, when it comes back,
//! or when most lines carry one.

use std::collections::HashMap;

/// Longest label in bytes; ministers with their office and place come near it.
const LABEL_MAX_BYTES: usize = 160;
/// Most words outside of parentheses in a label.
const LABEL_MAX_WORDS: usize = 9;
/// From this share of labelled lines on (in percent), a label that occurs only once is believed, too.
const LABELLED_SHARE_PERCENT: usize = 50;

/// In a text with more labels than this, a name that comes only once needs a title to be believed.
const FEW_LABELS: usize = 12;

/// Words before a colon that say what follows, not who speaks.
const NOT_SPEAKERS: &[&str] = &[
    "action",
    "action item",
    "action items",
    "actions",
    "agenda",
    "concerns",
    "announcements",
    "attendance",
    "attendees",
    "background",
    "conclusion",
    "consensus",
    "context",
    "date",
    "decision",
    "decisions",
    "discussion",
    "example",
    "follow-up",
    "goal",
    "idea",
    "issue",
    "link",
    "links",
    "meeting date",
    "minutes",
    "next step",
    "next steps",
    "note",
    "notes",
    "observation",
    "open question",
    "outcome",
    "participants",
    "present",
    "problem",
    "proposal",
    "question",
    "questions",
    "resolution",
    "resolved",
    "result",
    "status",
    "summary",
    "time",
    "title",
    "todo",
    "to do",
    "topic",
    "update",
    "updates",
    "warning",
    "anteckningar",
    "att göra",
    "beslut",
    "dagordning",
    "datum",
    "deltagare",
    "fråga",
    "frågor",
    "förslag",
    "källa",
    "mål",
    "närvarande",
    "nästa steg",
    "obs",
    "plats",
    "punkt",
    "resultat",
    "sammanfattning",
    "slutsats",
    "status",
    "tid",
    "uppgift",
    "uppgifter",
    "åtgärd",
    "åtgärder",
    "öppen fråga",
];

/// Lowercase words that stand inside names and offices.
const CONNECTORS: &[&str] = &[
    "af",
    "and",
    "av",
    "chefen",
    "da",
    "de",
    "del",
    "den",
    "der",
    "det",
    "di",
    "du",
    "fru",
    "för",
    "fröken",
    "herr",
    "i",
    "in",
    "la",
    "le",
    "of",
    "och",
    "på",
    "statsrådet",
    "the",
    "till",
    "van",
    "vice",
    "von",
    "y",
];

const HONORIFICS: &[&str] = &[
    "dr",
    "fru",
    "fröken",
    "herr",
    "hon",
    "madam",
    "miss",
    "mr",
    "mrs",
    "ms",
    "prof",
    "professor",
    "sir",
    "statsrådet",
    "minister",
    "statsminister",
    "talmannen",
    "chair",
    "chairman",
    "ordförande",
    "ordföranden",
    "speaker",
    "interviewer",
];

/// Which labels of a text are speakers.
#[derive(Default)]
pub(super) struct Labels {
    believed: HashMap<String, usize>,
    all: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Form {
    /// Has a title, an office, a party or several capitalised words.
    Certain,
    /// One capitalised word, or a lowercase handle.
    Possible,
}

impl Labels {
    /// Looks at all lines before any is split.
    pub(super) fn learn<'a>(lines: impl Iterator<Item = &'a str>) -> Self {
        let mut counts: HashMap<&str, (usize, Form)> = HashMap::new();
        let (mut labelled, mut total) = (0_usize, 0_usize);
        for line in lines {
            total += 1;
            if let Some((label, form, _)) = candidate(line) {
                labelled += 1;
                counts.entry(label).or_insert((0, form)).0 += 1;
            }
        }
        let all = labelled * 100 >= total * LABELLED_SHARE_PERCENT;
        let believed = counts
            .into_iter()
            .filter(|(label, (count, form))| {
                let handle = !label.starts_with(char::is_uppercase);
                match form {
                    Form::Certain => all || *count > 1 || labelled < FEW_LABELS || has_title(label),
                    Form::Possible if handle => *count > 1,
                    Form::Possible => all || *count > 1,
                }
            })
            .map(|(label, (count, _))| (label.to_owned(), count))
            .collect();
        Self { believed, all }
    }

    /// The speaker at the start of the line, if it has one, and what is said.
    pub(super) fn split<'a>(&self, line: &'a str) -> (Option<&'a str>, &'a str) {
        match candidate(line) {
            Some((label, _, rest)) if self.believed.contains_key(label) => (Some(label), rest),
            _ => (None, line),
        }
    }

    /// Whether labels are the rule in this text rather than the exception.
    pub(super) fn are_the_rule(&self) -> bool {
        self.all
    }

    /// A known label inside running text, after the end of a sentence: where it starts and where its words start.
    ///
    /// Scanned records lose line breaks, and then a new speaker begins in the middle of a line.
    pub(super) fn find_inside(&self, text: &str) -> Option<(usize, usize)> {
        let mut from = 0;
        while let Some(colon) = text.get(from..)?.find(": ").map(|at| at + from) {
            let before = text.get(..colon)?;
            let known = self.believed.keys().find_map(|label| {
                let start = before.strip_suffix(label.as_str())?.len();
                // A bare first name before a colon is too often just quoted: "as we told Anna: no".
                let ends_sentence = text
                    .get(..start)?
                    .trim_end()
                    .ends_with(['.', '?', '!', '"']);
                (start > 0 && label.contains(' ') && ends_sentence).then_some(start)
            });
            if let Some(start) = known {
                return Some((start, colon + 1));
            }
            from = colon + 1;
        }
        None
    }
}

/// A label by its form, and the text after the colon.
fn candidate(line: &str) -> Option<(&str, Form, &str)> {
    let mut from = 0;
    loop {
        let colon = line
            .bytes()
            .take(LABEL_MAX_BYTES)
            .skip(from)
            .position(|byte| byte == b':')?
            + from;
        let (label, rest) = line.split_at_checked(colon)?;
        let rest = rest.strip_prefix(':')?;
        // `10:30`, `a::b` and `https://` are no labels, but one may follow: `Anna 10:30: hello`.
        if !rest.is_empty() && !rest.starts_with(char::is_whitespace) {
            from = colon + 1;
            continue;
        }
        let label = label.trim();
        return Some((label, form(label)?, rest.trim_start()));
    }
}

fn form(label: &str) -> Option<Form> {
    let (name, in_parentheses) = match label.split_once('(') {
        Some((name, rest)) if rest.ends_with(')') => (name.trim_end(), true),
        Some(_) => return None,
        None => (label, false),
    };
    let lower = name.to_lowercase();
    let forbidden = |c: char| "?!;\"“”«»<>=/{}|[]*`".contains(c);
    if name.is_empty() || name.contains(forbidden) || NOT_SPEAKERS.contains(&lower.as_str()) {
        return None;
    }
    let words: Vec<&str> = name.split_whitespace().collect();
    let count = words.len();
    let mut capitalised = 0;
    for (index, word) in words.iter().enumerate() {
        if word.starts_with(char::is_uppercase) {
            capitalised += 1;
        } else if count > 1 && !is_small_part(word, index) {
            return None;
        }
        // A period ends an abbreviation or an initial, not a sentence.
        if word.len() > 6 && word.ends_with('.') {
            return None;
        }
    }
    let titled = has_title(name);
    let numbered = count == 2
        && words
            .last()
            .is_some_and(|word| word.bytes().all(|b| b.is_ascii_digit()));
    match count {
        0 => None,
        _ if count > LABEL_MAX_WORDS => None,
        1 if capitalised == 0 => is_handle(name).then_some(Form::Possible),
        _ if capitalised > 0 && (in_parentheses || titled) => Some(Form::Certain),
        1 => Some(Form::Possible),
        _ if capitalised > 1 || numbered => Some(Form::Certain),
        _ => None,
    }
}

/// An office, a form of address or a party in parentheses.
fn has_title(label: &str) -> bool {
    label.ends_with(')')
        || label.split_whitespace().any(|word| {
            let bare = word.trim_end_matches(['.', ',']).to_lowercase();
            HONORIFICS.contains(&bare.as_str()) || bare.ends_with("minister")
        })
}

fn is_small_part(word: &str, index: usize) -> bool {
    let bare = word.trim_end_matches([',', '.']);
    let is_number = index > 0 && bare.len() <= 3 && bare.bytes().all(|byte| byte.is_ascii_digit());
    let is_office =
        bare.len() > 6 && (bare.ends_with("departementet") || bare.ends_with("departementct"));
    is_number || is_office || word == "-" || bare == "klimatminister" || CONNECTORS.contains(&bare)
}

/// `nikomatsakis`, `oli-obk`, `user_7`.
fn is_handle(name: &str) -> bool {
    (2..=39).contains(&name.len())
        && name.starts_with(|c: char| c.is_ascii_lowercase())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_of_real_records_are_certain() {
        for label in [
            "Chefen för jordbruksdepartementet, herr statsrådet STRÄNG",
            "Herr ANDERSSON i Dunker",
            "Staffan Eklöf (SD)",
            "Miljö- och klimatminister Isabella Lövin (MP)",
            "The Chair (Hon. Anthony Rota (NipissingTimiskaming, Lib.))",
            "Professor A",
            "Speaker 1",
            "Project Manager",
            "Dr David Blaney",
        ] {
            assert_eq!(form(label), Some(Form::Certain), "{label}");
        }
    }

    #[test]
    fn phrases_before_a_colon_are_no_labels() {
        for phrase in [
            "There are three causes",
            "Decision",
            "Att göra",
            "Meeting date",
            "He said to me",
            "",
            "Why?",
            "Update 2020-27-02",
        ] {
            assert_eq!(form(phrase), None, "{phrase}");
        }
    }

    #[test]
    fn a_single_word_is_believed_when_it_comes_back() {
        let lines = [
            "Felix: one",
            "b",
            "c",
            "d",
            "e",
            "f",
            "oli: x",
            "oli: y",
            "Cost: two",
        ];
        let labels = Labels::learn(lines.into_iter());
        assert_eq!(labels.split("Felix: one"), (None, "Felix: one"));
        assert_eq!(labels.split("oli: x"), (Some("oli"), "x"));
    }

    #[test]
    fn times_and_urls_are_not_the_colon_of_a_label() {
        let labels = Labels::learn(["Anna Berg: at 10:30 see https://x.y"].into_iter());
        assert_eq!(
            labels.split("Anna Berg: at 10:30 see https://x.y"),
            (Some("Anna Berg"), "at 10:30 see https://x.y")
        );
        assert_eq!(labels.split("https://x.y"), (None, "https://x.y"));
    }

    #[test]
    fn a_known_speaker_is_found_in_the_middle_of_a_line() {
        let labels = Labels::learn(["Herr AHLSTEN: Tack."].into_iter());
        let text = "Det är sagt. Herr AHLSTEN: Nej.";
        let (start, words) = labels.find_inside(text).unwrap();
        assert_eq!(&text[start..], "Herr AHLSTEN: Nej.");
        assert_eq!(&text[words..], " Nej.");
        assert_eq!(labels.find_inside("som Herr AHLSTEN: Nej."), None);
    }
}
