//! Several hosts on one domain.

use std::collections::HashSet;
use std::sync::Arc;

use stuga_core::ErrorKind;
use stuga_core::search::{Change, Query, Search, Value};
use stuga_test_servers::{OpenSearch, unique};
use tokio::task::JoinSet;

use crate::{
    INDEX, apply, change, clock, create, drop_index, found, host, outcomes, price, put, scribe,
    text, words,
};

async fn hosts() -> [Arc<dyn Search>; 2] {
    let domain = OpenSearch::shared().await;
    let prefix = unique("h");
    let hosts = [(); 2].map(|()| host(&domain.endpoint(), &prefix, clock()));
    apply(&hosts[0], &create()).await.unwrap();
    hosts
}

#[tokio::test(flavor = "multi_thread")]
async fn updates_of_one_document_by_two_hosts_are_all_kept() {
    let hosts = hosts().await;
    outcomes(&hosts[0], vec![put("a", Vec::new())]).await;
    let mut all = JoinSet::new();
    for n in 0..12 {
        let host = Arc::clone(&hosts[n % 2]);
        all.spawn(async move {
            let set = match n {
                10 => vec![price(1.0)],
                11 => vec![text("stugan")],
                _ => Vec::new(),
            };
            let mut changes = vec![put(&format!("d{n}"), Vec::new())];
            changes.push(Change::Update {
                id: "a".to_owned(),
                set,
                remove: Vec::new(),
            });
            outcomes(&host, changes).await
        });
    }
    let outcomes = all.join_all().await;
    let versions: HashSet<u64> = outcomes.iter().flatten().map(|o| o.version).collect();
    assert_eq!(versions.len(), 24, "each change has a version of its own");
    for host in &hosts {
        let document = host.get(&scribe(), INDEX, "a").await.unwrap().unwrap();
        assert_eq!(document.fields, [price(1.0), text("stugan")]);
        assert_eq!(
            Some(&document.version),
            versions
                .iter()
                .filter(|v| outcomes.iter().any(|o| o[1].version == **v))
                .max()
        );
        let info = host.describe(&scribe(), INDEX).await.unwrap().unwrap();
        assert_eq!(info.documents, 13);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_host_sees_that_another_has_made_an_index_anew() {
    let [first, second] = hosts().await;
    outcomes(&first, vec![put("a", vec![text("stugan")])]).await;
    assert_eq!(found(&second, &words("stuga")).await, ["a"]);
    apply(&first, &drop_index()).await.unwrap();
    let gone = second.query(&scribe(), INDEX, &words("stuga")).await;
    assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
    let gone = apply(&second, &change(vec![put("b", Vec::new())])).await;
    assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
    apply(&first, &create()).await.unwrap();
    assert!(found(&second, &Query::default()).await.is_empty());
    assert_eq!(second.get(&scribe(), INDEX, "a").await.unwrap(), None);
    outcomes(&second, vec![put("b", vec![text("kvarnen")])]).await;
    assert_eq!(found(&first, &words("kvarn")).await, ["b"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn versions_grow_across_hosts_whose_clocks_differ() {
    let domain = OpenSearch::shared().await;
    let prefix = unique("v");
    let ahead = clock();
    ahead.advance(std::time::Duration::from_secs(3_600));
    let ahead = host(&domain.endpoint(), &prefix, ahead);
    let behind = host(&domain.endpoint(), &prefix, clock());
    apply(&ahead, &create()).await.unwrap();
    let mut last = 0;
    for host in [&ahead, &behind, &behind, &ahead, &behind] {
        let tag = ("tag".to_owned(), Value::Keywords(vec!["x".to_owned()]));
        let version = outcomes(host, vec![put("a", vec![tag])]).await[0].version;
        assert!(version > last, "{version} after {last}");
        last = version;
    }
}
