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
use stuga_core::search::made::{beginning, embedding_of};
use stuga_core::search::plan::Embedded;
use stuga_core::search::rank::Window;
use stuga_core::search::{Answer, Document, IndexInfo, Near, Query, Search, SearchWrite, Value};
use stuga_core::{CallCtx, Error, Result, Timestamp};

use crate::Local;
use crate::call::Failure;
use crate::effects::sides;
use crate::scope::Scope;
use crate::tenant::within;

mod adopt;
mod answer;
mod collect;
mod declared;
mod derived;
mod documents;
mod effects;
mod graph;
mod indices;
mod prepare;
mod room;
mod tail;
mod vectors;
mod words;

pub(crate) use indices::sweep;
pub(crate) use room::{SearchRoom, remove_strays};

use answer::{Asked, Step};
use declared::Declared;

const OPERATION_INDEX: &str = "search.index";
const OPERATION_QUERY: &str = "search.query";
/// Attempts at a query; each but the first follows work on the derived index.
const ATTEMPTS: u32 = 4;

/// Search of all tenants on this host.
pub struct LocalSearch {
    pub(crate) local: Local,
}

sides!(LocalSearch, SearchWrite);

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
            "SELECT version, fields, created_at, updated_at, seq FROM search_document
             WHERE search_index = ?1 AND id = ?2",
        )?
        .query_row((declared.id, &id), |row| {
            let document = Document {
                id: String::new(),
                version: row.get(0)?,
                fields: declared::json(row, 1)?,
                created_at: Timestamp::from_millis(row.get(2)?),
                updated_at: Timestamp::from_millis(row.get(3)?),
            };
            Ok((document, row.get::<_, u64>(4)?))
        })
        .optional()?;
    let Some((mut document, seq)) = found else {
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
            .query_row((declared.id, name, seq), |row| {
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
