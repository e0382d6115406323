//! Scores the summaries against people's: `cargo run --release -p meetmind --example evaluate -- FOLDER` with QMSum files.
//!
//! ROUGE F1 (stems, no stop words removed) against the first general query's answer, beside three baselines of as many
//! words; how many of the spans that the annotators marked for their questions hold a chosen sentence; and milliseconds.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::time::Instant;
use std::{env, fs, io};

use meetmind::transcript::{self, Format};
use meetmind::{Options, summarize};
use serde_json::Value;

const SHUFFLES: usize = 20;

fn main() -> io::Result<()> {
    let folder = env::args()
        .nth(1)
        .ok_or_else(|| io::Error::other("usage: evaluate FOLDER"))?;
    let mut files: Vec<PathBuf> = fs::read_dir(&folder)?
        .filter_map(|entry| Some(entry.ok()?.path()))
        .collect();
    files.retain(|path| {
        path.extension()
            .is_some_and(|extension| extension == "json")
    });
    files.sort();
    println!(
        "{:<14} {:>6} {:>7}  {:<22} {:<22} {:<22} {:<22} spans",
        "meeting", "words", "ms", "meetmind R1/R2/RL", "lead", "random", "longest"
    );
    let mut sums = [[0.0; 3]; 4];
    let (mut hit, mut all) = (0, 0);
    for path in &files {
        let row = Row::of(path)?;
        row.print();
        for (sum, scores) in sums.iter_mut().zip(row.scores) {
            for (total, score) in sum.iter_mut().zip(scores) {
                *total += score / files.len() as f64;
            }
        }
        hit += row.spans.0;
        all += row.spans.1;
    }
    let means: Vec<String> = sums.iter().map(|scores| cell(*scores)).collect();
    println!(
        "{:<14} {:>6} {:>7}  {} {hit}/{all}",
        "mean",
        "",
        "",
        means.join(" ")
    );
    Ok(())
}

struct Row {
    name: String,
    words: usize,
    millis: f64,
    /// MeetMind, lead, random, longest.
    scores: [[f64; 3]; 4],
    spans: (usize, usize),
}

impl Row {
    fn of(path: &Path) -> io::Result<Self> {
        let text = fs::read_to_string(path)?;
        let meeting: Value = serde_json::from_str(&text)?;
        let reference = meeting
            .pointer("/general_query_list/0/answer")
            .and_then(Value::as_str)
            .unwrap_or_default();
        let start = Instant::now();
        let transcript = transcript::parse(&text, Format::Auto).map_err(io::Error::other)?;
        let summary = summarize(&transcript, &Options::default());
        let millis = start.elapsed().as_secs_f64() * 1_000.0;
        let ours: Vec<&str> = summary
            .summary
            .iter()
            .map(|statement| statement.text.as_str())
            .collect();
        let words = ours
            .iter()
            .map(|sentence| sentence.split_whitespace().count())
            .sum();
        let sentences = plain_sentences(&meeting);
        let candidates: Vec<&str> = sentences.iter().map(String::as_str).collect();
        let scored = [
            ours.join(" "),
            lead(&candidates, words),
            longest(&candidates, words),
        ]
        .map(|text| rouge(&text, reference));
        let [ours, lead, longest] = scored;
        let scored = [ours, lead, random(&candidates, words, reference), longest];
        let turns: Vec<usize> = summary
            .summary
            .iter()
            .map(|statement| original_turn(&meeting, statement.place.turn))
            .collect();
        Ok(Self {
            name: path
                .file_stem()
                .unwrap_or_default()
                .to_string_lossy()
                .into_owned(),
            words,
            millis,
            scores: scored,
            spans: spans(&meeting, &turns),
        })
    }

    fn print(&self) {
        let cells: Vec<String> = self.scores.iter().map(|scores| cell(*scores)).collect();
        let (hit, all) = self.spans;
        println!(
            "{:<14} {:>6} {:>7.1}  {} {hit}/{all}",
            self.name,
            self.words,
            self.millis,
            cells.join(" ")
        );
    }
}

fn cell(scores: [f64; 3]) -> String {
    let [one, two, longest] = scores;
    format!("{:<22}", format!("{one:.3} {two:.3} {longest:.3}"))
}

/// Turns without words are left out of our numbering; this counts them back in.
fn original_turn(meeting: &Value, turn: usize) -> usize {
    let turns = meeting["meeting_transcripts"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let spoken = turns.iter().enumerate().filter(|(_, turn)| {
        turn["content"]
            .as_str()
            .is_some_and(|text| !text.trim().is_empty())
    });
    spoken.map(|(index, _)| index).nth(turn).unwrap_or_default()
}

/// How many of the marked spans hold a chosen turn.
fn spans(meeting: &Value, turns: &[usize]) -> (usize, usize) {
    let bound = |value: &Value| value.as_str().and_then(|text| text.parse::<usize>().ok());
    let queries = meeting["specific_query_list"]
        .as_array()
        .into_iter()
        .flatten();
    let spans =
        queries.flat_map(|query| query["relevant_text_span"].as_array().into_iter().flatten());
    let ranges: Vec<(usize, usize)> = spans
        .filter_map(|span| Some((bound(&span[0])?, bound(&span[1])?)))
        .collect();
    let hit = ranges
        .iter()
        .filter(|(from, to)| turns.iter().any(|turn| (from..=to).contains(&turn)))
        .count();
    (hit, ranges.len())
}

fn take(sentences: impl Iterator<Item = String>, words: usize) -> String {
    sentences
        .flat_map(|sentence| {
            sentence
                .split_whitespace()
                .map(str::to_owned)
                .collect::<Vec<_>>()
        })
        .take(words)
        .collect::<Vec<_>>()
        .join(" ")
}

fn lead(sentences: &[&str], words: usize) -> String {
    take(
        sentences.iter().map(|sentence| (*sentence).to_owned()),
        words,
    )
}

/// Mean over several orders from a fixed generator: one shuffle would be luck.
fn random(sentences: &[&str], words: usize, reference: &str) -> [f64; 3] {
    let mut state = 0x9E37_79B9_7F4A_7C15_u64;
    let mut mean = [0.0; 3];
    for _ in 0..SHUFFLES {
        let mut keyed: Vec<(u64, &str)> = sentences
            .iter()
            .map(|sentence| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1_442_695_040_888_963_407);
                (state >> 11, *sentence)
            })
            .collect();
        keyed.sort_unstable();
        let text = take(
            keyed.into_iter().map(|(_, sentence)| sentence.to_owned()),
            words,
        );
        for (total, score) in mean.iter_mut().zip(rouge(&text, reference)) {
            *total += score / SHUFFLES as f64;
        }
    }
    mean
}

/// Sentences as the corpus writes them, without its marks for noise.
fn plain_sentences(meeting: &Value) -> Vec<String> {
    let turns = meeting["meeting_transcripts"]
        .as_array()
        .into_iter()
        .flatten();
    let contents = turns.filter_map(|turn| turn["content"].as_str());
    let without_marks = contents.map(|content| {
        content
            .split('{')
            .map(|part| part.split_once('}').map_or(part, |(_, rest)| rest))
            .collect::<String>()
    });
    without_marks
        .flat_map(|text| {
            text.split_inclusive(['.', '?', '!'])
                .map(|sentence| sentence.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .filter(|sentence| sentence.contains(char::is_alphanumeric))
        .collect()
}

fn longest(sentences: &[&str], words: usize) -> String {
    let mut sorted = sentences.to_vec();
    sorted.sort_by_key(|sentence| std::cmp::Reverse(sentence.split_whitespace().count()));
    take(sorted.into_iter().map(str::to_owned), words)
}

/// F1 of ROUGE-1, ROUGE-2 and ROUGE-L (longest common subsequence over the whole text).
fn rouge(candidate: &str, reference: &str) -> [f64; 3] {
    let stemmer = rust_stemmers::Stemmer::create(rust_stemmers::Algorithm::English);
    let stems = |text: &str| -> Vec<String> {
        let lower = text.to_lowercase();
        lower
            .split(|c: char| !c.is_alphanumeric())
            .filter(|word| !word.is_empty())
            .map(|word| stemmer.stem(word).into_owned())
            .collect()
    };
    let (candidate, reference) = (stems(candidate), stems(reference));
    let grams = |words: &[String], n: usize| {
        let mut counts: HashMap<Vec<String>, usize> = HashMap::new();
        words
            .windows(n)
            .for_each(|gram| *counts.entry(gram.to_vec()).or_default() += 1);
        counts
    };
    let overlap = |n: usize| {
        let (ours, theirs) = (grams(&candidate, n), grams(&reference, n));
        let common: usize = ours
            .iter()
            .map(|(gram, count)| (*count).min(theirs.get(gram).copied().unwrap_or(0)))
            .sum();
        f1(
            common,
            candidate.len().saturating_sub(n - 1),
            reference.len().saturating_sub(n - 1),
        )
    };
    [
        overlap(1),
        overlap(2),
        f1(
            common_subsequence(&candidate, &reference),
            candidate.len(),
            reference.len(),
        ),
    ]
}

fn f1(common: usize, ours: usize, theirs: usize) -> f64 {
    if common == 0 {
        0.0
    } else {
        2.0 * common as f64 / (ours + theirs) as f64
    }
}

fn common_subsequence(a: &[String], b: &[String]) -> usize {
    let mut row = vec![0_usize; b.len() + 1];
    for word in a {
        let mut diagonal = 0;
        for (at, other) in b.iter().enumerate() {
            let left = row.get(at).copied().unwrap_or(0);
            if let Some(cell) = row.get_mut(at + 1) {
                let above = *cell;
                *cell = if word == other {
                    diagonal + 1
                } else {
                    above.max(left)
                };
                diagonal = above;
            }
        }
    }
    row.last().copied().unwrap_or(0)
}
