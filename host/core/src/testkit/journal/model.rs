//! A journal against a model of it: a list.

use super::{Desks, MEMORY, acme, delete, put};
use crate::journal::{EntryState, Settled};
use crate::{Clock, Timestamp};

/// Steps of one run.
const STEPS: usize = 400;
const KEYS: [&str; 4] = ["a", "b", "c", "d"];

/// What the model knows of an entry.
struct Noted {
    seq: u64,
    key: &'static str,
    at: Timestamp,
    state: EntryState,
    refusals: u32,
}

/// Everything that can happen to a journal, in an order that looks random and is the same each time.
pub(super) async fn whatever_happens_the_journal_is_what_a_list_would_be(desk: Desks) {
    let mut dice: u64 = 0x5eed;
    let mut roll = |sides: usize| {
        dice = dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(dice >> 33).unwrap() % sides
    };
    let mut model: Vec<Noted> = Vec::new();
    for _ in 0..STEPS {
        let key = KEYS[roll(KEYS.len())];
        let chosen = match model.len() {
            0 => None,
            count => Some(roll(count)),
        };
        match (roll(10), chosen) {
            (0..=3, _) | (_, None) => {
                let write = match roll(3) {
                    0 => delete(key),
                    _ => put(key, "value"),
                };
                desk.note(&write).await;
                let last = desk.waiting().await.pop().unwrap();
                model.push(Noted {
                    seq: last.info.seq,
                    key,
                    at: desk.clock.now(),
                    state: EntryState::Waiting,
                    refusals: 0,
                });
            }
            (4, Some(_)) => desk.clock.advance(std::time::Duration::from_millis(7)),
            (5, Some(at)) => {
                let parked = model[at].state == EntryState::Parked;
                let seq = model[at].seq;
                let done = desk.backend.journal.retry(acme(), seq).await.unwrap();
                assert_eq!(done, parked);
                if parked {
                    (model[at].state, model[at].refusals) = (EntryState::Waiting, 0);
                }
            }
            (6, Some(at)) => {
                let free = model[at].state != EntryState::Waiting;
                let seq = model[at].seq;
                let done = desk.backend.journal.discard(acme(), seq).await.unwrap();
                assert_eq!(done, free);
                if free {
                    model.remove(at);
                }
            }
            (what, Some(at)) => {
                let settled = match what {
                    7 => Settled::Adopted,
                    8 if roll(2) == 0 => Settled::Superseded,
                    8 => Settled::Parked("no".to_owned()),
                    _ => Settled::Refused("not now".to_owned()),
                };
                desk.settle(model[at].seq, settled.clone()).await;
                if model[at].state != EntryState::Waiting {
                    continue;
                }
                match settled {
                    Settled::Adopted => drop(model.remove(at)),
                    Settled::Superseded => model[at].state = EntryState::Superseded,
                    Settled::Refused(_) => model[at].refusals += 1,
                    Settled::Parked(_) => {
                        model[at].state = EntryState::Parked;
                        model[at].refusals += 1;
                    }
                }
            }
        }
        check(&desk, &model).await;
    }
}

async fn check(desk: &Desks, model: &[Noted]) {
    let in_state = |state| model.iter().filter(move |noted| noted.state == state);
    let waiting: Vec<_> = in_state(EntryState::Waiting).collect();
    let found = desk.waiting().await;
    let seen: Vec<_> = found
        .iter()
        .map(|entry| (entry.info.seq, entry.info.key.as_str(), entry.info.refusals))
        .collect();
    let expected: Vec<_> = waiting
        .iter()
        .map(|noted| (noted.seq, noted.key, noted.refusals))
        .collect();
    assert_eq!(seen, expected);
    let backlog = desk.backend.journal.backlog(acme(), MEMORY).await.unwrap();
    let bytes: u64 = found.iter().map(|entry| entry.info.bytes).sum();
    let parked = in_state(EntryState::Parked).count() as u64;
    assert_eq!(
        (
            backlog.waiting,
            backlog.bytes,
            backlog.oldest,
            backlog.parked
        ),
        (
            waiting.len() as u64,
            bytes,
            waiting.first().map(|noted| noted.at),
            parked
        )
    );
    for key in KEYS {
        let waits = waiting.iter().any(|noted| noted.key == key);
        assert_eq!(desk.waits(key).await, waits, "{key}");
    }
    for state in [EntryState::Parked, EntryState::Superseded] {
        let keys: Vec<_> = in_state(state).map(|noted| noted.key).collect();
        assert_eq!(desk.listed(state).await, keys, "{state:?}");
    }
    let named = desk.backend.journal.tenants().await.unwrap();
    assert_eq!(named.len(), usize::from(!waiting.is_empty()));
}
