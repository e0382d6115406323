//! A long random life of some mailboxes, held against what must be true of it: each pair of sender and agent sees its
//! messages in order, each at least once, none after its end.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{LEASE_TIME, LONG, Post, Taken, failed};
use crate::a2a::delivery::{Outcome, Settled};
use crate::retry::Next;
use crate::testkit::{Dice, ctx as ctx_of};

const STEPS: u32 = 600;
const SENDERS: [&str; 3] = ["a", "b", "b-c"];
const AGENTS: [&str; 2] = ["svea", "svea-2"];

/// What is true of one pair: how many were posted, and which come next, in order.
#[derive(Default)]
struct Pair {
    posted: u64,
    ahead: std::collections::VecDeque<u64>,
}

pub(super) async fn whatever_happens_each_pair_keeps_its_order(mail: Post) {
    for seed in 0..3 {
        live(&mail, seed).await;
    }
}

async fn live(mail: &Post, seed: u64) {
    let dice = Dice::new(seed);
    let mut pairs: BTreeMap<(String, String), Pair> = BTreeMap::new();
    let mut held: Vec<Taken> = Vec::new();
    for _ in 0..STEPS {
        match dice.below(10) {
            0..=3 => {
                let sender = *dice.pick(&SENDERS);
                let agent = *dice.pick(&AGENTS);
                let key = (format!("acme/{sender}"), agent.to_owned());
                let pair = pairs.entry(key).or_default();
                let from = ctx_of("acme", sender);
                let input = pair.posted.to_string();
                mail.post_as(&from, &format!("acme/{agent}"), &input)
                    .await
                    .unwrap();
                pair.ahead.push_back(pair.posted);
                pair.posted += 1;
            }
            4..=6 => {
                let most = 1 + dice.place(4);
                for taken in mail.look(&AGENTS, most).await.messages {
                    check(&pairs, &taken);
                    held.push(taken);
                }
            }
            7 => mail
                .clock
                .advance(Duration::from_millis(dice.below(40_000))),
            _ if held.is_empty() => {}
            _ => {
                let at = dice.place(held.len());
                let taken = held.swap_remove(at);
                let outcome = match dice.below(5) {
                    0 => failed(),
                    1 => Outcome::Released,
                    _ => Outcome::Delivered,
                };
                note(mail, &mut pairs, &taken, outcome).await;
            }
        }
    }
    // In the end everything is delivered, in order.
    mail.clock.advance(LEASE_TIME);
    for _ in 0..STEPS {
        mail.clock.advance(LONG);
        for taken in mail.look(&AGENTS, 10).await.messages {
            check(&pairs, &taken);
            note(mail, &mut pairs, &taken, Outcome::Delivered).await;
        }
    }
    assert!(
        pairs.values().all(|pair| pair.ahead.is_empty()),
        "seed {seed}: some are lost"
    );
}

/// What is taken is the first of its pair that has not ended.
fn check(pairs: &BTreeMap<(String, String), Pair>, taken: &Taken) {
    let pair = &pairs[&(taken.sender.to_string(), taken.agent.to_string())];
    let number: u64 = taken.message.input.parse().unwrap();
    assert_eq!(pair.ahead.front(), Some(&number), "out of order: {taken:?}");
}

async fn note(
    mail: &Post,
    pairs: &mut BTreeMap<(String, String), Pair>,
    taken: &Taken,
    outcome: Outcome,
) {
    let settled = mail.settle(taken, outcome).await;
    if matches!(settled, Settled::Delivered | Settled::Failed(Next::GiveUp)) {
        let key = (taken.sender.to_string(), taken.agent.to_string());
        pairs.get_mut(&key).unwrap().ahead.pop_front();
    }
}
