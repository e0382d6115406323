//! What leaves the host on behalf of a tenant names that tenant's indices and nobody else's.

use stuga_core::search::{Change, SearchWrite};
use stuga_core::testkit::ctx;
use stuga_test_servers::{OpenSearch, unique};

use crate::gate::{Fate, Gate};
use crate::{INDEX, change, clock, create, drop_index, host, put, text, words};

#[tokio::test(flavor = "multi_thread")]
async fn every_request_names_the_tenants_own_indices_only() {
    let domain = OpenSearch::shared().await;
    let gate = Gate::before(domain.address()).await;
    let prefix = unique("i");
    let host = host(&gate.endpoint(), &prefix, clock());
    for tenant in ["acme", "acme-2"] {
        gate.set(|_, _| Fate::Pass);
        let ctx = ctx(tenant, "scribe");
        let update = Change::Update {
            id: "a".to_owned(),
            set: vec![text("två")],
            remove: Vec::new(),
        };
        let writes: [SearchWrite; 3] = [
            create(),
            change(vec![put("a", vec![text("ett")]), update]),
            drop_index(),
        ];
        for (at, write) in writes.iter().enumerate() {
            if at == 2 {
                host.query(&ctx, INDEX, &words("två")).await.unwrap();
                host.get(&ctx, INDEX, "a").await.unwrap();
                host.describe(&ctx, INDEX).await.unwrap();
                host.indices(&ctx).await.unwrap();
            }
            host.apply(&ctx, ctx.next_write_id().unwrap(), write)
                .await
                .unwrap();
        }
        let own = format!("{prefix}_{tenant}_");
        let seen = gate.seen();
        assert!(seen.len() > 10, "{}", seen.len());
        for request in seen {
            assert!(
                request.path.starts_with(&format!("/{own}")),
                "{}",
                request.path
            );
            for named in request.body.split("\"_index\":\"").skip(1) {
                assert!(named.starts_with(&own), "{named}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_that_would_reach_elsewhere_are_refused_before_anything_is_sent() {
    let domain = OpenSearch::shared().await;
    let gate = Gate::before(domain.address()).await;
    let host = host(&gate.endpoint(), &unique("i"), clock());
    let ctx = ctx("acme", "scribe");
    gate.set(|_, _| Fate::Pass);
    for name in ["*", "../x", "_all", "a,b", "x_acme-2_scribe_notes", ""] {
        host.get(&ctx, name, "a").await.unwrap_err();
        host.query(&ctx, name, &words("x")).await.unwrap_err();
        host.describe(&ctx, name).await.unwrap_err();
        let write = SearchWrite::DropIndex {
            index: name.to_owned(),
        };
        host.apply(&ctx, ctx.next_write_id().unwrap(), &write)
            .await
            .unwrap_err();
    }
    assert_eq!(gate.seen().len(), 0);
}
