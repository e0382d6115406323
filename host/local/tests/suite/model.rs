//! Memory against a model: random operations, with time moving and the store reopened, must answer what a map answers.

use std::collections::BTreeMap;
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use stuga_core::memory::{Expected, Item, Memory, MemoryAck, MemoryWrite, Version};
use stuga_core::{CallCtx, Capability, Clock, ErrorKind, Timestamp, WriteId};

use crate::common::{House, scribe};

/// Keys that are each other's neighbours and prefixes.
const KEYS: [&str; 8] = ["a", "aa", "a/", "a/b", "b", "å", "å/", "~"];
const PREFIXES: [&str; 6] = ["", "a", "a/", "å", "b", "zz"];

/// Which version a compare-and-set expects, told without knowing the versions.
#[derive(Clone, Copy, Debug)]
enum Guess {
    Any,
    Absent,
    Right,
    Wrong,
}

#[derive(Clone, Debug)]
enum Step {
    Put {
        key: usize,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
        guess: Guess,
    },
    Delete {
        key: usize,
    },
    Get {
        key: usize,
    },
    List {
        prefix: usize,
        limit: u32,
    },
    /// The latest write comes again.
    Repeat,
    Advance {
        ms: u64,
    },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    let key = 0..KEYS.len();
    let guess = prop_oneof![
        4 => Just(Guess::Any),
        1 => Just(Guess::Absent),
        2 => Just(Guess::Right),
        1 => Just(Guess::Wrong),
    ];
    // Times to live and steps of time of the same size, so that both sides of an expiry are met.
    let ttl = proptest::option::of(1_u64..6);
    prop_oneof![
        8 => (key.clone(), vec(any::<u8>(), 0..12), ttl, guess)
            .prop_map(|(key, value, ttl_ms, guess)| Step::Put { key, value, ttl_ms, guess }),
        2 => key.clone().prop_map(|key| Step::Delete { key }),
        4 => key.prop_map(|key| Step::Get { key }),
        4 => (0..PREFIXES.len(), 1_u32..5).prop_map(|(prefix, limit)| Step::List { prefix, limit }),
        2 => Just(Step::Repeat),
        4 => (1_u64..4).prop_map(|ms| Step::Advance { ms }),
        1 => Just(Step::Reopen),
    ]
}

/// What memory is, in a few lines.
#[derive(Default)]
struct Model {
    items: BTreeMap<String, Item>,
    last_version: Version,
}

impl Model {
    fn expire(&mut self, now: Timestamp) {
        self.items
            .retain(|_, item| item.expires_at.is_none_or(|at| at > now));
    }

    fn version(&self, key: &str) -> Option<Version> {
        self.items.get(key).map(|item| item.version)
    }

    /// What the write must answer; a put's version is taken from the store, once it has been checked to be larger than
    /// all before.
    fn apply(
        &mut self,
        write: &MemoryWrite,
        now: Timestamp,
        given: Option<Version>,
    ) -> Option<MemoryAck> {
        let actual = self.version(stuga_core::Write::key(write));
        match write {
            MemoryWrite::Delete { key } => {
                self.items.remove(key);
                Some(MemoryAck {
                    version: actual.unwrap_or(0),
                    existed: actual.is_some(),
                })
            }
            MemoryWrite::Put {
                key,
                value,
                ttl,
                expected,
            } => {
                let holds = match expected {
                    Expected::Any => true,
                    Expected::Absent => actual.is_none(),
                    Expected::Version(version) => actual == Some(*version),
                };
                if !holds {
                    return None;
                }
                let version = given.unwrap();
                assert!(version > self.last_version, "versions only grow");
                self.last_version = version;
                let created_at = self.items.get(key).map_or(now, |item| item.created_at);
                let item = Item {
                    key: key.clone(),
                    value: value.clone(),
                    version,
                    created_at,
                    updated_at: now,
                    expires_at: ttl.map(|ttl| now.saturating_add(ttl)),
                };
                self.items.insert(key.clone(), item);
                Some(MemoryAck {
                    version,
                    existed: actual.is_some(),
                })
            }
        }
    }
}

async fn run(steps: Vec<Step>) {
    let mut house = House::new();
    let mut model = Model::default();
    let mut latest: Option<(CallCtx, WriteId, MemoryWrite, MemoryAck)> = None;
    for step in steps {
        let now = house.clock.now();
        model.expire(now);
        match step {
            Step::Put { .. } | Step::Delete { .. } => {
                let write = write_of(step, &model);
                let ctx = scribe();
                let id = ctx.next_write_id().unwrap();
                let result = house.local.memory().apply(&ctx, id, &write).await;
                let given = result.as_ref().ok().map(|ack| ack.version);
                match model.apply(&write, now, given) {
                    Some(ack) => {
                        assert_eq!(result.unwrap(), ack, "{write:?}");
                        latest = Some((ctx, id, write, ack));
                    }
                    None => assert_eq!(result.unwrap_err().kind(), ErrorKind::Conflict),
                }
            }
            Step::Get { key } => {
                let item = house.local.memory().get(&scribe(), KEYS[key]).await;
                assert_eq!(item.unwrap().as_ref(), model.items.get(KEYS[key]));
            }
            Step::List { prefix, limit } => list(&house, &model, PREFIXES[prefix], limit).await,
            Step::Repeat => {
                if let Some((ctx, id, write, ack)) = &latest {
                    let again = house.local.memory().apply(ctx, *id, write).await;
                    assert_eq!(again.unwrap(), *ack);
                }
            }
            Step::Advance { ms } => house.clock.advance(Duration::from_millis(ms)),
            Step::Reopen => house.reopen().await,
        }
    }
    model.expire(house.clock.now());
    list(&house, &model, "", 3).await;
}

fn write_of(step: Step, model: &Model) -> MemoryWrite {
    match step {
        Step::Put {
            key,
            value,
            ttl_ms,
            guess,
        } => {
            let actual = model.version(KEYS[key]);
            let expected = match guess {
                Guess::Any => Expected::Any,
                Guess::Absent => Expected::Absent,
                Guess::Right => actual.map_or(Expected::Absent, Expected::Version),
                Guess::Wrong => Expected::Version(actual.unwrap_or(model.last_version) + 1),
            };
            MemoryWrite::Put {
                key: KEYS[key].to_owned(),
                value,
                ttl: ttl_ms.map(Duration::from_millis),
                expected,
            }
        }
        Step::Delete { key } => crate::common::delete(KEYS[key]),
        other => unreachable!("{other:?} is no write"),
    }
}

async fn list(house: &House, model: &Model, prefix: &str, limit: u32) {
    let memory = house.local.memory();
    let mut listed = Vec::new();
    let mut cursor: Option<String> = None;
    loop {
        let page = memory
            .list(&scribe(), prefix, cursor.as_deref(), limit)
            .await;
        let page = page.unwrap();
        assert!(page.items.len() <= limit as usize);
        listed.extend(page.items);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<Item> = model
        .items
        .values()
        .filter(|item| item.key.starts_with(prefix))
        .cloned()
        .collect();
    assert_eq!(listed, expected, "listing {prefix:?}");
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    #[test]
    fn memory_answers_what_a_map_answers(steps in vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
