//! What a tenant may store, by its catalog.

use std::sync::Arc;

use stuga_aws::{Aws, CloudQuotas};
use stuga_core::embed::HashedEmbedder;
use stuga_core::search::{Change, Search, SearchAck};
use stuga_core::{Error, ErrorKind, Result, TenantId};
use stuga_test_servers::{OpenSearch, unique};

use crate::{
    ATTEMPT_TIMEOUT, INDEX, apply, aws, change, clock, create, outcomes, put, scribe, text,
};

async fn limited(prefix: &str, documents: u64, bytes: u64) -> Aws {
    let domain = OpenSearch::shared().await;
    let aws = aws(&domain.endpoint(), prefix, clock(), ATTEMPT_TIMEOUT);
    let quotas = CloudQuotas {
        search_documents: documents,
        search_bytes: bytes,
        ..CloudQuotas::default()
    };
    aws.set_quotas(&TenantId::new("acme").unwrap(), quotas);
    aws
}

fn search(aws: &Aws) -> Arc<dyn Search> {
    aws.search(Arc::new(HashedEmbedder)).unwrap()
}

/// Which limit a write was refused for.
fn limit(refused: Result<SearchAck, Error>) -> String {
    let refused = refused.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded, "{refused}");
    refused.context_value("quota").unwrap().to_owned()
}

fn delete(id: &str) -> Change {
    Change::Delete { id: id.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenant_is_held_to_its_documents_and_a_write_over_them_makes_none() {
    let prefix = unique("q");
    let host = search(&limited(&prefix, 3, u64::MAX).await);
    apply(&host, &create()).await.unwrap();
    outcomes(&host, vec![put("a", Vec::new()), put("b", Vec::new())]).await;
    let two = change(vec![put("c", Vec::new()), put("d", Vec::new())]);
    assert_eq!(limit(apply(&host, &two).await), "search_documents");
    assert_eq!(host.get(&scribe(), INDEX, "c").await.unwrap(), None);
    outcomes(&host, vec![put("c", Vec::new()), put("a", Vec::new())]).await;
    let one = change(vec![put("d", Vec::new())]);
    assert_eq!(limit(apply(&host, &one).await), "search_documents");
    // What takes the place of something is let in.
    outcomes(&host, vec![delete("a"), put("d", Vec::new())]).await;
    outcomes(&host, vec![delete("b")]).await;
    outcomes(&host, vec![put("e", Vec::new())]).await;

    // Another host counts by the catalog.
    let other = search(&limited(&prefix, 3, u64::MAX).await);
    assert_eq!(other.indices(&scribe()).await.unwrap()[0].documents, 3);
    let one = change(vec![put("f", Vec::new())]);
    assert_eq!(limit(apply(&other, &one).await), "search_documents");
}

#[tokio::test(flavor = "multi_thread")]
async fn bytes_are_counted_as_well() {
    let host = search(&limited(&unique("q"), u64::MAX, 400).await);
    apply(&host, &create()).await.unwrap();
    outcomes(&host, vec![put("a", vec![text(&"x".repeat(300))])]).await;
    let more = change(vec![put("b", vec![text(&"x".repeat(300))])]);
    assert_eq!(limit(apply(&host, &more).await), "search_bytes");
}
