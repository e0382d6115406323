//! A domain that does not answer, or not well.

use std::time::Duration;

use stuga_core::search::Query;
use stuga_core::{CallCtx, ErrorKind};
use stuga_test_servers::{OpenSearch, unique};
use tokio::time::Instant;

use crate::gate::{Fate, Gate};
use crate::{INDEX, apply, change, clock, create, patient_host, put, scribe, words};

const SHORT: Duration = Duration::from_millis(300);

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_is_told_as_one_and_the_next_request_is_served() {
    let domain = OpenSearch::shared().await;
    let gate = Gate::before(domain.address()).await;
    let host = patient_host(
        &gate.endpoint(),
        &unique("o"),
        clock(),
        Duration::from_secs(20),
    );
    apply(&host, &create()).await.unwrap();
    apply(&host, &change(vec![put("a", Vec::new())]))
        .await
        .unwrap();
    for (fate, kind) in [
        (Fate::Status(429), ErrorKind::Unavailable),
        (Fate::Status(403), ErrorKind::Unavailable),
        (Fate::Status(500), ErrorKind::Unavailable),
        (Fate::Status(503), ErrorKind::Unavailable),
        (Fate::Status(504), ErrorKind::Timeout),
        (Fate::Lost, ErrorKind::Unavailable),
    ] {
        gate.set(move |_, _| fate);
        let errors = [
            host.get(&scribe(), INDEX, "a").await.unwrap_err(),
            host.query(&scribe(), INDEX, &words("x")).await.unwrap_err(),
            host.describe(&scribe(), INDEX).await.unwrap_err(),
            host.indices(&scribe()).await.unwrap_err(),
            apply(&host, &change(vec![put("b", Vec::new())]))
                .await
                .unwrap_err(),
        ];
        for error in errors {
            assert_eq!(error.kind(), kind, "{fate:?}: {error:?}");
            assert_eq!(error.retry_after().is_some(), fate == Fate::Status(429));
        }
    }
    gate.set(|_, _| Fate::Pass);
    let all = host
        .query(&scribe(), INDEX, &Query::default())
        .await
        .unwrap();
    assert_eq!(all.total, 1, "what was refused was not made");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_is_unavailable() {
    let nobody = stuga_test_servers::free_port().unwrap();
    let endpoint = format!("http://127.0.0.1:{nobody}");
    let host = patient_host(&endpoint, &unique("o"), clock(), SHORT);
    let refused = host.describe(&scribe(), INDEX).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    let refused = apply(&host, &create()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
}

#[tokio::test(flavor = "multi_thread")]
async fn silence_ends_with_the_attempt_and_with_the_call() {
    let domain = OpenSearch::shared().await;
    let gate = Gate::before(domain.address()).await;
    gate.set(|_, _| Fate::Silence);
    let host = patient_host(&gate.endpoint(), &unique("o"), clock(), SHORT);
    let refused = host.describe(&scribe(), INDEX).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Timeout);
    // A call that has less time than an attempt.
    let host = patient_host(
        &gate.endpoint(),
        &unique("o"),
        clock(),
        Duration::from_secs(600),
    );
    let long = scribe();
    let hurried = CallCtx::new(
        long.tenant.clone(),
        long.agent.clone(),
        long.invocation,
        long.request.clone(),
        long.accepted_at,
        Instant::now() + SHORT,
    );
    let refused = host.describe(&hurried, INDEX).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Timeout);
    let sent = gate.seen().len();
    let refused = host.describe(&hurried, INDEX).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Timeout);
    assert_eq!(
        gate.seen().len(),
        sent,
        "nothing is sent after the deadline"
    );
}
