//! A call's way to streams and cards, and how a stream's end is read.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use futures::FutureExt;
use moka::sync::Cache;
use stuga_core::{CallCtx, Error, Result, Timestamp};
use tokio::sync::Mutex;

use super::card::{Cards, Change, End, Head};
use super::content::Contents;
use super::entry::Entry;
use super::home::Homes;
use super::reach::{Depth, Reach, each};
use super::redis::Redis;
use super::stream::{Content, Stream, damaged};
use crate::shared::Shared;

/// How long it is remembered who builds an index; longer than a building takes.
const TURN_IDLE: Duration = Duration::from_secs(3_600);

/// What memory, sessions and records share: streams in AgentCore, cards in Redis, contents near.
pub(crate) struct Store {
    shared: Arc<Shared>,
    redis: Option<Redis>,
    homes: Homes,
    contents: Contents,
    /// Who builds which index in this process.
    turns: Cache<String, Arc<Mutex<()>>>,
}

/// One call's way to streams and cards.
pub(crate) struct Ledger<'c> {
    reach: Reach<'c>,
    cards: Cards,
    store: &'c Store,
}

/// How a capability reads its streams.
pub(crate) trait Rules: Sync {
    /// What the end of a stream means for indexes.
    fn changes(&self, stream: &Stream, head: &Entry) -> Vec<Change>;
}

impl Store {
    /// The store that the configuration asks for. Nothing is connected yet.
    ///
    /// # Errors
    /// As [`Redis::open`].
    pub(crate) fn open(shared: Arc<Shared>) -> Result<Self> {
        let redis = shared.config.memory.as_ref().map(Redis::open);
        let redis = redis.transpose()?;
        Ok(Self {
            homes: Homes::new(Arc::clone(&shared)),
            shared,
            redis,
            contents: Contents::new(),
            turns: Cache::builder().time_to_idle(TURN_IDLE).build(),
        })
    }

    /// The moment now, as capabilities see it.
    pub(crate) fn now(&self) -> Timestamp {
        self.shared.now()
    }

    /// The memories of all tenants.
    pub(crate) fn homes(&self) -> &Homes {
        &self.homes
    }

    /// Redis.
    ///
    /// # Errors
    /// `Unavailable` when memory is not configured.
    pub(crate) fn redis(&self, operation: &'static str) -> Result<&Redis> {
        let unset = || Error::unavailable(operation, "`aws.memory` is not configured");
        self.redis.as_ref().ok_or_else(unset)
    }

    /// A call's way to AgentCore alone.
    pub(crate) async fn reach<'c>(
        &'c self,
        ctx: &'c CallCtx,
        operation: &'static str,
    ) -> Result<Reach<'c>> {
        Ok(Reach {
            ctx,
            operation,
            clients: self.shared.clients(ctx),
            memory: self.homes.id(&ctx.tenant, ctx.deadline, operation).await?,
        })
    }

    /// A call's way to streams and cards.
    ///
    /// # Errors
    /// `Unavailable` and `Timeout` when Redis cannot be reached.
    pub(crate) async fn ledger<'c>(
        &'c self,
        ctx: &'c CallCtx,
        operation: &'static str,
    ) -> Result<Ledger<'c>> {
        let redis = self.redis(operation)?;
        let reach = self.reach(ctx, operation).await?;
        let connection = redis.connection(ctx, operation).await?;
        // Braces, so that all keys of an agent lie together where Redis is spread over several machines. The memory's name
        // keeps installations apart that share a Redis.
        let scope = self.shared.scope(&ctx.tenant).cached(&ctx.agent);
        let prefix = format!("{{{}/{scope}}}", reach.memory);
        Ok(Ledger {
            cards: Cards::new(prefix, connection),
            reach,
            store: self,
        })
    }
}

impl<'c> Deref for Ledger<'c> {
    type Target = Reach<'c>;

    fn deref(&self) -> &Reach<'c> {
        &self.reach
    }
}

impl Ledger<'_> {
    /// The cards of the call's agent.
    pub(crate) fn cards(&self) -> &Cards {
        &self.cards
    }

    /// Whose turn it is in this process to build an index.
    pub(crate) fn turn(&self, index: &str) -> Arc<Mutex<()>> {
        self.store
            .turns
            .get_with(self.cards.index(index), Arc::default)
    }

    /// The ends of streams, in their order: from their cards, or from AgentCore where those are lost.
    pub(crate) async fn heads(&self, streams: &[Stream], rules: &dyn Rules) -> Result<Vec<Head>> {
        let known = self.cards.heads(self.ctx, self.operation, streams).await?;
        let all = streams.iter().zip(known);
        each(all.map(|(stream, known)| {
            async move {
                match known {
                    Some(head) => Ok(head),
                    None => self.load(stream, rules).await,
                }
            }
            .boxed()
        }))
        .await
    }

    /// Reads a stream whose card is lost and tells the card its end. The next writer reads it again: what nobody has settled
    /// may still be displaced.
    pub(crate) async fn load(&self, stream: &Stream, rules: &dyn Rules) -> Result<Head> {
        let fold = self.scan(stream, Depth::End).await?;
        let head = fold.head().cloned();
        let changes = head
            .as_ref()
            .map_or_else(Vec::new, |head| rules.changes(stream, head));
        let end = End {
            lease: None,
            written: None,
            adopted: 0,
            head: head.clone(),
            applied: &[],
            changes: &changes,
        };
        self.cards
            .settle(self.ctx, self.operation, stream, end)
            .await?;
        Ok(head)
    }

    /// What an event holds: from this process, from Redis, or from AgentCore. None when it is gone.
    pub(crate) async fn content(&self, stream: &Stream, event: &str) -> Result<Option<Content>> {
        let contents = &self.store.contents;
        let found = contents.find(self.ctx, self.operation, &self.cards, stream, event);
        if let Some(content) = found.await? {
            return Ok(Some(content));
        }
        let Some(content) = self.reach.content(stream, event).await? else {
            return Ok(None);
        };
        self.keep(stream, event, &content).await;
        Ok(Some(content))
    }

    /// Keeps an event's content near.
    pub(super) async fn keep(&self, stream: &Stream, event: &str, content: &Content) {
        let contents = &self.store.contents;
        contents
            .keep(
                self.ctx,
                self.operation,
                &self.cards,
                stream,
                event,
                content,
            )
            .await;
    }

    /// What the end of a stream holds, when the stream was not written to meanwhile; else what it holds then.
    pub(crate) async fn content_of_head(
        &self,
        stream: &Stream,
        head: Entry,
        rules: &dyn Rules,
    ) -> Result<Option<(Entry, Content)>> {
        if let Some(content) = self.content(stream, head.content_event()).await? {
            return Ok(Some((head, content)));
        }
        let Some(head) = self.load(stream, rules).await? else {
            return Ok(None);
        };
        let content = self.content(stream, head.content_event()).await?;
        let content = content.ok_or_else(|| damaged(self.operation))?;
        Ok(Some((head, content)))
    }
}
