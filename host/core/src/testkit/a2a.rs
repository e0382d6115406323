//! The contract of mailboxes: what is posted, what the runner takes, what the operator sees.

mod order;
pub mod posting;

use std::time::Duration;

use uuid::Uuid;

use self::order::whatever_happens_each_pair_keeps_its_order;
use super::ctx as ctx_of;
use super::suite::{Case, Fixture, cases};
use crate::a2a::delivery::{
    CLAIM_MAX, Delivery, Filter, Letter, MailDesk, MailQueue, Outcome, PAGE_MAX_MESSAGES, Settled,
    State, Taken,
};
use crate::a2a::{DEPTH_MAX, INPUT_MAX_BYTES, Mailbox, MailboxWrite, Message};
use crate::lease::{Failure, Held, LOSSES_MAX, Lease, LeaseToken};
use crate::retry::Next;
use crate::{AgentName, CallCtx, Clock, ErrorKind, Result, TenantId, WriteId};

/// All sides of one store.
pub trait MailBackend: Mailbox + MailQueue + MailDesk {}

impl<T: Mailbox + MailQueue + MailDesk> MailBackend for T {}

/// All cases.
pub fn cases() -> Vec<Case<dyn MailBackend>> {
    cases![
        a_message_is_taken_as_it_was_posted,
        a_repeated_post_is_one_message_also_after_its_delivery,
        another_post_under_a_used_id_is_a_conflict,
        messages_of_one_sender_are_taken_one_after_the_other,
        senders_and_agents_do_not_hold_each_other_back,
        a_failed_message_comes_again_later_and_holds_back_those_behind_it,
        a_message_whose_attempts_are_used_up_is_dead_and_lets_others_pass,
        a_final_failure_is_not_tried_again,
        a_dead_message_can_be_put_back_or_removed,
        a_lease_that_ran_out_brings_the_same_attempt_again,
        a_prolonged_lease_holds,
        a_message_that_takes_its_host_down_each_time_fails_in_the_end,
        what_a_lost_holder_says_is_not_heard,
        a_released_message_comes_again_at_once_as_the_same_attempt,
        messages_for_agents_that_are_not_there_wait,
        nobody_took_it_in_time_is_dead_and_then_gone,
        a_tenant_is_pending_as_long_as_it_has_messages,
        a_post_and_a_settlement_are_told,
        the_operator_lists_page_by_page_and_by_state,
        arguments_are_bounded,
        nobody_meets_anothers_messages,
        whatever_happens_each_pair_keeps_its_order,
    ]
}

type Post = Fixture<dyn MailBackend>;

/// Longer than any wait between two attempts.
const LONG: Duration = Duration::from_secs(3_600);
const LEASE_TIME: Duration = Duration::from_secs(30);

fn tenant() -> TenantId {
    TenantId::new("acme").unwrap()
}

fn agent(name: &str) -> AgentName {
    AgentName::new(name).unwrap()
}

fn ctx() -> CallCtx {
    ctx_of("acme", "scribe")
}

fn post(to: &str, input: &str) -> MailboxWrite {
    MailboxWrite::Post {
        to: to.to_owned(),
        message: Message {
            skill: "note".to_owned(),
            input: input.to_owned(),
            session: Some("s".to_owned()),
        },
        depth: 1,
    }
}

/// A lease that nobody else has.
fn lease() -> Lease {
    use std::sync::atomic::{AtomicU64, Ordering};
    static NEXT: AtomicU64 = AtomicU64::new(1);
    let bits = u128::from(NEXT.fetch_add(1, Ordering::Relaxed));
    Lease {
        token: LeaseToken::from_uuid(Uuid::from_u128(bits)),
        time: LEASE_TIME,
    }
}

fn failed() -> Outcome {
    Outcome::Failed {
        failure: Failure::new(ErrorKind::Unavailable, "the agent said no"),
        roll: u64::MAX,
    }
}

impl Post {
    async fn post_as(&self, ctx: &CallCtx, to: &str, input: &str) -> Result<String> {
        let id = ctx.next_write_id()?;
        let ack = self.backend.apply(ctx, id, &post(to, input)).await?;
        Ok(ack.id)
    }

    async fn post(&self, to: &str, input: &str) -> String {
        self.post_as(&ctx(), to, input).await.unwrap()
    }

    async fn look(&self, agents: &[&str], most: usize) -> Delivery {
        let agents: Vec<AgentName> = agents.iter().map(|name| agent(name)).collect();
        let leases: Vec<Lease> = (0..most).map(|_| lease()).collect();
        let tenant = tenant();
        let taken = self.backend.take(&tenant, &agents, &leases, u64::MAX);
        taken.await.unwrap()
    }

    /// Takes what `svea` has, at most ten.
    async fn take(&self) -> Vec<Taken> {
        self.look(&["svea"], 10).await.messages
    }

    /// Takes the one message that `svea` has.
    async fn take_one(&self) -> Taken {
        let mut taken = self.take().await;
        assert_eq!(taken.len(), 1, "{taken:?}");
        taken.remove(0)
    }

    async fn settle(&self, taken: &Taken, outcome: Outcome) -> Settled {
        self.settle_as(&taken.token, outcome).await
    }

    async fn find(&self, id: &str) -> Option<Letter> {
        self.backend.find(&tenant(), id).await.unwrap()
    }

    async fn is_pending(&self) -> bool {
        let pending = self.backend.pending().await.unwrap();
        pending.iter().any(|pending| pending.tenant == tenant())
    }

    /// Fails the message of that id until it is dead.
    async fn kill(&self, id: &str) {
        for _ in 0..100 {
            let taken = self.take().await;
            let mine = taken.iter().find(|taken| taken.id == id).unwrap();
            if self.settle(mine, failed()).await == Settled::Failed(Next::GiveUp) {
                return;
            }
            self.clock.advance(LONG);
        }
        panic!("the message does not die");
    }
}

async fn a_message_is_taken_as_it_was_posted(mail: Post) {
    let from = ctx_of("acme", "scribe");
    let id = mail.post_as(&from, "acme/svea", "{\"n\":1}").await.unwrap();
    let taken = mail.take_one().await;
    assert_eq!(
        (taken.id, taken.sender.to_string()),
        (id, "acme/scribe".to_owned())
    );
    assert_eq!(taken.message.skill, "note");
    assert_eq!(taken.message.input, "{\"n\":1}");
    assert_eq!(taken.message.session.as_deref(), Some("s"));
    assert_eq!((taken.depth, taken.attempt, taken.again), (1, 1, false));
    assert_eq!(taken.began_at, mail.clock.now());
    assert!(mail.take().await.is_empty(), "it has a holder");
    assert_eq!(
        mail.settle_as(&taken.token, Outcome::Delivered).await,
        Settled::Delivered
    );
    assert!(mail.take().await.is_empty(), "it is gone");
}

impl Post {
    async fn settle_as(&self, token: &LeaseToken, outcome: Outcome) -> Settled {
        let tenant = tenant();
        let settled = self.backend.settle(&tenant, token, outcome);
        settled.await.unwrap()
    }
}

async fn a_repeated_post_is_one_message_also_after_its_delivery(mail: Post) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let said = post("acme/svea", "1");
    let first = mail.backend.apply(&ctx, id, &said).await.unwrap();
    for _ in 0..2 {
        assert_eq!(mail.backend.apply(&ctx, id, &said).await.unwrap(), first);
    }
    let taken = mail.take_one().await;
    assert_eq!(
        mail.settle(&taken, Outcome::Delivered).await,
        Settled::Delivered
    );
    assert_eq!(mail.backend.apply(&ctx, id, &said).await.unwrap(), first);
    assert!(mail.take().await.is_empty());
}

async fn another_post_under_a_used_id_is_a_conflict(mail: Post) {
    let ctx = ctx();
    let id = ctx.next_write_id().unwrap();
    let said = post("acme/svea", "1");
    mail.backend.apply(&ctx, id, &said).await.unwrap();
    for other in [post("acme/svea", "2"), post("acme/other", "1")] {
        let refused = mail.backend.apply(&ctx, id, &other).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict);
    }
    assert_eq!(mail.take_one().await.message.input, "1");
}

async fn messages_of_one_sender_are_taken_one_after_the_other(mail: Post) {
    for n in 0..5 {
        mail.post("acme/svea", &n.to_string()).await;
        mail.clock.advance(Duration::from_secs(1));
    }
    for n in 0..5 {
        let taken = mail.take_one().await;
        assert_eq!(taken.message.input, n.to_string());
        mail.settle(&taken, Outcome::Delivered).await;
    }
}

async fn senders_and_agents_do_not_hold_each_other_back(mail: Post) {
    for sender in ["a", "b"] {
        for to in ["acme/svea", "acme/other"] {
            let from = ctx_of("acme", sender);
            mail.post_as(&from, to, "1").await.unwrap();
            mail.post_as(&from, to, "2").await.unwrap();
        }
    }
    let taken = mail.look(&["svea", "other"], 10).await.messages;
    let mut pairs: Vec<_> = taken
        .iter()
        .map(|taken| (taken.sender.to_string(), taken.agent.to_string()))
        .collect();
    pairs.sort();
    pairs.dedup();
    assert_eq!((taken.len(), pairs.len()), (4, 4));
    assert!(taken.iter().all(|taken| taken.message.input == "1"));
}

async fn a_failed_message_comes_again_later_and_holds_back_those_behind_it(mail: Post) {
    let id = mail.post("acme/svea", "1").await;
    mail.post("acme/svea", "2").await;
    let taken = mail.take_one().await;
    let Settled::Failed(Next::Retry(wait)) = mail.settle(&taken, failed()).await else {
        panic!("it is tried again");
    };
    let found = mail.look(&["svea"], 10).await;
    assert!(
        found.messages.is_empty(),
        "neither it nor the one behind it"
    );
    let due = mail.clock.now().saturating_add(wait);
    assert_eq!(found.next_at, Some(due));
    let letter = mail.find(&id).await.unwrap();
    assert_eq!(
        (letter.state, letter.attempt, letter.due_at),
        (State::Waiting, 2, due)
    );
    assert_eq!(letter.failure.unwrap().message, "the agent said no");
    mail.clock.advance(wait);
    let again = mail.take_one().await;
    assert_eq!((again.id.as_str(), again.attempt), (id.as_str(), 2));
    mail.settle(&again, Outcome::Delivered).await;
    assert_eq!(mail.take_one().await.message.input, "2");
}

async fn a_message_whose_attempts_are_used_up_is_dead_and_lets_others_pass(mail: Post) {
    let id = mail.post("acme/svea", "1").await;
    mail.post("acme/svea", "2").await;
    mail.kill(&id).await;
    let letter = mail.find(&id).await.unwrap();
    assert_eq!(letter.state, State::Dead);
    assert_eq!(mail.take_one().await.message.input, "2");
}

async fn a_final_failure_is_not_tried_again(mail: Post) {
    let id = mail.post("acme/svea", "1").await;
    let taken = mail.take_one().await;
    let failure = Failure::new(ErrorKind::Invalid, "no such skill").finally();
    let outcome = Outcome::Failed { failure, roll: 0 };
    assert_eq!(
        mail.settle(&taken, outcome).await,
        Settled::Failed(Next::GiveUp)
    );
    mail.clock.advance(LONG);
    assert!(mail.take().await.is_empty());
    assert_eq!(mail.find(&id).await.unwrap().state, State::Dead);
}

async fn a_dead_message_can_be_put_back_or_removed(mail: Post) {
    let write = || ctx().next_write_id().unwrap();
    let (desk, tenant) = (&mail.backend, tenant());
    let (first, second) = (
        mail.post("acme/svea", "1").await,
        mail.post("acme/svea", "2").await,
    );
    assert!(
        !desk.requeue(&tenant, write(), &first).await.unwrap(),
        "it is not dead"
    );
    mail.kill(&first).await;
    let requeue = write();
    assert!(desk.requeue(&tenant, requeue, &first).await.unwrap());
    let taken = mail.take_one().await;
    assert_eq!(taken.id, first, "it goes before what was posted later");
    assert!(taken.attempt > 1, "under a number of its own");
    assert!(
        !desk.discard(&tenant, write(), &first).await.unwrap(),
        "it is held"
    );
    assert!(
        desk.requeue(&tenant, requeue, &first).await.unwrap(),
        "as the first time"
    );
    mail.settle(&taken, Outcome::Delivered).await;
    let discard = write();
    for _ in 0..2 {
        assert!(desk.discard(&tenant, discard, &second).await.unwrap());
    }
    assert_eq!(mail.find(&second).await, None);
    assert!(!desk.discard(&tenant, write(), "unknown").await.unwrap());
    assert!(!desk.requeue(&tenant, write(), "unknown").await.unwrap());
    assert!(mail.take().await.is_empty());
}

async fn a_lease_that_ran_out_brings_the_same_attempt_again(mail: Post) {
    mail.post("acme/svea", "1").await;
    let first = mail.take_one().await;
    mail.clock.advance(LEASE_TIME);
    let second = mail.take_one().await;
    assert_ne!(second.token, first.token);
    assert_eq!(
        (second.attempt, second.began_at),
        (first.attempt, first.began_at)
    );
    assert!(second.again && !first.again);
}

async fn a_prolonged_lease_holds(mail: Post) {
    mail.post("acme/svea", "1").await;
    let taken = mail.take_one().await;
    let held = Lease {
        token: taken.token,
        time: LEASE_TIME,
    };
    for _ in 0..3 {
        mail.clock.advance(LEASE_TIME - Duration::from_secs(1));
        let prolonged = mail.backend.prolong(&tenant(), &held).await.unwrap();
        assert_eq!(prolonged, Held::Yes);
        assert!(mail.take().await.is_empty());
    }
    mail.settle(&taken, Outcome::Delivered).await;
    let late = mail.backend.prolong(&tenant(), &held).await.unwrap();
    assert_eq!(late, Held::No);
}

async fn a_message_that_takes_its_host_down_each_time_fails_in_the_end(mail: Post) {
    mail.post("acme/svea", "1").await;
    let mut attempts = Vec::new();
    for _ in 0..=LOSSES_MAX + 1 {
        attempts.extend(mail.take().await.into_iter().map(|taken| taken.attempt));
        mail.clock.advance(LEASE_TIME);
    }
    let first = attempts.iter().filter(|attempt| **attempt == 1).count();
    assert_eq!(first, LOSSES_MAX as usize + 1, "{attempts:?}");
    mail.clock.advance(LONG);
    assert_eq!(mail.take_one().await.attempt, 2);
}

async fn what_a_lost_holder_says_is_not_heard(mail: Post) {
    let id = mail.post("acme/svea", "1").await;
    let first = mail.take_one().await;
    mail.clock.advance(LEASE_TIME);
    let second = mail.take_one().await;
    for outcome in [Outcome::Delivered, failed(), Outcome::Released] {
        assert_eq!(mail.settle(&first, outcome).await, Settled::Lost);
    }
    assert_eq!(mail.find(&id).await.unwrap().state, State::Running);
    assert_eq!(
        mail.settle(&second, Outcome::Delivered).await,
        Settled::Delivered
    );
    assert_eq!(
        mail.settle(&second, Outcome::Delivered).await,
        Settled::Lost
    );
}

async fn a_released_message_comes_again_at_once_as_the_same_attempt(mail: Post) {
    mail.post("acme/svea", "1").await;
    for _ in 0..LOSSES_MAX + 3 {
        let taken = mail.take_one().await;
        assert_eq!(taken.attempt, 1);
        assert_eq!(
            mail.settle(&taken, Outcome::Released).await,
            Settled::Released
        );
    }
}

async fn messages_for_agents_that_are_not_there_wait(mail: Post) {
    let id = mail.post("acme/svea", "1").await;
    mail.clock.advance(LONG);
    assert_eq!(mail.look(&["other"], 10).await, Delivery::default());
    assert_eq!(mail.look(&[], 10).await, Delivery::default());
    assert!(mail.is_pending().await);
    assert_eq!(mail.find(&id).await.unwrap().attempt, 1);
    assert_eq!(mail.take_one().await.id, id);
}

async fn nobody_took_it_in_time_is_dead_and_then_gone(mail: Post) {
    const FOURTEEN_DAYS: Duration = Duration::from_secs(14 * 24 * 3_600);
    let id = mail.post("acme/svea", "1").await;
    mail.clock.advance(FOURTEEN_DAYS);
    // Any write of the tenant takes the broom along.
    mail.post("acme/other", "1").await;
    mail.post("acme/other", "2").await;
    let letter = mail.find(&id).await.unwrap();
    assert_eq!(letter.state, State::Dead);
    assert!(letter.failure.unwrap().message.contains("14 days"));
    let write = ctx().next_write_id().unwrap();
    assert!(mail.backend.requeue(&tenant(), write, &id).await.unwrap());
    mail.post("acme/other", "3").await;
    assert_eq!(
        mail.find(&id).await.unwrap().state,
        State::Waiting,
        "put back, it has its time again"
    );
    mail.kill(&id).await;
    mail.clock.advance(FOURTEEN_DAYS);
    mail.post("acme/other", "4").await;
    mail.post("acme/other", "5").await;
    assert_eq!(mail.find(&id).await, None);
}

async fn a_tenant_is_pending_as_long_as_it_has_messages(mail: Post) {
    assert!(!mail.is_pending().await);
    mail.post("acme/svea", "1").await;
    assert!(mail.is_pending().await);
    let taken = mail.take_one().await;
    assert!(mail.is_pending().await, "it is held");
    mail.settle(&taken, Outcome::Delivered).await;
    mail.take().await;
    assert!(
        !mail.is_pending().await,
        "an empty look takes it off the list"
    );
    let stamps = || async { mail.backend.pending().await.unwrap() };
    mail.post("acme/svea", "2").await;
    let before = stamps().await;
    mail.post("acme/svea", "3").await;
    assert_ne!(stamps().await, before, "the stamp tells of one more");
}

async fn a_post_and_a_settlement_are_told(mail: Post) {
    mail.post("acme/svea", "1").await;
    assert_eq!(mail.backend.changed().await, tenant());
    let taken = mail.take_one().await;
    mail.settle(&taken, Outcome::Delivered).await;
    assert_eq!(mail.backend.changed().await, tenant());
}

async fn the_operator_lists_page_by_page_and_by_state(mail: Post) {
    let mut ids = Vec::new();
    for n in 0..5 {
        ids.push(mail.post("acme/svea", &n.to_string()).await);
    }
    ids.push(mail.post("acme/other", "6").await);
    mail.kill(&ids[0]).await;
    let list = |filter: Filter, after: Option<u64>, limit: u32| {
        let mail = &mail;
        async move {
            let page = mail.backend.list(&tenant(), &filter, after, limit).await;
            let (letters, next) = page.unwrap();
            let ids: Vec<String> = letters.into_iter().map(|letter| letter.id).collect();
            (ids, next)
        }
    };
    let (mut all, mut after) = (Vec::new(), None);
    loop {
        let (page, next) = list(Filter::default(), after, 2).await;
        assert!(page.len() <= 2);
        all.extend(page);
        after = next;
        if after.is_none() {
            break;
        }
    }
    assert_eq!(all, ids);
    let of_state = |state| Filter {
        state: Some(state),
        agent: None,
    };
    assert_eq!(list(of_state(State::Dead), None, 10).await.0, ids[..1]);
    assert_eq!(list(of_state(State::Waiting), None, 10).await.0, ids[1..]);
    let of_agent = Filter {
        agent: Some(agent("other")),
        state: None,
    };
    assert_eq!(list(of_agent, None, 10).await.0, ids[5..]);
    for limit in [0, PAGE_MAX_MESSAGES + 1] {
        let (tenant, all) = (tenant(), Filter::default());
        let refused = mail.backend.list(&tenant, &all, None, limit);
        assert_eq!(refused.await.unwrap_err().kind(), ErrorKind::Invalid);
    }
}

async fn arguments_are_bounded(mail: Post) {
    let ctx = ctx();
    let long = format!("\"{}\"", "x".repeat(INPUT_MAX_BYTES));
    let deep = |depth| {
        let MailboxWrite::Post { to, message, .. } = post("acme/svea", "1");
        MailboxWrite::Post { to, message, depth }
    };
    for (bad, kind) in [
        (post("svea", "1"), ErrorKind::Invalid),
        (post("../x/svea", "1"), ErrorKind::Invalid),
        (post("acme/svea", "{"), ErrorKind::Invalid),
        (post("acme/svea", &long), ErrorKind::Invalid),
        (deep(0), ErrorKind::QuotaExceeded),
        (deep(DEPTH_MAX + 1), ErrorKind::QuotaExceeded),
    ] {
        let id = ctx.next_write_id().unwrap();
        let refused = mail.backend.apply(&ctx, id, &bad).await.unwrap_err();
        assert_eq!(refused.kind(), kind, "{refused}");
    }
    let leases: Vec<Lease> = (0..=CLAIM_MAX).map(|_| lease()).collect();
    let refused = mail.backend.take(&tenant(), &[], &leases, 0).await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
    assert!(mail.take().await.is_empty());
}

async fn nobody_meets_anothers_messages(mail: Post) {
    let from = ctx_of("acme", "scribe");
    let id: WriteId = from.next_write_id().unwrap();
    // The same name in two tenants, from one sender: two mailboxes.
    let said = post("acme/svea", "1");
    let ours = mail.backend.apply(&from, id, &said);
    let ours = ours.await.unwrap().id;
    let theirs = mail.post_as(&from, "globex/svea", "2").await.unwrap();
    let taken = mail.take_one().await;
    assert_eq!(
        (taken.id.as_str(), taken.message.input.as_str()),
        (ours.as_str(), "1")
    );
    let globex = TenantId::new("globex").unwrap();
    let (desk, write) = (&mail.backend, ctx().next_write_id().unwrap());
    assert_eq!(desk.find(&globex, &ours).await.unwrap(), None);
    assert_eq!(mail.find(&theirs).await, None);
    let settled = desk.settle(&globex, &taken.token, Outcome::Delivered);
    assert_eq!(settled.await.unwrap(), Settled::Lost);
    assert!(!desk.discard(&globex, write, &ours).await.unwrap());
    let other = desk.take(&globex, &[agent("svea")], &[lease()], 0).await;
    assert_eq!(other.unwrap().messages[0].sender.to_string(), "acme/scribe");
    assert_eq!(
        mail.settle(&taken, Outcome::Delivered).await,
        Settled::Delivered
    );
}
