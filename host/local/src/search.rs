//! Search: documents and vectors in SQLite, with what finds them beside it.
//!
//! A write is acknowledged by SQLite alone, in one transaction with its id and the quota. What is derived follows the
//! sequence of changes: [`derived`] is tantivy's index on disk, [`vectors`] are the vectors in memory with [`graph`]
//! above some ten thousand of them. Both are thrown away and made anew when they are absent, damaged or of another
//! version. [`room`] bounds what is open and who indexes; [`answer`] puts a query together.

use std::sync::Arc;

use async_trait::async_trait;
use rusqlite::OptionalExtension;
use stuga_core::embed::EMBED_TEXT_MAX_BYTES;
use stuga_core::search::check::{check_id, check_index};
use stuga_core::search::made::{beginning, embed_changes, embedding_of};
use stuga_core::search::plan::Embedded;
use stuga_core::search::rank::Window;
use stuga_core::search::{
    Answer, Document, IndexInfo, Near, Query, Search, SearchAck, SearchWrite, Value,
};
use stuga_core::{CallCtx, Capability, Error, Result, Timestamp, Write, WriteId};

use crate::Local;
use crate::call::Failure;
use crate::scope::Scope;
use crate::tenant::within;

mod answer;
mod collect;
mod declared;
mod derived;
mod effects;
mod graph;
mod prepare;
mod room;
mod tail;
mod vectors;
mod words;

pub(crate) use effects::sweep;
pub(crate) use room::{SearchRoom, remove_strays};

use answer::{Asked, Step};
use declared::Declared;
use prepare::Prepared;

const OPERATION_INDEX: &str = "search.index";
const OPERATION_QUERY: &str = "search.query";
/// Attempts at a query; each but the first follows work on the derived index.
const ATTEMPTS: u32 = 4;

/// Search of all tenants on this host.
pub(crate) struct LocalSearch {
    pub(crate) local: Local,
}

#[async_trait]
impl Capability for LocalSearch {
    type Write = SearchWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &SearchWrite) -> Result<SearchAck> {
        write.check()?;
        let operation = write.operation();
        let scope = Scope::of(ctx);
        let digest = effects::digest(operation, &scope, write)?;
        let weight = match write {
            SearchWrite::Change { changes, .. } => changes
                .iter()
                .map(|change| {
                    stuga_core::search::check::document_bytes(change.id(), change.values())
                })
                .sum(),
            _ => 0,
        };
        let (prepared, declared) = self.prepare(ctx, operation, write).await?;
        let write = write.clone();
        let is_drop = matches!(write, SearchWrite::DropIndex { .. });
        let ack = self
            .local
            .write(ctx, operation, weight, move |tx| {
                effects::apply_in(tx, &scope, id, digest, &write, &prepared)
            })
            .await?;
        // The write stands, whatever comes of what follows.
        if let (Some(declared), Ok(tenant)) = (declared, self.local.tenant(&ctx.tenant).await) {
            let room = self.local.search_room();
            match is_drop {
                true => room.remove(&tenant, declared.id),
                false => room.nudge(&tenant, &room.handle(tenant.id(), &declared)),
            }
        }
        Ok(ack)
    }
}

impl LocalSearch {
    /// What the transaction of a write needs: which index it means, and vectors of its texts.
    async fn prepare(
        &self,
        ctx: &CallCtx,
        operation: &'static str,
        write: &SearchWrite,
    ) -> Result<(Prepared, Option<Declared>)> {
        let embedder = self.local.embedder();
        let embedding = embedding_of(&**embedder);
        let name = write.key().to_owned();
        let declared = self
            .local
            .read(ctx, operation, move |reading| {
                declared::find(reading.conn, &reading.scope, &name)
            })
            .await?;
        let made = match (&declared, write) {
            (Some(declared), SearchWrite::Change { changes, .. }) => {
                let work = embed_changes(
                    &declared.fields,
                    &declared.embeddings,
                    changes,
                    &**embedder,
                    &embedding,
                );
                within(ctx, operation, work).await?
            }
            _ => Vec::new(),
        };
        let prepared = Prepared {
            index: declared.as_ref().map(|declared| declared.id),
            embedding,
            made,
        };
        Ok((prepared, declared))
    }
}

#[async_trait]
impl Search for LocalSearch {
    async fn describe(&self, ctx: &CallCtx, index: &str) -> Result<Option<IndexInfo>> {
        const OPERATION: &str = "search.describe-index";
        check_index(OPERATION, index)?;
        let index = index.to_owned();
        self.local
            .read(ctx, OPERATION, move |reading| {
                let found = declared::find(reading.conn, &reading.scope, &index)?;
                Ok::<_, rusqlite::Error>(found.map(Declared::info))
            })
            .await
    }

    async fn indices(&self, ctx: &CallCtx) -> Result<Vec<IndexInfo>> {
        self.local
            .read(ctx, "search.list-indices", |reading| {
                let all = declared::all(reading.conn, &reading.scope)?;
                Ok::<_, rusqlite::Error>(all.into_iter().map(Declared::info).collect())
            })
            .await
    }

    async fn get(&self, ctx: &CallCtx, index: &str, id: &str) -> Result<Option<Document>> {
        const OPERATION: &str = "search.get";
        check_index(OPERATION, index)?;
        check_id(OPERATION, id)?;
        let (index, id) = (index.to_owned(), id.to_owned());
        self.local
            .read(ctx, OPERATION, move |reading| {
                let declared =
                    declared::must_find(OPERATION, reading.conn, &reading.scope, &index)?;
                get(reading.conn, &declared, id).map_err(Failure::from)
            })
            .await
    }

    async fn query(&self, ctx: &CallCtx, index: &str, query: &Query) -> Result<Answer> {
        check_index(OPERATION_QUERY, index)?;
        query.check(OPERATION_QUERY)?;
        let window = Window::of(OPERATION_QUERY, index, query)?;
        let embedder = self.local.embedder();
        let embedding = embedding_of(&**embedder);
        within(ctx, OPERATION_QUERY, async {
            let embedded = match query.vector.as_ref().map(|part| &part.near) {
                Some(Near::Words(near)) => {
                    debug_assert!(near.len() <= EMBED_TEXT_MAX_BYTES, "checked before");
                    Some(match embedder.embed(&[beginning(near)]).await {
                        Ok(vectors) => vectors
                            .into_iter()
                            .next()
                            .ok_or_else(|| "the embedding model answered nothing".to_owned()),
                        Err(error) => Err(error.message().to_owned()),
                    })
                }
                _ => None,
            };
            let asked = Arc::new(Asked {
                scope: Scope::of(ctx),
                index: index.to_owned(),
                query: query.clone(),
                window,
                embedded: Embedded {
                    embedding,
                    vector: embedded,
                },
            });
            self.answer(ctx, &asked).await
        })
        .await
    }
}

impl LocalSearch {
    async fn answer(&self, ctx: &CallCtx, asked: &Arc<Asked>) -> Result<Answer> {
        let tenant = self.local.tenant(&ctx.tenant).await?;
        let room = self.local.search_room();
        let mut until = None;
        for _ in 0..ATTEMPTS {
            let (asked, in_room) = (Arc::clone(asked), Arc::clone(&room));
            let attempt = tenant.read(OPERATION_QUERY, move |tenant, conn| {
                answer::attempt(&asked, tenant, &in_room, conn, until)
            });
            match attempt.await? {
                Step::Done(answer, behind) => {
                    if let Some(handle) = behind {
                        room.nudge(&tenant, &handle);
                    }
                    return Ok(answer);
                }
                Step::Behind(handle, change) => {
                    room.catch_up(&tenant, &handle, change).await?;
                    until = Some(change);
                }
            }
        }
        Err(Error::unavailable(
            OPERATION_QUERY,
            "the search index does not come up to date; try again, or ask for a fast answer",
        ))
    }
}

/// A document with the vectors that it was given.
fn get(
    conn: &rusqlite::Connection,
    declared: &Declared,
    id: String,
) -> rusqlite::Result<Option<Document>> {
    let snapshot = conn.unchecked_transaction()?;
    let found = snapshot
        .prepare_cached(
            "SELECT seq, fields, created_at, updated_at FROM search_document
             WHERE search_index = ?1 AND id = ?2",
        )?
        .query_row((declared.id, &id), |row| {
            Ok(Document {
                id: String::new(),
                version: row.get(0)?,
                fields: declared::json(row, 1)?,
                created_at: Timestamp::from_millis(row.get(2)?),
                updated_at: Timestamp::from_millis(row.get(3)?),
            })
        })
        .optional()?;
    let Some(mut document) = found else {
        return Ok(None);
    };
    document.id = id;
    let made: Vec<&str> = declared.made().map(|(name, _)| name).collect();
    let given = declared.embeddings.iter().map(|(name, _)| name);
    for name in given.filter(|name| !made.contains(&name.as_str())) {
        let vector = snapshot
            .prepare_cached(
                "SELECT vector FROM search_vector WHERE search_index = ?1 AND field = ?2 AND seq = ?3",
            )?
            .query_row((declared.id, name, document.version), |row| {
                let (numbers, _) = row.get_ref(0)?.as_blob()?.as_chunks::<4>();
                Ok(numbers.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect())
            })
            .optional()?;
        if let Some(vector) = vector {
            document.fields.push((name.clone(), Value::Vector(vector)));
        }
    }
    document.fields.sort_by(|(a, _), (b, _)| a.cmp(b));
    Ok(Some(document))
}
