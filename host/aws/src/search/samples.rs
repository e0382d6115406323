//! Changes of an index with one number, for tests.

use stuga_core::search::made::Made;
use stuga_core::search::{Change, Field, FieldKind, Fields, Value};

/// The index's one field.
pub(super) fn fields() -> Vec<Field> {
    vec![Field {
        name: "n".to_owned(),
        kind: FieldKind::Number,
    }]
}

/// A document of it.
pub(super) fn value(n: f64) -> Fields {
    vec![("n".to_owned(), Value::Number(n))]
}

/// A put, an update or a removal, by a number from 0 to 2.
pub(super) fn change(kind: usize, id: &str, n: f64) -> Change {
    let id = id.to_owned();
    match kind {
        0 => Change::Put {
            id,
            fields: value(n),
        },
        1 => Change::Update {
            id,
            set: value(n),
            remove: Vec::new(),
        },
        _ => Change::Delete { id },
    }
}

/// Each change with its place; nothing is made for any.
pub(super) fn all(changes: &[Change]) -> impl Iterator<Item = (usize, &Change, &[Made])> {
    let none: &[Made] = &[];
    changes.iter().enumerate().map(move |(at, c)| (at, c, none))
}
