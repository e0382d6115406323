//! How a write comes to its stream, once.
//!
//! A write takes the lease of its stream's card, builds an entry on the end of the stream, appends it to AgentCore and settles
//! the card. It is acknowledged when both are done: AgentCore has the event, and Redis says that nobody came between. Who
//! loses the lease on the way begins again: the stream then says whether the event counts.

use std::time::Duration;

use sha2::{Digest as _, Sha256};
use stuga_core::standby::Adopted;
use stuga_core::{Error, Result, WriteId};
use tokio::time::{Instant, sleep_until};

use super::adopt::Adopting;
use super::card::{Begun, Change, End, For, Lease, REMEMBERED};
use super::draft::{Draft, Follow, Fresh, Judge, Seen, Verdict, Writing};
use super::entry::Entry;
use super::fold::Fold;
use super::ledger::{Ledger, Rules};
use super::reach::Depth;
use super::stream::{self, Content, Stream};
use crate::error::may_have_landed;

/// Shortest and longest wait for another writer of the same stream.
const WAIT_MIN: Duration = Duration::from_millis(2);
const WAIT_MAX: Duration = Duration::from_millis(100);
/// How often a write begins again that lost its lease, before it is given up as one that may have landed.
const ROUNDS_MAX: u32 = 4;

/// What is known from the rounds before of a write.
enum Before {
    /// It is the first one.
    Nothing,
    /// An event may have landed; this one has, if any.
    Lost(Option<Box<Entry>>),
}

/// How a round of a write ended.
enum Round {
    Done(Entry, Adopted),
    /// The lease was lost, or what landed first was another event of the same write.
    Lost(Option<Entry>),
}

impl Ledger<'_> {
    /// Makes a write, once for its id: `decide` says what it makes of the end of the stream, or why it cannot be made.
    /// `follow` says what the entry means for indexes, beside what `rules` say of every end.
    ///
    /// AgentCore: `CreateEvent`, and `ListEvents` when the card is lost or the write is strict.
    ///
    /// # Errors
    /// What `decide` says; `Conflict` when another write was made under the id; `Timeout` when it may have landed.
    pub(crate) async fn write(
        &self,
        writing: &Writing<'_>,
        rules: &dyn Rules,
        decide: &(dyn Fn(Option<&Entry>) -> Result<Draft> + Sync),
        follow: &Follow<'_>,
    ) -> Result<Entry> {
        let judge = |seen: &Seen<'_>| match seen.found {
            Some(found) => Ok(Verdict::Stands(found.clone())),
            None => decide(seen.head).map(Verdict::Make),
        };
        let (entry, _) = self.take_turns(writing, rules, &judge, follow).await?;
        Ok(entry)
    }

    /// Makes rounds until one of them ends with the write made, or found.
    pub(super) async fn take_turns(
        &self,
        writing: &Writing<'_>,
        rules: &dyn Rules,
        judge: &Judge<'_>,
        follow: &Follow<'_>,
    ) -> Result<(Entry, Adopted)> {
        let write = writing.id.to_name();
        let for_what = match writing.adopts {
            Some(_) => For::Adopting,
            None => For::Making,
        };
        let mut wait = WAIT_MIN;
        let mut before = Before::Nothing;
        let mut rounds = 0;
        // Once an event may have landed, so may the write, whatever fails then.
        let in_doubt = |before: &Before, error| match before {
            Before::Nothing => error,
            Before::Lost(_) => may_have_landed(self.operation, error),
        };
        while rounds < ROUNDS_MAX {
            let begun = self.cards().begin(
                self.ctx,
                self.operation,
                writing.stream,
                &write,
                writing.digest,
                for_what,
            );
            match begun.await.map_err(|error| in_doubt(&before, error))? {
                Begun::Again(entry) if entry.digest == writing.digest => {
                    return Ok((*entry, Adopted::Stands));
                }
                Begun::Again(_) | Begun::Other => return Err(self.another(writing.id)),
                Begun::Busy(left) => {
                    self.wait(left.min(wait)).await?;
                    wait = WAIT_MAX.min(wait * 2);
                }
                Begun::Go(lease) => {
                    rounds += 1;
                    let round = self.round(writing, rules, &lease, &before, judge, follow);
                    match round.await.map_err(|error| in_doubt(&before, error))? {
                        Round::Done(entry, adopted) => return Ok((entry, adopted)),
                        Round::Lost(landed) => before = Before::Lost(landed.map(Box::new)),
                    }
                }
            }
        }
        Err(self.unknown())
    }

    async fn round(
        &self,
        writing: &Writing<'_>,
        rules: &dyn Rules,
        lease: &Lease,
        before: &Before,
        judge: &Judge<'_>,
        follow: &Follow<'_>,
    ) -> Result<Round> {
        let write = writing.id.to_name();
        let mut fold = Fold::of(Vec::new());
        let may_have_landed = !matches!(before, Before::Nothing);
        let remembered_since = self.remembered_since(lease);
        let earliest = writing.adopts.as_ref().and_then(Adopting::earliest);
        // What is older than the cards remember is looked for in the stream.
        let is_old = earliest.is_some_and(|earliest| earliest < remembered_since);
        let deep = lease.head.is_none() || may_have_landed || is_old;
        let scans = deep || writing.strict;
        let head = match &lease.head {
            Some(head) if !scans => head.clone(),
            known => {
                let since = earliest.map_or(remembered_since, |at| at.min(remembered_since));
                let depth = match deep {
                    true => Depth::Since(since),
                    false => Depth::End,
                };
                match self.scan(writing.stream, depth).await {
                    Ok(read) => fold = read,
                    Err(error) => {
                        self.release(writing.stream, lease, true).await;
                        return Err(error);
                    }
                }
                // Neither is behind what the other one has seen.
                let known = known.clone().flatten();
                let read = fold.head().cloned();
                known
                    .into_iter()
                    .chain(read)
                    .max_by_key(|head| head.version)
            }
        };
        let applied: Vec<Entry> = fold.counting().cloned().collect();
        let found = self.find(writing, lease, before, &fold, &applied);
        if found.is_some_and(|found| found.digest != writing.digest) {
            self.release(writing.stream, lease, deep).await;
            return Err(self.another(writing.id));
        }
        let seen = Seen {
            head: head.as_ref(),
            found,
        };
        let verdict = match judge(&seen) {
            Ok(verdict) => verdict,
            Err(error) => {
                self.release(writing.stream, lease, deep).await;
                return Err(error);
            }
        };
        let leave = |draft: Draft| draft.into_entry(writing, &write, lease, head.as_ref()).0;
        let (entry, adopted, changes) = match verdict {
            Verdict::Make(draft) => {
                let (entry, content) = draft.into_entry(writing, &write, lease, head.as_ref());
                // One that takes the place of another needs a token of its own.
                let token = match found {
                    Some(_) => self.token(&write, 0, &format!("as {}", entry.version)),
                    None => self.token(&write, fold.voids(&write), ""),
                };
                let landed = self
                    .append(writing.stream, lease, &entry, &content, token)
                    .await?;
                if landed.version != entry.version {
                    return self.landed_before(writing, lease, before, landed).await;
                }
                let fresh = match found {
                    Some(_) => Fresh::Anew,
                    None => Fresh::Yes,
                };
                let mut changes = rules.changes(writing.stream, &landed);
                changes.extend(follow(&landed, fresh));
                if !self
                    .settle(writing, lease, Some(&landed), &landed, applied, &changes)
                    .await?
                {
                    return Ok(Round::Lost(None));
                }
                self.keep(writing.stream, &landed.event, &content).await;
                return Ok(Round::Done(landed, Adopted::Stands));
            }
            Verdict::Stands(found) => {
                // Where the card knows of it, the indexes do.
                let changes = match scans {
                    true => follow(&found, Fresh::No),
                    false => Vec::new(),
                };
                (found, Adopted::Stands, changes)
            }
            Verdict::Already(draft) => (leave(draft), Adopted::Stands, Vec::new()),
            Verdict::Superseded(draft) => (leave(draft), Adopted::Superseded, Vec::new()),
        };
        let settled = match &head {
            Some(head) if scans => {
                self.confirm(writing, lease, rules, head, &entry, applied, changes)
                    .await?
            }
            head => {
                self.settle(writing, lease, head.as_ref(), &entry, applied, &changes)
                    .await?
            }
        };
        Ok(match settled {
            true => Round::Done(entry, adopted),
            false => Round::Lost(None),
        })
    }

    /// The latest entry of a write that is in its stream and counts.
    fn find<'f>(
        &self,
        writing: &Writing<'_>,
        lease: &'f Lease,
        before: &'f Before,
        fold: &Fold,
        applied: &'f [Entry],
    ) -> Option<&'f Entry> {
        let write = writing.id.to_name();
        let read = applied.iter().find(|entry| entry.write == write);
        // What only says what was answered is no event of the stream.
        let known = lease.known.iter().filter(|known| !known.event.is_empty());
        let landed = match before {
            // The stream was read since; where the event is not among what was read, it stands too far back.
            Before::Lost(Some(first)) if writing.adopts.is_some() => Some(&**first),
            _ => None,
        };
        let landed = landed.filter(|first| fold.all().iter().all(|read| read != *first));
        read.into_iter()
            .chain(known)
            .chain(landed)
            .max_by_key(|entry| entry.version)
    }

    /// AgentCore knows the token of what was appended: an event of this write came first.
    async fn landed_before(
        &self,
        writing: &Writing<'_>,
        lease: &Lease,
        before: &Before,
        landed: Entry,
    ) -> Result<Round> {
        if landed.write != writing.id.to_name() || landed.digest != writing.digest {
            self.release(writing.stream, lease, false).await;
            return Err(self.another(writing.id));
        }
        self.release(writing.stream, lease, true).await;
        if matches!(before, Before::Lost(Some(first)) if **first == landed) {
            // The stream was read since, and it stands too far back to be found: nothing of it can be in doubt.
            return Ok(Round::Done(landed, Adopted::Stands));
        }
        Ok(Round::Lost(Some(landed)))
    }

    /// What ends the stream was read and nobody is known to have settled it. An event of a writer that is late may still land
    /// and displace it, or what was built on it. Another event on top, settled, keeps that from counting.
    #[expect(
        clippy::too_many_arguments,
        reason = "one step of a round, with all that the round knows"
    )]
    async fn confirm(
        &self,
        writing: &Writing<'_>,
        lease: &Lease,
        rules: &dyn Rules,
        head: &Entry,
        written: &Entry,
        applied: Vec<Entry>,
        follows: Vec<Change>,
    ) -> Result<bool> {
        let end = Entry {
            version: lease.version.max(head.version.saturating_add(1)),
            base: head.version,
            confirms: head.content_event().to_owned(),
            event: String::new(),
            ..head.clone()
        };
        let token = self.token(&head.write, 0, &end.version.to_string());
        let nothing = Content::default();
        let end = self
            .append(writing.stream, lease, &end, &nothing, token)
            .await?;
        let mut changes = rules.changes(writing.stream, &end);
        changes.extend(follows);
        self.settle(writing, lease, Some(&end), written, applied, &changes)
            .await
    }

    pub(super) async fn append(
        &self,
        stream: &Stream,
        lease: &Lease,
        entry: &Entry,
        content: &Content,
        token: String,
    ) -> Result<Entry> {
        let client = self.clients.agentcore();
        let append = stream::append(
            client,
            self.ctx,
            self.operation,
            stream,
            entry,
            content,
            token,
        );
        match append.await {
            Ok(landed) => Ok(landed),
            Err(error) => {
                // What was refused has not landed; of an outage nobody knows.
                self.release(stream, lease, error.kind().is_outage()).await;
                Err(error)
            }
        }
    }

    /// Settles a card after an event has landed. Whatever fails now, the write may have been made.
    async fn settle(
        &self,
        writing: &Writing<'_>,
        lease: &Lease,
        head: Option<&Entry>,
        written: &Entry,
        mut applied: Vec<Entry>,
        changes: &[Change],
    ) -> Result<bool> {
        applied.retain(|entry| entry.version != written.version);
        applied.push(written.clone());
        let end = End {
            lease: Some(lease),
            written: Some(written),
            adopted: writing.adopts.map_or(0, |adopting| adopting.stamp),
            head: head.cloned(),
            applied: &applied,
            changes,
        };
        let settled = self
            .cards()
            .settle(self.ctx, self.operation, writing.stream, end)
            .await;
        settled.map_err(|error| self.unknown().with_source(error))
    }

    /// Gives a lease back. With `dirty` the next writer reads the stream first: an event may still land, or what was read
    /// may still be displaced.
    pub(super) async fn release(&self, stream: &Stream, lease: &Lease, dirty: bool) {
        let released = self
            .cards()
            .release(self.ctx, self.operation, stream, lease, dirty);
        if let Err(error) = released.await {
            tracing::debug!(operation = self.operation, %error, "a lease is left to run out");
        }
    }

    pub(super) fn remembered_since(&self, lease: &Lease) -> u64 {
        let remembered = u64::try_from(REMEMBERED.as_millis()).unwrap_or(u64::MAX);
        (lease.version >> 10).saturating_sub(remembered)
    }

    /// What makes AgentCore take an event once. An event that does not count must not keep the write from being made.
    pub(super) fn token(&self, write: &str, voids: usize, confirms: &str) -> String {
        let parts = format!(
            "{}/{}/{write}/{voids}/{confirms}",
            self.ctx.tenant, self.ctx.agent
        );
        hex::encode(Sha256::digest(parts))
    }

    async fn wait(&self, time: Duration) -> Result<()> {
        let until = Instant::now() + time.max(WAIT_MIN);
        if until >= self.ctx.deadline {
            return Err(Error::timeout(
                self.operation,
                "others write the same key and the deadline has passed; nothing was written",
            ));
        }
        sleep_until(until).await;
        Ok(())
    }

    fn another(&self, id: WriteId) -> Error {
        Error::conflict(
            self.operation,
            format!("another write was applied under id {id}"),
        )
    }

    fn unknown(&self) -> Error {
        Error::timeout(
            self.operation,
            "the hosts lost sight of each other during the write; it may have been made",
        )
    }
}
