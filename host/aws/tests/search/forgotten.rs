//! Writes are remembered for a day and not for ever.

use std::sync::Arc;
use std::time::Duration;

use stuga_core::ErrorKind;
use stuga_core::search::{Search, SearchWrite};
use stuga_test_servers::{OpenSearch, unique};

use crate::{apply, change, clock, create, host, price, put, scribe};

#[tokio::test(flavor = "multi_thread")]
async fn a_write_is_remembered_for_a_day_and_then_forgotten() {
    let domain = OpenSearch::shared().await;
    let clock = clock();
    let host: Arc<dyn Search> = host(&domain.endpoint(), &unique("f"), Arc::clone(&clock) as _);
    apply(&host, &create()).await.unwrap();
    let ctx = scribe();
    let id = ctx.next_write_id().unwrap();
    let of = |number: f64| change(vec![put("a", vec![price(number)])]);
    let (first, other): (SearchWrite, SearchWrite) = (of(1.0), of(2.0));
    let ack = host.apply(&ctx, id, &first).await.unwrap();
    let next = change(vec![put("b", Vec::new())]);
    for hours in [0, 24] {
        clock.advance(Duration::from_secs(hours * 3_600));
        apply(&host, &next).await.unwrap();
        assert_eq!(host.apply(&ctx, id, &first).await.unwrap(), ack);
        let refused = host.apply(&ctx, id, &other).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "after {hours} hours");
    }
    clock.advance(Duration::from_secs(2 * 3_600));
    // What is forgotten must be visible to a search of the catalog, as it is after a second in a real one.
    host.indices(&scribe()).await.unwrap();
    apply(&host, &next).await.unwrap();
    host.apply(&ctx, id, &other).await.unwrap();
}
