//! The operator's side of mailboxes.

use async_trait::async_trait;
use futures::{StreamExt, TryStreamExt, stream};
use stuga_core::a2a::delivery::{Filter, Letter, MailDesk, PAGE_MAX_MESSAGES};
use stuga_core::{AgentName, Error, Result, TenantId, WriteId};

use super::letter::{Phase, Wish};
use super::names::{DEAD, OPEN, Place};
use super::shelf::PLACES_MAX;
use super::{SqsMail, asked, place_of};
use crate::objects::At;

/// Letters that a listing reads at the same time.
const READS_AT_ONCE: usize = 16;
/// How often a change is tried again that somebody else's came before.
const TRIES_MAX: usize = 8;

#[async_trait]
impl MailDesk for SqsMail {
    /// Lists the places of the tenant, which tell the order, and reads the letters of the page. A message that is changed
    /// meanwhile is shown as it was or as it is.
    async fn list(
        &self,
        tenant: &TenantId,
        filter: &Filter,
        after: Option<u64>,
        limit: u32,
    ) -> Result<(Vec<Letter>, Option<u64>)> {
        let at = asked("messages.list");
        if !(1..=PAGE_MAX_MESSAGES).contains(&limit) {
            return Err(Error::invalid(
                at.operation,
                format!("limit {limit} is not between 1 and {PAGE_MAX_MESSAGES}"),
            ));
        }
        let shelf = self.shelf(tenant)?;
        // Both, whatever the state: a message is dead, or waits again, before its place says so.
        let mut places = shelf.places(at, OPEN, PLACES_MAX).await?;
        places.extend(shelf.places(at, DEAD, PLACES_MAX).await?);
        let is_wanted = |agent: &AgentName| {
            let wanted = filter.agent.as_ref();
            wanted.is_none_or(|wanted| wanted == agent)
        };
        places.retain(|place| {
            is_wanted(&place.pair.agent) && after.is_none_or(|after| place.seq > after)
        });
        places.sort_by(|a, b| (a.seq, &a.id).cmp(&(b.seq, &b.id)));
        places.dedup();
        let now = self.now();
        let read = |place: Place| {
            let shelf = &shelf;
            async move {
                let kept = shelf.read(at, &place.id, &place.pair.sender).await?;
                let shown = kept.and_then(|mut kept| {
                    kept.value.expire(now);
                    kept.value.shown(now)
                });
                Ok::<_, Error>((place.seq, shown))
            }
        };
        let mut letters = Vec::new();
        let mut last = None;
        let mut found = stream::iter(places).map(read).buffered(READS_AT_ONCE);
        while let Some((seq, shown)) = found.try_next().await? {
            let state = filter.state;
            let Some(letter) = shown.filter(|shown| state.is_none_or(|state| shown.state == state))
            else {
                continue;
            };
            if letters.len() >= limit as usize {
                return Ok((letters, last));
            }
            letters.push(letter);
            last = Some(seq);
        }
        Ok((letters, None))
    }

    async fn find(&self, tenant: &TenantId, id: &str) -> Result<Option<Letter>> {
        let at = asked("messages.find");
        let found = self.shelf(tenant)?.find(at, id).await?;
        let now = self.now();
        Ok(found.and_then(|mut kept| {
            kept.value.expire(now);
            kept.value.shown(now)
        }))
    }

    async fn requeue(&self, tenant: &TenantId, write: WriteId, id: &str) -> Result<bool> {
        let at = asked("messages.requeue");
        self.wish(at, tenant, write, id, Wish::Requeue).await
    }

    async fn discard(&self, tenant: &TenantId, write: WriteId, id: &str) -> Result<bool> {
        let at = asked("messages.discard");
        let done = self.wish(at, tenant, write, id, Wish::Discard).await?;
        // What stood behind it may go.
        self.bell.ring(tenant);
        Ok(done)
    }
}

impl SqsMail {
    /// Does what the operator wants with the message of that id; false when there is none.
    async fn wish(
        &self,
        at: At,
        tenant: &TenantId,
        write: WriteId,
        id: &str,
        wish: Wish,
    ) -> Result<bool> {
        let shelf = self.shelf(tenant)?;
        for _ in 0..TRIES_MAX {
            let Some(kept) = shelf.find(at, id).await? else {
                return Ok(false);
            };
            let now = self.now();
            let mut letter = kept.value.clone();
            letter.expire(now);
            if letter.phase == Phase::Dead && letter.is_gone(now) {
                return Ok(false);
            }
            let done = letter.wish(wish, write, now);
            if letter != kept.value && shelf.change(at, &kept, letter.clone()).await?.is_none() {
                continue;
            }
            let place = place_of(&letter);
            match letter.phase {
                Phase::Waiting if wish == Wish::Requeue => {
                    // Repeated also when it was there already: a process may have been stopped right here.
                    self.announce(at, tenant, &letter, &write.to_name()).await?;
                    shelf.erase(at, &place.dead()).await?;
                    self.bell.ring(tenant);
                }
                Phase::Delivered | Phase::Discarded => {
                    shelf.erase(at, &place.open()).await?;
                    shelf.erase(at, &place.dead()).await?;
                }
                _ => {}
            }
            return Ok(done);
        }
        Err(Error::unavailable(
            at.operation,
            "the message is being changed by somebody else; try again",
        ))
    }
}
