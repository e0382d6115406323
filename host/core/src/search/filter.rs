//! What must hold for a hit: tests of fields, joined by and, or and not. A tree of bounded size and depth.

use std::ops::{Bound, RangeBounds};

use serde::Serialize;

use super::check::{check_count, check_keyword, declared_field};
use super::{Field, FieldKind, Value, value};
use crate::{Error, Result};

/// Most tests and joints of a filter.
pub const FILTER_MAX_CONDITIONS: usize = 64;
/// Deepest nesting of a filter.
pub const FILTER_MAX_DEPTH: usize = 8;
/// Most values of one keyword test.
pub const ONE_OF_MAX: usize = 256;

/// A condition on a document. A test of a field that the document does not have is not fulfilled.
#[derive(Clone, PartialEq, Debug, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// The field has one of these keywords.
    Keyword {
        /// A keyword field.
        field: String,
        /// 1 to [`ONE_OF_MAX`].
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
        /// Its lower end.
        from: Bound<i64>,
        /// Its upper end.
        to: Bound<i64>,
    },
    /// All hold; so does an empty list.
    All(Vec<Filter>),
    /// At least one holds; an empty list does not.
    Any(Vec<Filter>),
    /// None holds; so it is with an empty list.
    None(Vec<Filter>),
}

/// A condition that names others by their place before it: the shape in which a filter crosses borders that know no trees.
#[derive(Clone, PartialEq, Debug)]
pub enum FlatCondition {
    /// A test of a field.
    Test(Filter),
    /// As [`Filter::All`].
    All(Vec<u32>),
    /// As [`Filter::Any`].
    Any(Vec<u32>),
    /// As [`Filter::None`].
    None(Vec<u32>),
}

impl Filter {
    /// The tree of a list: each condition names earlier ones, each is used once, the last is the whole. None when empty.
    ///
    /// # Errors
    /// `Invalid` when it is no such list, or too long or too deep.
    pub fn from_flat(operation: &'static str, list: Vec<FlatCondition>) -> Result<Option<Self>> {
        check_count(
            operation,
            "conditions",
            list.len(),
            0,
            FILTER_MAX_CONDITIONS,
        )?;
        let bad = |at: usize| {
            Error::invalid(
                operation,
                format!(
                    "condition {at} of the filter does not name earlier conditions, each used once"
                ),
            )
        };
        let mut made: Vec<Option<(Self, usize)>> = Vec::with_capacity(list.len());
        for (at, condition) in list.into_iter().enumerate() {
            let mut take = |places: Vec<u32>| {
                let mut parts = Vec::with_capacity(places.len().min(FILTER_MAX_CONDITIONS));
                let mut depth = 0;
                for place in places {
                    let place = usize::try_from(place).unwrap_or(usize::MAX);
                    let part = made.get_mut(place).and_then(Option::take);
                    let (part, below) = part.ok_or_else(|| bad(at))?;
                    depth = depth.max(below);
                    parts.push(part);
                }
                check_count(
                    operation,
                    "depth of the filter",
                    depth + 1,
                    1,
                    FILTER_MAX_DEPTH,
                )?;
                Ok::<_, Error>((parts, depth + 1))
            };
            let (filter, depth) = match condition {
                FlatCondition::Test(test) => (test, 1),
                FlatCondition::All(places) => {
                    let (parts, depth) = take(places)?;
                    (Self::All(parts), depth)
                }
                FlatCondition::Any(places) => {
                    let (parts, depth) = take(places)?;
                    (Self::Any(parts), depth)
                }
                FlatCondition::None(places) => {
                    let (parts, depth) = take(places)?;
                    (Self::None(parts), depth)
                }
            };
            made.push(Some((filter, depth)));
        }
        let Some(whole) = made.pop() else {
            return Ok(None);
        };
        if let Some(unused) = made.iter().position(Option::is_some) {
            return Err(bad(unused));
        }
        Ok(whole.map(|(filter, _)| filter))
    }

    /// Checks size, depth and values.
    pub fn check(&self, operation: &'static str) -> Result<()> {
        let mut left = FILTER_MAX_CONDITIONS;
        self.check_part(operation, 1, &mut left)
    }

    fn check_part(&self, operation: &'static str, depth: usize, left: &mut usize) -> Result<()> {
        check_count(operation, "depth of the filter", depth, 1, FILTER_MAX_DEPTH)?;
        *left = left.checked_sub(1).ok_or_else(|| {
            Error::invalid(
                operation,
                format!("the filter has more than {FILTER_MAX_CONDITIONS} conditions"),
            )
            .with_context("limit", FILTER_MAX_CONDITIONS)
        })?;
        match self {
            Self::Keyword { field, one_of } => {
                check_count(
                    operation,
                    "values of a keyword test",
                    one_of.len(),
                    1,
                    ONE_OF_MAX,
                )?;
                one_of
                    .iter()
                    .try_for_each(|word| check_keyword(operation, field, word))
            }
            Self::Number { field, from, to } => {
                let ends = [from, to];
                let is_number = |end: &&Bound<f64>| match end {
                    Bound::Included(n) | Bound::Excluded(n) => n.is_finite(),
                    Bound::Unbounded => true,
                };
                if ends.iter().all(is_number) {
                    return Ok(());
                }
                Err(Error::invalid(
                    operation,
                    format!("the range of {field:?} has an end that is not finite; leave it open"),
                ))
            }
            Self::Date { .. } => Ok(()),
            Self::All(parts) | Self::Any(parts) | Self::None(parts) => parts
                .iter()
                .try_for_each(|part| part.check_part(operation, depth + 1, left)),
        }
    }

    /// Checks that its fields are declared and of the kinds that the tests need. The filter was checked by itself before.
    pub fn check_declared(&self, operation: &'static str, declared: &[Field]) -> Result<()> {
        let (name, needed) = match self {
            Self::Keyword { field, .. } => (field, FieldKind::Keyword),
            Self::Number { field, .. } => (field, FieldKind::Number),
            Self::Date { field, .. } => (field, FieldKind::Date),
            Self::All(parts) | Self::Any(parts) | Self::None(parts) => {
                return parts
                    .iter()
                    .try_for_each(|part| part.check_declared(operation, declared));
            }
        };
        let kind = &declared_field(operation, declared, name)?.kind;
        if *kind == needed {
            return Ok(());
        }
        Err(Error::invalid(
            operation,
            format!(
                "the field {name:?} holds {} values; the filter tests it as {}",
                kind.as_str(),
                needed.as_str()
            ),
        )
        .with_context("field", name))
    }

    /// Whether it holds for a document.
    pub fn holds(&self, fields: &[(String, Value)]) -> bool {
        match self {
            Self::Keyword { field, one_of } => match value(fields, field) {
                Some(Value::Keywords(words)) => words.iter().any(|word| one_of.contains(word)),
                _ => false,
            },
            Self::Number { field, from, to } => match value(fields, field) {
                Some(Value::Number(number)) => (*from, *to).contains(number),
                _ => false,
            },
            Self::Date { field, from, to } => match value(fields, field) {
                Some(Value::Date(date)) => (*from, *to).contains(date),
                _ => false,
            },
            Self::All(parts) => parts.iter().all(|part| part.holds(fields)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(fields)),
            Self::None(parts) => !parts.iter().any(|part| part.holds(fields)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn test(word: &str) -> FlatCondition {
        FlatCondition::Test(keyword(word))
    }

    fn keyword(word: &str) -> Filter {
        Filter::Keyword {
            field: "tag".to_owned(),
            one_of: vec![word.to_owned()],
        }
    }

    #[test]
    fn a_list_becomes_the_tree_that_it_names() {
        let list = vec![
            test("a"),
            test("b"),
            FlatCondition::Any(vec![0, 1]),
            test("c"),
            FlatCondition::None(vec![3]),
            FlatCondition::All(vec![2, 4]),
        ];
        let tree = Filter::from_flat("search.query", list).unwrap();
        let expected = Filter::All(vec![
            Filter::Any(vec![keyword("a"), keyword("b")]),
            Filter::None(vec![keyword("c")]),
        ]);
        assert_eq!(tree, Some(expected));
        assert_eq!(Filter::from_flat("search.query", Vec::new()).unwrap(), None);
    }

    #[test]
    fn lists_that_are_no_trees_are_refused() {
        let deep = std::iter::once(test("a"))
            .chain(
                (0..FILTER_MAX_DEPTH).map(|n| FlatCondition::All(vec![u32::try_from(n).unwrap()])),
            )
            .collect();
        for list in [
            vec![FlatCondition::All(vec![0])],
            vec![test("a"), FlatCondition::All(vec![2]), test("b")],
            vec![test("a"), FlatCondition::All(vec![0, 0])],
            vec![test("a"), test("b")],
            vec![test("a"), FlatCondition::All(vec![u32::MAX])],
            vec![test("a"); FILTER_MAX_CONDITIONS + 1],
            deep,
        ] {
            assert!(
                Filter::from_flat("search.query", list.clone()).is_err(),
                "{list:?}"
            );
        }
    }

    #[test]
    fn what_a_document_does_not_have_fulfils_no_test_and_every_exclusion() {
        let fields = vec![("tag".to_owned(), Value::Keywords(vec!["a".into()]))];
        let number = Filter::Number {
            field: "price".to_owned(),
            from: Bound::Unbounded,
            to: Bound::Unbounded,
        };
        assert!(keyword("a").holds(&fields) && !keyword("b").holds(&fields));
        assert!(!number.holds(&fields));
        assert!(Filter::None(vec![number]).holds(&fields));
        assert!(Filter::All(Vec::new()).holds(&fields) && !Filter::Any(Vec::new()).holds(&fields));
    }
}
