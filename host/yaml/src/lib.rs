//! YAML as a tree that knows where everything stands, and a reader that collects every mistake.
//!
//! Deserializing straight into structs stops at the first mistake. An operator wants all of them at once, each with
//! its place and what is allowed there, so files are read in two steps: text to [`Node`]s, nodes to values by [`Report`].

mod fields;
mod reader;
mod tree;
pub mod units;

pub use fields::Fields;
pub use reader::{Diagnostic, Report};
pub use tree::{Entry, Node, Place, Value, parse};

/// The candidate that `word` was probably meant to be, if one is close enough.
pub fn did_you_mean<'c>(
    word: &str,
    candidates: impl IntoIterator<Item = &'c str>,
) -> Option<&'c str> {
    /// More edits than this make another word.
    const MOST_EDITS: usize = 2;
    candidates
        .into_iter()
        .map(|candidate| (strsim::damerau_levenshtein(word, candidate), candidate))
        .filter(|(edits, candidate)| *edits <= MOST_EDITS && *edits < candidate.len())
        .min()
        .map(|(_, candidate)| candidate)
}
