//! Events of an actor that are nearest to a query, over all of the actor's sessions: by comparing with each, among those that
//! were appended last. AgentCore retrieves by meaning over memory records alone (ADR 0009), so what is compared are the vectors
//! that the host's embedder made when the events were appended.

use std::cmp::Reverse;

use futures::FutureExt;
use redis::AsyncCommands;
use stuga_core::embed::{EMBED_MAX_TEXTS, Embedder};
use stuga_core::records::{RECALL_MAX_COMPARED, RECALL_MAX_SEEN};
use stuga_core::sessions::EventHit;
use stuga_core::{Result, Timestamp};

use super::events::{self, Member};
use super::latest;
use super::rules::{self, House};
use crate::agentcore::ledger::Ledger;
use crate::agentcore::reach::each;
use crate::agentcore::redis::within;
use crate::agentcore::stream::Stream;
use crate::agentcore::vector;

/// An event that is compared.
struct Compared {
    /// Its place among all events.
    place: u64,
    member: Member,
    /// Its place among the sessions.
    session: usize,
}

/// The `k` events nearest to `query`; of equal scores the later ones.
pub(super) async fn recall(
    ledger: &Ledger<'_>,
    house: &House,
    embedder: &dyn Embedder,
    query: &[f32],
    k: u32,
    now: Timestamp,
) -> Result<Vec<EventHit>> {
    let (streams, compared) = last_appended(ledger, house, now).await?;
    let mut scored = Vec::with_capacity(compared.len());
    let mut stale = Vec::new();
    for (at, one) in compared.iter().enumerate() {
        match one.member.vector.score(embedder.model(), query) {
            Some(score) => scored.push((score, (Reverse(one.place), at))),
            None if stale.len() < EMBED_MAX_TEXTS => stale.push((at, one)),
            None => {}
        }
    }
    // Of another model: those appended last are compared all the same.
    let renewed = each(stale.into_iter().map(|(at, one)| {
        let stream = streams.get(one.session);
        async move {
            let found = match stream {
                Some(stream) => events::event(ledger, stream, one.member.clone()).await?,
                None => None,
            };
            let Some(event) = found else { return Ok(None) };
            let kept = vector::of(embedder, &event.content).await?;
            let score = kept.score(embedder.model(), query);
            Ok(score.map(|score| (score, (Reverse(one.place), at))))
        }
        .boxed()
    }));
    scored.extend(renewed.await?.into_iter().flatten());
    let best = vector::best(scored, k);
    let hits = each(best.into_iter().map(|(score, (_, at))| {
        let found = compared.get(at);
        let found = found.and_then(|one| Some((one.member.clone(), streams.get(one.session)?)));
        async move {
            let Some((member, stream)) = found else {
                return Ok(None);
            };
            let event = events::event(ledger, stream, member).await?;
            Ok(event.map(|event| EventHit {
                session: stream.session.clone(),
                event,
                score,
            }))
        }
        .boxed()
    }));
    Ok(hits.await?.into_iter().flatten().collect())
}

/// The events appended last, the last first, of the sessions that began last.
async fn last_appended(
    ledger: &Ledger<'_>,
    house: &House,
    now: Timestamp,
) -> Result<(Vec<Stream>, Vec<Compared>)> {
    let most = RECALL_MAX_COMPARED as usize;
    let index = house.index();
    ledger.index(&index, house.actor(), house).await?;
    let (mut streams, mut compared): (Vec<Stream>, Vec<Compared>) = (Vec::new(), Vec::new());
    let (mut before, mut seen) = (None, 0_usize);
    while seen < RECALL_MAX_SEEN as usize {
        let (chunk, whole) = latest(ledger, &index, before.as_ref()).await?;
        before = chunk.last().cloned();
        let of_chunk: Vec<Stream> = chunk
            .iter()
            .map(|place| house.stream(&ledger.memory, &place.id))
            .collect();
        let heads = ledger.heads(&of_chunk, house).await?;
        let live = of_chunk.into_iter().zip(heads);
        let live = live
            .filter_map(|(stream, head)| Some((stream, head.filter(|head| head.is_live(now))?)));
        let read = each(live.map(|(stream, head)| {
            async move {
                let index = events::whole(ledger, house, &stream, &head).await?;
                let key = ledger.cards().index(&index);
                let mut connection = ledger.cards().connection();
                let count = isize::try_from(most).unwrap_or(isize::MAX);
                let found =
                    connection.zrevrangebyscore_limit_withscores(key, "+inf", "(0", 0, count);
                let found: Vec<(Vec<u8>, f64)> =
                    within(ledger.ctx, ledger.operation, found).await?;
                Ok((stream, found))
            }
            .boxed()
        }));
        for (stream, found) in read.await? {
            seen = seen.saturating_add(found.len());
            let session = streams.len();
            streams.push(stream);
            compared.extend(found.into_iter().filter_map(|(packed, score)| {
                Some(Compared {
                    place: rules::version(score),
                    member: Member::unpack(&packed)?,
                    session,
                })
            }));
        }
        if compared.len() > most {
            compared.sort_unstable_by_key(|one| Reverse(one.place));
            compared.truncate(most);
        }
        if whole || before.is_none() {
            break;
        }
    }
    compared.sort_unstable_by_key(|one| Reverse(one.place));
    compared.truncate(most);
    Ok((streams, compared))
}
