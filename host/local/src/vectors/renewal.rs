//! Vectors of texts: made when a text is stored, and made anew by the recalls that miss them.
//!
//! A vector is derived. One of another embedder, or one that could not be made when its text was stored, is made by the
//! recalls that would compare it, some at a time.

use std::sync::Arc;

use stuga_core::embed::EMBED_MAX_TEXTS;
use stuga_core::{CallCtx, Result};
use tokio::time::{Instant, timeout};

use super::{Kept, keep};
use crate::Local;
use crate::call::{Failure, Reading};
use crate::tally::{Held, Kind};
use crate::tenant::within;
use crate::tx::WriteTx;

/// What is recalled.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Embedded {
    Record,
    Event,
}

/// A query as a vector.
pub(crate) struct Query {
    pub(crate) model: String,
    pub(crate) numbers: Vec<f32>,
}

/// What a recall finds.
pub(crate) struct Found<T> {
    pub(crate) hits: Vec<T>,
    /// Numbers of rows that have no vector of the query's model, as many as can be embedded at once, latest first.
    pub(crate) stale: Vec<i64>,
}

impl Local {
    /// The vector of a text that is to be stored, or none for now: that a model is away or slow must not keep a text from
    /// being stored, so it gets half of the time that is left.
    ///
    /// # Errors
    /// When the embedder refuses the text for good.
    pub(crate) async fn embed(&self, ctx: &CallCtx, text: &str) -> Result<Option<Kept>> {
        let embedder = self.embedder();
        let left = ctx.deadline.saturating_duration_since(Instant::now());
        match timeout(left / 2, embedder.embed(&[text])).await {
            Ok(Ok(vectors)) => Ok(vectors.first().map(|v| Kept::of(embedder.model(), v))),
            Ok(Err(error)) if !error.kind().is_temporary() => Err(error),
            Ok(Err(_)) | Err(_) => Ok(None),
        }
    }

    /// What `find` finds for a query, after vectors that it missed were made.
    ///
    /// # Errors
    /// When the query cannot be embedded or the store cannot be read.
    pub(crate) async fn recall<T, F>(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        what: Embedded,
        query: &str,
        find: F,
    ) -> Result<Vec<T>>
    where
        T: Send + 'static,
        F: Fn(&Reading<'_>, &Query) -> rusqlite::Result<Found<T>> + Send + Sync + 'static,
    {
        let embedder = self.embedder();
        let vectors = within(ctx, operation, embedder.embed(&[query])).await?;
        let query = Arc::new(Query {
            model: embedder.model().to_owned(),
            numbers: vectors.into_iter().next().unwrap_or_default(),
        });
        let find = Arc::new(find);
        let search = || {
            let (find, query) = (Arc::clone(&find), Arc::clone(&query));
            self.read(ctx, operation, move |reading| find(reading, &query))
        };
        let found = search().await?;
        if found.stale.is_empty() {
            return Ok(found.hits);
        }
        match self.renew(ctx, operation, what, found.stale).await {
            Ok(()) => Ok(search().await?.hits),
            Err(error) => {
                tracing::debug!(%error, causes = error.causes(), "vectors were not made anew");
                Ok(found.hits)
            }
        }
    }

    /// Makes the vectors of some rows anew.
    async fn renew(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        what: Embedded,
        rows: Vec<i64>,
    ) -> Result<()> {
        let texts = self
            .read(ctx, operation, move |reading| {
                let mut text = reading.conn.prepare_cached(what.text())?;
                let texts = rows.into_iter().take(EMBED_MAX_TEXTS).map(|row| {
                    let mut found = text.query_map([row], |row| row.get(0))?;
                    Ok(found.next().transpose()?.map(|text| (row, text)))
                });
                let texts: rusqlite::Result<Vec<Option<(i64, String)>>> = texts.collect();
                Ok::<Vec<(i64, String)>, Failure>(texts?.into_iter().flatten().collect())
            })
            .await?;
        if texts.is_empty() {
            return Ok(());
        }
        let embedder = self.embedder();
        let only: Vec<&str> = texts.iter().map(|(_, text)| text.as_str()).collect();
        let vectors = within(ctx, operation, embedder.embed(&only)).await?;
        let made: Vec<(i64, Kept)> = texts
            .iter()
            .zip(&vectors)
            .map(|((row, _), vector)| (*row, Kept::of(embedder.model(), vector)))
            .collect();
        let weight = made.iter().map(|(_, kept)| kept.bytes.len()).sum();
        self.write(ctx, operation, weight, move |tx| {
            made.iter()
                .try_for_each(|(row, kept)| replace(tx, operation, what, *row, kept))
        })
        .await
    }
}

/// Puts a vector in the place of what the row had. Its bytes are booked whatever the quota says: the row stands already.
fn replace(
    tx: &mut WriteTx<'_>,
    operation: &'static str,
    what: Embedded,
    row: i64,
    kept: &Kept,
) -> Result<()> {
    let old: Option<u64> = tx.first(
        operation,
        "SELECT octet_length(numbers) FROM vector WHERE number = ?1",
        [row],
        |row| row.get(0),
    )?;
    let (old, new) = (old.unwrap_or(0), kept.bytes());
    // A row that was written again meanwhile has another number, so what is found is what was embedded.
    if tx.execute(operation, what.book(), (row, old, new))? == 0 {
        return Ok(());
    }
    let bytes = |bytes| Held { rows: 0, bytes };
    tx.tally.replace(what.kind(), bytes(old), bytes(new));
    keep(tx, operation, row, kept)
}

impl Embedded {
    fn kind(self) -> Kind {
        match self {
            Self::Record => Kind::Record,
            Self::Event => Kind::Event,
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Record => "SELECT text FROM record WHERE number = ?1",
            Self::Event => "SELECT content FROM event WHERE seq = ?1",
        }
    }

    fn book(self) -> &'static str {
        match self {
            Self::Record => "UPDATE record SET bytes = bytes - ?2 + ?3 WHERE number = ?1",
            Self::Event => "UPDATE event SET bytes = bytes - ?2 + ?3 WHERE seq = ?1",
        }
    }
}
