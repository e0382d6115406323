//! The contract of search, as the local side keeps it. No sentence is left out.

use std::sync::Arc;

use futures::future::join_all;
use stuga_core::testkit::{Fixture, prove, search};
use stuga_test_servers::{OpenSearch, served, unique};

use crate::{clock, host};

/// Cases that are proved at the same time.
const LANES: usize = 4;

#[tokio::test(flavor = "multi_thread")]
async fn search_on_opensearch_keeps_the_contract() {
    let domain = OpenSearch::shared().await;
    let endpoint = domain.endpoint();
    served("contract of search", &domain.describe());
    let fixture = || {
        let clock = clock();
        let backend = host(&endpoint, &unique("c"), Arc::<_>::clone(&clock) as _);
        Fixture::new(backend, clock)
    };
    // Side by side, because most of the time a case waits for the domain to make an index.
    let mut lanes: Vec<_> = (0..LANES).map(|_| Vec::new()).collect();
    for (at, case) in search::cases().into_iter().enumerate() {
        lanes[at % LANES].push(case);
    }
    join_all(lanes.into_iter().map(|lane| prove(lane, fixture))).await;
}
