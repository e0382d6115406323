//! Things by key: what memory and records have in common. Each key is a stream; the index holds the keys in the order of their
//! bytes.

use futures::FutureExt;
use redis::AsyncCommands;
use stuga_core::{CallCtx, Result, Timestamp};

use super::card::{Change, What};
use super::entry::{Entry, Kind};
use super::ledger::{Ledger, Rules, Store};
use super::reach::each;
use super::redis::{is_cause, within};
use super::stream::{Content, Stream};

/// Keys that are looked at in one go.
const CHUNK: isize = 128;
/// Most keys that one page looks at: bounds a listing over many items that have expired.
const PAGE_MAX_SEEN: usize = 4_096;
/// The first character that a key can begin with.
const FIRST_CHAR: &str = " ";

/// The things by key of one agent and capability.
pub(crate) struct Shelf {
    memory: String,
    actor: String,
    /// The capability, and the name of its index.
    name: &'static str,
}

/// What of a shelf is listed: keys that begin with one of `prefixes`, which are in order and do not begin each other.
pub(crate) struct Reached<'r> {
    pub(crate) prefixes: &'r [String],
    /// The key before the first.
    pub(crate) after: Option<String>,
    pub(crate) limit: usize,
    /// Most bytes of contents.
    pub(crate) max_bytes: usize,
}

/// A page of a shelf.
pub(crate) struct Page {
    pub(crate) entries: Vec<(Stream, Entry)>,
    /// The key after which to read on.
    pub(crate) next: Option<String>,
}

impl Rules for Shelf {
    fn changes(&self, _: &Stream, head: &Entry) -> Vec<Change> {
        let key = head.key.clone().into_bytes();
        let what = match head.kind {
            Kind::Delete => What::Remove(key),
            _ => What::Add(0, key),
        };
        vec![Change {
            index: self.name.to_owned(),
            what,
        }]
    }
}

impl Shelf {
    /// The shelf of the call's agent for a capability.
    pub(crate) fn of(ctx: &CallCtx, memory: &str, capability: &'static str) -> Self {
        Self {
            memory: memory.to_owned(),
            actor: Stream::actor_of(ctx, capability),
            name: capability,
        }
    }

    /// Where a key's writes lie.
    pub(crate) fn stream(&self, key: &str) -> Stream {
        Stream::of_key(self.memory.clone(), self.actor.clone(), key)
    }

    /// What stands at a key, or none when it is absent at `now`.
    pub(crate) async fn find(
        &self,
        ledger: &Ledger<'_>,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<(Entry, Content)>> {
        let stream = self.stream(key);
        let heads = ledger.heads(std::slice::from_ref(&stream), self).await?;
        match heads.into_iter().flatten().next() {
            Some(head) if head.is_live(now) => self.content(ledger, &stream, head, now).await,
            _ => Ok(None),
        }
    }

    /// What the end of a stream holds, unless it is gone at `now`.
    pub(crate) async fn content(
        &self,
        ledger: &Ledger<'_>,
        stream: &Stream,
        head: Entry,
        now: Timestamp,
    ) -> Result<Option<(Entry, Content)>> {
        let found = ledger.content_of_head(stream, head, self).await?;
        Ok(found.filter(|(head, _)| head.is_live(now)))
    }

    /// One page of what is there at `now`, without contents.
    pub(crate) async fn page(
        &self,
        ledger: &Ledger<'_>,
        reached: Reached<'_>,
        now: Timestamp,
    ) -> Result<Page> {
        ledger.index(self.name, &self.actor, self).await?;
        let mut entries = Vec::new();
        let (mut bytes, mut seen) = (0_usize, 0_usize);
        let mut after = reached.after;
        for prefix in reached.prefixes {
            if after
                .as_ref()
                .is_some_and(|after| after > prefix && !after.starts_with(prefix.as_str()))
            {
                continue;
            }
            loop {
                let within_prefix = after
                    .as_deref()
                    .filter(|after| after.starts_with(prefix.as_str()));
                let keys = self.keys(ledger, prefix, within_prefix).await?;
                let whole = keys.len() < usize::try_from(CHUNK).unwrap_or(usize::MAX);
                let keys: Vec<String> = keys
                    .into_iter()
                    .take_while(|key| key.starts_with(prefix.as_str()))
                    .collect();
                let last = whole || keys.len() < usize::try_from(CHUNK).unwrap_or(usize::MAX);
                let streams: Vec<Stream> = keys.iter().map(|key| self.stream(key)).collect();
                let heads = ledger.heads(&streams, self).await?;
                for ((key, stream), head) in keys.into_iter().zip(streams).zip(heads) {
                    let live = head.filter(|head| head.is_live(now));
                    let size = live
                        .as_ref()
                        .map_or(0, |head| usize::try_from(head.bytes).unwrap_or(usize::MAX));
                    let over =
                        !entries.is_empty() && bytes.saturating_add(size) > reached.max_bytes;
                    let full = live.is_some() && (entries.len() >= reached.limit || over);
                    if full || seen >= PAGE_MAX_SEEN {
                        return Ok(Page {
                            entries,
                            next: after,
                        });
                    }
                    seen += 1;
                    after = Some(key);
                    if let Some(head) = live {
                        bytes = bytes.saturating_add(size);
                        entries.push((stream, head));
                    }
                }
                if last {
                    break;
                }
            }
        }
        Ok(Page {
            entries,
            next: None,
        })
    }

    /// The contents of a page, in its order, without what has gone meanwhile.
    pub(crate) async fn contents(
        &self,
        ledger: &Ledger<'_>,
        entries: Vec<(Stream, Entry)>,
        now: Timestamp,
    ) -> Result<Vec<(Entry, Content)>> {
        let found = each(entries.into_iter().map(|(stream, head)| {
            async move { self.content(ledger, &stream, head, now).await }.boxed()
        }));
        Ok(found.await?.into_iter().flatten().collect())
    }

    /// Reads keys that begin with one of `prefixes`, which are in order and do not begin each other.
    pub(crate) async fn reader<'r>(
        &'r self,
        ledger: &'r Ledger<'r>,
        prefixes: &'r [String],
    ) -> Result<Reader<'r>> {
        ledger.index(self.name, &self.actor, self).await?;
        Ok(Reader {
            shelf: self,
            ledger,
            prefixes,
            after: None,
        })
    }

    /// Keys from the index, in the order of their bytes, from a prefix on or after a key.
    async fn keys(
        &self,
        ledger: &Ledger<'_>,
        prefix: &str,
        after: Option<&str>,
    ) -> Result<Vec<String>> {
        let from = match after {
            Some(after) => format!("({after}"),
            // Marks of the index begin with what no key begins with.
            None => format!(
                "[{}",
                if prefix.is_empty() {
                    FIRST_CHAR
                } else {
                    prefix
                }
            ),
        };
        let mut connection = ledger.cards().connection();
        let key = ledger.cards().index(self.name);
        let keys = connection.zrangebylex_limit(key, from, "+", 0, CHUNK);
        within(ledger.ctx, ledger.operation, keys).await
    }
}

impl Store {
    /// What stands at a key of the call's agent, or none when it is absent at `now`. While Redis is away AgentCore alone is asked.
    ///
    /// AgentCore: nothing while Redis or this process has it, `GetEvent` else; `ListEvents` when the card or Redis is lost.
    pub(crate) async fn find(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        capability: &'static str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<(Entry, Content)>> {
        let found = match self.ledger(ctx, operation).await {
            Ok(ledger) => {
                let shelf = Shelf::of(ctx, &ledger.memory, capability);
                shelf.find(&ledger, key, now).await
            }
            Err(error) => Err(error),
        };
        match found {
            // The truth is not in Redis.
            Err(error) if is_cause(&error) => {
                tracing::debug!(%error, operation, "AgentCore is asked without Redis");
                let reach = self.reach(ctx, operation).await?;
                let stream = Shelf::of(ctx, &reach.memory, capability).stream(key);
                let latest = reach.latest(&stream).await?;
                Ok(latest.filter(|(head, _)| head.is_live(now)))
            }
            found => found,
        }
    }
}

/// Keys of a shelf, some at a time.
pub(crate) struct Reader<'r> {
    shelf: &'r Shelf,
    ledger: &'r Ledger<'r>,
    /// Those that are not read to their end.
    prefixes: &'r [String],
    after: Option<String>,
}

impl Reader<'_> {
    /// The next keys; none at the end.
    pub(crate) async fn next(&mut self) -> Result<Vec<String>> {
        while let Some((prefix, rest)) = self.prefixes.split_first() {
            let after = self.after.as_deref();
            let mut keys = self.shelf.keys(self.ledger, prefix, after).await?;
            keys.retain(|key| key.starts_with(prefix.as_str()));
            match keys.last() {
                Some(last) => {
                    self.after = Some(last.clone());
                    return Ok(keys);
                }
                None => {
                    self.prefixes = rest;
                    self.after = None;
                }
            }
        }
        Ok(Vec::new())
    }
}
