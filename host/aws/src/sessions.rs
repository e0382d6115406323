//! Sessions on AgentCore, with Redis between the hosts. An actor's session is a session of AgentCore of the same id, whose
//! events say what was said; other programs that read AgentCore find conversations as they expect them.
//!
//! | operation | AgentCore | what the caller gets |
//! |---|---|---|
//! | get | nothing while the card is there, but the content of what began the session; without Redis `ListEvents`, `GetEvent` | every acknowledged write, of any host |
//! | list | as get for each; when the index is lost `ListSessions` and `ListEvents` of the actor's | every acknowledged write; right after Redis was lost what AgentCore lists |
//! | conversation | as get and events | every acknowledged event, in its order |
//! | events | `GetEvent` for each that neither this process nor Redis has; when the index is lost `ListEvents` | every acknowledged event, in its order |
//! | recall | as events, for the hits | every acknowledged event of the actor |
//! | append, close, delete | `CreateEvent`; `ListEvents` when the card is lost | durable when acknowledged |
//! | create | `ListEvents`, `CreateEvent` | that the id is free is checked against AgentCore, under the lease |
//! | adopt | as the write itself, or nothing when it is so already | see [`adopt`] |
//!
//! AgentCore removes events when they are as old as the memory's `eventExpiryDuration` says, at most 365 days: a session
//! without time to live stays no longer than that here.

mod adopt;
mod events;
mod recall;
mod rules;

use std::sync::Arc;

use async_trait::async_trait;
use futures::FutureExt;
use redis::AsyncCommands;
use stuga_core::embed::Embedder;
use stuga_core::records::check_recall;
use stuga_core::sessions::{
    Conversation, Conversations, Event, EventHit, Listed, Order, PAGE_MAX_BYTES, Page, Place,
    Placed, Session, SessionAck, SessionWrite, Sessions, check_actor, check_limit,
    check_session_id,
};
use stuga_core::standby::{Adopted, Made, Replica};
use stuga_core::{CallCtx, Capability, CapabilityName, Error, Result, Timestamp, Write, WriteId};

use crate::adopted::stamp_of;
use crate::agentcore::adopt::Adopting;
use crate::agentcore::digest::Digest;
use crate::agentcore::draft::{Seen, Writing};
use crate::agentcore::entry::Entry;
use crate::agentcore::ledger::{Ledger, Store};
use crate::agentcore::reach::{Depth, each};
use crate::agentcore::redis::{is_cause, within};
use crate::agentcore::stream::{Content, Stream, damaged};
use crate::agentcore::vector;
use rules::House;

/// Sessions that are looked at in one go.
const CHUNK: isize = 64;
/// Most sessions that one page looks at: bounds a listing over many that have expired.
const PAGE_MAX_SEEN: usize = 4_096;

/// Sessions on AgentCore.
pub struct AgentCoreSessions {
    store: Arc<Store>,
    embedder: Arc<dyn Embedder>,
}

impl AgentCoreSessions {
    pub(crate) fn new(store: Arc<Store>, embedder: Arc<dyn Embedder>) -> Self {
        Self { store, embedder }
    }
}

#[async_trait]
impl Capability for AgentCoreSessions {
    type Write = SessionWrite;

    /// AgentCore: `CreateEvent`; before it `ListEvents` for a create, or when the session's card is lost.
    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &SessionWrite) -> Result<SessionAck> {
        write.check()?;
        let operation = write.operation();
        ctx.check_deadline(operation)?;
        let vector = self.vector(write).await?;
        let ledger = self.store.ledger(ctx, operation).await?;
        let house = House::of(ctx, write.key());
        let name = rules::session_of(write, id);
        let stream = house.stream(&ledger.memory, &name);
        let digest = digest(ctx, write);
        let writing = Writing {
            stream: &stream,
            id,
            digest: &digest,
            strict: matches!(write, SessionWrite::Create { .. }),
            adopts: None,
        };
        let data = rules::data(operation, write, &vector)?;
        let now = self.store.now();
        let decide =
            |head: Option<&Entry>| rules::draft(operation, write, &name, head, now, data.clone());
        let follow = |entry: &Entry, fresh| house.follow(entry, fresh, &vector);
        let entry = ledger.write(&writing, &house, &decide, &follow).await?;
        Ok(match write {
            SessionWrite::Create { .. } => SessionAck::Created {
                id: entry.key,
                at: entry.created_at,
                expires_at: entry.expires_at,
                place: entry.place,
            },
            SessionWrite::Append { .. } => SessionAck::Appended {
                id: entry.write,
                at: entry.at,
                place: entry.shown,
            },
            SessionWrite::Close { .. } => SessionAck::Closed {
                was_open: entry.existed,
            },
            SessionWrite::Delete { .. } => SessionAck::Deleted {
                existed: entry.existed,
            },
        })
    }
}

#[async_trait]
impl Replica<SessionWrite> for AgentCoreSessions {
    /// AgentCore: `CreateEvent` unless it is so already; before it `ListEvents` when the session's card is lost, or when the
    /// write is older than the card remembers.
    async fn adopt(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &SessionWrite,
        made: &Made<SessionAck>,
    ) -> Result<Adopted> {
        write.check()?;
        let operation = write.operation();
        ctx.check_deadline(operation)?;
        let stamp = stamp_of::<SessionWrite>(operation, made)?;
        let taken = adopt::Taken {
            operation,
            write,
            name: rules::session_of(write, id),
            made,
            stamp,
            place: made.ack.place().unwrap_or(stamp),
            now: self.store.now(),
        };
        let vector = self.vector(write).await?;
        let ledger = self.store.ledger(ctx, operation).await?;
        let house = House::of(ctx, write.key());
        let stream = house.stream(&ledger.memory, &taken.name);
        let digest = digest(ctx, write);
        let writing = Writing {
            stream: &stream,
            id,
            digest: &digest,
            strict: false,
            adopts: Some(Adopting {
                stamp: taken.stamp,
                since: Some(made.at),
            }),
        };
        let data = rules::data(operation, write, &vector)?;
        let judge = |seen: &Seen<'_>| taken.judge(seen, data.clone());
        let follow = |entry: &Entry, fresh| house.follow(entry, fresh, &vector);
        ledger.adopt(&writing, &house, &judge, &follow).await
    }
}

impl AgentCoreSessions {
    /// What the content of a write is near to.
    async fn vector(&self, write: &SessionWrite) -> Result<vector::Kept> {
        match write {
            SessionWrite::Append { content, .. } => vector::of(&*self.embedder, content).await,
            _ => Ok(vector::Kept::default()),
        }
    }
}

#[async_trait]
impl Sessions for AgentCoreSessions {
    /// AgentCore: nothing, or `ListEvents` and `GetEvent`; see the table above.
    async fn get(&self, ctx: &CallCtx, actor: &str, id: &str) -> Result<Option<Session>> {
        const OPERATION: &str = "sessions.get";
        check_actor(OPERATION, actor)?;
        check_session_id(OPERATION, id)?;
        ctx.check_deadline(OPERATION)?;
        let house = House::of(ctx, actor);
        let now = self.store.now();
        let found = match self.store.ledger(ctx, OPERATION).await {
            Ok(ledger) => session_at(&ledger, &house, actor, id, now).await,
            Err(error) => Err(error),
        };
        match found {
            // The truth is not in Redis.
            Err(error) if is_cause(&error) => {
                let reach = self.store.reach(ctx, OPERATION).await?;
                let stream = house.stream(&reach.memory, id);
                let fold = reach.scan(&stream, Depth::End).await?;
                let Some(head) = fold.head().filter(|head| head.is_live(now)) else {
                    return Ok(None);
                };
                let content = reach.content(&stream, rules::origin(head)).await?;
                let content = content.ok_or_else(|| damaged(OPERATION))?;
                session(OPERATION, actor, head, &content).map(Some)
            }
            found => found,
        }
    }

    /// AgentCore: for each session as in `get`; `ListSessions` and `ListEvents` when the actor's index is lost.
    async fn list(
        &self,
        ctx: &CallCtx,
        actor: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Session>> {
        const OPERATION: &str = "sessions.list";
        check_actor(OPERATION, actor)?;
        check_limit(OPERATION, limit)?;
        let listed = Listed::sessions(actor);
        let mut before = listed.decode(OPERATION, cursor)?;
        ctx.check_deadline(OPERATION)?;
        let now = self.store.now();
        let ledger = self.store.ledger(ctx, OPERATION).await?;
        let house = House::of(ctx, actor);
        let index = house.index();
        ledger.index(&index, house.actor(), &house).await?;
        let mut entries: Vec<Session> = Vec::new();
        let (mut bytes, mut seen) = (0_usize, 0_usize);
        let cursor_at = |before: Option<Place>| before.map(|at| listed.encode(&at));
        loop {
            let (chunk, whole) = latest(&ledger, &index, before.as_ref()).await?;
            let streams: Vec<Stream> = chunk
                .iter()
                .map(|place| house.stream(&ledger.memory, &place.id))
                .collect();
            let heads = ledger.heads(&streams, &house).await?;
            let room = (limit as usize)
                .saturating_sub(entries.len())
                .saturating_add(1);
            let live = streams.iter().zip(heads).zip(chunk);
            let live: Vec<_> = live
                .map(|((stream, head), place)| {
                    (stream, head.filter(|head| head.is_live(now)), place)
                })
                .collect();
            let wanted = live.iter().filter(|(_, head, _)| head.is_some()).take(room);
            let contents = each(wanted.map(|(stream, head, _)| {
                let origin = head.as_ref().map(rules::origin).unwrap_or_default();
                ledger.content(stream, origin).boxed()
            }));
            let mut contents = contents.await?.into_iter();
            for (_, head, place) in live {
                if seen >= PAGE_MAX_SEEN {
                    return Ok(Page {
                        entries,
                        next_cursor: cursor_at(before),
                    });
                }
                if let Some(head) = head {
                    // One whose content is gone was deleted meanwhile.
                    let found = contents.next().flatten();
                    let size = found.as_ref().map_or(0, |content| content.data.len());
                    let over = !entries.is_empty() && bytes.saturating_add(size) > PAGE_MAX_BYTES;
                    if entries.len() >= limit as usize || over {
                        return Ok(Page {
                            entries,
                            next_cursor: cursor_at(before),
                        });
                    }
                    bytes = bytes.saturating_add(size);
                    if let Some(content) = found {
                        entries.push(session(OPERATION, actor, &head, &content)?);
                    }
                }
                seen += 1;
                before = Some(place);
            }
            if whole {
                return Ok(Page {
                    entries,
                    next_cursor: None,
                });
            }
        }
    }

    /// AgentCore: `GetEvent` for what is not near; `ListEvents` of the session when its index is lost.
    async fn events(
        &self,
        ctx: &CallCtx,
        actor: &str,
        session: &str,
        order: Order,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Event>> {
        const OPERATION: &str = "sessions.events";
        check_actor(OPERATION, actor)?;
        check_session_id(OPERATION, session)?;
        check_limit(OPERATION, limit)?;
        let listed = Listed::events(actor, session, order);
        let after = listed.decode(OPERATION, cursor)?;
        ctx.check_deadline(OPERATION)?;
        let ledger = self.store.ledger(ctx, OPERATION).await?;
        let house = House::of(ctx, actor);
        let stream = house.stream(&ledger.memory, session);
        let head = rules::live(
            OPERATION,
            head(&ledger, &house, &stream).await?,
            self.store.now(),
        )?;
        let (events, last) =
            events::page(&ledger, &house, &stream, &head, order, after, limit).await?;
        Ok(Page {
            entries: events.into_iter().map(|event| event.what).collect(),
            next_cursor: last.map(|last| listed.encode(&last)),
        })
    }

    /// AgentCore: as `events` for the hits; what is compared lies in Redis, and is read from AgentCore when it is lost.
    async fn recall(
        &self,
        ctx: &CallCtx,
        actor: &str,
        query: &str,
        k: u32,
    ) -> Result<Vec<EventHit>> {
        const OPERATION: &str = "sessions.recall";
        check_actor(OPERATION, actor)?;
        check_recall(OPERATION, query, k)?;
        ctx.check_deadline(OPERATION)?;
        let query = vector::of_query(&*self.embedder, query).await?;
        let ledger = self.store.ledger(ctx, OPERATION).await?;
        let house = House::of(ctx, actor);
        recall::recall(
            &ledger,
            &house,
            &*self.embedder,
            &query,
            k,
            self.store.now(),
        )
        .await
    }
}

#[async_trait]
impl Conversations for AgentCoreSessions {
    /// AgentCore: as `get` and `events`.
    async fn conversation(
        &self,
        ctx: &CallCtx,
        actor: &str,
        session: &str,
        latest: u32,
    ) -> Result<Option<Conversation>> {
        const OPERATION: &str = "sessions.conversation";
        check_actor(OPERATION, actor)?;
        check_session_id(OPERATION, session)?;
        check_limit(OPERATION, latest)?;
        ctx.check_deadline(OPERATION)?;
        let ledger = self.store.ledger(ctx, OPERATION).await?;
        let house = House::of(ctx, actor);
        let stream = house.stream(&ledger.memory, session);
        let head = head(&ledger, &house, &stream).await?;
        let Some(head) = head.filter(|head| head.is_live(self.store.now())) else {
            return Ok(None);
        };
        // One whose beginning is gone was deleted meanwhile.
        let Some(began) = ledger.content(&stream, rules::origin(&head)).await? else {
            return Ok(None);
        };
        let order = Order::NewestFirst;
        let (mut events, earlier) =
            events::page(&ledger, &house, &stream, &head, order, None, latest).await?;
        events.reverse();
        Ok(Some(Conversation {
            session: Placed {
                place: head.place,
                what: self::session(OPERATION, actor, &head, &began)?,
            },
            events,
            is_whole: earlier.is_none(),
        }))
    }
}

/// The end of a session's stream.
async fn head(ledger: &Ledger<'_>, house: &House, stream: &Stream) -> Result<Option<Entry>> {
    let heads = ledger.heads(std::slice::from_ref(stream), house).await?;
    Ok(heads.into_iter().flatten().next())
}

async fn session_at(
    ledger: &Ledger<'_>,
    house: &House,
    actor: &str,
    id: &str,
    now: Timestamp,
) -> Result<Option<Session>> {
    let stream = house.stream(&ledger.memory, id);
    let Some(head) = head(ledger, house, &stream)
        .await?
        .filter(|head| head.is_live(now))
    else {
        return Ok(None);
    };
    // One whose beginning is gone was deleted meanwhile.
    let content = ledger.content(&stream, rules::origin(&head)).await?;
    content
        .map(|content| session(ledger.operation, actor, &head, &content))
        .transpose()
}

/// The sessions that began last, before a place, and whether there are no more.
async fn latest(
    ledger: &Ledger<'_>,
    index: &str,
    before: Option<&Place>,
) -> Result<(Vec<Place>, bool)> {
    let below = before.map_or_else(|| "+inf".to_owned(), |before| before.number.to_string());
    let mut connection = ledger.cards().connection();
    let key = ledger.cards().index(index);
    // Marks of the index have the score 0.
    let found = connection.zrevrangebyscore_limit_withscores(key, below, "(0", 0, CHUNK);
    let found: Vec<(String, f64)> = within(ledger.ctx, ledger.operation, found).await?;
    let whole = found.len() < usize::try_from(CHUNK).unwrap_or(usize::MAX);
    let places = found.into_iter().map(|(id, score)| Place {
        number: rules::version(score),
        id,
    });
    let is_next = |place: &Place| before.is_none_or(|before| place < before);
    let places: Vec<Place> = places.filter(is_next).collect();
    let whole = whole || places.is_empty();
    Ok((places, whole))
}

fn session(operation: &'static str, actor: &str, head: &Entry, began: &Content) -> Result<Session> {
    Ok(Session {
        actor: actor.to_owned(),
        id: head.key.clone(),
        metadata: rules::metadata(operation, began)?,
        created_at: head.created_at,
        expires_at: head.expires_at,
        closed_at: head.closed_at,
    })
}

fn digest(ctx: &CallCtx, write: &SessionWrite) -> String {
    let digest = Digest::new(ctx, CapabilityName::Sessions, write.operation()).part(write.key());
    match write {
        SessionWrite::Create {
            id, ttl, metadata, ..
        } => {
            let ttl = ttl.map(|ttl| u64::try_from(ttl.as_millis()).unwrap_or(u64::MAX));
            // An id is never empty, so none differs from all of them.
            digest
                .part(id.as_deref().unwrap_or_default())
                .number(ttl)
                .metadata(metadata)
        }
        SessionWrite::Append {
            session,
            role,
            content,
            metadata,
            ..
        } => digest
            .part(session)
            .part(role.as_str())
            .part(content)
            .metadata(metadata),
        SessionWrite::Close { session, .. } | SessionWrite::Delete { session, .. } => {
            digest.part(session)
        }
    }
    .finish()
}

/// The session is not there.
fn absent(operation: &'static str) -> Error {
    Error::not_found(operation, "the actor has no session of that id")
}
