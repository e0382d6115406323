//! The events of a session in their order: an index in Redis, made of the stream when it is lost.

use std::collections::{HashMap, HashSet};

use futures::FutureExt;
use redis::AsyncCommands;
use stuga_core::sessions::{Event, Order, PAGE_MAX_BYTES, Place, Placed};
use stuga_core::{Error, Result, Timestamp};

use super::rules::{self, House};
use crate::agentcore::entry::{Entry, Kind};
use crate::agentcore::fold::Fold;
use crate::agentcore::ledger::Ledger;
use crate::agentcore::reach::each;
use crate::agentcore::redis::within;
use crate::agentcore::stream::{self, Stream, damaged};
use crate::agentcore::vector::Kept;

/// Pages of a stream that an index is made of at most: 100,000 events.
const BUILD_MAX_PAGES: usize = 1_000;
/// How often the making begins again of an index that was lost under it.
const BUILD_ROUNDS: usize = 3;
/// How many members may share a score beside the one behind which a page begins: as many hosts as wrote to a session in one
/// millisecond without seeing each other.
const TIES: isize = 16;
/// Members that go to Redis in one go.
const CHUNK: usize = 500;

/// What the index knows of an event.
#[derive(Clone, PartialEq, Debug)]
pub(super) struct Member {
    /// The event in AgentCore.
    pub(super) event: String,
    /// Its id for callers.
    pub(super) id: String,
    pub(super) at: u64,
    pub(super) bytes: u64,
    pub(super) vector: Kept,
}

impl Member {
    pub(super) fn of(entry: &Entry, vector: &Kept) -> Self {
        Self {
            event: entry.content_event().to_owned(),
            id: entry.write.clone(),
            at: entry.at.as_millis(),
            bytes: entry.bytes,
            vector: vector.clone(),
        }
    }

    /// As a member of the index: one event always makes the same. Of two with one score Redis puts that first whose bytes are
    /// smaller, so the id that listings order by comes first.
    pub(super) fn pack(&self) -> Vec<u8> {
        let Self {
            event,
            id,
            at,
            bytes,
            vector,
        } = self;
        let mut packed = format!("{id}\0{event}\0{at}\0{bytes}\0{}\0", vector.model).into_bytes();
        packed.extend_from_slice(&vector.bytes);
        packed
    }

    /// None of what is no member, such as a mark of the index.
    pub(super) fn unpack(packed: &[u8]) -> Option<Self> {
        let mut parts = packed.splitn(6, |byte| *byte == 0);
        let mut text = || std::str::from_utf8(parts.next()?).ok();
        let (id, event) = (text()?.to_owned(), text()?.to_owned());
        let (at, bytes) = (text()?.parse().ok()?, text()?.parse().ok()?);
        let model = text()?.to_owned();
        let vector = Kept {
            model,
            bytes: parts.next()?.to_vec(),
        };
        (!event.is_empty()).then_some(Self {
            event,
            id,
            at,
            bytes,
            vector,
        })
    }
}

/// One page of a session's events, after a place, and the place of its last when more follow.
pub(super) async fn page(
    ledger: &Ledger<'_>,
    house: &House,
    stream: &Stream,
    head: &Entry,
    order: Order,
    after: Option<Place>,
    limit: u32,
) -> Result<(Vec<Placed<Event>>, Option<Place>)> {
    let index = whole(ledger, house, stream, head).await?;
    let key = ledger.cards().index(&index);
    let from = after.as_ref().map(|after| after.number.to_string());
    let count = isize::try_from(limit)
        .unwrap_or(isize::MAX)
        .saturating_add(1 + TIES);
    let mut connection = ledger.cards().connection();
    // Marks of the index have the score 0.
    let found = match order {
        Order::OldestFirst => {
            let from = from.unwrap_or_else(|| "(0".to_owned());
            connection.zrangebyscore_limit_withscores(key, from, "+inf", 0, count)
        }
        Order::NewestFirst => {
            let from = from.unwrap_or_else(|| "+inf".to_owned());
            connection.zrevrangebyscore_limit_withscores(key, from, "(0", 0, count)
        }
    };
    let found: Vec<(Vec<u8>, f64)> = within(ledger.ctx, ledger.operation, found).await?;
    let mut members: Vec<(u64, Member)> = Vec::new();
    let mut last = None;
    let mut bytes = 0_u64;
    let mut more = false;
    for (packed, score) in found {
        let member = Member::unpack(&packed).ok_or_else(|| damaged(ledger.operation))?;
        let place = Place {
            number: rules::version(score),
            id: member.id.clone(),
        };
        let is_read = |after: &Place| match order {
            Order::OldestFirst => place <= *after,
            Order::NewestFirst => place >= *after,
        };
        if after.as_ref().is_some_and(is_read) {
            continue;
        }
        bytes = bytes.saturating_add(member.bytes);
        let over = !members.is_empty() && bytes > PAGE_MAX_BYTES as u64;
        if over || members.len() >= limit as usize {
            more = true;
            break;
        }
        members.push((place.number, member));
        last = Some(place);
    }
    let last = last.filter(|_| more);
    let events = each(members.into_iter().map(|(place, member)| {
        async move {
            let found = event(ledger, stream, member).await?;
            Ok(found.map(|what| Placed { place, what }))
        }
        .boxed()
    }))
    .await?;
    // What is gone went with its session, which was deleted meanwhile.
    Ok((events.into_iter().flatten().collect(), last))
}

/// An event as callers see it; none when it is gone.
pub(super) async fn event(
    ledger: &Ledger<'_>,
    stream: &Stream,
    member: Member,
) -> Result<Option<Event>> {
    let Some(content) = ledger.content(stream, &member.event).await? else {
        return Ok(None);
    };
    let metadata = rules::metadata(ledger.operation, &content)?;
    let (role, content) = content.said.ok_or_else(|| damaged(ledger.operation))?;
    Ok(Some(Event {
        id: member.id,
        role,
        content,
        metadata,
        at: Timestamp::from_millis(member.at),
    }))
}

/// The name of the index of a session's events, once it is whole.
pub(super) async fn whole(
    ledger: &Ledger<'_>,
    house: &House,
    stream: &Stream,
    head: &Entry,
) -> Result<String> {
    let index = house.events(&head.key, head.incarnation);
    if ledger.is_whole(&index).await? {
        return Ok(index);
    }
    // One call of this process at a time; the others find it done.
    let turn = ledger.turn(&index);
    let _turn = turn.lock().await;
    for _ in 0..BUILD_ROUNDS {
        if ledger.is_whole(&index).await? || build(ledger, stream, head, &index).await? {
            return Ok(index);
        }
    }
    Err(Error::unavailable(
        ledger.operation,
        "the cache of the hosts loses what is written to it; see its memory and its eviction policy",
    ))
}

/// Reads the session's stream and makes the index say the same; false when it was lost meanwhile. What AgentCore does not list
/// yet stays as it is.
///
/// AgentCore: one `ListEvents` for each 100 events.
async fn build(ledger: &Ledger<'_>, stream: &Stream, head: &Entry, index: &str) -> Result<bool> {
    let mark = ledger.begin_building(index).await?;
    let (mut entries, mut vectors) = (Vec::new(), Vec::new());
    let mut next = None;
    for page in 0.. {
        if page >= BUILD_MAX_PAGES {
            return Err(Error::unavailable(
                ledger.operation,
                "the session has more events than an index is made of",
            ));
        }
        let client = ledger.clients.agentcore();
        let read = stream::page(client, ledger.ctx, ledger.operation, stream, true, next).await?;
        for (entry, content) in read.events {
            if entry.kind == Kind::Append && entry.confirms.is_empty() {
                let content = content.unwrap_or_default();
                let vector = rules::vector(ledger.operation, &content)?;
                vectors.push((entry.version, vector));
            }
            entries.push(entry);
        }
        next = read.next;
        if next.is_none() {
            break;
        }
    }
    // A listing may lag behind what was settled, and so take for the end what was displaced.
    entries.push(head.clone());
    let fold = Fold::of(entries);
    let vectors: HashMap<u64, Kept> = vectors.into_iter().collect();
    let (members, displaced) = said(&fold, head.incarnation, &vectors);
    let fill = async |gone: &[Vec<u8>], members: &[(u64, Vec<u8>)]| {
        let cards = ledger.cards();
        let fill = cards.fill(ledger.ctx, ledger.operation, index, &mark, gone, members);
        fill.await
    };
    // Who read the stream while one of these was the end may have put it there.
    for gone in displaced.chunks(CHUNK) {
        if !fill(gone, &[]).await? {
            return Ok(false);
        }
    }
    for members in members.chunks(CHUNK) {
        if !fill(&[], members).await? {
            return Ok(false);
        }
    }
    ledger.end_building(index, &mark).await
}

/// A member of an index with its place.
type Standing = (u64, Vec<u8>);

/// The members that the index of a session's events has by its stream, with their places, and those that it must not have: of
/// events that were displaced, or said anew since.
fn said(
    fold: &Fold,
    incarnation: u64,
    vectors: &HashMap<u64, Kept>,
) -> (Vec<Standing>, Vec<Vec<u8>>) {
    let appended = |entry: &&Entry| entry.incarnation == incarnation;
    let packed = |entry: &Entry| Some(Member::of(entry, vectors.get(&entry.version)?).pack());
    let (mut writes, mut versions) = (HashSet::new(), HashSet::new());
    let mut members = Vec::new();
    for entry in fold.counting().filter(appended) {
        let Some(packed) = packed(entry) else {
            continue;
        };
        // Of a write that was said anew the latest counts, which comes first here.
        if writes.insert(entry.write.as_str()) {
            versions.insert(entry.version);
            members.push((entry.shown, packed));
        }
    }
    let others = fold.all().iter().filter(appended);
    let others = others.filter(|entry| !versions.contains(&entry.version));
    (members, others.filter_map(packed).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agentcore::card::BUILDING;

    #[test]
    fn members_come_back_as_they_were_packed_and_marks_are_none() {
        let member = Member {
            event: "0001#ab".to_owned(),
            id: "w-0".to_owned(),
            at: 7,
            bytes: 9,
            vector: Kept {
                model: "hashed".to_owned(),
                bytes: vec![0, 1, 0, 255],
            },
        };
        assert_eq!(Member::unpack(&member.pack()), Some(member));
        let marks = [
            "\0ready:ab".to_owned(),
            format!("{BUILDING}x"),
            String::new(),
            "a\0b".to_owned(),
        ];
        for mark in marks {
            assert_eq!(Member::unpack(mark.as_bytes()), None);
        }
    }
}
