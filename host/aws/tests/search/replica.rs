//! What another side acknowledged, and OpenSearch takes over: the suite of the testkit, and what it does not ask: requests that
//! are cut anywhere, two hosts that were apart.

use std::sync::Arc;
use std::time::Duration;

use stuga_aws::CloudSearch;
use stuga_core::search::{Change, Outcome, Query, Search, SearchAck, SearchWrite};
use stuga_core::standby::{Adopted, Made, Replica};
use stuga_core::testkit::standby::{self, Sides};
use stuga_core::testkit::{Fixture, ManualClock, prove};
use stuga_core::{Capability, Clock, Timestamp, WriteId};
use stuga_test_servers::{OpenSearch, unique};

use crate::gate::{Fate, Gate};
use crate::{
    INDEX, apply, change, clock, cloud, create, drop_index, found, host, price, put, scribe, text,
};

/// More requests than any write makes.
const REQUESTS_MAX: usize = 24;

#[tokio::test(flavor = "multi_thread")]
async fn search_takes_over() {
    let endpoint = OpenSearch::shared().await.endpoint();
    prove(standby::search::cases(), || {
        let clock = clock();
        let side = || cloud(&endpoint, &unique("r"), Arc::clone(&clock) as _);
        let (from, to) = (side(), side());
        let sides = Sides::new(from as _, Arc::clone(&to) as _, to as _);
        Fixture::new(Arc::new(sides), clock)
    })
    .await;
}

fn after(start: Timestamp, millis: u64) -> Timestamp {
    start.saturating_add(Duration::from_millis(millis))
}

/// What a host answered to changes so much later: versions from the first of that millisecond on.
fn changed(start: Timestamp, millis: u64, existed: &[bool]) -> Made<SearchAck> {
    let at = after(start, millis);
    let first = at.as_millis() << 10;
    let outcomes = (first..).zip(existed).map(|(version, existed)| Outcome {
        version,
        existed: *existed,
    });
    Made {
        ack: SearchAck::Changed(outcomes.collect()),
        stamp: first + existed.len() as u64,
        at,
    }
}

/// Before each write: `old` and `gone` stand.
async fn begin(endpoint: &str, prefix: &str) {
    let host = host(endpoint, prefix, clock());
    apply(&host, &create()).await.unwrap();
    let standing = ["old", "gone"].map(|id| put(id, vec![text("ett")]));
    apply(&host, &change(standing.to_vec())).await.unwrap();
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

/// What stands after the bulk was taken over, whatever happened on the way.
async fn check(host: &CloudSearch, made: &Made<SearchAck>, what: &str) {
    let SearchAck::Changed(outcomes) = &made.ack else {
        panic!("{what}: not an answer to changes");
    };
    let answer = host.query(&scribe(), INDEX, &Query::default()).await;
    let ids = answer.unwrap().hits.into_iter().map(|hit| hit.document.id);
    assert_eq!(ids.collect::<Vec<_>>(), ["new", "old"], "{what}");
    let info = host.describe(&scribe(), INDEX).await.unwrap().unwrap();
    assert_eq!(info.documents, 2, "{what}: counted twice");
    for (id, outcome) in ["new", "old"].into_iter().zip(outcomes) {
        let document = host.get(&scribe(), INDEX, id).await.unwrap().unwrap();
        assert_eq!(document.version, outcome.version, "{what}: {id}");
        assert_eq!(document.updated_at, made.at, "{what}: {id}");
    }
    let old = host.get(&scribe(), INDEX, "old").await.unwrap().unwrap();
    assert_eq!(old.fields, [price(2.0), text("ett")], "{what}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_is_cut_anywhere_is_taken_over_once_and_whole() {
    let domain = OpenSearch::shared().await;
    let gate = Gate::before(domain.address()).await;
    // The same when it had landed here before, at a smaller version and at a larger one.
    for landed in [None, Some(3), Some(9)] {
        for number in 0..REQUESTS_MAX {
            let what = format!("landed {landed:?}, cut at {number}");
            let prefix = unique("cut");
            gate.set(|_, _| Fate::Pass);
            begin(&gate.endpoint(), &prefix).await;
            let ctx = scribe();
            let id = ctx.next_write_id().unwrap();
            let made = changed(clock().now(), 6, &[false, true, true]);
            if let Some(millis) = landed {
                let early = clock();
                early.advance(Duration::from_millis(millis));
                let early = host(&domain.endpoint(), &prefix, early);
                early.apply(&ctx, id, &bulk()).await.unwrap();
            }
            let first = cloud(&gate.endpoint(), &prefix, clock());
            gate.set(move |n, _| {
                if n == number {
                    Fate::Unanswered
                } else {
                    Fate::Pass
                }
            });
            let cut = first.adopt(&ctx, id, &bulk(), &made).await;
            let came = gate.seen().len() > number;
            gate.set(|_, _| Fate::Pass);
            if let Err(error) = cut {
                assert!(came && error.kind().is_outage(), "{what}: {error:?}");
            }
            // Another host, which knows nothing; then the first one again.
            let second = cloud(&domain.endpoint(), &prefix, clock());
            for host in [&second, &first] {
                let adopted = host.adopt(&ctx, id, &bulk(), &made).await.unwrap();
                assert_eq!(adopted, Adopted::Stands, "{what}");
                check(host, &made, &what).await;
            }
            let ack = second.apply(&ctx, id, &bulk()).await.unwrap();
            assert_eq!(ack, made.ack, "{what}");
            let next = change(vec![put("new", Vec::new()), put("old", Vec::new())]);
            let SearchAck::Changed(next) = apply(&(second.clone() as _), &next).await.unwrap()
            else {
                panic!("{what}: not an answer to changes");
            };
            for outcome in next {
                assert!(outcome.existed && outcome.version > made.stamp, "{what}");
            }
            for id in ["new", "old"] {
                let document = first.get(&scribe(), INDEX, id).await.unwrap().unwrap();
                assert!(document.fields.is_empty(), "{what}: {id} was not written");
            }
            if !came {
                break;
            }
            assert!(number + 1 < REQUESTS_MAX, "{what}: no end of requests");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn making_and_dropping_an_index_is_taken_over_wherever_it_is_cut() {
    let domain = OpenSearch::shared().await;
    let gate = Gate::before(domain.address()).await;
    for is_drop in [false, true] {
        for number in 0..REQUESTS_MAX {
            let what = format!("drop {is_drop}, cut at {number}");
            let prefix = unique("cut");
            gate.set(|_, _| Fate::Pass);
            if is_drop {
                begin(&domain.endpoint(), &prefix).await;
            }
            let first = cloud(&gate.endpoint(), &prefix, clock());
            let (write, ack) = match is_drop {
                true => (drop_index(), SearchAck::Dropped(true)),
                false => (create(), SearchAck::Created(true)),
            };
            let at = after(clock().now(), 6);
            let made = Made {
                ack,
                stamp: at.as_millis() << 10,
                at,
            };
            let ctx = scribe();
            let id = ctx.next_write_id().unwrap();
            gate.set(move |n, _| {
                if n == number {
                    Fate::Unanswered
                } else {
                    Fate::Pass
                }
            });
            first.adopt(&ctx, id, &write, &made).await.ok();
            let came = gate.seen().len() > number;
            gate.set(|_, _| Fate::Pass);
            let second = cloud(&domain.endpoint(), &prefix, clock());
            for host in [&second, &first] {
                let adopted = host.adopt(&ctx, id, &write, &made).await.unwrap();
                assert_eq!(adopted, Adopted::Stands, "{what}");
            }
            let info = second.describe(&scribe(), INDEX).await.unwrap();
            let created_at = info.map(|info| info.created_at);
            assert_eq!(created_at, (!is_drop).then_some(at), "{what}");
            if !came {
                break;
            }
            assert!(number + 1 < REQUESTS_MAX, "{what}: no end of requests");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_two_hosts_that_were_apart_each_document_is_as_of_its_later_write() {
    let endpoint = OpenSearch::shared().await.endpoint();
    for first_drains_first in [true, false] {
        let prefix = unique("apart");
        let mut hosts = [("one", [1, 4]), ("other", [2, 3])];
        if !first_drains_first {
            hosts.reverse();
        }
        let start = clock().now();
        for (whose, [of_a, of_b]) in hosts {
            let host = cloud(&endpoint, &prefix, clock());
            // Each made the index for itself.
            let made = Made {
                ack: SearchAck::Created(true),
                stamp: after(start, of_a - 1).as_millis() << 10,
                at: after(start, of_a - 1),
            };
            adopt(&host, &create(), &made).await;
            for (id, millis) in [("a", of_a), ("b", of_b)] {
                let write = change(vec![put(id, vec![text(whose)]), put(whose, Vec::new())]);
                let made = changed(start, 2 * millis, &[false, millis == of_b]);
                adopt(&host, &write, &made).await;
            }
        }
        let host = host(&endpoint, &prefix, Arc::new(ManualClock::at(start)));
        for (id, whose) in [("a", "other"), ("b", "one")] {
            let document = host.get(&scribe(), INDEX, id).await.unwrap().unwrap();
            assert_eq!(document.fields, [text(whose)], "{id} {first_drains_first}");
        }
        let all = found(&host, &Query::default()).await;
        assert_eq!(all, ["a", "b", "one", "other"]);
        let info = host.describe(&scribe(), INDEX).await.unwrap().unwrap();
        assert_eq!((info.documents, info.created_at), (4, start));
    }
}

async fn adopt(host: &CloudSearch, write: &SearchWrite, made: &Made<SearchAck>) {
    let ctx = scribe();
    let id: WriteId = ctx.next_write_id().unwrap();
    let adopted = host.adopt(&ctx, id, write, made).await.unwrap();
    assert_eq!(adopted, Adopted::Stands);
}
