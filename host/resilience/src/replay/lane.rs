//! One key's entries: in order, up to the first that does not go.

use std::pin::pin;
use std::time::Duration;

use async_trait::async_trait;
use stuga_core::journal::{Entry, EntryInfo, Settled};
use stuga_core::standby::{Adopted, Made};
use stuga_core::{BreakerState, CallCtx, Error, ErrorKind, RequestId, Result, TenantId, Write};
use tokio::time::{Instant, sleep_until};

use super::drain::Key;
use super::{Replay, Takes, Tuning};
use crate::route::{Tried, Way};
use crate::sides::Exchange;

/// How long a replay waits for its turn of a key. Without one it goes on all the same.
const TURN_WAIT: Duration = Duration::from_secs(1);
/// How long other writers of a key wait for its replay at a time.
const TURN_SHORT: Duration = Duration::from_millis(200);
/// So many entries go in one turn, even when that takes longer: more than there are mostly writers of one key, each of
/// which notes one more entry before the replay has its next turn.
const TURN_ENTRIES: usize = 8;
/// How long other writers of a key wait at a time at most.
const TURN_LONGEST: Duration = Duration::from_secs(1);
/// Entries of a journal that are looked through for those of one key.
const LATER: u32 = 64;

/// How a key's entries went.
pub(super) enum Lane {
    /// None of them waits any longer.
    Empty,
    /// One did not go, and those behind it wait.
    Held {
        /// Whether any went.
        progress: bool,
        /// For how long the cloud asks to be left alone.
        asked: Duration,
    },
    /// The cloud is away.
    Away,
}

/// How one entry went.
enum Went {
    /// It waits no longer.
    On,
    /// It waits no longer, as it was refused too often.
    GivenUp,
    /// It waits for another try, not before the cloud wants to be asked again.
    Not(Duration),
    Away,
}

impl Replay {
    /// Replays entries of one key, and those noted meanwhile when nothing else comes behind them (`is_last`).
    ///
    /// Other writers of the key wait while it has the key's turn, at most [`TURN_LONGEST`], and then have theirs: so a key
    /// that is written all the time becomes empty, and a cloud that does not answer holds nobody up for long. Without the
    /// turn nothing is out of order: as long as an entry of the key waits, whatever is written to the key waits behind it.
    pub(super) async fn lane(
        &self,
        tenant: &TenantId,
        key: &Key,
        entries: Vec<Entry>,
        is_last: bool,
    ) -> Result<Lane> {
        const OPERATION: &str = "journal.replay";
        let journal = self.route.journal();
        let (mut progress, mut given_up) = (false, false);
        let mut entries = entries.into_iter().peekable();
        while entries.peek().is_some() {
            let tuning = self.tuning.load_full();
            let _place = tuning.pace.place().await;
            let of = (tenant, &key.0, key.1.as_str());
            let wait = Instant::now() + TURN_WAIT;
            let mut turn = self.route.turn(OPERATION, of, wait).await.ok();
            let began = Instant::now();
            let mut gone = 0;
            while let Some(entry) = entries.next() {
                let mut going = pin!(self.entry(tenant, &entry, &tuning, given_up));
                let went = tokio::select! {
                    biased;
                    went = &mut going => went?,
                    () = sleep_until(began + TURN_LONGEST), if turn.is_some() => {
                        turn = None;
                        going.await?
                    }
                };
                match went {
                    Went::On => {}
                    Went::GivenUp => given_up = true,
                    Went::Not(asked) => return Ok(Lane::Held { progress, asked }),
                    Went::Away => return Ok(Lane::Away),
                }
                (progress, gone) = (true, gone + 1);
                let others = began.elapsed() >= TURN_SHORT && gone >= TURN_ENTRIES;
                if turn.is_none() || others {
                    break;
                }
                let (agent, name) = (&key.0, key.1.as_str());
                let capability = self.capability();
                if entries.peek().is_none()
                    && is_last
                    && journal.waits(tenant, capability, agent, name).await?
                {
                    let after = entry.info.seq;
                    let later = journal.next(tenant, capability, after, LATER).await?;
                    let later = later.into_iter().filter(|entry| is_of(key, &entry.info));
                    entries = later.collect::<Vec<_>>().into_iter().peekable();
                }
            }
        }
        Ok(Lane::Empty)
    }

    /// Takes one entry to the cloud. `hopeless` says that an earlier one of its key was refused too often: then one refusal
    /// is enough.
    async fn entry(
        &self,
        tenant: &TenantId,
        entry: &Entry,
        tuning: &Tuning,
        hopeless: bool,
    ) -> Result<Went> {
        const OPERATION: &str = "journal.replay";
        tuning.pace.turn().await;
        let settings = &tuning.settings;
        let deadline = Instant::now() + settings.entry;
        let Way::Cloud(attempt) = self.route.ask(deadline) else {
            return Ok(Went::Away);
        };
        let ctx = context(tenant, entry, deadline);
        let attempt = attempt.unhurried(deadline);
        let taken = match attempt.make(OPERATION, self.takes.take(&ctx, entry)).await {
            Tried::Answered(taken) => taken,
            Tried::Away(_) if self.route.breaker().state() != BreakerState::Closed => {
                return Ok(Went::Away);
            }
            // What the cloud cannot serve holds up its own key; a cloud that serves nothing has a breaker.
            Tried::Away(_) => return Ok(Went::Not(Duration::ZERO)),
        };
        let counts = &self.route.counts;
        let (seq, operation) = (entry.info.seq, &entry.info.operation);
        let (settled, went) = match taken {
            Ok(Adopted::Stands) => {
                counts.replayed.add();
                (Settled::Adopted, Went::On)
            }
            Ok(Adopted::Superseded) => {
                counts.superseded.add();
                tracing::info!(%tenant, seq, operation, "a later write stands in the cloud");
                (Settled::Superseded, Went::On)
            }
            // The cloud has too much to do: that says nothing of the entry.
            Err(error) if error.kind() == ErrorKind::RateLimited => {
                return Ok(Went::Not(error.retry_after().unwrap_or_default()));
            }
            Err(error) => {
                let reason = error.to_string();
                let often = entry.info.refusals.saturating_add(1) >= settings.refusals_max;
                if is_final(error.kind()) || often || hopeless {
                    counts.parked.add();
                    tracing::error!(%tenant, seq, operation, %error, "the cloud refuses a write for good; it is parked");
                    // Parked it holds nothing up: later writes of its key go on.
                    let went = if is_final(error.kind()) {
                        Went::On
                    } else {
                        Went::GivenUp
                    };
                    (Settled::Parked(reason), went)
                } else {
                    counts.refused.add();
                    tracing::warn!(%tenant, seq, operation, %error, "the cloud refuses a write");
                    (Settled::Refused(reason), Went::Not(Duration::ZERO))
                }
            }
        };
        self.route.journal().settle(tenant, seq, settled).await?;
        Ok(went)
    }
}

fn is_of(key: &Key, info: &EntryInfo) -> bool {
    info.agent == key.0 && info.key == key.1
}

/// Whether a refusal of that kind stays one however often it is tried.
fn is_final(kind: ErrorKind) -> bool {
    use ErrorKind::{Conflict, Invalid, NotFound};
    matches!(kind, Conflict | Invalid | NotFound)
}

/// The context in which an entry's write is made again: the one in which it was made.
fn context(tenant: &TenantId, entry: &Entry, deadline: Instant) -> CallCtx {
    let info = &entry.info;
    CallCtx::new(
        tenant.clone(),
        info.agent.clone(),
        info.id.invocation,
        RequestId::from_uuid(*info.id.invocation.as_uuid()),
        info.at,
        deadline,
    )
}

#[async_trait]
impl<W: Write> Takes for Exchange<W> {
    async fn take(&self, ctx: &CallCtx, entry: &Entry) -> Result<Adopted> {
        const OPERATION: &str = "journal.replay";
        let unreadable = |e: serde_json::Error| {
            Error::invalid(OPERATION, "the entry cannot be read by this version").with_source(e)
        };
        let write: W = serde_json::from_slice(&entry.write).map_err(unreadable)?;
        let ack: W::Ack = serde_json::from_slice(&entry.ack).map_err(unreadable)?;
        let made = Made {
            ack,
            stamp: entry.stamp,
            at: entry.info.at,
        };
        if let Some(carrier) = self.carrier.as_ref().filter(|c| c.is_light(&write)) {
            match carrier.carry(ctx, &write, Some(&made.ack)).await {
                // The cloud may have it, or a later write and no need of it.
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                carried => carried?,
            }
        }
        let adopted = self.cloud.adopt(ctx, entry.info.id, &write, &made).await;
        match (adopted, &self.carrier) {
            (Err(error), Some(carrier)) if error.kind() == ErrorKind::NotFound => {
                carrier.carry(ctx, &write, Some(&made.ack)).await?;
                self.cloud.adopt(ctx, entry.info.id, &write, &made).await
            }
            (adopted, _) => adopted,
        }
    }
}
