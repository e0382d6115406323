//! What keeps streams short and young: events that nobody needs are removed, and what would grow too old is written anew.
//!
//! Nothing here changes what callers see. It may run on several hosts at a time, and be cut off anywhere.

use std::time::Duration;

use futures::FutureExt;
use stuga_core::{CallCtx, CapabilityName, Result, Timestamp};

use super::card::{Begun, End, For, REMEMBERED};
use super::entry::{Entry, Kind};
use super::fold::Fold;
use super::ledger::{Ledger, Rules, Store};
use super::reach::{Depth, each};
use super::shelf::Shelf;
use super::stream::{self, Stream};
use crate::call::call;
use crate::scope::guard;

/// What tending an agent's streams did.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Tended {
    /// Streams that were looked at.
    pub seen: u64,
    /// Events that were removed: written over, deleted or expired for more than 25 hours; that something was deleted, for more
    /// than eight days.
    pub removed: u64,
    /// Items and records that were written anew, because they were older than half of what AgentCore keeps events for.
    pub renewed: u64,
}

const OPERATION: &str = "memory.tend";
const DAY: Duration = Duration::from_secs(24 * 3_600);
/// How long it is known of what was deleted that it was: what another side wrote before, and brings here as much later, does
/// not bring it back.
const GONE_KNOWN: Duration = DAY.saturating_mul(8);

/// What is old, and by when.
struct Ages<'r> {
    now: Timestamp,
    /// From when on an end is written anew; none of what is not.
    renew_after: Option<Duration>,
    /// Whose streams they are.
    rules: &'r dyn Rules,
}

/// Tends everything that the call's agent has.
pub(crate) async fn tend(store: &Store, ctx: &CallCtx) -> Result<Tended> {
    let ledger = store.ledger(ctx, OPERATION).await?;
    let request = ledger.clients.agentcore_control().get_memory();
    let request = request.memory_id(&ledger.memory);
    let memory = call(ctx, OPERATION, request.send()).await?;
    let days = memory
        .memory()
        .map_or(0, |memory| memory.event_expiry_duration());
    let kept = DAY.saturating_mul(u32::try_from(days).unwrap_or(0));
    let mut done = Tended::default();
    for capability in [CapabilityName::Memory, CapabilityName::Records] {
        let shelf = Shelf::of(ctx, &ledger.memory, capability.as_str());
        let ages = Ages {
            now: store.now(),
            renew_after: (!kept.is_zero()).then_some(kept / 2),
            rules: &shelf,
        };
        let actor = Stream::actor_of(ctx, capability.as_str());
        tend_actor(&ledger, &actor, &ages, &mut done).await?;
    }
    let ages = Ages {
        now: store.now(),
        renew_after: None,
        rules: &Nothing,
    };
    let own = Stream::actors_of(ctx);
    let mut next = None;
    loop {
        let client = ledger.clients.agentcore();
        let (actors, more) = stream::actors(client, ctx, OPERATION, &ledger.memory, next).await?;
        let sessions = |actor: &&String| own.iter().any(|own| actor.starts_with(own));
        for actor in actors.iter().filter(sessions) {
            guard(OPERATION, &Stream::agent_of(ctx), actor)?;
            tend_actor(&ledger, actor, &ages, &mut done).await?;
        }
        next = more;
        if next.is_none() {
            return Ok(done);
        }
    }
}

/// Sessions are not written anew, so nothing follows for indexes.
struct Nothing;

impl Rules for Nothing {
    fn changes(&self, _: &Stream, _: &Entry) -> Vec<super::card::Change> {
        Vec::new()
    }
}

async fn tend_actor(
    ledger: &Ledger<'_>,
    actor: &str,
    ages: &Ages<'_>,
    done: &mut Tended,
) -> Result<()> {
    let mut next = None;
    loop {
        let (sessions, more) = ledger.sessions(actor, next).await?;
        let streams = sessions
            .into_iter()
            .map(|session| ledger.stream(actor, session));
        let tended = each(
            streams.map(|stream| async move { tend_stream(ledger, &stream, ages).await }.boxed()),
        );
        for (removed, renewed) in tended.await? {
            done.seen += 1;
            done.removed += removed;
            done.renewed += u64::from(renewed);
        }
        next = more;
        if next.is_none() {
            return Ok(());
        }
    }
}

async fn tend_stream(ledger: &Ledger<'_>, stream: &Stream, ages: &Ages<'_>) -> Result<(u64, bool)> {
    let fold = ledger.scan(stream, Depth::Beginning).await?;
    let mut removed = 0;
    for entry in needless(&fold, ages.now) {
        let client = ledger.clients.agentcore();
        stream::remove(client, ledger.ctx, OPERATION, stream, &entry.event).await?;
        removed += 1;
    }
    let old = |head: &&Entry| {
        let written = Timestamp::from_millis(head.shared_millis());
        let after = ages.renew_after;
        head.is_live(ages.now) && after.is_some_and(|after| ages.now.since(written) > after)
    };
    let renewed = match fold.head().filter(old) {
        Some(head) => ledger.renew(stream, ages.rules, head).await?,
        None => false,
    };
    Ok((removed, renewed))
}

impl Ledger<'_> {
    /// Says again what holds at the end of a stream, as a new event that stays as long as a new one does. False when somebody
    /// else wrote meanwhile, or writes.
    pub(crate) async fn renew(
        &self,
        stream: &Stream,
        rules: &dyn Rules,
        head: &Entry,
    ) -> Result<bool> {
        let Some(content) = self.content(stream, head.content_event()).await? else {
            return Ok(false);
        };
        // No write's id: those hold no space.
        let name = format!("renewal of {}", head.version);
        let begun = self.cards().begin(
            self.ctx,
            self.operation,
            stream,
            &name,
            &head.digest,
            For::Making,
        );
        let Begun::Go(lease) = begun.await? else {
            return Ok(false);
        };
        let depth = Depth::Since(self.remembered_since(&lease));
        let fold = match self.scan(stream, depth).await {
            Ok(fold) if fold.head() == Some(head) => fold,
            read => {
                self.release(stream, &lease, true).await;
                return read.map(|_| false);
            }
        };
        let applied: Vec<Entry> = fold.counting().cloned().collect();
        let entry = Entry {
            version: lease.version.max(head.version.saturating_add(1)),
            base: head.version,
            confirms: String::new(),
            event: String::new(),
            ..head.clone()
        };
        let token = self.token(&name, 0, "");
        let landed = self.append(stream, &lease, &entry, &content, token).await?;
        let end = End {
            lease: Some(&lease),
            written: None,
            adopted: 0,
            head: Some(landed.clone()),
            applied: &applied,
            changes: &rules.changes(stream, &landed),
        };
        self.cards()
            .settle(self.ctx, self.operation, stream, end)
            .await
    }
}

/// The events of a stream that neither callers nor repeated writes need any more.
fn needless(fold: &Fold, now: Timestamp) -> Vec<&Entry> {
    let long_ago = |at: Timestamp| now.since(at) > REMEMBERED;
    let Some(head) = fold.head() else {
        return Vec::new();
    };
    let gone_at = match head.expires_at {
        _ if !head.is_live(Timestamp::default()) => {
            Some(Timestamp::from_millis(head.shared_millis()))
        }
        expires_at => expires_at,
    };
    let gone = gone_at.is_some_and(|at| at <= now && long_ago(at));
    let live = head.is_live(now);
    let deleted_at = Timestamp::from_millis(head.shared_millis());
    let is_known = head.kind == Kind::Delete && now.since(deleted_at) <= GONE_KNOWN;
    let is_needed = |entry: &Entry| {
        let is_end = entry.version == head.version;
        if gone {
            return is_end && is_known;
        }
        let holds_content = entry.event == head.content_event() || entry.event == head.origin;
        let of_session = live && head.incarnation > 0 && entry.incarnation == head.incarnation;
        is_end || holds_content || of_session
    };
    let written = |entry: &&Entry| long_ago(Timestamp::from_millis(entry.shared_millis()));
    let all = fold.all().iter().filter(written);
    all.filter(|entry| !is_needed(entry)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::entry::tests::entry;
    use super::*;

    const HOUR: u64 = 3_600_000;

    fn at(hours: u64, base: u64) -> Entry {
        entry((hours * HOUR) << 10, base, "w")
    }

    fn removed(entries: Vec<Entry>, hours: u64) -> Vec<u64> {
        let fold = Fold::of(entries);
        let needless = needless(&fold, Timestamp::from_millis(hours * HOUR));
        needless
            .iter()
            .map(|entry| (entry.version >> 10) / HOUR)
            .collect()
    }

    #[test]
    fn what_was_written_over_goes_after_a_day_and_what_stands_stays() {
        let stream = vec![at(1, 0), at(2, 1), at(20, 2)];
        assert!(removed(stream.clone(), 26).is_empty());
        assert_eq!(removed(stream.clone(), 28), [1, 2]);
        assert_eq!(removed(stream, 9_000), [1, 2]);
    }

    #[test]
    fn what_is_gone_goes_as_a_whole_after_a_day() {
        let mut deleted = at(20, 1);
        deleted.kind = Kind::Delete;
        let stream = vec![at(1, 0), deleted];
        assert_eq!(removed(stream.clone(), 28), [1]);
        // That it was deleted is known for a week longer.
        assert_eq!(removed(stream.clone(), 200), [1]);
        assert_eq!(removed(stream, 213), [1, 20]);
        let mut expires = at(1, 0);
        expires.expires_at = Some(Timestamp::from_millis(50 * HOUR));
        assert!(removed(vec![expires.clone()], 74).is_empty());
        assert_eq!(removed(vec![expires], 76), [1]);
    }

    #[test]
    fn a_session_keeps_its_events_and_loses_those_of_its_name_before() {
        let of = |hours, incarnation| Entry {
            incarnation,
            origin: "x".to_owned(),
            ..at(hours, 0)
        };
        let stream = vec![of(1, 1), of(2, 1), of(3, 3), of(4, 3), of(5, 3)];
        assert_eq!(removed(stream, 100), [1, 2]);
    }

    #[test]
    fn what_a_confirming_event_points_at_stays() {
        let first = at(1, 0);
        let mut confirming = at(2, 1);
        confirming.confirms.clone_from(&first.event);
        assert!(removed(vec![first, confirming], 100).is_empty());
    }
}
