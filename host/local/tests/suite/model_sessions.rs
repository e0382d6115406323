//! Sessions and records against a model: random operations, with time moving and the store reopened, must answer what
//! lists and a map answer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use stuga_core::records::{Record, RecordAck, RecordWrite, Records, reaches};
use stuga_core::sessions::{Order, Role, SessionAck, SessionWrite, Sessions};
use stuga_core::{CallCtx, Capability, Clock, ErrorKind, Timestamp, Write, WriteId};

use crate::common::{House, scribe};

const ACTORS: [&str; 3] = ["a", "a/b", "b"];
const IDS: [&str; 3] = ["s", "s-1", "t"];
const NAMESPACES: [&str; 4] = ["/a", "/a/b", "/a-b", "/ab"];
const UNDER: [&str; 5] = ["", "/a", "/a/b", "/ab", "/c"];
/// Words of which any two have no part in common, so that a recall finds exactly those that hold the word.
const WORDS: [&str; 4] = ["stuga", "blixt", "mormor", "kvack"];

#[derive(Clone, Debug)]
enum Step {
    Session(SessionWrite),
    Record(RecordWrite),
    Sessions { actor: usize, limit: u32 },
    Events { actor: usize, id: usize, limit: u32 },
    RecallEvents { actor: usize, word: usize },
    Records { under: usize, limit: u32 },
    RecallRecords { under: usize, word: usize },
    Repeat,
    Advance { ms: u64 },
    Reopen,
}

fn session_write() -> impl Strategy<Value = SessionWrite> {
    let name =
        |names: &'static [&'static str]| (0..names.len()).prop_map(move |n| names[n].to_owned());
    let (actor, session) = (name(&ACTORS), name(&IDS));
    let ttl = proptest::option::of((1_u64..6).prop_map(Duration::from_millis));
    let content = name(&WORDS);
    prop_oneof![
        4 => (actor.clone(), session.clone(), ttl).prop_map(|(actor, id, ttl)| SessionWrite::Create {
            actor,
            id: Some(id),
            ttl,
            metadata: Vec::new(),
        }),
        8 => (actor.clone(), session.clone(), content).prop_map(|(actor, session, content)| {
            let (role, metadata) = (Role::Tool, vec![("k".to_owned(), "v".to_owned())]);
            SessionWrite::Append { actor, session, role, content, metadata }
        }),
        1 => (actor.clone(), session.clone())
            .prop_map(|(actor, session)| SessionWrite::Close { actor, session }),
        1 => (actor, session).prop_map(|(actor, session)| SessionWrite::Delete { actor, session }),
    ]
}

fn record_write() -> impl Strategy<Value = RecordWrite> {
    let namespace = (0..NAMESPACES.len()).prop_map(|n| NAMESPACES[n].to_owned());
    let id = (0..IDS.len()).prop_map(|n| IDS[n].to_owned());
    let text = (0..WORDS.len()).prop_map(|n| WORDS[n].to_owned());
    prop_oneof![
        4 => (namespace.clone(), id.clone(), text).prop_map(|(namespace, id, text)| RecordWrite::Put {
            namespace,
            id: Some(id),
            text,
            metadata: Vec::new(),
        }),
        1 => (namespace, id).prop_map(|(namespace, id)| RecordWrite::Delete { namespace, id }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let (actor, limit) = (0..ACTORS.len(), 1_u32..4);
    let (under, word) = (0..UNDER.len(), 0..WORDS.len());
    prop_oneof![
        10 => session_write().prop_map(Step::Session),
        6 => record_write().prop_map(Step::Record),
        2 => (actor.clone(), limit.clone()).prop_map(|(actor, limit)| Step::Sessions { actor, limit }),
        4 => (actor.clone(), 0..IDS.len(), limit.clone())
            .prop_map(|(actor, id, limit)| Step::Events { actor, id, limit }),
        3 => (actor, word.clone()).prop_map(|(actor, word)| Step::RecallEvents { actor, word }),
        2 => (under.clone(), limit).prop_map(|(under, limit)| Step::Records { under, limit }),
        3 => (under, word).prop_map(|(under, word)| Step::RecallRecords { under, word }),
        2 => Just(Step::Repeat),
        4 => (1_u64..4).prop_map(|ms| Step::Advance { ms }),
        1 => Just(Step::Reopen),
    ]
}

struct Conversation {
    actor: String,
    id: String,
    expires_at: Option<Timestamp>,
    closed: bool,
    /// Ids and contents.
    events: Vec<(String, String)>,
}

/// Sessions in the order of creation, records by place.
#[derive(Default)]
struct Model {
    sessions: Vec<Conversation>,
    records: BTreeMap<(String, String), Record>,
    last_version: u64,
}

impl Model {
    fn expire(&mut self, now: Timestamp) {
        self.sessions
            .retain(|session| session.expires_at.is_none_or(|at| at > now));
    }

    fn session(&mut self, actor: &str, id: &str) -> Option<&mut Conversation> {
        self.sessions
            .iter_mut()
            .find(|session| session.actor == actor && session.id == id)
    }

    /// What the write must answer, with the place that it was given, or the kind of its error.
    fn apply_session(
        &mut self,
        write: &SessionWrite,
        id: WriteId,
        now: Timestamp,
        place: u64,
    ) -> Result<SessionAck, ErrorKind> {
        match write {
            SessionWrite::Create { actor, id, ttl, .. } => {
                let id = id.clone().unwrap();
                if self.session(actor, &id).is_some() {
                    return Err(ErrorKind::Conflict);
                }
                let expires_at = ttl.map(|ttl| now.saturating_add(ttl));
                self.sessions.push(Conversation {
                    actor: actor.clone(),
                    id: id.clone(),
                    expires_at,
                    closed: false,
                    events: Vec::new(),
                });
                Ok(SessionAck::Created {
                    id,
                    at: now,
                    expires_at,
                    place,
                })
            }
            SessionWrite::Append {
                actor,
                session,
                content,
                ..
            } => {
                let session = self.session(actor, session).ok_or(ErrorKind::NotFound)?;
                if session.closed {
                    return Err(ErrorKind::Conflict);
                }
                session.events.push((id.to_name(), content.clone()));
                Ok(SessionAck::Appended {
                    id: id.to_name(),
                    at: now,
                    place,
                })
            }
            SessionWrite::Close { actor, session } => {
                let session = self.session(actor, session).ok_or(ErrorKind::NotFound)?;
                let was_open = !std::mem::replace(&mut session.closed, true);
                Ok(SessionAck::Closed { was_open })
            }
            SessionWrite::Delete { actor, session } => {
                let before = self.sessions.len();
                self.sessions
                    .retain(|held| !(held.actor == *actor && held.id == *session));
                let existed = self.sessions.len() < before;
                Ok(SessionAck::Deleted { existed })
            }
        }
    }

    /// What the write must answer; a put's version is taken from the store once it has been checked to grow.
    fn apply_record(&mut self, write: &RecordWrite, given: u64, now: Timestamp) -> RecordAck {
        match write {
            RecordWrite::Put {
                namespace,
                id,
                text,
                ..
            } => {
                assert!(given > self.last_version, "versions only grow");
                self.last_version = given;
                let id = id.clone().unwrap();
                let place = (namespace.clone(), id.clone());
                let created_at = self.records.get(&place).map_or(now, |old| old.created_at);
                let record = Record {
                    namespace: namespace.clone(),
                    id: id.clone(),
                    text: text.clone(),
                    metadata: Vec::new(),
                    version: given,
                    created_at,
                    updated_at: now,
                };
                let existed = self.records.insert(place, record).is_some();
                RecordAck {
                    id,
                    version: given,
                    existed,
                }
            }
            RecordWrite::Delete { namespace, id } => {
                let gone = self.records.remove(&(namespace.clone(), id.clone()));
                RecordAck {
                    id: id.clone(),
                    version: gone.as_ref().map_or(0, |record| record.version),
                    existed: gone.is_some(),
                }
            }
        }
    }
}

/// The latest write, to come again.
enum Latest {
    Session(CallCtx, WriteId, SessionWrite, SessionAck),
    Record(CallCtx, WriteId, RecordWrite, RecordAck),
}

async fn run(steps: Vec<Step>) {
    let mut house = House::new();
    let mut model = Model::default();
    let mut latest = None;
    for step in steps {
        let now = house.clock.now();
        model.expire(now);
        let (sessions, records) = (house.local.sessions(), house.local.records());
        match step {
            Step::Session(write) => {
                let ctx = scribe();
                let id = ctx.next_write_id().unwrap();
                let result = sessions.apply(&ctx, id, &write).await;
                let place = result.as_ref().ok().and_then(SessionAck::place);
                if let Some(place) = place {
                    assert!(place > model.last_version, "places only grow");
                    model.last_version = place;
                }
                match model.apply_session(&write, id, now, place.unwrap_or_default()) {
                    Ok(ack) => {
                        assert_eq!(result.unwrap(), ack, "{write:?}");
                        latest = Some(Latest::Session(ctx, id, write, ack));
                    }
                    Err(kind) => assert_eq!(result.unwrap_err().kind(), kind, "{write:?}"),
                }
            }
            Step::Record(write) => {
                let ctx = scribe();
                let id = ctx.next_write_id().unwrap();
                let ack = records.apply(&ctx, id, &write).await.unwrap();
                let expected = model.apply_record(&write, ack.version, now);
                assert_eq!(ack, expected, "{}", write.operation());
                latest = Some(Latest::Record(ctx, id, write, ack));
            }
            Step::Sessions { actor, limit } => {
                list_sessions(&house, &model, ACTORS[actor], limit).await;
            }
            Step::Events { actor, id, limit } => {
                list_events(&house, &mut model, ACTORS[actor], IDS[id], limit).await;
            }
            Step::RecallEvents { actor, word } => {
                let hits = sessions
                    .recall(&scribe(), ACTORS[actor], WORDS[word], 100)
                    .await;
                let hits = hits.unwrap().into_iter();
                let found: BTreeSet<_> = hits.map(|hit| hit.event.id).collect();
                let sessions = model.sessions.iter().filter(|s| s.actor == ACTORS[actor]);
                let events = sessions.flat_map(|session| &session.events);
                let said = events.filter(|(_, content)| content == WORDS[word]);
                let expected: BTreeSet<_> = said.map(|(id, _)| id.clone()).collect();
                assert_eq!(found, expected, "recall of {:?}", WORDS[word]);
            }
            Step::Records { under, limit } => {
                list_records(&house, &model, UNDER[under], limit).await;
            }
            Step::RecallRecords { under, word } => {
                let hits = records
                    .recall(&scribe(), UNDER[under], WORDS[word], 100)
                    .await;
                let found: Vec<_> = hits.unwrap().into_iter().map(|hit| hit.record).collect();
                let expected: Vec<_> = reached(&model, UNDER[under])
                    .filter(|record| record.text == WORDS[word])
                    .cloned()
                    .collect();
                assert_eq!(found, expected, "recall of {:?}", WORDS[word]);
            }
            Step::Repeat => match &latest {
                Some(Latest::Session(ctx, id, write, ack)) => {
                    assert_eq!(sessions.apply(ctx, *id, write).await.unwrap(), *ack);
                }
                Some(Latest::Record(ctx, id, write, ack)) => {
                    assert_eq!(records.apply(ctx, *id, write).await.unwrap(), *ack);
                }
                None => {}
            },
            Step::Advance { ms } => house.clock.advance(Duration::from_millis(ms)),
            Step::Reopen => house.reopen().await,
        }
    }
    model.expire(house.clock.now());
    for actor in ACTORS {
        list_sessions(&house, &model, actor, 2).await;
        for id in IDS {
            list_events(&house, &mut model, actor, id, 2).await;
        }
    }
    list_records(&house, &model, "", 3).await;
}

async fn list_sessions(house: &House, model: &Model, actor: &str, limit: u32) {
    let (mut listed, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let sessions = house.local.sessions();
        let page = sessions
            .list(&scribe(), actor, cursor.as_deref(), limit)
            .await;
        let page = page.unwrap();
        let read = page.entries.into_iter();
        listed.extend(read.map(|s| (s.id, s.expires_at, s.closed_at.is_some())));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let sessions = model.sessions.iter().rev().filter(|s| s.actor == actor);
    let expected: Vec<_> = sessions
        .map(|session| (session.id.clone(), session.expires_at, session.closed))
        .collect();
    assert_eq!(listed, expected, "sessions of {actor:?}");
}

async fn list_events(house: &House, model: &mut Model, actor: &str, id: &str, limit: u32) {
    let (mut listed, mut cursor) = (Vec::new(), None::<String>);
    let expected = model.session(actor, id).map(|held| held.events.clone());
    loop {
        let (ctx, sessions) = (scribe(), house.local.sessions());
        let order = Order::NewestFirst;
        let page = sessions.events(&ctx, actor, id, order, cursor.as_deref(), limit);
        let page = match page.await {
            Ok(page) => page,
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::NotFound);
                assert_eq!(expected, None);
                return;
            }
        };
        let read = page.entries.into_iter();
        listed.extend(read.map(|event| (event.id, event.content)));
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    listed.reverse();
    assert_eq!(Some(listed), expected, "events of {actor:?} {id:?}");
}

fn reached<'m>(model: &'m Model, under: &'m str) -> impl Iterator<Item = &'m Record> {
    let records = model.records.values();
    records.filter(move |record| reaches(under, &record.namespace))
}

async fn list_records(house: &House, model: &Model, under: &str, limit: u32) {
    let (mut listed, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let records = house.local.records();
        let page = records
            .list(&scribe(), under, cursor.as_deref(), limit)
            .await;
        let page = page.unwrap();
        listed.extend(page.records);
        cursor = page.next_cursor;
        if cursor.is_none() {
            break;
        }
    }
    let expected: Vec<Record> = reached(model, under).cloned().collect();
    assert_eq!(listed, expected, "records under {under:?}");
}

#[test]
fn the_words_have_nothing_in_common() {
    use stuga_core::embed::{dot, embed};
    for a in WORDS {
        for b in WORDS.iter().filter(|b| **b != a) {
            assert!(dot(&embed(a), &embed(b)) <= 0.0, "{a} and {b}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    #[test]
    fn sessions_and_records_answer_what_lists_and_a_map_answer(steps in vec(step(), 1..120)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
