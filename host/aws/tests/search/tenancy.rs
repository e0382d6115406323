//! What a tenant has on the domain as a whole: asked for, made and taken away by the operator.

use std::collections::BTreeSet;
use std::sync::Arc;

use stuga_aws::{Aws, State};
use stuga_core::embed::HashedEmbedder;
use stuga_core::search::Search;
use stuga_core::testkit::ctx;
use stuga_core::{CapabilityName, ErrorKind, Result, TenantId};
use stuga_fault_proxy::{Fault, FaultProxy};
use stuga_test_servers::{OpenSearch, unique};
use tokio::time::Instant;

use crate::{ATTEMPT_TIMEOUT, INDEX, aws, change, clock, create, put, text};

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

async fn write(search: &Arc<dyn Search>, tenant: &str, agent: &str) {
    for write in [create(), change(vec![put("a", vec![text("stugan")])])] {
        let ctx = ctx(tenant, agent);
        let id = ctx.next_write_id().unwrap();
        search.apply(&ctx, id, &write).await.unwrap();
    }
}

/// The names of all indices of the domain that begin with `prefix`.
async fn indices(prefix: &str) -> BTreeSet<String> {
    let domain = OpenSearch::shared().await;
    let url = format!(
        "{}/_cat/indices/{prefix}*?h=index&expand_wildcards=all",
        domain.endpoint()
    );
    let listed = reqwest::get(url).await.unwrap().text().await.unwrap();
    listed.lines().map(|line| line.trim().to_owned()).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_tenants_catalog_is_made_once_and_goes_with_all_its_indices_and_nobody_elses() {
    let domain = OpenSearch::shared().await;
    let prefix = unique("t");
    let aws = aws(&domain.endpoint(), &prefix, clock(), ATTEMPT_TIMEOUT);
    let plan = aws.plan(&tenant()).await.unwrap();
    assert_eq!(plan[0].state, State::Missing, "{plan:#?}");
    let probes = aws.probes(&tenant()).unwrap();
    let probe = probes.into_iter().find(|probe| probe.section == "search");
    let probed = probe.unwrap().run().await;
    let fix = probed.fix.unwrap();
    assert!(fix.contains("stuga tenant provision"), "{fix}");
    assert_eq!(
        aws.provision(&tenant()).await.unwrap()[0].state,
        State::Made
    );
    assert_eq!(
        aws.provision(&tenant()).await.unwrap()[0].state,
        State::There
    );
    let probes = aws.probes(&tenant()).unwrap();
    for probe in probes.into_iter().filter(|probe| probe.section == "search") {
        let probed = probe.run().await;
        assert!(probed.problem.is_none(), "{probed:?}");
    }

    let search: Arc<dyn Search> = aws.search(Arc::new(HashedEmbedder)).unwrap();
    write(&search, "acme", "scribe").await;
    write(&search, "acme", "clerk").await;
    write(&search, "acme-2", "scribe").await;
    let neighbours = indices(&format!("{prefix}_acme-2_")).await;
    assert_eq!(neighbours.len(), 2, "{neighbours:?}");
    assert_eq!(indices(&format!("{prefix}_")).await.len(), 5);
    // A closed index is the tenant's as well.
    let own = indices(&format!("{prefix}_acme_scribe_")).await;
    let url = format!("{}/{}/_close", domain.endpoint(), own.first().unwrap());
    let closed = reqwest::Client::new().post(url).send().await.unwrap();
    assert!(closed.status().is_success(), "{closed:?}");

    let removed = aws.deprovision(&tenant()).await.unwrap();
    assert_eq!(removed[0].state, State::Removed);
    assert_eq!(indices(&format!("{prefix}_")).await, neighbours);
    assert_eq!(aws.plan(&tenant()).await.unwrap()[0].state, State::Missing);
    aws.deprovision(&tenant()).await.unwrap();
    let found = search.get(&ctx("acme-2", "scribe"), INDEX, "a").await;
    assert!(found.unwrap().is_some());
}

async fn monitored(aws: &Aws) -> Result<()> {
    aws.probe(CapabilityName::Search, Instant::now() + ATTEMPT_TIMEOUT)
        .await
}

#[tokio::test(flavor = "multi_thread")]
async fn a_monitor_is_told_whether_the_domain_answers() {
    let domain = OpenSearch::shared().await;
    let proxy = FaultProxy::start(domain.address()).await.unwrap();
    let url = format!("http://{}", proxy.address());
    let aws = aws(&url, &unique("p"), clock(), ATTEMPT_TIMEOUT);
    monitored(&aws).await.unwrap();
    proxy.set(Fault::Refuse);
    proxy.in_force().await;
    let away = monitored(&aws).await.unwrap_err();
    assert_eq!(away.kind(), ErrorKind::Unavailable);
    for (code, is_outage) in [(503, true), (429, true), (401, true), (403, false)] {
        proxy.set(Fault::Status {
            code,
            retry_after: None,
            body: String::new(),
        });
        proxy.in_force().await;
        // The first connection may be the one that was reset.
        let mut told = monitored(&aws).await;
        if told.is_err() {
            told = monitored(&aws).await;
        }
        assert_eq!(told.is_err(), is_outage, "{code}: {told:?}");
    }
}
