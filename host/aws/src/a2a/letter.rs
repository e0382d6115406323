//! What is known of a message, and everything that can happen to it. Pure: no request, the time comes from the caller.
//!
//! A letter is kept as one JSON object ([`super::shelf`]) and changed by comparing and swapping that object, so each
//! function here is one step that happens as a whole or not at all.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use stuga_core::a2a::delivery::{self, State};
use stuga_core::a2a::{Address, Message};
use stuga_core::lease::{Failure, LOSSES_MAX, Lease, LeaseToken};
use stuga_core::retry::{Next, RetryPolicy};
use stuga_core::{AgentName, ErrorKind, Timestamp, WriteId};

/// How often a message is tried: for about a quarter of an hour, so that what is restarted or repaired meanwhile gets it.
const RETRY: RetryPolicy = RetryPolicy {
    attempts: 10,
    base: Duration::from_secs(1),
    cap: Duration::from_secs(600),
};
/// How long a message waits for its agent before it is set aside.
const WAITS_MAX: Duration = Duration::from_secs(14 * 24 * 3_600);
/// How long a dead message is kept for the operator.
const DEAD_KEPT: Duration = Duration::from_secs(14 * 24 * 3_600);
/// Most of the operator's writes that a letter remembers; the oldest is forgotten first.
const ANSWERS_MAX: usize = 32;

/// Where a letter is.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Phase {
    /// It waits to be taken.
    Waiting,
    /// Somebody holds it.
    Running,
    /// It was set aside.
    Dead,
    /// Its agent took it. What is left remembers that, so that a repeated post is known.
    Delivered,
    /// The operator removed it. What is left remembers that.
    Discarded,
}

/// A message with everything that is known of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub(super) struct Letter {
    pub(super) id: String,
    pub(super) sender: Address,
    pub(super) agent: AgentName,
    /// Tells the write that posted it from any other under its id.
    pub(super) digest: String,
    /// Its place among the letters of the tenant.
    pub(super) seq: u64,
    /// What is said; none once it has been delivered or discarded.
    pub(super) message: Option<Message>,
    pub(super) depth: u32,
    pub(super) phase: Phase,
    pub(super) posted_at: Timestamp,
    /// When it was posted or put back.
    queued_at: Timestamp,
    pub(super) due_at: Timestamp,
    pub(super) attempt: u32,
    failures: u32,
    losses: u32,
    pub(super) began_at: Option<Timestamp>,
    /// The hash of the token that holds it.
    lease: Option<String>,
    pub(super) lease_until: Timestamp,
    ended_at: Option<Timestamp>,
    failure: Option<Failure>,
    /// What the operator's latest writes were answered.
    answers: Vec<Answer>,
}

/// What a write of the operator was answered.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Answer {
    write: String,
    done: bool,
}

/// Which end the operator wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Wish {
    Requeue,
    Discard,
}

/// What a post says, before it is a letter.
pub(super) struct Posted {
    pub(super) id: WriteId,
    pub(super) sender: Address,
    pub(super) to: Address,
    pub(super) digest: String,
    pub(super) message: Message,
    pub(super) depth: u32,
}

impl Letter {
    /// A letter that waits from `now` on.
    pub(super) fn new(posted: Posted, seq: u64, now: Timestamp) -> Self {
        Self {
            id: posted.id.to_name(),
            sender: posted.sender,
            agent: posted.to.agent,
            digest: posted.digest,
            seq,
            message: Some(posted.message),
            depth: posted.depth,
            phase: Phase::Waiting,
            posted_at: now,
            queued_at: now,
            due_at: now,
            attempt: 1,
            failures: 0,
            losses: 0,
            began_at: None,
            lease: None,
            lease_until: now,
            ended_at: None,
            failure: None,
            answers: Vec::new(),
        }
    }

    /// Sets it aside if nobody took it in time. No clock rings for that: whoever looks at a letter calls this first.
    pub(super) fn expire(&mut self, now: Timestamp) {
        let last = self.queued_at.saturating_add(WAITS_MAX);
        if self.phase == Phase::Waiting && last <= now {
            self.die(
                Failure::new(
                    ErrorKind::Timeout,
                    "nobody took the message within 14 days; is the agent loaded?",
                ),
                last,
            );
        }
    }

    /// Whether only the memory of it is left: it was delivered, discarded, or dead for long enough.
    pub(super) fn is_gone(&self, now: Timestamp) -> bool {
        match self.phase {
            Phase::Waiting | Phase::Running => false,
            Phase::Delivered | Phase::Discarded => true,
            Phase::Dead => self
                .ended_at
                .is_some_and(|ended| ended.saturating_add(DEAD_KEPT) <= now),
        }
    }

    /// Takes one that waits. Says whether this attempt was taken before.
    pub(super) fn take(&mut self, lease: &Lease, now: Timestamp) -> bool {
        let again = self.began_at.is_some();
        self.phase = Phase::Running;
        self.lease = Some(proof(&lease.token));
        self.lease_until = now.saturating_add(lease.time);
        self.began_at.get_or_insert(now);
        again
    }

    /// Whether that token holds it.
    pub(super) fn is_held_by(&self, token: &LeaseToken) -> bool {
        self.phase == Phase::Running && self.lease.as_deref() == Some(&proof(token))
    }

    /// Prolongs the lease from `now` on.
    pub(super) fn prolong(&mut self, time: Duration, now: Timestamp) {
        self.lease_until = now.saturating_add(time);
    }

    /// The same attempt comes again at once.
    pub(super) fn give_back(&mut self, now: Timestamp) {
        self.phase = Phase::Waiting;
        self.lease = None;
        self.due_at = self.due_at.min(now);
    }

    /// Takes it from a holder that is lost. The same attempt comes again at once, but for one that was lost too often,
    /// which counts as failed; what followed then.
    pub(super) fn lose(&mut self, roll: u64, now: Timestamp) -> Option<Next> {
        if self.losses >= LOSSES_MAX {
            let failure = Failure::new(
                ErrorKind::Internal,
                "the host stopped each time that this attempt ran",
            );
            return Some(self.fail(failure, roll, now));
        }
        self.give_back(now);
        self.losses = self.losses.saturating_add(1);
        None
    }

    /// Its attempt failed: the next one waits for its time, or there is none and it is dead.
    pub(super) fn fail(&mut self, failure: Failure, roll: u64, now: Timestamp) -> Next {
        self.failures = self.failures.saturating_add(1);
        let next = if failure.is_final {
            Next::GiveUp
        } else {
            RETRY.after(self.failures, roll)
        };
        match next {
            Next::Retry(wait) => {
                self.phase = Phase::Waiting;
                self.due_at = now.saturating_add(wait);
                self.failure = Some(failure);
                self.next_attempt();
            }
            Next::GiveUp => self.die(failure, now),
        }
        next
    }

    /// Its agent took it.
    pub(super) fn deliver(&mut self, now: Timestamp) {
        self.end(Phase::Delivered, now);
    }

    /// What the operator's write `write` does to it; the same when it comes again. A letter that is not dead cannot be
    /// put back, one that is held or has ended cannot be discarded.
    pub(super) fn wish(&mut self, wish: Wish, write: WriteId, now: Timestamp) -> bool {
        let write = write.to_name();
        if let Some(known) = self.answers.iter().find(|answer| answer.write == write) {
            return known.done;
        }
        let done = match (wish, self.phase) {
            (Wish::Requeue, Phase::Dead) => {
                self.phase = Phase::Waiting;
                self.queued_at = now;
                self.due_at = now;
                self.failures = 0;
                self.ended_at = None;
                self.next_attempt();
                true
            }
            (Wish::Discard, Phase::Waiting | Phase::Dead) => {
                self.end(Phase::Discarded, now);
                true
            }
            _ => false,
        };
        if self.answers.len() >= ANSWERS_MAX {
            self.answers.remove(0);
        }
        self.answers.push(Answer { write, done });
        done
    }

    /// As the operator sees it; none when only the memory of it is left.
    pub(super) fn shown(self, now: Timestamp) -> Option<delivery::Letter> {
        if self.is_gone(now) {
            return None;
        }
        let state = match self.phase {
            Phase::Waiting => State::Waiting,
            Phase::Running => State::Running,
            Phase::Dead | Phase::Delivered | Phase::Discarded => State::Dead,
        };
        Some(delivery::Letter {
            id: self.id,
            sender: self.sender,
            agent: self.agent,
            message: self.message?,
            depth: self.depth,
            state,
            posted_at: self.posted_at,
            due_at: self.due_at,
            attempt: self.attempt,
            failure: self.failure,
        })
    }

    fn next_attempt(&mut self) {
        self.attempt = self.attempt.saturating_add(1);
        self.losses = 0;
        self.began_at = None;
        self.lease = None;
    }

    fn die(&mut self, failure: Failure, at: Timestamp) {
        self.phase = Phase::Dead;
        self.failure = Some(failure);
        self.lease = None;
        self.ended_at = Some(at);
    }

    fn end(&mut self, phase: Phase, now: Timestamp) {
        self.phase = phase;
        self.message = None;
        self.lease = None;
        self.ended_at = Some(now);
    }
}

/// The token proves a holder, so only its hash is kept.
fn proof(token: &LeaseToken) -> String {
    hex::encode(Sha256::digest(token.as_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use stuga_core::InvocationId;
    use uuid::Uuid;

    const NOW: Timestamp = Timestamp::from_millis(1_700_000_000_000);

    fn write(call: u32) -> WriteId {
        WriteId {
            invocation: InvocationId::from_uuid(Uuid::from_u128(1)),
            call,
        }
    }

    fn letter() -> Letter {
        let posted = Posted {
            id: write(0),
            sender: "acme/scribe".parse().unwrap(),
            to: "acme/svea".parse().unwrap(),
            digest: "d".to_owned(),
            message: Message {
                skill: "note".to_owned(),
                input: "1".to_owned(),
                session: None,
            },
            depth: 1,
        };
        Letter::new(posted, 7, NOW)
    }

    fn lease(bits: u128) -> Lease {
        Lease {
            token: LeaseToken::from_uuid(Uuid::from_u128(bits)),
            time: Duration::from_secs(30),
        }
    }

    #[test]
    fn only_the_token_that_took_it_holds_it_and_it_is_not_kept_in_the_open() {
        let mut letter = letter();
        assert!(!letter.take(&lease(1), NOW));
        assert!(letter.is_held_by(&lease(1).token));
        assert!(!letter.is_held_by(&lease(2).token));
        let kept = serde_json::to_string(&letter).unwrap();
        assert!(!kept.contains(&Uuid::from_u128(1).to_string()));
        letter.give_back(NOW);
        assert!(!letter.is_held_by(&lease(1).token));
        assert!(letter.take(&lease(2), NOW), "the same attempt again");
    }

    #[test]
    fn an_operators_write_is_answered_the_same_and_done_once() {
        let mut letter = letter();
        assert!(!letter.wish(Wish::Requeue, write(1), NOW), "it is not dead");
        letter.take(&lease(1), NOW);
        letter.fail(Failure::new(ErrorKind::Invalid, "no").finally(), 0, NOW);
        assert!(!letter.wish(Wish::Requeue, write(1), NOW), "as before");
        assert!(letter.wish(Wish::Requeue, write(2), NOW));
        let attempt = letter.attempt;
        assert!(letter.wish(Wish::Requeue, write(2), NOW));
        assert_eq!(letter.attempt, attempt);
        for call in 0..100 {
            letter.wish(Wish::Requeue, write(1_000 + call), NOW);
        }
        assert_eq!(letter.answers.len(), ANSWERS_MAX);
    }

    #[test]
    fn what_was_delivered_keeps_its_digest_and_not_its_words() {
        let mut letter = letter();
        letter.deliver(NOW);
        assert!(letter.is_gone(NOW));
        assert_eq!((letter.digest.as_str(), &letter.message), ("d", &None));
        assert_eq!(letter.shown(NOW), None);
    }

    #[test]
    fn a_letter_that_is_held_does_not_expire() {
        let mut letter = letter();
        letter.take(&lease(1), NOW);
        let later = NOW.saturating_add(WAITS_MAX);
        letter.expire(later);
        assert_eq!(letter.phase, Phase::Running);
        letter.give_back(later);
        letter.expire(later);
        assert_eq!(letter.phase, Phase::Dead);
        assert!(!letter.is_gone(later));
        assert!(letter.is_gone(later.saturating_add(DEAD_KEPT)));
    }
}
