//! What was expected beside what came, place by place.

use std::collections::BTreeMap;
use std::sync::Arc;

use regex::Regex;
use serde::Serialize;
use serde_json::Value;

use crate::redact::Redaction;

/// Most differences that are shown of one thing.
const DIFFERENCES_MAX: usize = 20;
/// Longest value that is shown, in characters.
const SHOWN_MAX_CHARS: usize = 300;
/// How much of what is the same is shown before a difference in a long text, in characters.
const SHOWN_BEFORE_CHARS: usize = 40;

/// One place where something else came than was expected.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Mismatch {
    /// Where: `calls[0].output/visits`.
    pub at: String,
    /// What was expected.
    pub expected: String,
    /// What came.
    pub got: String,
}

/// Everything that was found to differ, as a report may show it: without secrets, and cut.
#[derive(Default)]
pub(crate) struct Findings {
    pub(crate) mismatches: Vec<Mismatch>,
    redaction: Arc<Redaction>,
}

impl Findings {
    pub(crate) fn new(redaction: &Arc<Redaction>) -> Self {
        Self {
            mismatches: Vec::new(),
            redaction: Arc::clone(redaction),
        }
    }

    /// Whether a comparison finds anything, of which nothing is kept.
    pub(crate) fn scratch(compare: impl FnOnce(&mut Self)) -> bool {
        let mut found = Self::default();
        compare(&mut found);
        !found.mismatches.is_empty()
    }

    /// Adds what was found `elsewhere`.
    pub(crate) fn extend(&mut self, there: Self, elsewhere: &str) {
        self.mismatches
            .extend(there.mismatches.into_iter().map(|mut one| {
                one.at.push_str(elsewhere);
                one
            }));
    }

    fn shown(&self, mut text: String) -> String {
        self.redaction.text(&mut text);
        cut(text)
    }
}

/// Collects differences of one thing; the place of each is below `at`.
pub(crate) struct Differences<'d> {
    at: String,
    found: &'d mut Findings,
    left: usize,
}

impl<'d> Differences<'d> {
    pub(crate) fn new(at: impl Into<String>, found: &'d mut Findings) -> Self {
        Self {
            at: at.into(),
            found,
            left: DIFFERENCES_MAX,
        }
    }

    pub(crate) fn add(
        &mut self,
        pointer: &str,
        expected: impl Into<String>,
        got: impl Into<String>,
    ) {
        let Some(left) = self.left.checked_sub(1) else {
            return;
        };
        self.left = left;
        let mismatch = Mismatch {
            at: self.found.shown(format!("{}{pointer}", self.at)),
            expected: self.found.shown(expected.into()),
            got: self.found.shown(got.into()),
        };
        self.found.mismatches.push(mismatch);
    }

    /// The whole value must be this one.
    pub(crate) fn equal(&mut self, pointer: &str, expected: &Value, got: &Value) {
        match (expected, got) {
            (Value::Object(wanted), Value::Object(there)) => {
                self.fields(pointer, wanted, there);
                for (name, extra) in there {
                    if !wanted.contains_key(name) {
                        self.add(&below(pointer, name), "nothing", shown(extra));
                    }
                }
            }
            (Value::Array(wanted), Value::Array(there)) if wanted.len() == there.len() => {
                for (at, (wanted, there)) in wanted.iter().zip(there).enumerate() {
                    self.equal(&format!("{pointer}/{at}"), wanted, there);
                }
            }
            _ if same(expected, got) => {}
            (Value::String(wanted), Value::String(there)) => {
                // Cleaned before: what is cut in the middle of a secret is not found any more.
                let (mut wanted, mut there) = (wanted.clone(), there.clone());
                self.found.redaction.text(&mut wanted);
                self.found.redaction.text(&mut there);
                let (wanted, there) = apart(&wanted, &there);
                self.add(pointer, wanted, there);
            }
            _ => self.add(pointer, shown(expected), shown(got)),
        }
    }

    fn fields(
        &mut self,
        pointer: &str,
        wanted: &serde_json::Map<String, Value>,
        there: &serde_json::Map<String, Value>,
    ) {
        for (name, wanted) in wanted {
            match there.get(name) {
                Some(there) => self.equal(&below(pointer, name), wanted, there),
                None => self.add(&below(pointer, name), shown(wanted), "nothing"),
            }
        }
    }

    /// Everything that is expected must be there: fields of objects, and the items of a list in their order, with
    /// others between them.
    pub(crate) fn contains(&mut self, pointer: &str, expected: &Value, got: &Value) {
        match (expected, got) {
            (Value::Object(wanted), Value::Object(there)) => {
                for (name, wanted) in wanted {
                    match there.get(name) {
                        Some(there) => self.contains(&below(pointer, name), wanted, there),
                        None => self.add(&below(pointer, name), shown(wanted), "nothing"),
                    }
                }
            }
            (Value::Array(wanted), Value::Array(there)) => {
                let mut rest = there.iter();
                for (at, wanted) in wanted.iter().enumerate() {
                    if !rest.any(|item| includes(wanted, item)) {
                        let pointer = format!("{pointer}/{at}");
                        return self.add(
                            &pointer,
                            shown(wanted),
                            format!("none of {}", shown(got)),
                        );
                    }
                }
            }
            _ => self.equal(pointer, expected, got),
        }
    }

    /// Values that must stand at their JSON pointers.
    pub(crate) fn at(&mut self, expected: &BTreeMap<String, Value>, got: &Value) {
        for (pointer, wanted) in expected {
            match got.pointer(pointer) {
                Some(there) => self.equal(pointer, wanted, there),
                None => self.add(pointer, shown(wanted), "nothing"),
            }
        }
    }

    /// Texts that must fit their patterns.
    pub(crate) fn matches(&mut self, expected: &BTreeMap<String, String>, got: &Value) {
        for (pointer, pattern) in expected {
            let there = got.pointer(pointer);
            let text = there.and_then(Value::as_str);
            let fits = text.is_some_and(|text| Regex::new(pattern).is_ok_and(|p| p.is_match(text)));
            if !fits {
                let got = there.map_or_else(|| "nothing".to_owned(), shown);
                self.add(pointer, format!("text that matches {pattern}"), got);
            }
        }
    }
}

/// Whether everything that is expected is there, see [`Differences::contains`].
pub(crate) fn includes(expected: &Value, got: &Value) -> bool {
    !Findings::scratch(|found| Differences::new("", found).contains("", expected, got))
}

/// Equal, where a whole number written as `2` and as `2.0` is the same.
fn same(expected: &Value, got: &Value) -> bool {
    match (expected, got) {
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        _ => expected == got,
    }
}

fn below(pointer: &str, name: &str) -> String {
    format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// A value as it is shown, on one line. A report cuts it.
pub(crate) fn shown(value: &Value) -> String {
    value.to_string()
}

/// Two texts as they are shown: long ones from a little before the place where they differ.
fn apart(expected: &str, got: &str) -> (String, String) {
    let longest = expected.chars().count().max(got.chars().count());
    let pairs = expected.chars().zip(got.chars());
    let same = pairs.take_while(|(a, b)| a == b).count();
    let from = same.saturating_sub(SHOWN_BEFORE_CHARS);
    if longest <= SHOWN_MAX_CHARS || from == 0 {
        return (shown(&expected.into()), shown(&got.into()));
    }
    let rest = |text: &str| {
        let rest: String = text.chars().skip(from).collect();
        format!("...{}", Value::from(rest))
    };
    (rest(expected), rest(got))
}

fn cut(text: String) -> String {
    match text.char_indices().nth(SHOWN_MAX_CHARS) {
        None => text,
        Some((at, _)) => format!("{}...", text.get(..at).unwrap_or_default()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn differences(compare: impl FnOnce(&mut Differences<'_>)) -> Vec<String> {
        let mut found = Findings::default();
        compare(&mut Differences::new("out", &mut found));
        found
            .mismatches
            .iter()
            .map(|m| format!("{}: {} / {}", m.at, m.expected, m.got))
            .collect()
    }

    #[test]
    fn a_difference_is_named_by_its_path() {
        let expected = json!({"a": {"b": [1, 2]}, "c": 1, "n": 2});
        let got = json!({"a": {"b": [1, 3]}, "d": "x", "n": 2.0});
        assert_eq!(
            differences(|d| d.equal("", &expected, &got)),
            [
                "out/a/b/1: 2 / 3",
                "out/c: 1 / nothing",
                "out/d: nothing / \"x\""
            ]
        );
        assert!(differences(|d| d.equal("", &got, &got)).is_empty());
    }

    #[test]
    fn a_part_may_leave_fields_and_items_out_but_not_their_order() {
        let got = json!({"a": [1, {"x": 1, "y": 2}, 3], "b": 0});
        assert!(differences(|d| d.contains("", &json!({"a": [{"y": 2}, 3]}), &got)).is_empty());
        assert_eq!(
            differences(|d| d.contains("", &json!({"a": [3, 1]}), &got)).len(),
            1
        );
    }

    #[test]
    fn values_and_patterns_are_found_by_pointer() {
        let got = json!({"a": ["hej Bo"]});
        let at = BTreeMap::from([
            ("/a/0".to_owned(), json!("hej Bo")),
            ("/b".to_owned(), json!(1)),
        ]);
        assert_eq!(differences(|d| d.at(&at, &got)), ["out/b: 1 / nothing"]);
        let matches = BTreeMap::from([("/a/0".to_owned(), "^hej .o$".to_owned())]);
        assert!(differences(|d| d.matches(&matches, &got)).is_empty());
    }

    #[test]
    fn long_texts_are_shown_where_they_differ() {
        let same = "x".repeat(1_000);
        let (expected, got) = (json!(format!("{same}a")), json!(format!("{same}b")));
        let shown = differences(|d| d.equal("", &expected, &got));
        let near = "x".repeat(SHOWN_BEFORE_CHARS);
        assert_eq!(shown, [format!("out: ...\"{near}a\" / ...\"{near}b\"")]);
    }

    #[test]
    fn a_large_difference_is_shown_in_part() {
        let many: Value = (0..1_000).collect();
        let other: Value = (1..1_001).collect();
        assert_eq!(
            differences(|d| d.equal("", &many, &other)).len(),
            DIFFERENCES_MAX
        );
    }
}
