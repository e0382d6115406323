//! What writes make of a session, and what its end means for indexes.

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use stuga_core::metadata::Metadata;
use stuga_core::sessions::SessionWrite;
use stuga_core::{CallCtx, CapabilityName, Error, Result, Timestamp, WriteId};

use super::absent;
use super::events::Member;
use crate::agentcore::card::{Change, What};
use crate::agentcore::draft::{Draft, Fresh};
use crate::agentcore::entry::{Entry, Kind};
use crate::agentcore::ledger::Rules;
use crate::agentcore::stream::{Content, Stream, damaged};
use crate::agentcore::vector::Kept;

/// The sessions of one actor of an agent's.
pub(super) struct House {
    actor: String,
}

impl House {
    /// Where an actor's sessions lie.
    pub(super) fn of(ctx: &CallCtx, actor: &str) -> Self {
        let name = CapabilityName::Sessions.as_str();
        Self {
            actor: Stream::actor_under(ctx, name, actor),
        }
    }

    /// The actor in AgentCore.
    pub(super) fn actor(&self) -> &str {
        &self.actor
    }

    pub(super) fn stream(&self, memory: &str, session: &str) -> Stream {
        Stream {
            memory: memory.to_owned(),
            actor: self.actor.clone(),
            session: session.to_owned(),
        }
    }

    /// The index of the actor's sessions, by where they begin among all writes.
    pub(super) fn index(&self) -> String {
        format!("sessions|{}", self.actor)
    }

    /// The index of the events of one session, in their order. A session that takes another's name has its own. One named
    /// `events|…` has members of an earlier form, which begin with the name of the event in AgentCore.
    pub(super) fn events(&self, session: &str, incarnation: u64) -> String {
        format!("said|{}|{session}|{incarnation}", self.actor)
    }

    /// What a write means for the index of events.
    pub(super) fn follow(&self, entry: &Entry, fresh: Fresh, vector: &Kept) -> Vec<Change> {
        let what = match (entry.kind, fresh) {
            (Kind::Create, Fresh::Yes) if entry.incarnation == entry.version => What::Begin,
            // The member that it replaces has another place. Whoever reads next makes the index of the stream.
            (Kind::Append, Fresh::Anew) => What::Drop,
            (Kind::Append, Fresh::Yes | Fresh::No) => {
                let member = Member::of(entry, vector);
                What::Add(entry.shown, member.pack())
            }
            (Kind::Delete, _) => What::Drop,
            _ => return Vec::new(),
        };
        vec![Change {
            index: self.events(&entry.key, entry.incarnation),
            what,
        }]
    }
}

impl Rules for House {
    fn changes(&self, _: &Stream, head: &Entry) -> Vec<Change> {
        let member = head.key.clone().into_bytes();
        let what = match head.kind {
            Kind::Delete => What::Remove(member),
            _ => What::Add(head.place, member),
        };
        let sessions = Change {
            index: self.index(),
            what,
        };
        // An event of a host that did not hear the answer is in the stream, but in no index.
        let events = Change {
            index: self.events(&head.key, head.incarnation),
            what: What::Doubt,
        };
        vec![sessions, events]
    }
}

/// Which session a write is of.
pub(super) fn session_of(write: &SessionWrite, id: WriteId) -> String {
    match write {
        SessionWrite::Create { id: name, .. } => name.clone().unwrap_or_else(|| id.to_name()),
        SessionWrite::Append { session, .. }
        | SessionWrite::Close { session, .. }
        | SessionWrite::Delete { session, .. } => session.clone(),
    }
}

/// The event that began the session.
pub(super) fn origin(head: &Entry) -> &str {
    match head.origin.as_str() {
        "" => head.content_event(),
        origin => origin,
    }
}

/// The session, if it is there.
pub(super) fn live(operation: &'static str, head: Option<Entry>, now: Timestamp) -> Result<Entry> {
    head.filter(|head| head.is_live(now))
        .ok_or_else(|| absent(operation))
}

/// What is kept beside what was said.
#[derive(Serialize, Deserialize)]
struct Data {
    metadata: Metadata,
    #[serde(flatten)]
    vector: Kept,
}

/// What a write keeps beside what was said.
pub(super) fn data(operation: &'static str, write: &SessionWrite, vector: &Kept) -> Result<Bytes> {
    let (SessionWrite::Create { metadata, .. } | SessionWrite::Append { metadata, .. }) = write
    else {
        return Ok(Bytes::new());
    };
    let data = Data {
        metadata: metadata.clone(),
        vector: vector.clone(),
    };
    serde_json::to_vec(&data)
        .map(Bytes::from)
        .map_err(|e| Error::internal(operation, "metadata cannot be kept").with_source(e))
}

/// The metadata of a session or an event.
pub(super) fn metadata(operation: &'static str, content: &Content) -> Result<Metadata> {
    unpack(operation, content).map(|data| data.metadata)
}

/// The vector of an event.
pub(super) fn vector(operation: &'static str, content: &Content) -> Result<Kept> {
    unpack(operation, content).map(|data| data.vector)
}

fn unpack(operation: &'static str, content: &Content) -> Result<Data> {
    serde_json::from_slice(&content.data).map_err(|e| damaged(operation).with_source(e))
}

/// What a write makes of its session.
pub(super) fn draft(
    operation: &'static str,
    write: &SessionWrite,
    name: &str,
    head: Option<&Entry>,
    now: Timestamp,
    data: Bytes,
) -> Result<Draft> {
    let live = head.filter(|head| head.is_live(now));
    let there = || live.ok_or_else(|| absent(operation));
    // A clock that was set back must not bring the events into another order than their times say.
    let of = |kind, head: &Entry| within(kind, name, head, now.max(head.at));
    match write {
        SessionWrite::Create { ttl, .. } => {
            if live.is_some() {
                return Err(Error::conflict(
                    operation,
                    "the actor has a session of that id; choose another or give none",
                ));
            }
            Ok(Draft {
                expires_at: ttl.map(|ttl| now.saturating_add(ttl)),
                content: Content { said: None, data },
                ..Draft::alone(Kind::Create, name, now)
            })
        }
        SessionWrite::Append { role, content, .. } => {
            let head = there()?;
            if head.closed_at.is_some() {
                return Err(Error::conflict(
                    operation,
                    "the session is closed; create another one",
                ));
            }
            Ok(Draft {
                content: Content {
                    said: Some((*role, content.clone())),
                    data,
                },
                ..of(Kind::Append, head)
            })
        }
        SessionWrite::Close { .. } => {
            let head = there()?;
            Ok(Draft {
                existed: head.closed_at.is_none(),
                closed_at: Some(head.closed_at.unwrap_or(now)),
                ..of(Kind::Close, head)
            })
        }
        SessionWrite::Delete { .. } => Ok(match head {
            Some(head) => Draft {
                existed: live.is_some(),
                place: None,
                ..of(Kind::Delete, head)
            },
            None => Draft {
                incarnation: Some(0),
                ..Draft::alone(Kind::Delete, name, now)
            },
        }),
    }
}

/// A write in a session whose end is `head`.
pub(super) fn within(kind: Kind, name: &str, head: &Entry, at: Timestamp) -> Draft {
    Draft {
        existed: true,
        created_at: head.created_at,
        expires_at: head.expires_at,
        closed_at: head.closed_at,
        incarnation: Some(head.incarnation),
        place: Some(head.place),
        origin: origin(head).to_owned(),
        ..Draft::alone(kind, name, at)
    }
}

/// A version that Redis keeps as a score: exact until the year 2248, when versions reach 2^53.
pub(super) fn version(score: f64) -> u64 {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a version that was made a score, or 0"
    )]
    let version = score.max(0.0) as u64;
    version
}
