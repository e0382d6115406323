//! Search on a real OpenSearch, beside the bare client on the same domain.

use std::sync::Arc;

use opensearch::http::Url;
use opensearch::http::transport::{SingleNodeConnectionPool, TransportBuilder};
use opensearch::{BulkParts, GetParts, OpenSearch as Bare, SearchParts};
use serde_json::json;
use stuga_core::embed::HashedEmbedder;
use stuga_core::search::{
    Analyzer, Change, Field, FieldKind, Freshness, Operator, Query, Search, SearchWrite, TextPart,
    Value,
};
use stuga_test_servers::{OpenSearch, unique};

use crate::harness::{Figures, REGION, acme, apply, host};

const DOCUMENTS: usize = 5_000;
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

pub(crate) async fn measure(figures: &mut Figures) {
    let domain = OpenSearch::shared().await;
    let settings = json!({
        "region": REGION,
        "search": {
            "endpoint": domain.endpoint(),
            "signed": false,
            "index_prefix": format!("{}_{{tenant}}_", unique("o")),
            "replicas": 0,
        },
    });
    let aws = host(("test", "test"), settings);
    let search: Arc<dyn Search> = aws.search(Arc::new(HashedEmbedder)).unwrap();
    let create = SearchWrite::CreateIndex {
        index: "notes".to_owned(),
        fields: vec![Field {
            name: "text".to_owned(),
            kind: FieldKind::Text(Analyzer::Sv),
        }],
    };
    apply(&*search, &create).await;
    let url = Url::parse(&domain.endpoint()).unwrap();
    let pool = SingleNodeConnectionPool::new(url);
    let bare = Bare::new(TransportBuilder::new(pool).disable_proxy().build().unwrap());
    let all: Vec<usize> = (0..DOCUMENTS).collect();
    for some in all.chunks(250) {
        apply(&*search, &change(some.iter().copied().map(put).collect())).await;
        bare_bulk(&bare, some.iter().copied()).await;
    }
    let mut section = figures.of("search", domain.describe());
    section
        .row(
            "get",
            "Get",
            async |n| {
                let id = format!("{:05}", n % DOCUMENTS);
                search.get(&acme(), "notes", &id).await.unwrap().unwrap();
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
        search.query(&acme(), "notes", &query).await.unwrap();
    };
    section
        .row(
            "query by words, fast",
            "Search",
            async |n| query(n, Freshness::Fast).await,
            async |n| bare_query(&bare, n).await,
        )
        .await;
    section
        .row(
            "query by words, fresh",
            "Refresh, Search",
            async |n| query(n, Freshness::Fresh).await,
            async |n| {
                let refresh = opensearch::indices::IndicesRefreshParts::Index(&[BARE]);
                bare.indices().refresh(refresh).send().await.unwrap();
                bare_query(&bare, n).await;
            },
        )
        .await;
    section
        .row(
            "put of 1",
            "Bulk of 1",
            async |n| drop(apply(&*search, &change(vec![put(n % DOCUMENTS)])).await),
            async |n| bare_bulk(&bare, std::iter::once(n % DOCUMENTS)).await,
        )
        .await;
    section
        .row(
            "put of 250",
            "Bulk of 250",
            async |n| {
                let some = (0..250).map(|at| put((n * 250 + at) % DOCUMENTS));
                apply(&*search, &change(some.collect())).await;
            },
            async |n| bare_bulk(&bare, (0..250).map(|at| (n * 250 + at) % DOCUMENTS)).await,
        )
        .await;
}
