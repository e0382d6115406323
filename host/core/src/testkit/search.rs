//! The contract of search.
//!
//! Every sentence of `wit/search.wit` and of [`crate::search`] that a backend must keep is a case in one of the modules here.
//! Scores are compared within one answer only: how exactly a backend computes BM25 is its own business.

mod bounds;
mod counting;
mod documents;
mod filters;
mod indices;
mod isolation;
mod paging;
mod repetition;
mod vectors;
mod words;

use super::ctx as ctx_of;
use super::suite::{Case, Fixture};
use crate::search::{
    Analyzer, Answer, Change, Document, Field, FieldKind, Fields, Outcome, Query, Search,
    SearchAck, SearchWrite, TextPart, Value, VectorSource,
};
use crate::{CallCtx, Result};

/// All cases.
pub fn cases() -> Vec<Case<dyn Search>> {
    let mut cases = indices::cases();
    cases.extend(documents::cases());
    cases.extend(words::cases());
    cases.extend(filters::cases());
    cases.extend(counting::cases());
    cases.extend(vectors::cases());
    cases.extend(paging::cases());
    cases.extend(repetition::cases());
    cases.extend(bounds::cases());
    cases.extend(isolation::cases());
    cases
}

type Shelf = Fixture<dyn Search>;

/// The index that most cases use.
const INDEX: &str = "notes";

fn ctx() -> CallCtx {
    ctx_of("acme", "scribe")
}

fn field(name: &str, kind: FieldKind) -> Field {
    Field {
        name: name.to_owned(),
        kind,
    }
}

/// A Swedish text, an English one, tags, a price and a date, in the order of the names; the vector is made from the Swedish.
fn fields() -> Vec<Field> {
    vec![
        field("date", FieldKind::Date),
        field("price", FieldKind::Number),
        field("summary", FieldKind::Text(Analyzer::En)),
        field("tag", FieldKind::Keyword),
        field("text", FieldKind::Text(Analyzer::Sv)),
        field(
            "vec",
            FieldKind::Vector(VectorSource::MadeFrom("text".to_owned())),
        ),
    ]
}

fn create(index: &str, fields: Vec<Field>) -> SearchWrite {
    SearchWrite::CreateIndex {
        index: index.to_owned(),
        fields,
    }
}

fn put(id: &str, fields: Fields) -> Change {
    Change::Put {
        id: id.to_owned(),
        fields,
    }
}

fn text(text: &str) -> (String, Value) {
    ("text".to_owned(), Value::Text(text.to_owned()))
}

fn tags(tags: &[&str]) -> (String, Value) {
    let tags = tags.iter().map(|tag| (*tag).to_owned()).collect();
    ("tag".to_owned(), Value::Keywords(tags))
}

fn price(price: f64) -> (String, Value) {
    ("price".to_owned(), Value::Number(price))
}

fn delete(id: &str) -> Change {
    Change::Delete { id: id.to_owned() }
}

fn change(index: &str, changes: Vec<Change>) -> SearchWrite {
    SearchWrite::Change {
        index: index.to_owned(),
        changes,
    }
}

/// A query for words in all text fields.
fn words(words: &str) -> Query {
    Query {
        text: Some(TextPart {
            words: words.to_owned(),
            fields: Vec::new(),
            operator: crate::search::Operator::Any,
        }),
        ..Query::default()
    }
}

fn ids(answer: &Answer) -> Vec<&str> {
    answer
        .hits
        .iter()
        .map(|hit| hit.document.id.as_str())
        .collect()
}

impl Shelf {
    async fn try_apply(&self, ctx: &CallCtx, write: &SearchWrite) -> Result<SearchAck> {
        self.backend.apply(ctx, ctx.next_write_id()?, write).await
    }

    async fn apply(&self, write: &SearchWrite) -> SearchAck {
        self.try_apply(&ctx(), write).await.unwrap()
    }

    /// Makes [`INDEX`] with [`fields`].
    async fn with_index(self) -> Self {
        let ack = self.apply(&create(INDEX, fields())).await;
        assert_eq!(ack, SearchAck::Created(true));
        self
    }

    async fn try_change(&self, changes: Vec<Change>) -> Result<Vec<Outcome>> {
        match self.try_apply(&ctx(), &change(INDEX, changes)).await? {
            SearchAck::Changed(outcomes) => Ok(outcomes),
            other => panic!("{other:?} answers a change"),
        }
    }

    async fn change(&self, changes: Vec<Change>) -> Vec<Outcome> {
        self.try_change(changes).await.unwrap()
    }

    /// Puts documents with a text each.
    async fn put_texts(&self, texts: &[(&str, &str)]) {
        let changes = texts
            .iter()
            .map(|(id, content)| put(id, vec![text(content)]));
        self.change(changes.collect()).await;
    }

    async fn get(&self, id: &str) -> Option<Document> {
        self.backend.get(&ctx(), INDEX, id).await.unwrap()
    }

    async fn try_query(&self, query: &Query) -> Result<Answer> {
        self.backend.query(&ctx(), INDEX, query).await
    }

    async fn query(&self, query: &Query) -> Answer {
        let answer = self.try_query(query).await.unwrap();
        assert!(answer.hits.len() <= query.limit as usize, "over the limit");
        let falls = |pair: &[crate::search::Hit]| pair[0].score >= pair[1].score;
        assert!(answer.hits.windows(2).all(falls), "not the best first");
        answer
    }

    /// The ids of what is found.
    async fn found(&self, query: &Query) -> Vec<String> {
        let answer = self.query(query).await;
        ids(&answer).into_iter().map(str::to_owned).collect()
    }

    /// The ids of all pages, and that they are what `total` says.
    async fn all_pages(&self, query: &Query) -> Vec<String> {
        let mut query = query.clone();
        let mut all = Vec::new();
        for _ in 0..1_100 {
            let answer = self.query(&query).await;
            all.extend(ids(&answer).into_iter().map(str::to_owned));
            query.cursor = answer.next_cursor;
            if query.cursor.is_none() {
                return all;
            }
        }
        panic!("paging does not end");
    }
}
