//! Records on SQLite, with their vectors beside them: a put and what finds it again are one transaction.
//!
//! A vector is derived: one of another embedder, or one that could not be made when the record was put, is made anew by
//! the recalls that would compare it, some at a time.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::embed;
use stuga_core::records::{
    Hit, NAMESPACE_MAX_BYTES, Page, Record, RecordAck, RecordWrite, Records, check_id, check_limit,
    check_namespace, check_recall, check_under,
};
use stuga_core::sessions::SESSION_ID_MAX_BYTES;
use stuga_core::{CallCtx, Capability, Result, Write, WriteId};
use tokio::time::{Instant, timeout};

use crate::Local;
use crate::cursor::{self, Listing};
use crate::scope::Scope;
use crate::tenant::within;

mod effects;
mod queries;

/// Longest place in a listing: a namespace and an id, with what parts them.
const PLACE_MAX_BYTES: usize = NAMESPACE_MAX_BYTES + SESSION_ID_MAX_BYTES + 1;

/// Records of all tenants on this host.
pub(crate) struct LocalRecords {
    pub(crate) local: Local,
}

#[async_trait]
impl Capability for LocalRecords {
    type Write = RecordWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &RecordWrite) -> Result<RecordAck> {
        write.check()?;
        let operation = write.operation();
        let scope = Scope::of(ctx);
        let digest = effects::digest(&scope, write);
        let write = write.clone();
        within(ctx, operation, async {
            let tenant = self.local.tenant(&scope.tenant).await?;
            // Embedding takes longer than storing, and the writer is shared: not in its turn.
            let vector = match &write {
                RecordWrite::Put { text, .. } => self.vector(ctx, text).await?,
                RecordWrite::Delete { .. } => Vector::none(),
            };
            tenant
                .write(operation, vector.bytes.len(), move |tx| {
                    effects::apply_in(tx, &scope, id, digest, &write, &vector)
                })
                .await
        })
        .await
    }
}

/// A vector as it is kept.
struct Vector {
    /// What made it; nothing when it is still to be made.
    model: String,
    bytes: Vec<u8>,
}

impl Vector {
    const fn none() -> Self {
        Self {
            model: String::new(),
            bytes: Vec::new(),
        }
    }
}

impl LocalRecords {
    /// The vector of a text, or none for now: that a model is away or slow must not keep a record from being stored, so it
    /// gets half of the time that is left.
    async fn vector(&self, ctx: &CallCtx, text: &str) -> Result<Vector> {
        let embedder = self.local.embedder();
        let left = ctx.deadline.saturating_duration_since(Instant::now());
        let Ok(made) = timeout(left / 2, embedder.embed(&[text])).await else {
            return Ok(Vector::none());
        };
        match made {
            Ok(vectors) => Ok(Vector {
                model: embedder.model().to_owned(),
                bytes: vectors
                    .first()
                    .map(|v| embed::to_bytes(v))
                    .unwrap_or_default(),
            }),
            Err(error) if error.kind().is_temporary() => Ok(Vector::none()),
            Err(error) => Err(error),
        }
    }

    /// Makes vectors anew.
    async fn renew(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        stale: Vec<queries::Stale>,
    ) -> Result<()> {
        let embedder = self.local.embedder();
        let texts: Vec<&str> = stale.iter().map(|record| record.text.as_str()).collect();
        let vectors = within(ctx, operation, embedder.embed(&texts)).await?;
        let model = embedder.model().to_owned();
        let made: Vec<_> = stale
            .iter()
            .zip(&vectors)
            .map(|(record, vector)| (record.row, record.version, embed::to_bytes(vector)))
            .collect();
        let weight = made.iter().map(|(_, _, bytes)| bytes.len()).sum();
        self.local
            .write(ctx, operation, weight, move |tx| {
                effects::renew_in(tx, operation, &model, &made)
            })
            .await
    }
}

#[async_trait]
impl Records for LocalRecords {
    async fn get(&self, ctx: &CallCtx, namespace: &str, id: &str) -> Result<Option<Record>> {
        const OPERATION: &str = "records.get";
        check_namespace(OPERATION, namespace)?;
        check_id(OPERATION, id)?;
        let (namespace, id) = (namespace.to_owned(), id.to_owned());
        self.local
            .read(ctx, OPERATION, move |reading| {
                queries::get(reading.conn, &reading.scope, &namespace, &id)
            })
            .await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        under: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        const OPERATION: &str = "records.list";
        check_under(OPERATION, under)?;
        check_limit(OPERATION, limit)?;
        let after = cursor
            .map(|c| cursor::decode(OPERATION, Listing::Records, under, c, PLACE_MAX_BYTES))
            .transpose()?;
        let under = under.to_owned();
        self.local
            .read(ctx, OPERATION, move |reading| {
                queries::list(
                    reading.conn,
                    &reading.scope,
                    &under,
                    after.as_deref(),
                    limit,
                )
            })
            .await
    }

    async fn recall(&self, ctx: &CallCtx, under: &str, query: &str, k: u32) -> Result<Vec<Hit>> {
        const OPERATION: &str = "records.recall";
        check_under(OPERATION, under)?;
        check_recall(OPERATION, query, k)?;
        let embedder = self.local.embedder();
        let vectors = within(ctx, OPERATION, embedder.embed(&[query])).await?;
        let query: Arc<[f32]> = vectors.into_iter().next().unwrap_or_default().into();
        let find = || {
            let (under, query) = (under.to_owned(), Arc::clone(&query));
            let model = embedder.model().to_owned();
            self.local.read(ctx, OPERATION, move |reading| {
                queries::recall(reading.conn, &reading.scope, &under, &query, &model, k)
            })
        };
        let found = find().await?;
        if found.stale.is_empty() {
            return Ok(found.hits);
        }
        match self.renew(ctx, OPERATION, found.stale).await {
            Ok(()) => Ok(find().await?.hits),
            Err(error) => {
                tracing::debug!(%error, causes = error.causes(), "vectors of records were not made anew");
                Ok(found.hits)
            }
        }
    }
}
