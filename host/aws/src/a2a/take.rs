//! The runner's side of mailboxes.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use stuga_core::a2a::delivery::{CLAIM_MAX, Delivery, MailQueue, Outcome, Pending, Settled, Taken};
use stuga_core::lease::{Held, Lease, LeaseToken};
use stuga_core::retry::{Next, next_roll};
use stuga_core::{AgentName, Error, Result, TenantId, Timestamp, first_version};

use super::held::{Hidden, Holding};
use super::letter::{Letter, Phase};
use super::names::{OPEN, Place, agent_places};
use super::queue::{Queue, Received, Token};
use super::shelf::{Kept, Shelf};
use super::{SqsMail, asked, marks, place_of};
use crate::objects::At;

/// Most tokens beyond the leases that one look receives: of letters that are not due, and of none.
const SKIPS_MAX: usize = 64;
/// Most letters of a pair that one look goes past: ended ones whose places are still there.
const HEADS_MAX: usize = 16;
/// Places of an agent that a look compares with what this process holds.
const PLACES_SEEN: usize = 1_000;
/// How long a token for an agent that is not there is hidden.
const ABSENT_FOR: Duration = Duration::from_secs(60);
/// When to look again for letters that other hosts hold.
const LOOK_AGAIN: Duration = Duration::from_secs(20);
/// Age of a letter that waits without a token, after which it gets another one.
const TOKEN_LOST_AFTER: Duration = Duration::from_secs(600);
/// Most letters that one look gives another token.
const REPAIRS_MAX: usize = 8;

/// One look into the mailboxes of a tenant.
struct Look<'m> {
    mail: &'m SqsMail,
    at: At,
    tenant: &'m TenantId,
    agents: &'m [AgentName],
    shelf: Shelf,
    queue: Arc<Queue>,
    roll: u64,
}

#[async_trait]
impl MailQueue for SqsMail {
    async fn pending(&self) -> Result<Vec<Pending>> {
        marks::list(&self.shared, asked("a2a.pending")).await
    }

    async fn changed(&self) -> TenantId {
        self.bell.changed().await
    }

    async fn take(
        &self,
        tenant: &TenantId,
        agents: &[AgentName],
        leases: &[Lease],
        roll: u64,
    ) -> Result<Delivery> {
        let at = asked("a2a.take");
        if leases.len() > CLAIM_MAX {
            return Err(Error::invalid(
                at.operation,
                "too many messages are taken at once",
            ));
        }
        if agents.is_empty() || leases.is_empty() {
            return Ok(Delivery::default());
        }
        let look = Look {
            mail: self,
            at,
            tenant,
            agents,
            shelf: self.shelf(tenant)?,
            queue: self.queue(at, tenant).await?,
            roll,
        };
        look.take(leases).await
    }

    async fn prolong(&self, tenant: &TenantId, lease: &Lease) -> Result<Held> {
        let at = asked("a2a.prolong");
        let Some(mut holding) = self.held.of(tenant, &lease.token) else {
            return Ok(Held::No);
        };
        let mut letter = holding.kept.value.clone();
        letter.prolong(lease.time, self.now());
        let shelf = self.shelf(tenant)?;
        let Some(kept) = shelf.change(at, &holding.kept, letter).await? else {
            self.held.release(&lease.token);
            return Ok(Held::No);
        };
        holding.kept = kept;
        // The letter says who holds it: a token that is shown too early is hidden again by whoever receives it.
        let queue = self.queue(at, tenant).await?;
        queue.hide(at, &holding.received, lease.time).await?;
        self.held.hold(lease.token, holding);
        Ok(Held::Yes)
    }

    async fn settle(
        &self,
        tenant: &TenantId,
        token: &LeaseToken,
        outcome: Outcome,
    ) -> Result<Settled> {
        let at = asked("a2a.settle");
        let Some(holding) = self.held.of(tenant, token) else {
            return Ok(Settled::Lost);
        };
        let mut letter = holding.kept.value.clone();
        if !letter.is_held_by(token) {
            return Ok(Settled::Lost);
        }
        let now = self.now();
        let settled = match outcome {
            Outcome::Delivered => {
                letter.deliver(now);
                Settled::Delivered
            }
            Outcome::Failed { failure, roll } => Settled::Failed(letter.fail(failure, roll, now)),
            Outcome::Released => {
                letter.give_back(now);
                Settled::Released
            }
        };
        let shelf = self.shelf(tenant)?;
        let kept = shelf.change(at, &holding.kept, letter).await?;
        self.held.release(token);
        let Some(kept) = kept else {
            return Ok(Settled::Lost);
        };
        // It is settled. What follows is derived from that and done by the next look when it fails here.
        if let Err(error) = self
            .tidy(at, tenant, &shelf, &kept.value, holding.received)
            .await
        {
            tracing::warn!(%tenant, %error, causes = error.causes(), "a mailbox is tidied later");
        }
        // The next message of that pair may be taken now.
        self.bell.ring(tenant);
        Ok(settled)
    }
}

impl SqsMail {
    /// Brings places and token in line with a letter that was settled.
    async fn tidy(
        &self,
        at: At,
        tenant: &TenantId,
        shelf: &Shelf,
        letter: &Letter,
        received: Received,
    ) -> Result<()> {
        let queue = self.queue(at, tenant).await?;
        if letter.phase == Phase::Waiting {
            return self
                .hide_until(at, tenant, &queue, received, letter.due_at)
                .await;
        }
        put_away(at, shelf, letter).await?;
        // A token that was sent for another letter may be the only one that this has.
        let is_own = received.token.id == letter.id;
        if is_own || !is_open(at, shelf, &received.token, self.now()).await? {
            return queue.remove(at, &received).await.map(drop);
        }
        queue.hide(at, &received, Duration::ZERO).await.map(drop)
    }

    /// Hides a token until a moment; shows it if that has come.
    async fn hide_until(
        &self,
        at: At,
        tenant: &TenantId,
        queue: &Queue,
        received: Received,
        until: Timestamp,
    ) -> Result<()> {
        let wait = until.since(self.now());
        if queue.hide(at, &received, wait).await? && wait > Duration::ZERO {
            let hidden = Hidden {
                received,
                until,
                is_unwanted: false,
            };
            self.held.hide(tenant, hidden);
        }
        Ok(())
    }
}

/// Removes the place of a letter that has ended, and notes that of one that is dead.
async fn put_away(at: At, shelf: &Shelf, letter: &Letter) -> Result<()> {
    let place = place_of(letter);
    if letter.phase == Phase::Dead {
        shelf.note(at, &place.dead()).await?;
    }
    shelf.erase(at, &place.open()).await
}

/// Whether the letter that a token was sent for waits or is held.
async fn is_open(at: At, shelf: &Shelf, token: &Token, now: Timestamp) -> Result<bool> {
    let Some(kept) = shelf.read(at, &token.id, &token.sender).await? else {
        return Ok(false);
    };
    let mut letter = kept.value;
    letter.expire(now);
    Ok(matches!(letter.phase, Phase::Waiting | Phase::Running))
}

/// What became of a token.
enum Step {
    Took(Box<Taken>),
    Skipped,
}

impl Look<'_> {
    async fn take(mut self, leases: &[Lease]) -> Result<Delivery> {
        let now = self.mail.now();
        for due in self.mail.held.take_due(self.tenant, self.agents, now) {
            self.queue.hide(self.at, &due, Duration::ZERO).await?;
        }
        let mut messages = Vec::new();
        let mut skips = 0;
        for lease in leases {
            loop {
                let Some(received) = self.queue.receive(self.at, lease.time).await? else {
                    let next_at = self.next_at(messages.is_empty()).await?;
                    return Ok(Delivery { messages, next_at });
                };
                match self.use_token(received, lease).await? {
                    Step::Took(taken) => {
                        messages.push(*taken);
                        break;
                    }
                    Step::Skipped if skips < SKIPS_MAX => skips += 1,
                    Step::Skipped => {
                        let next_at = Some(self.mail.now());
                        return Ok(Delivery { messages, next_at });
                    }
                }
            }
        }
        // There may be more than there were leases.
        Ok(Delivery {
            messages,
            next_at: Some(now),
        })
    }

    /// Takes the first letter of the token's pair, or does with the token what that letter asks for.
    async fn use_token(&mut self, received: Received, lease: &Lease) -> Result<Step> {
        let pair = received.token.pair();
        if !self.agents.contains(&pair.agent) {
            self.queue.hide(self.at, &received, ABSENT_FOR).await?;
            let hidden = Hidden {
                received,
                until: self.mail.now().saturating_add(ABSENT_FOR),
                is_unwanted: true,
            };
            self.mail.held.hide(self.tenant, hidden);
            return Ok(Step::Skipped);
        }
        for _ in 0..HEADS_MAX {
            let Some(place) = self.shelf.head(self.at, &pair).await? else {
                self.queue.remove(self.at, &received).await?;
                return Ok(Step::Skipped);
            };
            let Some(kept) = self.shelf.read(self.at, &place.id, &pair.sender).await? else {
                // Nothing stands there; whoever removed the letter was stopped before it removed the place.
                self.shelf.erase(self.at, &place.open()).await?;
                continue;
            };
            let now = self.mail.now();
            let mut letter = kept.value.clone();
            letter.expire(now);
            if letter.phase == Phase::Running {
                if letter.lease_until > now {
                    return self.skip_until(received, letter.lease_until).await;
                }
                self.roll = next_roll(self.roll);
                if let Some(Next::Retry(_)) = letter.lose(self.roll, now) {
                    let due_at = letter.due_at;
                    if self.shelf.change(self.at, &kept, letter).await?.is_none() {
                        continue;
                    }
                    return self.skip_until(received, due_at).await;
                }
            }
            match letter.phase {
                Phase::Waiting if letter.due_at > now => {
                    return self.skip_until(received, letter.due_at).await;
                }
                Phase::Waiting => {
                    if let Some(taken) = self.take_letter(&kept, letter, &received, lease).await? {
                        return Ok(Step::Took(Box::new(taken)));
                    }
                }
                _ => {
                    let is_new = letter.phase != kept.value.phase;
                    let changed = is_new.then(|| letter.clone());
                    if let Some(changed) = changed
                        && self.shelf.change(self.at, &kept, changed).await?.is_none()
                    {
                        continue;
                    }
                    put_away(self.at, &self.shelf, &letter).await?;
                }
            }
        }
        let soon = self.mail.now().saturating_add(Duration::from_secs(1));
        self.skip_until(received, soon).await
    }

    async fn skip_until(&self, received: Received, until: Timestamp) -> Result<Step> {
        let (mail, queue) = (self.mail, &*self.queue);
        mail.hide_until(self.at, self.tenant, queue, received, until)
            .await?;
        Ok(Step::Skipped)
    }

    /// Takes a letter that is due; none when somebody else changed it meanwhile.
    async fn take_letter(
        &self,
        before: &Kept,
        mut letter: Letter,
        received: &Received,
        lease: &Lease,
    ) -> Result<Option<Taken>> {
        let now = self.mail.now();
        let again = letter.take(lease, now);
        let Some(kept) = self.shelf.change(self.at, before, letter).await? else {
            return Ok(None);
        };
        let letter = kept.value.clone();
        let holding = Holding {
            tenant: self.tenant.clone(),
            kept,
            received: received.clone(),
        };
        self.mail.held.hold(lease.token, holding);
        let message = letter.message.ok_or_else(|| {
            Error::internal(self.at.operation, "a message that waits has no content")
        })?;
        Ok(Some(Taken {
            token: lease.token,
            sender: letter.sender,
            agent: letter.agent,
            id: letter.id,
            message,
            depth: letter.depth,
            attempt: letter.attempt,
            began_at: letter.began_at.unwrap_or(now),
            again,
        }))
    }

    /// When there may be something next; nothing more was to be received.
    async fn next_at(&self, is_empty: bool) -> Result<Option<Timestamp>> {
        let (soonest, known) = self.mail.held.outlook(self.tenant, self.agents);
        if soonest.is_none() && is_empty && self.has_nothing().await? {
            return Ok(None);
        }
        let known: BTreeSet<_> = known.into_iter().collect();
        let mut unknown: Vec<Place> = Vec::new();
        for agent in self.agents {
            let prefix = agent_places(agent);
            let mut places = self.shelf.places(self.at, &prefix, PLACES_SEEN).await?;
            // Sorted by pair and order: of each pair the first.
            places.dedup_by(|next, first| next.pair == first.pair);
            unknown.extend(
                places
                    .into_iter()
                    .filter(|place| !known.contains(&place.pair)),
            );
        }
        if unknown.is_empty() {
            return Ok(soonest);
        }
        self.repair(unknown).await?;
        let again = self.mail.now().saturating_add(LOOK_AGAIN);
        Ok(soonest.into_iter().chain([again]).min())
    }

    /// Whether no letter of the tenant waits or is held. Takes the tenant's mark away then.
    async fn has_nothing(&self) -> Result<bool> {
        let (shared, at) = (&self.mail.shared, self.at);
        let Some(state) = marks::read(shared, at, self.tenant).await? else {
            return Ok(true);
        };
        let has_nothing = self.shelf.places(at, OPEN, 1).await?.is_empty();
        if has_nothing {
            marks::remove(shared, at, self.tenant, &state).await?;
        }
        Ok(has_nothing)
    }

    /// Gives letters another token that have waited for long and have none here: theirs may be lost.
    async fn repair(&self, places: Vec<Place>) -> Result<()> {
        let now = self.mail.now();
        let long_ago = first_version(now.saturating_sub(TOKEN_LOST_AFTER));
        let old = places.into_iter().filter(|place| place.seq < long_ago);
        for place in old.take(REPAIRS_MAX) {
            let token = Token {
                agent: place.pair.agent,
                sender: place.pair.sender,
                id: place.id,
            };
            // All hosts that find the same in the same while send one.
            let span = TOKEN_LOST_AFTER.as_millis();
            let nonce = u128::from(now.as_millis()) / span;
            self.queue.send(self.at, &token, &nonce.to_string()).await?;
        }
        Ok(())
    }
}
