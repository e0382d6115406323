//! What tantivy keeps of an index: its schema, how a document goes in, how a query reads. Nothing is stored in it but what
//! ranks, filters, sorts and counts; documents come from SQLite.

use std::ops::Bound;

use stuga_core::search::analysis::{Word, words};
use stuga_core::search::{Analyzer, Field, FieldKind, Filter, Operator, Value};
use tantivy::query::{
    AllQuery, BooleanQuery, ConstScoreQuery, EmptyQuery, Occur, Query, RangeQuery, TermQuery,
    TermSetQuery,
};
use tantivy::schema::{
    FAST, INDEXED, IndexRecordOption, STRING, Schema, TextFieldIndexing, TextOptions,
};
use tantivy::tokenizer::{TextAnalyzer, Token, TokenStream, Tokenizer};
use tantivy::{Index, TantivyDocument, Term};

/// The document's id; fields of agents begin with a letter.
pub(super) const ID: &str = "_id";
/// The document's row.
pub(super) const SEQ: &str = "_seq";

const ANALYZERS: [(Analyzer, &str); 3] = [
    (Analyzer::Simple, "words-simple"),
    (Analyzer::Sv, "words-sv"),
    (Analyzer::En, "words-en"),
];

/// The schema of an index with these fields.
pub(super) fn schema(fields: &[Field]) -> Schema {
    let mut builder = Schema::builder();
    builder.add_text_field(ID, STRING | FAST);
    builder.add_u64_field(SEQ, INDEXED | FAST);
    for Field { name, kind } in fields {
        match kind {
            FieldKind::Text(analyzer) => {
                let tokenizer = ANALYZERS.iter().find(|(other, _)| other == analyzer);
                let indexing = TextFieldIndexing::default()
                    .set_tokenizer(tokenizer.map_or("raw", |(_, name)| name))
                    .set_index_option(IndexRecordOption::WithFreqs);
                builder.add_text_field(name, TextOptions::default().set_indexing_options(indexing));
            }
            FieldKind::Keyword => {
                builder.add_text_field(name, STRING | FAST);
            }
            FieldKind::Number => {
                builder.add_f64_field(name, FAST);
            }
            FieldKind::Date => {
                builder.add_i64_field(name, FAST);
            }
            FieldKind::Vector(_) => {}
        }
    }
    builder.build()
}

/// Teaches an index that was opened how texts become words.
pub(super) fn register(index: &Index) {
    for (analyzer, name) in ANALYZERS {
        let tokenizer = TextAnalyzer::from(Words { analyzer });
        index.tokenizers().register(name, tokenizer);
    }
}

/// A document as it is indexed.
pub(super) fn document(
    schema: &Schema,
    seq: u64,
    id: &str,
    fields: Vec<(String, Value)>,
) -> tantivy::Result<TantivyDocument> {
    let mut document = TantivyDocument::default();
    document.add_text(schema.get_field(ID)?, id);
    document.add_u64(schema.get_field(SEQ)?, seq);
    for (name, value) in fields {
        let field = schema.get_field(&name)?;
        match value {
            Value::Text(text) => document.add_text(field, text),
            Value::Keywords(words) => {
                for word in words {
                    document.add_text(field, word);
                }
            }
            Value::Number(number) => document.add_f64(field, number),
            Value::Date(date) => document.add_i64(field, date),
            Value::Vector(_) => {}
        }
    }
    Ok(document)
}

/// What matches the words: `groups` are the words of the query, each with the terms that stand for it by place of the
/// field among `fields`.
pub(super) fn text_query(
    schema: &Schema,
    fields: &[&str],
    groups: &[Vec<(usize, String)>],
    operator: Operator,
) -> tantivy::Result<Box<dyn Query>> {
    let mut words: Vec<(Occur, Box<dyn Query>)> = Vec::with_capacity(groups.len());
    for group in groups {
        let occur = match operator {
            Operator::All if group.len() >= fields.len() => Occur::Must,
            _ => Occur::Should,
        };
        let mut terms: Vec<(Occur, Box<dyn Query>)> = Vec::with_capacity(group.len());
        for (place, term) in group {
            let Some(name) = fields.get(*place) else {
                continue;
            };
            let term = Term::from_field_text(schema.get_field(name)?, term);
            let query = TermQuery::new(term, IndexRecordOption::WithFreqs);
            terms.push((Occur::Should, Box::new(query)));
        }
        words.push((occur, joined(terms)));
    }
    Ok(joined(words))
}

/// One query of several; a single one as it is, nothing for none.
fn joined(mut parts: Vec<(Occur, Box<dyn Query>)>) -> Box<dyn Query> {
    match (parts.pop(), parts.is_empty()) {
        (None, _) => Box::new(EmptyQuery),
        (Some((_, only)), true) => only,
        (Some(last), false) => {
            parts.push(last);
            Box::new(BooleanQuery::new(parts))
        }
    }
}

/// `query` restricted to what passes `filter`, which does not count for the rank.
pub(super) fn filtered(
    schema: &Schema,
    query: Option<Box<dyn Query>>,
    filter: Option<&Filter>,
) -> tantivy::Result<Box<dyn Query>> {
    let filter = filter
        .map(|filter| filter_query(schema, filter))
        .transpose()?;
    Ok(match (query, filter) {
        (Some(query), None) => query,
        (Some(query), Some(filter)) => Box::new(BooleanQuery::new(vec![
            (Occur::Must, query),
            (Occur::Must, Box::new(ConstScoreQuery::new(filter, 0.0))),
        ])),
        (None, Some(filter)) => filter,
        (None, None) => Box::new(AllQuery),
    })
}

/// A checked filter, so of bounded depth.
fn filter_query(schema: &Schema, filter: &Filter) -> tantivy::Result<Box<dyn Query>> {
    let all = |parts: &[Filter], occur| {
        let parts = parts
            .iter()
            .map(|part| Ok((occur, filter_query(schema, part)?)));
        parts.collect::<tantivy::Result<Vec<_>>>()
    };
    Ok(match filter {
        Filter::Keyword { field, one_of } => {
            let field = schema.get_field(field)?;
            let terms = one_of.iter().map(|word| Term::from_field_text(field, word));
            Box::new(TermSetQuery::new(terms))
        }
        Filter::Number { field, from, to } => {
            let field = schema.get_field(field)?;
            let end = |end: &Bound<f64>| end.map(|n| Term::from_field_f64(field, n));
            range(end(from), end(to), Term::from_field_f64(field, f64::MIN))
        }
        Filter::Date { field, from, to } => {
            let field = schema.get_field(field)?;
            let end = |end: &Bound<i64>| end.map(|n| Term::from_field_i64(field, n));
            range(end(from), end(to), Term::from_field_i64(field, i64::MIN))
        }
        Filter::All(parts) if parts.is_empty() => Box::new(AllQuery),
        Filter::All(parts) => Box::new(BooleanQuery::new(all(parts, Occur::Must)?)),
        Filter::Any(parts) if parts.is_empty() => Box::new(EmptyQuery),
        Filter::Any(parts) => Box::new(BooleanQuery::new(all(parts, Occur::Should)?)),
        Filter::None(parts) => {
            let mut parts = all(parts, Occur::MustNot)?;
            parts.push((Occur::Must, Box::new(AllQuery)));
            Box::new(BooleanQuery::new(parts))
        }
    })
}

/// A range; one that is open on both sides still needs a term to name the field: `least`.
fn range(from: Bound<Term>, to: Bound<Term>, least: Term) -> Box<dyn Query> {
    let from = match (&from, &to) {
        (Bound::Unbounded, Bound::Unbounded) => Bound::Included(least),
        _ => from,
    };
    Box::new(RangeQuery::new(from, to))
}

/// The analysis of core as a tokenizer.
#[derive(Clone)]
struct Words {
    analyzer: Analyzer,
}

impl Tokenizer for Words {
    type TokenStream<'a> = WordStream;

    fn token_stream<'a>(&'a mut self, text: &'a str) -> WordStream {
        WordStream {
            words: words(self.analyzer, text).into_iter(),
            token: Token::default(),
        }
    }
}

struct WordStream {
    words: std::vec::IntoIter<Word>,
    token: Token,
}

impl TokenStream for WordStream {
    fn advance(&mut self) -> bool {
        let Some(word) = self.words.next() else {
            return false;
        };
        self.token.offset_from = word.at.start;
        self.token.offset_to = word.at.end;
        self.token.position = word.position;
        self.token.text = word.term;
        true
    }

    fn token(&self) -> &Token {
        &self.token
    }

    fn token_mut(&mut self) -> &mut Token {
        &mut self.token
    }
}
