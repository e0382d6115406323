//! What is refused, and that what just fits is not.

use super::super::suite::{Case, cases};
use super::{
    INDEX, Shelf, change, create, ctx, delete, field, fields, price, put, tags, text, words,
};
use crate::ErrorKind;
use crate::search::filter::{FILTER_MAX_CONDITIONS, FILTER_MAX_DEPTH, ONE_OF_MAX};
use crate::search::{
    BULK_MAX_CHANGES, Change, DIMENSION_MAX, DOCUMENT_MAX_BYTES, Embedding, FACETS_MAX, FIELDS_MAX,
    FieldKind, Filter, ID_MAX_BYTES, INDICES_MAX, KEYWORD_MAX_BYTES, KEYWORDS_MAX, Near, Query,
    Search, SearchWrite, Sort, TERMS_MAX, VECTOR_FIELDS_MAX, Value, VectorPart, VectorSource,
    WORDS_MAX_BYTES,
};

pub(super) fn cases() -> Vec<Case<dyn Search>> {
    cases![
        a_declaration_is_bounded,
        an_agent_has_a_bounded_number_of_indices,
        documents_are_bounded,
        values_must_fit_their_fields,
        queries_are_bounded,
        queries_must_fit_the_fields,
    ]
}

async fn refused(shelf: &Shelf, write: SearchWrite) {
    let refused = shelf.try_apply(&ctx(), &write).await;
    let shown: String = format!("{write:?}").chars().take(200).collect();
    assert_eq!(
        refused.expect_err(&shown).kind(),
        ErrorKind::Invalid,
        "{shown}"
    );
}

fn given(dimension: u32) -> FieldKind {
    FieldKind::Vector(VectorSource::Given(Embedding {
        model: "m".to_owned(),
        dimension,
    }))
}

async fn a_declaration_is_bounded(shelf: Shelf) {
    let many = |count: usize, kind: &FieldKind| {
        (0..count)
            .map(|n| field(&format!("f{n:02}"), kind.clone()))
            .collect::<Vec<_>>()
    };
    let number = FieldKind::Number;
    let mut widest = many(FIELDS_MAX - VECTOR_FIELDS_MAX, &number);
    for n in 0..VECTOR_FIELDS_MAX {
        widest.push(field(&format!("v{n}"), given(DIMENSION_MAX)));
    }
    shelf.apply(&create(&"n".repeat(63), widest)).await;
    for name in ["", "A", "a b", "-a", "a/b", "å", &"n".repeat(64)] {
        refused(&shelf, create(name, fields())).await;
    }
    let made = |from: &str| FieldKind::Vector(VectorSource::MadeFrom(from.to_owned()));
    let unnamed = FieldKind::Vector(VectorSource::Given(Embedding {
        model: String::new(),
        dimension: 3,
    }));
    for bad in [
        Vec::new(),
        many(FIELDS_MAX + 1, &number),
        many(VECTOR_FIELDS_MAX + 1, &given(2)),
        vec![field("a", number.clone()), field("a", number.clone())],
        vec![field("", number.clone())],
        vec![field("_id", number.clone())],
        vec![field("1a", number.clone())],
        vec![field("a.b", number.clone())],
        vec![field(&"a".repeat(65), number.clone())],
        vec![field("v", given(0))],
        vec![field("v", given(DIMENSION_MAX + 1))],
        vec![field("v", unnamed)],
        vec![field("v", made("nothing"))],
        vec![field("n", number), field("v", made("n"))],
    ] {
        refused(&shelf, create("notes", bad)).await;
    }
}

async fn an_agent_has_a_bounded_number_of_indices(shelf: Shelf) {
    let small = || vec![field("n", FieldKind::Number)];
    for n in 0..INDICES_MAX {
        shelf.apply(&create(&format!("i{n}"), small())).await;
    }
    let one_more = create("more", small());
    let full = shelf.try_apply(&ctx(), &one_more).await.unwrap_err();
    assert_eq!(full.kind(), ErrorKind::QuotaExceeded);
    let drop_index = SearchWrite::DropIndex {
        index: "i0".to_owned(),
    };
    shelf.apply(&drop_index).await;
    shelf.apply(&one_more).await;
}

async fn documents_are_bounded(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let id = "i".repeat(ID_MAX_BYTES);
    let room = DOCUMENT_MAX_BYTES - ID_MAX_BYTES - "text".len();
    let keyword = "k".repeat(KEYWORD_MAX_BYTES);
    let keywords = vec![keyword.as_str(); KEYWORDS_MAX];
    shelf
        .change(vec![put(&id, vec![text(&"x".repeat(room))])])
        .await;
    shelf.change(vec![put("a", vec![tags(&keywords)])]).await;
    shelf.change(vec![delete("a"); BULK_MAX_CHANGES]).await;
    let too_many = vec![keyword.as_str(); KEYWORDS_MAX + 1];
    let too_long = format!("{keyword}k");
    let large = put("a", vec![text(&"x".repeat(DOCUMENT_MAX_BYTES - 100))]);
    for changes in [
        Vec::new(),
        vec![delete("a"); BULK_MAX_CHANGES + 1],
        vec![large; 17],
        vec![put(&format!("{id}i"), Vec::new())],
        vec![put("", Vec::new())],
        vec![put("a\n", Vec::new())],
        vec![delete("")],
        vec![put(&id, vec![text(&"x".repeat(room + 1))])],
        vec![put("a", vec![tags(&too_many)])],
        vec![put("a", vec![tags(&[])])],
        vec![put("a", vec![tags(&[""])])],
        vec![put("a", vec![tags(&[&too_long])])],
        vec![put("a", vec![price(f64::NAN)])],
        vec![put("a", vec![price(f64::INFINITY)])],
        vec![put("a", vec![text("x"), text("y")])],
    ] {
        refused(&shelf, change(INDEX, changes)).await;
    }
    // Two halves that do not fit together.
    let half = "x".repeat(DOCUMENT_MAX_BYTES / 2);
    shelf.change(vec![put("b", vec![text(&half)])]).await;
    let other_half = Change::Update {
        id: "b".to_owned(),
        set: vec![("summary".to_owned(), Value::Text(half))],
        remove: Vec::new(),
    };
    refused(&shelf, change(INDEX, vec![other_half])).await;
}

async fn values_must_fit_their_fields(shelf: Shelf) {
    let mut declared = fields();
    declared.push(field("vec2", given(2)));
    shelf.apply(&create(INDEX, declared)).await;
    let named = |name: &str, value: Value| vec![put("a", vec![(name.to_owned(), value)])];
    let vector = |numbers: &[f32]| Value::Vector(numbers.to_vec());
    for changes in [
        named("unknown", Value::Number(1.0)),
        named("text", Value::Number(1.0)),
        named("price", Value::Date(1)),
        named("tag", Value::Text("x".to_owned())),
        named("vec", vector(&[1.0; 512])),
        named("vec2", vector(&[1.0])),
        named("vec2", vector(&[1.0, 2.0, 3.0])),
        named("vec2", vector(&[0.0, 0.0])),
        named("vec2", vector(&[f32::NAN, 1.0])),
        named("vec2", vector(&[f32::MAX, f32::MAX])),
        named("vec2", vector(&[])),
        vec![
            put("a", Vec::new()),
            Change::Update {
                id: "a".to_owned(),
                set: Vec::new(),
                remove: vec!["unknown".to_owned()],
            },
        ],
        vec![
            put("a", Vec::new()),
            Change::Update {
                id: "a".to_owned(),
                set: vec![price(1.0)],
                remove: vec!["price".to_owned()],
            },
        ],
    ] {
        refused(&shelf, change(INDEX, changes)).await;
    }
    shelf.change(named("vec2", vector(&[1e-3, -2.0]))).await;
}

fn tagged(count: usize) -> Filter {
    Filter::Keyword {
        field: "tag".to_owned(),
        one_of: vec!["x".to_owned(); count],
    }
}

fn filtered(filter: Filter) -> Query {
    Query {
        filter: Some(filter),
        ..Query::default()
    }
}

fn nested(depth: usize) -> Filter {
    (1..depth).fold(tagged(1), |inner, _| Filter::All(vec![inner]))
}

fn near(field: &str, near: Near) -> Query {
    Query {
        vector: Some(VectorPart {
            field: field.to_owned(),
            near,
        }),
        ..Query::default()
    }
}

async fn queries_are_bounded(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let distinct = |count: usize| (0..count).map(|n| format!("w{n} ")).collect::<String>();
    let wide = |count: usize| filtered(Filter::Any(vec![tagged(1); count - 1]));
    for good in [
        Query {
            limit: 100,
            ..Query::default()
        },
        words(&distinct(TERMS_MAX)),
        words(&"x ".repeat(WORDS_MAX_BYTES / 2)),
        filtered(tagged(ONE_OF_MAX)),
        filtered(nested(FILTER_MAX_DEPTH)),
        wide(FILTER_MAX_CONDITIONS),
    ] {
        shelf.query(&good).await;
    }
    let sorted_near = Query {
        sort: Some(Sort {
            field: "price".to_owned(),
            descending: false,
        }),
        ..near("vec", Near::Words("x".to_owned()))
    };
    let number = |from| Filter::Number {
        field: "price".to_owned(),
        from,
        to: std::ops::Bound::Unbounded,
    };
    for bad in [
        Query {
            limit: 0,
            ..Query::default()
        },
        Query {
            limit: 101,
            ..Query::default()
        },
        Query {
            facets: vec!["tag".to_owned(); FACETS_MAX + 1],
            ..Query::default()
        },
        words(&distinct(TERMS_MAX + 1)),
        words(&"x".repeat(WORDS_MAX_BYTES + 1)),
        filtered(tagged(ONE_OF_MAX + 1)),
        filtered(tagged(0)),
        filtered(nested(FILTER_MAX_DEPTH + 1)),
        wide(FILTER_MAX_CONDITIONS + 1),
        filtered(number(std::ops::Bound::Included(f64::NAN))),
        sorted_near,
        near("vec", Near::Words(String::new())),
        near("vec", Near::Words("x".repeat(16 * 1_024 + 1))),
        near("vec", Near::Vector(vec![0.0; 512])),
    ] {
        let refused = shelf.try_query(&bad).await;
        let shown: String = format!("{bad:?}").chars().take(200).collect();
        assert_eq!(
            refused.expect_err(&shown).kind(),
            ErrorKind::Invalid,
            "{shown}"
        );
    }
}

async fn queries_must_fit_the_fields(shelf: Shelf) {
    let shelf = shelf.with_index().await;
    let mut elsewhere = words("x");
    elsewhere.text.as_mut().unwrap().fields = vec!["tag".to_owned()];
    let sorted = |field: &str| Query {
        sort: Some(Sort {
            field: field.to_owned(),
            descending: false,
        }),
        ..Query::default()
    };
    let keyword = |field: &str| {
        filtered(Filter::None(vec![Filter::Keyword {
            field: field.to_owned(),
            one_of: vec!["x".to_owned()],
        }]))
    };
    for bad in [
        elsewhere,
        sorted("text"),
        sorted("vec"),
        sorted("unknown"),
        keyword("text"),
        keyword("unknown"),
        Query {
            facets: vec!["text".to_owned()],
            ..Query::default()
        },
        Query {
            highlight: vec!["tag".to_owned()],
            ..Query::default()
        },
        near("text", Near::Words("x".to_owned())),
        near("vec", Near::Vector(vec![1.0; 3])),
    ] {
        let refused = shelf.try_query(&bad).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{bad:?}");
    }
    let unknown = shelf.try_query(&sorted("unknown")).await.unwrap_err();
    assert!(
        unknown.message().contains("text, vec"),
        "it names what there is: {unknown}"
    );
}
