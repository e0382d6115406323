//! Search on a real OpenSearch: the contract, and what the contract cannot say of a cloud: writes that are cut at every step,
//! hosts that write at the same time, outages, isolation, the graph.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod contract;
mod cut;
mod forgotten;
mod gate;
mod graph;
mod hosts;
mod isolation;
mod outages;
mod quota;
mod replica;
mod signed;
mod tenancy;

use std::sync::Arc;
use std::time::Duration;

use stuga_aws::{Aws, AwsConfig, CloudSearch};
use stuga_core::embed::HashedEmbedder;
use stuga_core::search::{
    Analyzer, Change, Field, FieldKind, Fields, Operator, Outcome, Query, Search, SearchAck,
    SearchWrite, TextPart, Value,
};
use stuga_core::testkit::{ManualClock, ctx};
use stuga_core::{CallCtx, Clock, Result, Timestamp};

const INDEX: &str = "notes";
const ATTEMPT_TIMEOUT: Duration = Duration::from_secs(30);

/// A host of the domain at `endpoint`, with names that begin with `prefix`.
fn host(endpoint: &str, prefix: &str, clock: Arc<dyn Clock>) -> Arc<dyn Search> {
    cloud(endpoint, prefix, clock)
}

/// The same, also as it takes over.
fn cloud(endpoint: &str, prefix: &str, clock: Arc<dyn Clock>) -> Arc<CloudSearch> {
    patient_cloud(endpoint, prefix, clock, ATTEMPT_TIMEOUT)
}

/// The same with another patience.
fn patient_host(
    endpoint: &str,
    prefix: &str,
    clock: Arc<dyn Clock>,
    attempt_timeout: Duration,
) -> Arc<dyn Search> {
    patient_cloud(endpoint, prefix, clock, attempt_timeout)
}

fn patient_cloud(
    endpoint: &str,
    prefix: &str,
    clock: Arc<dyn Clock>,
    attempt_timeout: Duration,
) -> Arc<CloudSearch> {
    let aws = aws(endpoint, prefix, clock, attempt_timeout);
    aws.search(Arc::new(HashedEmbedder)).unwrap()
}

/// AWS with search alone.
fn aws(endpoint: &str, prefix: &str, clock: Arc<dyn Clock>, attempt_timeout: Duration) -> Aws {
    let search = serde_json::json!({
        "endpoint": endpoint,
        "signed": false,
        "index_prefix": format!("{prefix}_{{tenant}}_"),
        "replicas": 0,
    });
    let config = AwsConfig {
        region: "eu-north-1".to_owned(),
        attempt_timeout,
        search: Some(serde_json::from_value(search).unwrap()),
        ..AwsConfig::default()
    };
    Aws::open(config, clock).unwrap()
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)))
}

fn scribe() -> CallCtx {
    ctx("acme", "scribe")
}

fn field(name: &str, kind: FieldKind) -> Field {
    Field {
        name: name.to_owned(),
        kind,
    }
}

/// A price, tags and a Swedish text.
fn create() -> SearchWrite {
    SearchWrite::CreateIndex {
        index: INDEX.to_owned(),
        fields: vec![
            field("price", FieldKind::Number),
            field("tag", FieldKind::Keyword),
            field("text", FieldKind::Text(Analyzer::Sv)),
        ],
    }
}

fn drop_index() -> SearchWrite {
    SearchWrite::DropIndex {
        index: INDEX.to_owned(),
    }
}

fn text(text: &str) -> (String, Value) {
    ("text".to_owned(), Value::Text(text.to_owned()))
}

fn price(price: f64) -> (String, Value) {
    ("price".to_owned(), Value::Number(price))
}

fn put(id: &str, fields: Fields) -> Change {
    Change::Put {
        id: id.to_owned(),
        fields,
    }
}

fn change(changes: Vec<Change>) -> SearchWrite {
    SearchWrite::Change {
        index: INDEX.to_owned(),
        changes,
    }
}

async fn apply(host: &Arc<dyn Search>, write: &SearchWrite) -> Result<SearchAck> {
    let ctx = scribe();
    host.apply(&ctx, ctx.next_write_id()?, write).await
}

async fn outcomes(host: &Arc<dyn Search>, changes: Vec<Change>) -> Vec<Outcome> {
    match apply(host, &change(changes)).await.unwrap() {
        SearchAck::Changed(outcomes) => outcomes,
        other => panic!("{other:?} answers a change"),
    }
}

fn words(words: &str) -> Query {
    Query {
        text: Some(TextPart {
            words: words.to_owned(),
            fields: Vec::new(),
            operator: Operator::Any,
        }),
        ..Query::default()
    }
}

async fn found(host: &Arc<dyn Search>, query: &Query) -> Vec<String> {
    let answer = host.query(&scribe(), INDEX, query).await.unwrap();
    let ids = answer.hits.into_iter().map(|hit| hit.document.id);
    ids.collect()
}
