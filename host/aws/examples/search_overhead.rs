//! What this layer costs above the bare client, on the same domain: `cargo run --release -p stuga-aws --example
//! search_overhead`. Medians of alternating calls, one at a time.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a measurement that cannot be made ends"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use opensearch::http::Url;
use opensearch::http::transport::{SingleNodeConnectionPool, TransportBuilder};
use opensearch::{BulkParts, GetParts, OpenSearch as Bare, SearchParts};
use serde_json::json;
use stuga_aws::{Aws, AwsConfig};
use stuga_core::SystemClock;
use stuga_core::embed::HashedEmbedder;
use stuga_core::search::{
    Analyzer, Change, Field, FieldKind, Freshness, Operator, Query, Search, SearchWrite, TextPart,
    Value,
};
use stuga_core::testkit::ctx;
use stuga_test_servers::{OpenSearch, unique};

const DOCUMENTS: usize = 5_000;
const ROUNDS: usize = 300;
const WARM_UP: usize = 50;
const WORDS: [&str; 8] = [
    "stugan",
    "sjön",
    "kvarnen",
    "bryggan",
    "mötet",
    "budgeten",
    "protokollet",
    "havren",
];
const BARE: &str = "bare";

fn text_of(n: usize) -> String {
    (0..30)
        .map(|at| format!("{} {} ", WORDS[(n * 7 + at * at) % WORDS.len()], n % 97))
        .collect()
}

fn change(changes: Vec<Change>) -> SearchWrite {
    SearchWrite::Change {
        index: "notes".to_owned(),
        changes,
    }
}

fn put(n: usize) -> Change {
    Change::Put {
        id: format!("{n:05}"),
        fields: vec![("text".to_owned(), Value::Text(text_of(n)))],
    }
}

async fn ours(search: &Arc<dyn Search>, write: &SearchWrite) {
    let ctx = ctx("acme", "scribe");
    let id = ctx.next_write_id().unwrap();
    search.apply(&ctx, id, write).await.unwrap();
}

fn words(n: usize, freshness: Freshness) -> Query {
    Query {
        text: Some(TextPart {
            words: format!("{} {}", WORDS[n % WORDS.len()], n % 97),
            fields: Vec::new(),
            operator: Operator::Any,
        }),
        freshness,
        ..Query::default()
    }
}

async fn bare_bulk(bare: &Bare, of: impl Iterator<Item = usize>) {
    let mut lines = Vec::new();
    for n in of {
        lines.push(json!({"index": {"_id": format!("{n:05}")}}).to_string());
        lines.push(json!({"text": text_of(n)}).to_string());
    }
    let answer = bare
        .bulk(BulkParts::Index(BARE))
        .body(lines)
        .send()
        .await
        .unwrap();
    assert!(
        !answer.json::<serde_json::Value>().await.unwrap()["errors"]
            .as_bool()
            .unwrap()
    );
}

async fn bare_query(bare: &Bare, n: usize) {
    let words = format!("{} {}", WORDS[n % WORDS.len()], n % 97);
    let body = json!({"query": {"match": {"text": words}}, "track_total_hits": true});
    let answer = bare
        .search(SearchParts::Index(&[BARE]))
        .body(body)
        .send()
        .await
        .unwrap();
    answer.json::<serde_json::Value>().await.unwrap();
}

/// The medians of both, called in turns.
async fn compare(name: &str, ours: impl AsyncFn(usize), bare: impl AsyncFn(usize)) {
    let (mut of_ours, mut of_bare) = (Vec::new(), Vec::new());
    for round in 0..WARM_UP + ROUNDS {
        let begin = Instant::now();
        ours(round).await;
        let middle = Instant::now();
        bare(round).await;
        if round >= WARM_UP {
            of_ours.push(middle - begin);
            of_bare.push(middle.elapsed());
        }
    }
    let median = |mut times: Vec<Duration>| {
        times.sort();
        times[times.len() / 2].as_secs_f64() * 1e3
    };
    let (ours, bare) = (median(of_ours), median(of_bare));
    println!(
        "{name:<28} ours {ours:7.2} ms   bare {bare:7.2} ms   ratio {:.2}",
        ours / bare
    );
}

#[tokio::main]
async fn main() {
    let domain = OpenSearch::shared().await;
    let search = json!({
        "endpoint": domain.endpoint(),
        "signed": false,
        "index_prefix": format!("{}_{{tenant}}_", unique("o")),
        "replicas": 0,
    });
    let config = AwsConfig {
        region: "eu-north-1".to_owned(),
        search: Some(serde_json::from_value(search).unwrap()),
        ..AwsConfig::default()
    };
    let aws = Aws::open(config, Arc::new(SystemClock)).unwrap();
    let search: Arc<dyn Search> = aws.search(Arc::new(HashedEmbedder)).unwrap();
    let create = SearchWrite::CreateIndex {
        index: "notes".to_owned(),
        fields: vec![Field {
            name: "text".to_owned(),
            kind: FieldKind::Text(Analyzer::Sv),
        }],
    };
    ours(&search, &create).await;
    let url = Url::parse(&domain.endpoint()).unwrap();
    let pool = SingleNodeConnectionPool::new(url);
    let bare = Bare::new(TransportBuilder::new(pool).disable_proxy().build().unwrap());
    let all: Vec<usize> = (0..DOCUMENTS).collect();
    for some in all.chunks(250) {
        ours(&search, &change(some.iter().copied().map(put).collect())).await;
        bare_bulk(&bare, some.iter().copied()).await;
    }
    let context = || ctx("acme", "scribe");
    compare(
        "get",
        async |n| {
            let id = format!("{:05}", n % DOCUMENTS);
            search.get(&context(), "notes", &id).await.unwrap().unwrap();
        },
        async |n| {
            let id = format!("{:05}", n % DOCUMENTS);
            let answer = bare.get(GetParts::IndexId(BARE, &id)).send().await.unwrap();
            answer.json::<serde_json::Value>().await.unwrap();
        },
    )
    .await;
    let query = async |n: usize, freshness| {
        let query = words(n, freshness);
        search.query(&context(), "notes", &query).await.unwrap();
    };
    compare(
        "query, fast",
        async |n| query(n, Freshness::Fast).await,
        async |n| bare_query(&bare, n).await,
    )
    .await;
    compare(
        "query, fresh (bare refreshes)",
        async |n| query(n, Freshness::Fresh).await,
        async |n| {
            let refresh = opensearch::indices::IndicesRefreshParts::Index(&[BARE]);
            bare.indices().refresh(refresh).send().await.unwrap();
            bare_query(&bare, n).await;
        },
    )
    .await;
    compare(
        "put of one",
        async |n| ours(&search, &change(vec![put(n % DOCUMENTS)])).await,
        async |n| bare_bulk(&bare, std::iter::once(n % DOCUMENTS)).await,
    )
    .await;
    compare(
        "put of 250",
        async |n| {
            let some = (0..250).map(|at| put((n * 250 + at) % DOCUMENTS));
            ours(&search, &change(some.collect())).await;
        },
        async |n| bare_bulk(&bare, (0..250).map(|at| (n * 250 + at) % DOCUMENTS)).await,
    )
    .await;
}
