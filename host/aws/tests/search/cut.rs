//! A write that is cut at any of its requests, before or after the domain has seen it: when it comes again, on this host or
//! another one, it is made once and whole.

use std::sync::Arc;

use stuga_core::search::{Change, Query, Search, SearchWrite};
use stuga_core::{CallCtx, ErrorKind};
use stuga_test_servers::{OpenSearch, unique};

use crate::gate::{Fate, Gate};
use crate::{
    INDEX, apply, change, clock, create, drop_index, found, host, price, put, scribe, text,
};

/// More requests than any write makes.
const REQUESTS_MAX: usize = 20;

/// Before each cut: `old` and `gone` stand.
async fn begin(endpoint: &str, prefix: &str) -> Arc<dyn Search> {
    let host = host(endpoint, prefix, clock());
    apply(&host, &create()).await.unwrap();
    let standing = ["old", "gone"].map(|id| put(id, vec![text("ett")]));
    apply(&host, &change(standing.to_vec())).await.unwrap();
    host
}

fn bulk() -> SearchWrite {
    change(vec![
        put("new", vec![text("två")]),
        Change::Update {
            id: "old".to_owned(),
            set: vec![price(2.0)],
            remove: Vec::new(),
        },
        Change::Delete {
            id: "gone".to_owned(),
        },
    ])
}

/// Cuts `write` at its request `number` and says whether it came so far.
async fn cut(
    gate: &Gate,
    host: &Arc<dyn Search>,
    ctx: &CallCtx,
    write: &SearchWrite,
    number: usize,
    fate: Fate,
) -> bool {
    gate.set(move |n, _| if n == number { fate } else { Fate::Pass });
    let id = stuga_core::WriteId {
        invocation: ctx.invocation,
        call: 0,
    };
    let result = host.apply(ctx, id, write).await;
    let came = gate.seen().len() > number;
    gate.set(|_, _| Fate::Pass);
    match result {
        Err(error) => assert!(
            came && error.kind().is_outage(),
            "{number} {fate:?}: {error:?}"
        ),
        Ok(_) => assert!(!came, "{number} {fate:?}: acknowledged though it was cut"),
    }
    came
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_cut_anywhere_is_made_once_when_it_comes_again() {
    let domain = OpenSearch::shared().await;
    let gate = Gate::before(domain.address()).await;
    for fate in [Fate::Lost, Fate::Unanswered, Fate::Status(503)] {
        for number in 0..REQUESTS_MAX {
            let prefix = unique("cut");
            gate.set(|_, _| Fate::Pass);
            let first = begin(&gate.endpoint(), &prefix).await;
            let ctx = scribe();
            let came = cut(&gate, &first, &ctx, &bulk(), number, fate).await;
            // Another host, which knows nothing.
            let second = host(&domain.endpoint(), &prefix, clock());
            let again = second
                .apply(&ctx, ctx.next_write_id().unwrap(), &bulk())
                .await
                .unwrap();
            let everything = found(&second, &Query::default()).await;
            assert_eq!(everything, ["new", "old"], "{number} {fate:?}");
            let old = second.get(&scribe(), INDEX, "old").await.unwrap().unwrap();
            assert_eq!(old.fields, [price(2.0), text("ett")]);
            let info = second.describe(&scribe(), INDEX).await.unwrap().unwrap();
            assert_eq!(info.documents, 2, "{number} {fate:?}: counted twice");
            let id = stuga_core::WriteId {
                invocation: ctx.invocation,
                call: 0,
            };
            let third = first.apply(&ctx, id, &bulk()).await.unwrap();
            assert_eq!(
                third, again,
                "{number} {fate:?}: the first host answers the same"
            );
            let after = second.get(&scribe(), INDEX, "old").await.unwrap().unwrap();
            assert_eq!(after.version, old.version, "{number} {fate:?}: made twice");
            if !came {
                break;
            }
            assert!(
                number + 1 < REQUESTS_MAX,
                "a write makes no end of requests"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_cut_write_has_left_is_completed_by_the_next_one() {
    let domain = OpenSearch::shared().await;
    let gate = Gate::before(domain.address()).await;
    let prefix = unique("left");
    let first = begin(&gate.endpoint(), &prefix).await;
    // Read, decide, complete: it is decided and nothing else.
    let ctx = scribe();
    assert!(cut(&gate, &first, &ctx, &bulk(), 2, Fate::Lost).await);
    let second = host(&domain.endpoint(), &prefix, clock());
    assert_eq!(
        found(&second, &Query::default()).await,
        ["gone", "old"],
        "it was never acknowledged"
    );
    let next = change(vec![put("next", vec![text("tre")])]);
    apply(&second, &next).await.unwrap();
    assert_eq!(
        found(&second, &Query::default()).await,
        ["new", "next", "old"]
    );
    let info = second.describe(&scribe(), INDEX).await.unwrap().unwrap();
    assert_eq!(info.documents, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn making_and_dropping_an_index_can_be_cut_anywhere() {
    let domain = OpenSearch::shared().await;
    let gate = Gate::before(domain.address()).await;
    for fate in [Fate::Lost, Fate::Unanswered] {
        for is_drop in [false, true] {
            for number in 0..REQUESTS_MAX {
                let prefix = unique("cut");
                gate.set(|_, _| Fate::Pass);
                let first = match is_drop {
                    true => begin(&gate.endpoint(), &prefix).await,
                    false => host(&gate.endpoint(), &prefix, clock()),
                };
                let write = if is_drop { drop_index() } else { create() };
                let ctx = scribe();
                let id = ctx.next_write_id().unwrap();
                gate.set(move |n, _| if n == number { fate } else { Fate::Pass });
                first.apply(&ctx, id, &write).await.ok();
                let came = gate.seen().len() > number;
                gate.set(|_, _| Fate::Pass);
                let second = host(&domain.endpoint(), &prefix, clock());
                // Nobody was told that it is there, or that it is gone: either may be seen, and neither is an outage.
                if let Err(error) = second.query(&scribe(), INDEX, &Query::default()).await {
                    assert_eq!(error.kind(), ErrorKind::NotFound, "{number} {fate:?}");
                }
                let again = second.apply(&ctx, id, &write).await.unwrap();
                let expected = match is_drop {
                    true => stuga_core::search::SearchAck::Dropped(true),
                    false => stuga_core::search::SearchAck::Created(true),
                };
                assert_eq!(again, expected, "{number} {fate:?}");
                if is_drop {
                    let gone = second.query(&scribe(), INDEX, &Query::default()).await;
                    assert_eq!(gone.unwrap_err().kind(), ErrorKind::NotFound);
                    apply(&second, &create()).await.unwrap();
                }
                assert!(found(&second, &Query::default()).await.is_empty());
                apply(&second, &change(vec![put("a", Vec::new())]))
                    .await
                    .unwrap();
                assert_eq!(found(&second, &Query::default()).await, ["a"]);
                if !came {
                    break;
                }
                assert!(
                    number + 1 < REQUESTS_MAX,
                    "a write makes no end of requests"
                );
            }
        }
    }
}
