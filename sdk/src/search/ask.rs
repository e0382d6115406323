//! What to look for: a query and its parts, built step by step.

use std::ops::{Bound, RangeBounds};

/// Whether one of the words is enough.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operator {
    /// One is enough.
    Any,
    /// All are needed, but for those that the analyzer of a chosen field leaves out.
    All,
}

/// Words to look for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct TextPart {
    /// At most 4 KiB and 64 words.
    pub words: String,
    /// Text fields to look into; all of them when empty.
    pub fields: Vec<String>,
    /// How many of the words.
    pub operator: Operator,
}

/// What to be near to.
#[derive(Clone, PartialEq, Debug)]
pub enum Near {
    /// As many numbers as declared.
    Vector(Vec<f32>),
    /// Words that the host makes a vector of.
    Words(String),
}

/// Nearness to look for.
#[derive(Clone, PartialEq, Debug)]
pub struct VectorPart {
    /// A vector field.
    pub field: String,
    /// What to be near to.
    pub near: Near,
}

/// An order other than the rank. Documents without the field come last.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Sort {
    /// A keyword, number or date field.
    pub field: String,
    /// The greatest first.
    pub descending: bool,
}

/// Whether a query sees what was just written.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Freshness {
    /// It finds everything that was acknowledged before.
    Fresh,
    /// It does not wait; the writes of the last moments may be missing.
    Fast,
}

/// What must hold for every hit. A test of a field that a document does not have is not fulfilled.
#[derive(Clone, PartialEq, Debug)]
pub enum Filter {
    /// The field has one of these keywords (1 to 256).
    Keyword {
        /// A keyword field.
        field: String,
        /// The values.
        one_of: Vec<String>,
    },
    /// The number lies in the range.
    Number {
        /// A number field.
        field: String,
        /// Its lower end.
        from: Bound<f64>,
        /// Its upper end.
        to: Bound<f64>,
    },
    /// The date lies in the range.
    Date {
        /// A date field.
        field: String,
        /// Its lower end, in milliseconds.
        from: Bound<i64>,
        /// Its upper end, in milliseconds.
        to: Bound<i64>,
    },
    /// All hold.
    All(Vec<Filter>),
    /// At least one holds.
    Any(Vec<Filter>),
    /// None holds.
    None(Vec<Filter>),
}

impl Filter {
    /// The field has this keyword.
    pub fn keyword(field: &str, keyword: &str) -> Self {
        Self::one_of(field, &[keyword])
    }

    /// The field has one of these keywords.
    pub fn one_of(field: &str, keywords: &[&str]) -> Self {
        Self::Keyword {
            field: field.to_owned(),
            one_of: keywords.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    /// The number lies in the range, such as `1.0..`.
    pub fn number(field: &str, range: impl RangeBounds<f64>) -> Self {
        Self::Number {
            field: field.to_owned(),
            from: range.start_bound().cloned(),
            to: range.end_bound().cloned(),
        }
    }

    /// The date lies in the range of milliseconds since 1970-01-01 UTC, such as `begin..end`.
    pub fn date(field: &str, range: impl RangeBounds<i64>) -> Self {
        Self::Date {
            field: field.to_owned(),
            from: range.start_bound().cloned(),
            to: range.end_bound().cloned(),
        }
    }
}

/// What to look for. Without words, vector and sort everything comes in the order of the ids.
#[derive(Clone, PartialEq, Debug)]
pub struct Query {
    /// By words.
    pub text: Option<TextPart>,
    /// By nearness: the 100 nearest; with `text` fused with the 100 best by reciprocal rank.
    pub vector: Option<VectorPart>,
    /// At most 64 conditions, 8 deep.
    pub filter: Option<Filter>,
    /// Instead of the rank; not together with `vector`.
    pub sort: Option<Sort>,
    /// Text fields of which to show the part that matches the words.
    pub highlight: Vec<String>,
    /// At most 8 keyword fields of which to count the values.
    pub facets: Vec<String>,
    /// Whether to wait for the latest writes.
    pub freshness: Freshness,
    /// Where to read on.
    pub cursor: Option<String>,
    /// Most hits: 1 to 100.
    pub limit: u32,
}

impl Default for Query {
    fn default() -> Self {
        Self::new()
    }
}

impl Query {
    /// The first 10 documents, fresh.
    pub fn new() -> Self {
        Self {
            text: None,
            vector: None,
            filter: None,
            sort: None,
            highlight: Vec::new(),
            facets: Vec::new(),
            freshness: Freshness::Fresh,
            cursor: None,
            limit: 10,
        }
    }

    /// Looks for one or more of these words in all text fields.
    #[must_use]
    pub fn words(self, words: &str) -> Self {
        self.text(words, &[], Operator::Any)
    }

    /// Looks for words in these text fields, all of them when there are none.
    #[must_use]
    pub fn text(mut self, words: &str, fields: &[&str], operator: Operator) -> Self {
        self.text = Some(TextPart {
            words: words.to_owned(),
            fields: fields.iter().map(|name| (*name).to_owned()).collect(),
            operator,
        });
        self
    }

    /// Looks for what is near to a vector.
    #[must_use]
    pub fn near_vector(self, field: &str, vector: Vec<f32>) -> Self {
        self.near(field, Near::Vector(vector))
    }

    /// Looks for what is near to words in meaning.
    #[must_use]
    pub fn near_words(self, field: &str, words: &str) -> Self {
        self.near(field, Near::Words(words.to_owned()))
    }

    fn near(mut self, field: &str, near: Near) -> Self {
        self.vector = Some(VectorPart {
            field: field.to_owned(),
            near,
        });
        self
    }

    /// Lets through only what fulfils `filter`.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }

    /// Sorts by a field, the smallest first.
    #[must_use]
    pub fn sort_by(mut self, field: &str) -> Self {
        self.sort = Some(Sort {
            field: field.to_owned(),
            descending: false,
        });
        self
    }

    /// Sorts by a field, the greatest first.
    #[must_use]
    pub fn sort_by_descending(mut self, field: &str) -> Self {
        self.sort = Some(Sort {
            field: field.to_owned(),
            descending: true,
        });
        self
    }

    /// Shows the part of a text field that matches.
    #[must_use]
    pub fn highlight(mut self, field: &str) -> Self {
        self.highlight.push(field.to_owned());
        self
    }

    /// Counts the values of a keyword field.
    #[must_use]
    pub fn facet(mut self, field: &str) -> Self {
        self.facets.push(field.to_owned());
        self
    }

    /// Does not wait for the latest writes.
    #[must_use]
    pub fn fast(mut self) -> Self {
        self.freshness = Freshness::Fast;
        self
    }

    /// Reads on where an answer to the same query ended.
    #[must_use]
    pub fn after(mut self, cursor: &str) -> Self {
        self.cursor = Some(cursor.to_owned());
        self
    }

    /// Hands out at most so many hits: 1 to 100.
    #[must_use]
    pub fn limit(mut self, limit: u32) -> Self {
        self.limit = limit;
        self
    }
}
