//! The contract of idempotency keys and kept answers.

use std::sync::Arc;
use std::time::Duration;

use uuid::Uuid;

use super::suite::{Case, Fixture, cases};
use crate::invocation::{
    Answer, Claim, IDEMPOTENCY_KEY_MAX_BYTES, IDEMPOTENCY_RETENTION, InvocationStore,
};
use crate::{Clock, ErrorKind, InvocationId, TenantId, Timestamp};

const DIGEST: [u8; 32] = [7; 32];
const ACCEPTED_AT: Timestamp = Timestamp::from_millis(42);

/// All cases.
pub fn cases() -> Vec<Case<dyn InvocationStore>> {
    cases![
        a_new_key_is_tied_to_the_invocation,
        an_unfinished_key_answers_the_first_invocation_and_its_time,
        a_finished_key_answers_what_the_invocation_answered,
        another_request_under_a_key_is_a_mismatch_before_and_after_the_end,
        of_racing_claims_exactly_one_is_new,
        the_first_answer_stays,
        an_answer_needs_a_claimed_key_of_its_invocation,
        an_answer_is_found_by_its_invocation,
        what_has_no_answer_is_not_found,
        a_key_and_its_answer_are_kept_for_a_day_and_then_forgotten,
        tenants_have_keys_of_their_own,
        keys_that_break_the_rules_are_invalid,
    ]
}

type Invocations = Fixture<dyn InvocationStore>;

fn tenant(name: &str) -> TenantId {
    TenantId::new(name).unwrap()
}

fn invocation(number: u128) -> InvocationId {
    InvocationId::from_uuid(Uuid::from_u128(number))
}

fn answer(number: u128, body: &str) -> Answer {
    Answer {
        invocation: invocation(number),
        status: 201,
        body: body.as_bytes().to_vec(),
    }
}

impl Invocations {
    async fn claim(&self, key: &str, digest: [u8; 32], number: u128) -> Claim {
        self.backend
            .claim(
                &tenant("acme"),
                key,
                &digest,
                invocation(number),
                ACCEPTED_AT,
            )
            .await
            .unwrap()
    }

    async fn finish(&self, key: &str, answer: &Answer) {
        let finished = self.backend.finish(&tenant("acme"), key, answer).await;
        finished.unwrap();
    }

    async fn find(&self, number: u128) -> Option<Answer> {
        let found = self.backend.find(&tenant("acme"), invocation(number)).await;
        found.unwrap()
    }
}

async fn a_new_key_is_tied_to_the_invocation(store: Invocations) {
    assert_eq!(store.claim("k", DIGEST, 1).await, Claim::New);
    assert_eq!(store.claim("other", DIGEST, 2).await, Claim::New);
}

async fn an_unfinished_key_answers_the_first_invocation_and_its_time(store: Invocations) {
    store.claim("k", DIGEST, 1).await;
    store.clock.advance(Duration::from_secs(60));
    let unfinished = Claim::Unfinished {
        invocation: invocation(1),
        accepted_at: ACCEPTED_AT,
    };
    assert_eq!(store.claim("k", DIGEST, 2).await, unfinished);
    assert_eq!(store.claim("k", DIGEST, 1).await, unfinished);
}

async fn a_finished_key_answers_what_the_invocation_answered(store: Invocations) {
    for (key, number, body) in [("a", 1, ""), ("b", 2, "{\"x\":1}")] {
        store.claim(key, DIGEST, number).await;
        store.finish(key, &answer(number, body)).await;
        let claim = store.claim(key, DIGEST, 9).await;
        assert_eq!(claim, Claim::Finished(answer(number, body)));
    }
}

async fn another_request_under_a_key_is_a_mismatch_before_and_after_the_end(store: Invocations) {
    store.claim("k", DIGEST, 1).await;
    assert_eq!(store.claim("k", [8; 32], 2).await, Claim::Mismatch);
    store.finish("k", &answer(1, "done")).await;
    assert_eq!(store.claim("k", [8; 32], 2).await, Claim::Mismatch);
}

async fn of_racing_claims_exactly_one_is_new(store: Invocations) {
    let racers: Vec<_> = (1..=8)
        .map(|number| {
            let backend = Arc::clone(&store.backend);
            tokio::spawn(async move {
                backend
                    .claim(
                        &tenant("acme"),
                        "k",
                        &DIGEST,
                        invocation(number),
                        ACCEPTED_AT,
                    )
                    .await
                    .unwrap()
            })
        })
        .collect();
    let mut new = 0;
    for racer in racers {
        new += usize::from(racer.await.unwrap() == Claim::New);
    }
    assert_eq!(new, 1);
}

async fn the_first_answer_stays(store: Invocations) {
    store.claim("k", DIGEST, 1).await;
    store.finish("k", &answer(1, "first")).await;
    store.finish("k", &answer(1, "second")).await;
    assert_eq!(store.find(1).await, Some(answer(1, "first")));
}

async fn an_answer_needs_a_claimed_key_of_its_invocation(store: Invocations) {
    let acme = tenant("acme");
    let unknown = store.backend.finish(&acme, "k", &answer(1, "x")).await;
    assert_eq!(unknown.unwrap_err().kind(), ErrorKind::NotFound);
    store.claim("k", DIGEST, 1).await;
    let foreign = store.backend.finish(&acme, "k", &answer(2, "x")).await;
    assert_eq!(foreign.unwrap_err().kind(), ErrorKind::Conflict);
    assert_eq!(store.find(2).await, None);
}

async fn an_answer_is_found_by_its_invocation(store: Invocations) {
    for number in 1..=3 {
        let key = format!("k{number}");
        store.claim(&key, DIGEST, number).await;
        store.finish(&key, &answer(number, &key)).await;
    }
    assert_eq!(store.find(2).await, Some(answer(2, "k2")));
}

async fn what_has_no_answer_is_not_found(store: Invocations) {
    assert_eq!(store.find(1).await, None);
    store.claim("k", DIGEST, 1).await;
    assert_eq!(store.find(1).await, None, "claimed, but not finished");
}

async fn a_key_and_its_answer_are_kept_for_a_day_and_then_forgotten(store: Invocations) {
    store.claim("unfinished", DIGEST, 1).await;
    store.claim("k", DIGEST, 2).await;
    store.finish("k", &answer(2, "done")).await;
    let claimed = store.clock.now();
    store
        .clock
        .advance(IDEMPOTENCY_RETENTION - Duration::from_millis(1));
    assert_eq!(store.find(2).await, Some(answer(2, "done")));
    assert_eq!(
        store.claim("k", DIGEST, 3).await,
        Claim::Finished(answer(2, "done"))
    );
    // How long beyond the day is the backend's choice; a day later is enough for all.
    store.clock.advance(IDEMPOTENCY_RETENTION);
    assert!(store.clock.now() > claimed);
    assert_eq!(store.find(2).await, None);
    assert_eq!(store.claim("k", [8; 32], 4).await, Claim::New);
    assert_eq!(store.claim("unfinished", [8; 32], 5).await, Claim::New);
    store.finish("k", &answer(4, "anew")).await;
    assert_eq!(store.find(4).await, Some(answer(4, "anew")));
}

async fn tenants_have_keys_of_their_own(store: Invocations) {
    store.claim("k", DIGEST, 1).await;
    store.finish("k", &answer(1, "secret")).await;
    let other = tenant("other");
    let claim = store
        .backend
        .claim(&other, "k", &[9; 32], invocation(2), ACCEPTED_AT)
        .await;
    assert_eq!(claim.unwrap(), Claim::New);
    let found = store.backend.find(&other, invocation(1)).await;
    assert_eq!(found.unwrap(), None);
}

async fn keys_that_break_the_rules_are_invalid(store: Invocations) {
    let longest = "k".repeat(IDEMPOTENCY_KEY_MAX_BYTES);
    assert_eq!(store.claim(&longest, DIGEST, 1).await, Claim::New);
    let too_long = format!("{longest}k");
    for bad in ["", " ", "a b", "a\nb", "å", "\0", &too_long] {
        let claim = store
            .backend
            .claim(&tenant("acme"), bad, &DIGEST, invocation(2), ACCEPTED_AT)
            .await;
        assert_eq!(claim.unwrap_err().kind(), ErrorKind::Invalid, "{bad:?}");
    }
}
