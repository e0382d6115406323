//! Tenants and agents that use the same ids, keys and names.

use super::{Desks, cancel, keyed, new_id, requeue, schedule, unschedule};
use crate::jobs::{JobAck, Jobs, State};
use crate::testkit::ctx;
use crate::testkit::suite::{Case, cases};
use crate::{CallCtx, ErrorKind};

/// Names chosen so that any way to glue tenant and agent together would make two of them equal.
const SCOPES: [(&str, &str); 4] = [("a", "b-c"), ("a-b", "c"), ("a", "b"), ("a-b", "b-c")];

pub(super) fn cases() -> Vec<Case<dyn Jobs>> {
    cases![
        nobody_finds_or_changes_what_another_submitted,
        everybody_may_use_the_same_keys_and_names,
    ]
}

fn everybody() -> Vec<CallCtx> {
    SCOPES.map(|(tenant, agent)| ctx(tenant, agent)).into()
}

async fn nobody_finds_or_changes_what_another_submitted(desks: Desks) {
    let all = everybody();
    let ack = desks.try_apply_as(&all[0], &keyed("k", "1")).await;
    let id = new_id(ack.unwrap());
    let daily = schedule("a", "@daily");
    desks.try_apply_as(&all[0], &daily).await.unwrap();
    for other in &all[1..] {
        assert_eq!(desks.backend.get(other, &id).await.unwrap(), None);
        let page = desks.backend.list(other, None, None, 10).await.unwrap();
        assert!(page.jobs.is_empty());
        assert!(desks.backend.schedules(other).await.unwrap().is_empty());
        for write in [cancel(&id), requeue(&id)] {
            let error = desks.try_apply_as(other, &write).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NotFound);
        }
        let ack = desks.try_apply_as(other, &unschedule("a")).await.unwrap();
        assert_eq!(ack, JobAck::Unscheduled { existed: false });
    }
    let job = desks.backend.get(&all[0], &id).await.unwrap().unwrap();
    assert_eq!(job.info.state, State::Waiting);
    assert_eq!(desks.backend.schedules(&all[0]).await.unwrap().len(), 1);
}

async fn everybody_may_use_the_same_keys_and_names(desks: Desks) {
    for (n, ctx) in everybody().iter().enumerate() {
        let ack = desks.try_apply_as(ctx, &keyed("k", &n.to_string())).await;
        let id = new_id(ack.unwrap());
        let job = desks.backend.get(ctx, &id).await.unwrap().unwrap();
        assert_eq!(job.input, n.to_string());
        let daily = schedule("a", "@daily");
        desks.try_apply_as(ctx, &daily).await.unwrap();
    }
}
