//! Indexes in Redis: what there is of an agent's, in an order. A part of one is worth nothing, so an index says of itself that
//! it is whole; one that does not is built from AgentCore's sessions when it is asked for.
//!
//! AgentCore says of no listing of sessions how soon a new one is in it. An index that is built right after Redis was lost
//! may therefore miss what was written for the first time in the moments before; its next write brings it back.

use futures::FutureExt;
use stuga_core::{Error, Result};

use super::card::{BUILDING, KEPT};
use super::ledger::{Ledger, Rules};
use super::reach::each;
use super::redis::within;
use super::stream::Stream;

/// Most streams that an index is built of in one go.
const BUILD_MAX_STREAMS: usize = 100_000;
/// How often a building begins again whose index was lost under it.
const BUILD_ROUNDS: usize = 3;

impl Ledger<'_> {
    /// Makes sure that an index over an actor's sessions is whole.
    ///
    /// AgentCore, when it is not: `ListSessions` for each 100 sessions, `ListEvents` for each whose card is lost.
    ///
    /// # Errors
    /// `Timeout` when the call's time is up; what was read till then is kept, so that the next call comes further.
    pub(crate) async fn index(&self, name: &str, actor: &str, rules: &dyn Rules) -> Result<()> {
        if self.is_whole(name).await? {
            return Ok(());
        }
        // One call of this process at a time; the others find it done.
        let turn = self.turn(name);
        let _turn = turn.lock().await;
        for _ in 0..BUILD_ROUNDS {
            if self.is_whole(name).await? || self.build(name, actor, rules).await? {
                return Ok(());
            }
        }
        Err(Error::unavailable(
            self.operation,
            "the cache of the hosts loses what is written to it; see its memory and its eviction policy",
        ))
    }

    /// Whether an index is whole.
    pub(crate) async fn is_whole(&self, name: &str) -> Result<bool> {
        self.cards().is_whole(self.ctx, self.operation, name).await
    }

    /// Says that an index is being built: from now on writes add to it. Answers what [`Self::end_building`] asks for.
    pub(crate) async fn begin_building(&self, name: &str) -> Result<String> {
        let mark = format!("{BUILDING}{}", uuid::Uuid::new_v4().simple());
        let key = self.cards().index(name);
        let mut command = redis::pipe();
        command
            .zadd(&key, &mark, 0)
            .ignore()
            .pexpire(&key, i64::try_from(KEPT.as_millis()).unwrap_or(i64::MAX))
            .ignore();
        let mut connection = self.cards().connection();
        within(
            self.ctx,
            self.operation,
            command.query_async::<()>(&mut connection),
        )
        .await?;
        Ok(mark)
    }

    /// Says that an index is whole; false when it was lost meanwhile.
    pub(crate) async fn end_building(&self, name: &str, mark: &str) -> Result<bool> {
        self.cards()
            .built(self.ctx, self.operation, name, mark)
            .await
    }

    async fn build(&self, name: &str, actor: &str, rules: &dyn Rules) -> Result<bool> {
        let mark = self.begin_building(name).await?;
        let mut next = None;
        let mut seen = 0_usize;
        loop {
            let (sessions, more) = self.sessions(actor, next).await?;
            seen = seen.saturating_add(sessions.len());
            let streams: Vec<Stream> = sessions
                .into_iter()
                .map(|session| self.stream(actor, session))
                .collect();
            let heads = self.heads(&streams, rules).await?;
            let ends = streams.iter().zip(&heads);
            each(ends.map(|(stream, head)| {
                async move {
                    let changes = head
                        .as_ref()
                        .map_or_else(Vec::new, |head| rules.changes(stream, head));
                    for change in changes.iter().filter(|change| change.index == name) {
                        self.cards()
                            .change(self.ctx, self.operation, stream, head, change)
                            .await?;
                    }
                    Ok(())
                }
                .boxed()
            }))
            .await?;
            next = more;
            if next.is_none() {
                return self.end_building(name, &mark).await;
            }
            if seen > BUILD_MAX_STREAMS {
                return Err(Error::unavailable(
                    self.operation,
                    "there is more than an index is built of; restore the cache of the hosts from a snapshot",
                )
                .with_context("limit", BUILD_MAX_STREAMS));
            }
        }
    }

    /// A stream of an actor.
    pub(crate) fn stream(&self, actor: &str, session: String) -> Stream {
        Stream {
            memory: self.memory.clone(),
            actor: actor.to_owned(),
            session,
        }
    }
}
