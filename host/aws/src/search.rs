//! Search on Amazon OpenSearch.
//!
//! Each index of an agent is an index of OpenSearch, and each tenant has a catalog beside them. Writes go through the catalog
//! ([`write`]), so that they are whole, in order and made once; reads go straight to the documents ([`answer`]). Words, stems,
//! highlights, fusion and pages are core's, so that the cloud finds what the local side finds. docs/adr/0032 says why.
//!
//! | operation | requests to the domain | what the caller sees |
//! | --- | --- | --- |
//! | `describe` | `_mget` of the catalog | everything that was acknowledged |
//! | `indices` | `_refresh` and `_search` of the catalog | everything that was acknowledged |
//! | `get` | `_mget` | everything that was acknowledged |
//! | `query`, fresh | `_refresh`, `_msearch`; with nearness `_mget` of the page | everything that was acknowledged |
//! | `query`, fast | `_msearch`; with nearness `_mget` of the page | what was refreshed: a second behind, as OpenSearch does it |
//! | a change | `_mget` of the catalog and the documents, `_bulk` that decides, `_bulk` that completes | all or none, once for its id |
//! | making an index | the same, `_refresh` and `_search` of the catalog, `PUT` of the index | likewise |
//! | dropping one | the same, `DELETE` of the index | likewise |
//! | adopt | as the write itself | each document as of its latest version, of whatever side |
//!
//! The first request for an index reads the catalog as well; so does one that finds the documents gone.

mod adopt;
mod answer;
mod catalog;
mod complete;
mod domain;
mod effects;
mod failed;
mod many;
mod names;
mod query;
#[cfg(test)]
mod samples;
mod shape;
mod sweep;
mod taken;
mod tenancy;
mod usage;
mod wire;
mod write;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use moka::sync::Cache;
use opensearch::http::Method;
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Digest, Sha256};
use stuga_core::embed::Embedder;
use stuga_core::search::check::{check_id, check_index};
use stuga_core::search::made::{beginning, embedding_of};
use stuga_core::search::plan::{Embedded, Plan};
use stuga_core::search::rank::Window;
use stuga_core::search::{
    Answer, Document, FieldKind, Freshness, INDICES_MAX, IndexInfo, Near, Query, Search, SearchAck,
    SearchWrite, VectorSource,
};
use stuga_core::standby::{Adopted, Made, Replica};
use stuga_core::{CallCtx, Capability, Error, Result, Write, WriteId};
use tokio::sync::Mutex;

use crate::Shared;
use crate::error::deadline_passed;
use crate::quota::meter::Meter;
use adopt::Taking;
use answer::Asking;
use catalog::{Found, Head, IndexEntry};
use many::{Get, Got};
use names::{Index, Names};
use shape::Stored;
use sweep::Sweeps;
use wire::{Body, Request, Wire, json, read};
use write::Writing;

pub(crate) use domain::{Domain, Whose};
pub(crate) use tenancy::Tenancy;

const OPERATION_QUERY: &str = "search.query";
/// What the limits of search are called.
const LIMITS: [&str; 2] = ["search_documents", "search_bytes"];
/// Most indices whose declaration is remembered, of all tenants.
const KNOWN_MAX_INDICES: u64 = 10_000;
/// How long a declaration is remembered. It belongs to documents under a name of their own: when they are gone, it is read again.
const KNOWN_FOR: Duration = Duration::from_secs(60);

/// Search of all tenants on a domain.
pub struct CloudSearch {
    shared: Arc<Shared>,
    embedder: Arc<dyn Embedder>,
    domain: Arc<Domain>,
    sweeps: Sweeps,
    /// Declarations by index.
    known: Cache<String, Arc<Head>>,
    /// By index the latest write that stands for certain.
    applied: Cache<String, String>,
    turns: Cache<String, Arc<Mutex<()>>>,
    meter: Meter,
}

impl CloudSearch {
    /// Search on `domain` that embeds with `embedder`. Nothing is asked before the first request.
    pub(crate) fn new(
        shared: Arc<Shared>,
        domain: Arc<Domain>,
        embedder: Arc<dyn Embedder>,
    ) -> Self {
        let catalogs = usage::Catalogs {
            shared: Arc::clone(&shared),
            domain: Arc::clone(&domain),
        };
        Self {
            meter: Meter::new(catalogs, LIMITS),
            domain,
            sweeps: Sweeps::new(Arc::clone(&shared)),
            shared,
            embedder,
            known: Cache::builder()
                .max_capacity(KNOWN_MAX_INDICES)
                .time_to_live(KNOWN_FOR)
                .build(),
            applied: Cache::new(KNOWN_MAX_INDICES),
            turns: Cache::new(KNOWN_MAX_INDICES),
        }
    }

    /// An index in the memory of this process.
    fn key(&self, names: &Names, index: &str) -> String {
        format!("{} {}", names.catalog().itself(), names.head(index))
    }

    /// Whose turn it is to write to an index. Should it be forgotten while somebody has it, the catalog still keeps order.
    fn turn(&self, key: &str) -> Arc<Mutex<()>> {
        self.turns.get_with_by_ref(key, Arc::default)
    }

    /// The declaration of an index as the catalog has it; none when it is absent.
    async fn read_entry(
        &self,
        wire: &Wire,
        operation: &'static str,
        names: &Names,
        index: &str,
    ) -> Result<Option<IndexEntry>> {
        let catalog = names.catalog();
        let get = Get {
            index: &catalog,
            id: names.head(index),
            only: &[],
            without: &["work"],
        };
        let got = many::get(wire, operation, &catalog, &[get]).await?;
        let key = self.key(names, index);
        if let Some(Got::Found(place, source)) = got.into_iter().next() {
            let Found { entry, .. } = catalog::entry(operation, place, source.get())?;
            if entry.is_live() {
                self.known.insert(key, Arc::new(entry.head.clone()));
                return Ok(Some(entry));
            }
        }
        self.known.invalidate(&key);
        Ok(None)
    }

    /// The same, as it is remembered.
    async fn head(
        &self,
        wire: &Wire,
        operation: &'static str,
        names: &Names,
        index: &str,
    ) -> Result<Arc<Head>> {
        if let Some(known) = self.known.get(&self.key(names, index)) {
            return Ok(known);
        }
        match self.read_entry(wire, operation, names, index).await? {
            Some(entry) => Ok(Arc::new(entry.head)),
            None => Err(missing(operation, index)),
        }
    }

    /// The agent's indices, in the order of the names.
    async fn list(
        &self,
        wire: &Wire,
        operation: &'static str,
        names: &Names,
    ) -> Result<Vec<IndexInfo>> {
        #[derive(Deserialize)]
        struct Answer {
            hits: Hits,
        }
        #[derive(Deserialize)]
        struct Hits {
            hits: Vec<Hit>,
        }
        #[derive(Deserialize)]
        struct Hit {
            _source: Box<RawValue>,
        }
        let catalog = names.catalog();
        if !refresh(wire, operation, &catalog).await? {
            return Ok(Vec::new());
        }
        // As many may be made at the same moment as hosts make them.
        let query = catalog::indices_of(names.agent(), 2 * INDICES_MAX);
        let answer: Answer = wire
            .ask(Request {
                operation,
                method: Method::Post,
                index: &catalog,
                what: "_search",
                query: &[("allow_partial_search_results", "false")],
                body: Body::Json(json(operation, &query)?),
            })
            .await?;
        let mut all = Vec::with_capacity(answer.hits.hits.len());
        for hit in answer.hits.hits {
            let entry: IndexEntry = read(operation, hit._source.get().as_bytes())?;
            let name = entry.name;
            all.push(entry.head.info(&name));
        }
        Ok(all)
    }
}

#[async_trait]
impl Capability for CloudSearch {
    type Write = SearchWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &SearchWrite) -> Result<SearchAck> {
        write.check()?;
        let operation = write.operation();
        within(ctx, operation, async {
            let writing = Writing::new(self, ctx, id, write).await?;
            let (ack, _) = writing.run().await?;
            let Writing { wire, names, .. } = &writing;
            self.sweeps.pass(&ctx.tenant, wire, names).await;
            Ok(ack)
        })
        .await
    }
}

#[async_trait]
impl Replica<SearchWrite> for CloudSearch {
    async fn adopt(
        &self,
        ctx: &CallCtx,
        id: WriteId,
        write: &SearchWrite,
        made: &Made<SearchAck>,
    ) -> Result<Adopted> {
        write.check()?;
        let operation = write.operation();
        let taking = Taking::of(operation, write, made)?;
        within(ctx, operation, async {
            let writing = Writing::taking(self, ctx, id, write, taking).await?;
            let (_, adopted) = writing.run().await?;
            let Writing { wire, names, .. } = &writing;
            self.sweeps.pass(&ctx.tenant, wire, names).await;
            Ok(adopted)
        })
        .await
    }
}

#[async_trait]
impl Search for CloudSearch {
    async fn describe(&self, ctx: &CallCtx, index: &str) -> Result<Option<IndexInfo>> {
        const OPERATION: &str = "search.describe-index";
        check_index(OPERATION, index)?;
        within(ctx, OPERATION, async {
            let names = Names::of(&self.shared, ctx)?;
            let wire = self.domain.wire(ctx, OPERATION, &names).await?;
            let entry = self.read_entry(&wire, OPERATION, &names, index).await?;
            Ok(entry.map(|entry| entry.head.info(index)))
        })
        .await
    }

    async fn indices(&self, ctx: &CallCtx) -> Result<Vec<IndexInfo>> {
        const OPERATION: &str = "search.list-indices";
        within(ctx, OPERATION, async {
            let names = Names::of(&self.shared, ctx)?;
            let wire = self.domain.wire(ctx, OPERATION, &names).await?;
            self.list(&wire, OPERATION, &names).await
        })
        .await
    }

    async fn get(&self, ctx: &CallCtx, index: &str, id: &str) -> Result<Option<Document>> {
        const OPERATION: &str = "search.get";
        check_index(OPERATION, index)?;
        check_id(OPERATION, id)?;
        within(ctx, OPERATION, async {
            let names = Names::of(&self.shared, ctx)?;
            let wire = self.domain.wire(ctx, OPERATION, &names).await?;
            let read_one = async |head: &Head| {
                let documents = names.documents(index, head.generation);
                let get = Get {
                    index: &documents,
                    id: id.to_owned(),
                    only: &[],
                    without: &[],
                };
                let got = many::get(&wire, OPERATION, &documents, &[get]).await?;
                Ok::<_, Error>(got.into_iter().next())
            };
            let mut head = self.head(&wire, OPERATION, &names, index).await?;
            let mut got = read_one(&head).await?;
            if matches!(got, Some(Got::NoIndex)) {
                head = self.again(&wire, OPERATION, &names, index, &head).await?;
                got = read_one(&head).await?;
            }
            match got {
                Some(Got::Found(_, source)) => {
                    let stored: Stored = read(OPERATION, source.get().as_bytes())?;
                    let given = head.fields.iter().filter_map(|field| match field.kind {
                        FieldKind::Vector(VectorSource::Given(_)) => Some(field.name.as_str()),
                        _ => None,
                    });
                    stored.into_document_with(OPERATION, given).map(Some)
                }
                Some(Got::Absent) => Ok(None),
                Some(Got::NoIndex) | None => Err(gone(OPERATION)),
            }
        })
        .await
    }

    async fn query(&self, ctx: &CallCtx, index: &str, query: &Query) -> Result<Answer> {
        check_index(OPERATION_QUERY, index)?;
        query.check(OPERATION_QUERY)?;
        let window = Window::of(OPERATION_QUERY, index, query)?;
        within(ctx, OPERATION_QUERY, async {
            let names = Names::of(&self.shared, ctx)?;
            let wire = self.domain.wire(ctx, OPERATION_QUERY, &names).await?;
            let embedded = self.embedded(query).await;
            let mut head = self.head(&wire, OPERATION_QUERY, &names, index).await?;
            if let Some(answer) = self
                .ask(&wire, &names, index, query, window, &embedded, &head)
                .await?
            {
                return Ok(answer);
            }
            head = self
                .again(&wire, OPERATION_QUERY, &names, index, &head)
                .await?;
            self.ask(&wire, &names, index, query, window, &embedded, &head)
                .await?
                .ok_or_else(|| gone(OPERATION_QUERY))
        })
        .await
    }
}

impl CloudSearch {
    /// The declaration, read again because the documents of the one that was remembered are gone.
    ///
    /// # Errors
    /// `NotFound` when the index is gone as well, or its making was cut short and nobody has been told that it is there.
    async fn again(
        &self,
        wire: &Wire,
        operation: &'static str,
        names: &Names,
        index: &str,
        gone: &Head,
    ) -> Result<Arc<Head>> {
        match self.read_entry(wire, operation, names, index).await? {
            Some(entry) if entry.head.generation != gone.generation || !entry.is_new() => {
                Ok(Arc::new(entry.head))
            }
            _ => Err(missing(operation, index)),
        }
    }

    /// What the host makes of the words that a query asks to be near to.
    async fn embedded(&self, query: &Query) -> Embedded {
        let vector = match query.vector.as_ref().map(|part| &part.near) {
            Some(Near::Words(near)) => Some(match self.embedder.embed(&[beginning(near)]).await {
                Ok(vectors) => vectors
                    .into_iter()
                    .next()
                    .ok_or_else(|| "the embedding model answered nothing".to_owned()),
                Err(error) => Err(error.message().to_owned()),
            }),
            _ => None,
        };
        Embedded {
            embedding: embedding_of(&*self.embedder),
            vector,
        }
    }

    #[expect(clippy::too_many_arguments, reason = "what a query is made of")]
    async fn ask(
        &self,
        wire: &Wire,
        names: &Names,
        index: &str,
        query: &Query,
        window: Window,
        embedded: &Embedded,
        head: &Head,
    ) -> Result<Option<Answer>> {
        query.check_declared(OPERATION_QUERY, &head.fields)?;
        let plan = Plan::of(
            OPERATION_QUERY,
            query,
            &head.fields,
            &head.embeddings,
            embedded,
        )?;
        let documents = names.documents(index, head.generation);
        let is_fresh = query.freshness == Freshness::Fresh;
        if is_fresh && !refresh(wire, OPERATION_QUERY, &documents).await? {
            return Ok(None);
        }
        let asking = Asking {
            wire,
            index: &documents,
            head,
            query,
            plan: &plan,
            window,
        };
        asking.answer().await
    }
}

/// Makes everything that was written to an index visible to searches; false when there is no such index.
async fn refresh(wire: &Wire, operation: &'static str, index: &Index) -> Result<bool> {
    let request = Request {
        operation,
        method: Method::Post,
        index,
        what: "_refresh",
        query: &[],
        body: Body::None,
    };
    match wire.send(request).await? {
        Ok(_) => Ok(true),
        Err(refusal) if refusal.is_no_index() => Ok(false),
        Err(refusal) => Err(refusal.into_error(operation)),
    }
}

/// Tells a write from any other under its id.
fn digest(operation: &'static str, names: &Names, write: &SearchWrite) -> Result<String> {
    // Fields are in order, so equal writes are equal bytes.
    let mut hash = Sha256::new();
    hash.update(names.agent());
    hash.update([0]);
    hash.update(json(operation, write)?);
    Ok(hex::encode(hash.finalize()))
}

/// The error of an index that is not there.
fn missing(operation: &'static str, name: &str) -> Error {
    Error::not_found(
        operation,
        format!("there is no index {name:?}; create it first"),
    )
    .with_context("index", name)
}

/// The error of an index that is declared and has nowhere to lie.
fn gone(operation: &'static str) -> Error {
    Error::unavailable(
        operation,
        "the documents of this index are missing in the cloud; the operator runs `stuga check aws`",
    )
}

/// Holds work to the call's deadline.
async fn within<T>(
    ctx: &CallCtx,
    operation: &'static str,
    work: impl Future<Output = Result<T>>,
) -> Result<T> {
    ctx.check_deadline(operation)?;
    tokio::time::timeout_at(ctx.deadline, work)
        .await
        .map_err(|_| deadline_passed(operation))?
}
