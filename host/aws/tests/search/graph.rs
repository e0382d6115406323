//! Nearness among more documents than are compared one by one.

use stuga_core::search::{
    Embedding, FieldKind, Near, Query, SearchWrite, Value, VectorPart, VectorSource,
};

use stuga_test_servers::{OpenSearch, unique};

use crate::gate::Gate;
use crate::{INDEX, apply, clock, field, found, host, outcomes, put};

/// Above what is compared exactly.
const DOCUMENTS: usize = 10_240;
const DIMENSION: usize = 16;
const QUERIES: usize = 20;
const SHOWN: usize = 10;

/// Numbers that look random and are the same every time.
fn numbers(mut seed: u64) -> Vec<f32> {
    (0..DIMENSION)
        .map(|_| {
            seed = seed
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            (seed >> 40) as f32 / (1_u64 << 23) as f32 - 1.0
        })
        .collect()
}

fn cosine(a: &[f32], b: &[f32]) -> f32 {
    let dot = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f32>();
    dot(a, b) / (dot(a, a) * dot(b, b)).sqrt()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_graph_finds_nearly_all_of_the_nearest() {
    let domain = OpenSearch::shared().await;
    let gate = Gate::before(domain.address()).await;
    let host = host(&gate.endpoint(), &unique("g"), clock());
    let given = Embedding {
        model: "random-1".to_owned(),
        dimension: u32::try_from(DIMENSION).unwrap(),
    };
    let create = SearchWrite::CreateIndex {
        index: INDEX.to_owned(),
        fields: vec![field("at", FieldKind::Vector(VectorSource::Given(given)))],
    };
    apply(&host, &create).await.unwrap();
    let all: Vec<Vec<f32>> = (0..DOCUMENTS as u64)
        .map(|n| numbers(n * 7_919 + 1))
        .collect();
    let puts: Vec<_> = all
        .iter()
        .enumerate()
        .map(|(n, at)| {
            put(
                &format!("{n:05}"),
                vec![("at".to_owned(), Value::Vector(at.clone()))],
            )
        })
        .collect();
    for some in puts.chunks(256) {
        outcomes(&host, some.to_vec()).await;
    }
    let mut hits = 0;
    for n in 0..QUERIES as u64 {
        let near = numbers(n * 104_729 + 5);
        let mut exact: Vec<usize> = (0..DOCUMENTS).collect();
        exact.sort_by(|a, b| cosine(&all[*b], &near).total_cmp(&cosine(&all[*a], &near)));
        let query = Query {
            vector: Some(VectorPart {
                field: "at".to_owned(),
                near: Near::Vector(near),
            }),
            ..Query::default()
        };
        let found = found(&host, &query).await;
        assert_eq!(found.len(), SHOWN);
        let asked = gate
            .seen()
            .into_iter()
            .rev()
            .find(|request| request.path.ends_with("_msearch"));
        assert!(
            asked.unwrap().body.contains(r#"{"knn":{"v_at""#),
            "the graph is asked"
        );
        let nearest = exact[..SHOWN].iter().map(|n| format!("{n:05}"));
        hits += nearest.filter(|id| found.contains(id)).count();
    }
    let recall = hits as f64 / (QUERIES * SHOWN) as f64;
    println!("recall@{SHOWN} of {DOCUMENTS} vectors of {DIMENSION} numbers: {recall}");
    assert!(recall >= 0.95, "{recall}");
}
