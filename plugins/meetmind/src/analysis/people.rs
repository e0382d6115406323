//! Who may own a task: the speakers, whoever the minutes list as present, and their first names.

use std::collections::{BTreeMap, HashMap};

use crate::transcript::{Transcript, TurnKind};

/// More people than this are not told apart.
const PEOPLE_MAX: usize = 500;

const PRESENT_LABELS: &[&str] = &[
    "attendance",
    "attendees",
    "present",
    "participants",
    "team members",
    "members",
    "others",
    "närvarande",
    "deltagare",
];

/// Parts of labels that are no names.
const TITLES: &[&str] = &[
    "herr",
    "fru",
    "fröken",
    "statsrådet",
    "chefen",
    "för",
    "mr",
    "mrs",
    "ms",
    "dr",
    "hon",
    "the",
    "chair",
    "am",
    "professor",
    "phd",
    "grad",
    "minister",
    "och",
    "i",
    "av",
    "of",
    "and",
    "project",
    "manager",
    "speaker",
    "user",
    "interface",
    "industrial",
    "designer",
];

#[derive(Default)]
pub(crate) struct People {
    /// Lowercase name or part of it to the name in full; none when two people share it.
    by_name: HashMap<String, Option<String>>,
}

impl People {
    pub(crate) fn of(transcript: &Transcript) -> Self {
        let mut names: BTreeMap<&str, ()> = BTreeMap::new();
        for turn in &transcript.turns {
            let listed = (turn.kind == TurnKind::Speech)
                .then(|| present(&turn.text))
                .flatten();
            for name in turn
                .speaker
                .as_deref()
                .into_iter()
                .chain(listed.into_iter().flatten())
            {
                if names.len() < PEOPLE_MAX {
                    names.insert(name, ());
                }
            }
        }
        let mut people = Self::default();
        for name in names.into_keys() {
            people.learn(name);
        }
        people
    }

    fn learn(&mut self, name: &str) {
        let bare = name.split_once('(').map_or(name, |(bare, _)| bare.trim());
        let mut keys = vec![bare.to_lowercase()];
        keys.extend(
            bare.split([' ', ','])
                .map(str::to_lowercase)
                .filter(|part| {
                    part.chars().count() > 1 && !TITLES.contains(&part.trim_end_matches('.'))
                }),
        );
        keys.dedup();
        for key in keys {
            self.by_name
                .entry(key)
                .and_modify(|known| {
                    if known.as_deref() != Some(name) {
                        *known = None;
                    }
                })
                .or_insert_with(|| Some(name.to_owned()));
        }
    }

    /// The person named by the lowercase words that end just before `end`, and where the name starts; longest name first.
    pub(crate) fn before<'a>(&'a self, words: &[&str], end: usize) -> Option<(usize, &'a str)> {
        (1..=4)
            .rev()
            .filter_map(|length| end.checked_sub(length))
            .find_map(|start| {
                let name = words.get(start..end)?.join(" ");
                Some((start, self.by_name.get(&name)?.as_deref()?))
            })
    }

    /// The person named by the lowercase word or words at `start`.
    pub(crate) fn at<'a>(&'a self, words: &[&str], start: usize) -> Option<(usize, &'a str)> {
        (1..=4).rev().find_map(|length| {
            let name = words.get(start..start + length)?.join(" ");
            Some((start + length, self.by_name.get(&name)?.as_deref()?))
        })
    }
}

/// The names after `Present:` and the like.
fn present(text: &str) -> Option<impl Iterator<Item = &str>> {
    let (label, names) = text.split_once(':')?;
    let known = label.len() <= 20 && PRESENT_LABELS.contains(&label.trim().to_lowercase().as_str());
    known.then(|| {
        names
            .split([',', ';'])
            .map(str::trim)
            .filter(|name| (2..=40).contains(&name.len()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transcript::Turn;

    fn people(speakers: &[&str]) -> People {
        People::of(&Transcript {
            turns: speakers
                .iter()
                .map(|name| Turn {
                    speaker: Some((*name).to_owned()),
                    text: "x".to_owned(),
                    ..Turn::default()
                })
                .collect(),
            ..Transcript::default()
        })
    }

    #[test]
    fn a_person_is_known_by_full_and_first_name() {
        let people = people(&["Anna Berg (S)", "Project Manager"]);
        assert_eq!(people.at(&["anna"], 0), Some((1, "Anna Berg (S)")));
        assert_eq!(
            people.before(&["the", "project", "manager", "will"], 3),
            Some((1, "Project Manager"))
        );
    }

    #[test]
    fn a_first_name_that_two_share_names_nobody() {
        let people = people(&["Anna Berg", "Anna Ek"]);
        assert_eq!(people.at(&["anna"], 0), None);
        assert_eq!(people.at(&["anna", "ek"], 0), Some((2, "Anna Ek")));
    }

    #[test]
    fn those_listed_as_present_are_known() {
        let mut transcript = Transcript::default();
        transcript.turns.push(Turn {
            text: "Närvarande: Bo Ek, Eva Ström".to_owned(),
            ..Turn::default()
        });
        assert_eq!(
            People::of(&transcript).at(&["eva"], 0),
            Some((1, "Eva Ström"))
        );
    }
}
