//! Bounds of search: what comes in is checked here, before any backend looks at it.

use super::{
    BULK_MAX_BYTES, BULK_MAX_CHANGES, Change, DIMENSION_MAX, DOCUMENT_MAX_BYTES, Embedding,
    FACETS_MAX, FIELD_NAME_MAX_BYTES, FIELDS_MAX, Field, FieldKind, ID_MAX_BYTES,
    KEYWORD_MAX_BYTES, KEYWORDS_MAX, MODEL_NAME_MAX_BYTES, NEAR_MAX_BYTES, Near, PAGE_MAX_HITS,
    Query, SearchWrite, VECTOR_FIELDS_MAX, Value, VectorPart, VectorSource, WORDS_MAX_BYTES,
};
use crate::id::is_name;
use crate::{Error, Result, Write};

/// Checks the name of an index.
pub fn check_index(operation: &'static str, index: &str) -> Result<()> {
    if is_name(index) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        "the index name is not 1 to 63 characters of a-z, 0-9 and inner -",
    ))
}

/// Checks the id of a document: 1 to [`ID_MAX_BYTES`] without control characters.
pub fn check_id(operation: &'static str, id: &str) -> Result<()> {
    if (1..=ID_MAX_BYTES).contains(&id.len()) && !id.chars().any(char::is_control) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!("the document id is not 1 to {ID_MAX_BYTES} bytes without control characters"),
    )
    .with_context("limit", ID_MAX_BYTES))
}

/// Checks the declaration of an index.
pub fn check_fields(operation: &'static str, fields: &[Field]) -> Result<()> {
    check_count(operation, "fields", fields.len(), 1, FIELDS_MAX)?;
    check_names(operation, fields.iter().map(|field| field.name.as_str()))?;
    let is_vector = |field: &&Field| matches!(field.kind, FieldKind::Vector(_));
    let vectors = fields.iter().filter(is_vector).count();
    check_count(operation, "vector fields", vectors, 0, VECTOR_FIELDS_MAX)?;
    for field in fields {
        let FieldKind::Vector(source) = &field.kind else {
            continue;
        };
        match source {
            VectorSource::Given(embedding) => check_embedding(operation, &field.name, embedding)?,
            VectorSource::MadeFrom(text) => {
                let declared = find(fields, text).map(|source| &source.kind);
                if !matches!(declared, Some(FieldKind::Text(_))) {
                    return Err(Error::invalid(
                        operation,
                        format!(
                            "the vectors of {:?} are to be made from {text:?}, which is not a declared text field",
                            field.name
                        ),
                    ));
                }
            }
        }
    }
    Ok(())
}

fn check_embedding(operation: &'static str, field: &str, embedding: &Embedding) -> Result<()> {
    let Embedding { model, dimension } = embedding;
    let named = (1..=MODEL_NAME_MAX_BYTES).contains(&model.len())
        && model.bytes().all(|b| (0x20..0x7f).contains(&b));
    if !named {
        return Err(Error::invalid(
            operation,
            format!("the model of {field:?} is not 1 to 100 visible ASCII characters"),
        ));
    }
    if !(1..=DIMENSION_MAX).contains(dimension) {
        return Err(Error::invalid(
            operation,
            format!("the dimension {dimension} of {field:?} is not between 1 and {DIMENSION_MAX}"),
        )
        .with_context("limit", DIMENSION_MAX));
    }
    Ok(())
}

/// Checks names of fields: their form, their order, and that none comes twice.
fn check_names<'a>(
    operation: &'static str,
    names: impl Iterator<Item = &'a str> + Clone,
) -> Result<()> {
    for name in names.clone() {
        let mut bytes = name.bytes();
        let fits = name.len() <= FIELD_NAME_MAX_BYTES
            && bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
            && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_');
        if !fits {
            return Err(Error::invalid(
                operation,
                "a field name is not 1 to 64 characters of A-Z a-z 0-9 _ that begin with a letter",
            ));
        }
    }
    if let Some((name, _)) = names.clone().zip(names.skip(1)).find(|(a, b)| a >= b) {
        return Err(Error::invalid(
            operation,
            format!("the field {name:?} is given twice, or the fields are not in order"),
        ));
    }
    Ok(())
}

/// The declaration of a field.
pub fn find<'a>(fields: &'a [Field], name: &str) -> Option<&'a Field> {
    let at = fields
        .binary_search_by(|field| field.name.as_str().cmp(name))
        .ok()?;
    fields.get(at)
}

impl SearchWrite {
    /// Checks all that can be known without the index's declaration.
    pub fn check(&self) -> Result<()> {
        let operation = self.operation();
        check_index(operation, self.key())?;
        match self {
            Self::CreateIndex { fields, .. } => check_fields(operation, fields),
            Self::DropIndex { .. } => Ok(()),
            Self::Change { changes, .. } => {
                check_count(operation, "changes", changes.len(), 1, BULK_MAX_CHANGES)?;
                let mut bytes = 0_usize;
                for change in changes {
                    bytes = bytes.saturating_add(check_change(operation, change)?);
                }
                check_size(operation, "changes", bytes, BULK_MAX_BYTES)
            }
        }
    }
}

/// Checks a change by itself and says how large its document is.
fn check_change(operation: &'static str, change: &Change) -> Result<usize> {
    check_id(operation, change.id())?;
    let values = change.values();
    check_names(operation, values.iter().map(|(name, _)| name.as_str()))?;
    check_count(operation, "fields", values.len(), 0, FIELDS_MAX)?;
    for (name, value) in values {
        check_value(operation, name, value)?;
    }
    if let Change::Update { remove, set, .. } = change {
        check_names(operation, remove.iter().map(String::as_str))?;
        check_count(operation, "fields to remove", remove.len(), 0, FIELDS_MAX)?;
        if let Some(both) = remove.iter().find(|name| super::value(set, name).is_some()) {
            return Err(Error::invalid(
                operation,
                format!("the field {both:?} is to be set and to be removed; choose one"),
            ));
        }
    }
    let bytes = document_bytes(change.id(), values);
    check_size(operation, "document", bytes, DOCUMENT_MAX_BYTES)?;
    Ok(bytes)
}

/// The size of a document as bounds and quotas count it.
pub fn document_bytes(id: &str, fields: &[(String, Value)]) -> usize {
    fields.iter().fold(id.len(), |sum, (name, value)| {
        sum.saturating_add(name.len()).saturating_add(value.bytes())
    })
}

fn check_value(operation: &'static str, name: &str, value: &Value) -> Result<()> {
    match value {
        Value::Text(_) | Value::Date(_) => Ok(()),
        Value::Keywords(words) => {
            check_count(operation, "keywords", words.len(), 1, KEYWORDS_MAX)?;
            words
                .iter()
                .try_for_each(|word| check_keyword(operation, name, word))
        }
        Value::Number(number) if number.is_finite() => Ok(()),
        Value::Number(_) => Err(Error::invalid(
            operation,
            format!("the number in {name:?} is not finite"),
        )),
        Value::Vector(numbers) => check_vector(operation, name, numbers),
    }
}

fn check_vector(operation: &'static str, name: &str, numbers: &[f32]) -> Result<()> {
    check_count(
        operation,
        "numbers",
        numbers.len(),
        1,
        DIMENSION_MAX as usize,
    )?;
    // Its length must be a number as well, or it has no direction.
    let length: f32 = numbers.iter().map(|n| n * n).sum();
    if length.is_normal() {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!("the vector in {name:?} has numbers that are not finite, too great, or all 0"),
    ))
}

/// Checks a keyword: 1 to [`KEYWORD_MAX_BYTES`].
pub(super) fn check_keyword(operation: &'static str, name: &str, word: &str) -> Result<()> {
    if (1..=KEYWORD_MAX_BYTES).contains(&word.len()) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!(
            "a keyword in {name:?} has {} bytes; 1 to {KEYWORD_MAX_BYTES} are taken",
            word.len()
        ),
    )
    .with_context("limit", KEYWORD_MAX_BYTES))
}

/// Checks the values of a document against the declaration of its index.
pub fn check_declared(
    operation: &'static str,
    declared: &[Field],
    values: &[(String, Value)],
) -> Result<()> {
    for (name, value) in values {
        let kind = &declared_field(operation, declared, name)?.kind;
        if !value.is_of(kind) {
            return Err(Error::invalid(
                operation,
                format!(
                    "the field {name:?} holds {} values, not such a one",
                    kind.as_str()
                ),
            )
            .with_context("field", name));
        }
        match (value, kind) {
            (_, FieldKind::Vector(VectorSource::MadeFrom(text))) => {
                return Err(Error::invalid(
                    operation,
                    format!("the vectors of {name:?} are made by the host; give {text:?} alone"),
                )
                .with_context("field", name));
            }
            (Value::Vector(numbers), FieldKind::Vector(VectorSource::Given(embedding))) => {
                check_dimension(operation, name, numbers, embedding)?;
            }
            _ => {}
        }
    }
    Ok(())
}

/// Checks the length of a vector.
pub fn check_dimension(
    operation: &'static str,
    name: &str,
    numbers: &[f32],
    embedding: &Embedding,
) -> Result<()> {
    if numbers.len() == embedding.dimension as usize {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!(
            "the vector in {name:?} has {} numbers; {} has {}",
            numbers.len(),
            embedding.model,
            embedding.dimension
        ),
    )
    .with_context("field", name))
}

/// The declaration of a field that must be there.
pub fn declared_field<'a>(
    operation: &'static str,
    declared: &'a [Field],
    name: &str,
) -> Result<&'a Field> {
    find(declared, name).ok_or_else(|| {
        let names: Vec<&str> = declared.iter().map(|field| field.name.as_str()).collect();
        // Names of a hostile caller may be long.
        let shown: String = name.chars().take(FIELD_NAME_MAX_BYTES).collect();
        Error::invalid(
            operation,
            format!(
                "the index has no field {shown:?}; it has {}",
                names.join(", ")
            ),
        )
        .with_context("field", shown)
    })
}

impl Query {
    /// Checks all that can be known without the index's declaration.
    pub fn check(&self, operation: &'static str) -> Result<()> {
        check_count(
            operation,
            "limit",
            self.limit as usize,
            1,
            PAGE_MAX_HITS as usize,
        )?;
        if let Some(text) = &self.text {
            check_size(
                operation,
                "words of the query",
                text.words.len(),
                WORDS_MAX_BYTES,
            )?;
            check_count(operation, "fields", text.fields.len(), 0, FIELDS_MAX)?;
        }
        match self.vector.as_ref().map(|part| (&part.field, &part.near)) {
            None => {}
            Some((field, Near::Vector(numbers))) => check_vector(operation, field, numbers)?,
            Some((_, Near::Words(words))) => {
                check_size(
                    operation,
                    "words to be near to",
                    words.len(),
                    NEAR_MAX_BYTES,
                )?;
                check_count(
                    operation,
                    "bytes to be near to",
                    words.len(),
                    1,
                    NEAR_MAX_BYTES,
                )?;
            }
        }
        if self.vector.is_some() && self.sort.is_some() {
            return Err(Error::invalid(
                operation,
                "a query with a vector cannot be sorted; leave one of them out",
            ));
        }
        check_count(
            operation,
            "fields to highlight",
            self.highlight.len(),
            0,
            FIELDS_MAX,
        )?;
        check_count(operation, "facets", self.facets.len(), 0, FACETS_MAX)?;
        self.filter
            .iter()
            .try_for_each(|filter| filter.check(operation))
    }

    /// Checks the query against the declaration of its index.
    pub fn check_declared(&self, operation: &'static str, declared: &[Field]) -> Result<()> {
        let check = |name: &str, use_for: &str, fits: fn(&FieldKind) -> bool| {
            let kind = &declared_field(operation, declared, name)?.kind;
            if fits(kind) {
                return Ok(());
            }
            Err(Error::invalid(
                operation,
                format!(
                    "the field {name:?} holds {} values and cannot be used {use_for}",
                    kind.as_str()
                ),
            )
            .with_context("field", name))
        };
        let is_text = |kind: &FieldKind| matches!(kind, FieldKind::Text(_));
        for name in self.text.iter().flat_map(|text| &text.fields) {
            check(name, "to look for words", is_text)?;
        }
        for name in &self.highlight {
            check(name, "for highlights", is_text)?;
        }
        for name in &self.facets {
            check(name, "for facets", |kind| {
                matches!(kind, FieldKind::Keyword)
            })?;
        }
        if let Some(sort) = &self.sort {
            check(&sort.field, "to sort by", |kind| {
                matches!(
                    kind,
                    FieldKind::Keyword | FieldKind::Number | FieldKind::Date
                )
            })?;
        }
        if let Some(VectorPart { field, .. }) = &self.vector {
            check(field, "to look for what is near", |kind| {
                matches!(kind, FieldKind::Vector(_))
            })?;
        }
        self.filter
            .iter()
            .try_for_each(|filter| filter.check_declared(operation, declared))
    }
}

pub(super) fn check_count(
    operation: &'static str,
    what: &str,
    count: usize,
    min: usize,
    max: usize,
) -> Result<()> {
    if (min..=max).contains(&count) {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!("{what}: {count} is not between {min} and {max}"),
    )
    .with_context("limit", max))
}

fn check_size(operation: &'static str, what: &str, bytes: usize, max: usize) -> Result<()> {
    if bytes <= max {
        return Ok(());
    }
    Err(Error::invalid(
        operation,
        format!("{what}: {bytes} bytes; the limit is {max}"),
    )
    .with_context("limit", max))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_that_are_not_in_order_are_refused() {
        let field = |name: &str| Field {
            name: name.to_owned(),
            kind: FieldKind::Number,
        };
        let create = |names: [&str; 2]| SearchWrite::CreateIndex {
            index: "notes".to_owned(),
            fields: names.map(field).to_vec(),
        };
        assert!(create(["a", "b"]).check().is_ok());
        assert!(create(["b", "a"]).check().is_err());
        let put = |names: [&str; 2]| SearchWrite::Change {
            index: "notes".to_owned(),
            changes: vec![Change::Put {
                id: "x".to_owned(),
                fields: names.map(|n| (n.to_owned(), Value::Number(1.0))).to_vec(),
            }],
        };
        assert!(put(["a", "b"]).check().is_ok());
        assert!(put(["b", "a"]).check().is_err());
    }
}
