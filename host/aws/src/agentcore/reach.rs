//! Reading streams from AgentCore itself, without Redis: what is done when a card is lost, for what must not rest on a cache,
//! and when Redis is down.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::{StreamExt, TryStreamExt};
use stuga_core::{CallCtx, Error, Result};

use super::entry::Entry;
use super::fold::Fold;
use super::stream::{self, Content, Stream, damaged};
use crate::clients::TenantClients;

/// Requests of one call that are under way at a time.
pub(crate) const PARALLEL: usize = 8;
/// Most pages of a stream that are read for its end and the writes of the last day. AWS hands out the newest events first, so
/// one page has the end; a server that begins at the oldest is read to the end of this.
const SCAN_MAX_PAGES: usize = 50;

/// How far a stream is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Depth {
    /// As far as its end needs.
    End,
    /// Until before this moment of the shared clock, in milliseconds.
    Since(u64),
    /// To its beginning.
    Beginning,
}

/// A call's way to AgentCore.
pub(crate) struct Reach<'c> {
    pub(crate) ctx: &'c CallCtx,
    pub(crate) operation: &'static str,
    pub(crate) clients: Arc<TenantClients>,
    /// The tenant's memory.
    pub(crate) memory: String,
}

impl Reach<'_> {
    /// Reads a stream from its newest event on.
    ///
    /// AgentCore: one `ListEvents` for each 100 events.
    pub(crate) async fn scan(&self, stream: &Stream, depth: Depth) -> Result<Fold> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut next = None;
        for _ in 0..SCAN_MAX_PAGES {
            let client = self.clients.agentcore();
            let page = stream::page(client, self.ctx, self.operation, stream, false, next).await?;
            let versions = page.events.iter().map(|(entry, _)| entry);
            let oldest = match (versions.clone().next(), versions.clone().last()) {
                (Some(first), Some(last)) if first.version > last.version => {
                    Some(last.shared_millis())
                }
                _ => None,
            };
            entries.extend(page.events.into_iter().map(|(entry, _)| entry));
            next = page.next;
            let enough = match (depth, oldest) {
                (Depth::End, Some(_)) => true,
                (Depth::Since(moment), Some(oldest)) => oldest < moment,
                (Depth::Beginning, _) | (_, None) => false,
            };
            if enough || next.is_none() {
                return Ok(Fold::of(entries));
            }
        }
        let newest_first =
            entries.first().map(|entry| entry.version) > entries.last().map(|entry| entry.version);
        if newest_first {
            // The writes before are older than these thousands; AgentCore's own memory of tokens is what remains for them.
            return Ok(Fold::of(entries));
        }
        Err(Error::unavailable(
            self.operation,
            "AgentCore lists the events of this key from the oldest on, and they are too many",
        ))
    }

    /// What an event holds, or none when it is gone.
    ///
    /// AgentCore: one `GetEvent`.
    pub(crate) async fn content(&self, stream: &Stream, event: &str) -> Result<Option<Content>> {
        stream::content(
            self.clients.agentcore(),
            self.ctx,
            self.operation,
            stream,
            event,
        )
        .await
    }

    /// All that an actor's sessions are called, page by page.
    ///
    /// AgentCore: one `ListSessions` for each 100.
    pub(crate) async fn sessions(
        &self,
        actor: &str,
        next: Option<String>,
    ) -> Result<(Vec<String>, Option<String>)> {
        let client = self.clients.agentcore();
        stream::sessions(client, self.ctx, self.operation, &self.memory, actor, next).await
    }

    /// The end of a stream and what it holds, without Redis; none when it is absent.
    pub(crate) async fn latest(&self, stream: &Stream) -> Result<Option<(Entry, Content)>> {
        let fold = self.scan(stream, Depth::End).await?;
        let Some(head) = fold.head() else {
            return Ok(None);
        };
        let content = self.content(stream, head.content_event()).await?;
        let content = content.ok_or_else(|| damaged(self.operation))?;
        Ok(Some((head.clone(), content)))
    }
}

/// Does all of it, some at a time, and answers in the order of what was given. Boxed, and not made by a closure on the way:
/// the compiler could not see that such a future may go to another thread.
pub(crate) async fn each<'w, R>(
    work: impl Iterator<Item = BoxFuture<'w, Result<R>>>,
) -> Result<Vec<R>> {
    let work: Vec<_> = work.collect();
    futures::stream::iter(work)
        .buffered(PARALLEL)
        .try_collect()
        .await
}
