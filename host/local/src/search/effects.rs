//! What writes to search do inside a transaction. Nothing derived is touched here: it catches up from the sequence.

use stuga_core::search::check::document_bytes;
use stuga_core::search::{SearchAck, SearchWrite};
use stuga_core::standby::Adopted;
use stuga_core::{CallCtx, CapabilityName, Error, Result, Write, WriteId};

use super::documents::Applying;
use super::indices::{NewIndex, create, drop_index, find};
use super::prepare::Prepared;
use super::{adopt, declared};
use crate::Local;
use crate::applied::{DigestBuilder, WriteDigest};
use crate::durability::Syncs;
use crate::effects::{Elsewhere, LocalWrite};
use crate::scope::Scope;
use crate::tx::WriteTx;

impl LocalWrite for SearchWrite {
    type Kept = SearchAck;
    type Prepared = Prepared;
    /// Tantivy lies beside the store and follows its numbers.
    const COPY: Syncs = Syncs::First;

    fn check_bounds(&self) -> Result<()> {
        self.check()
    }

    fn digest(&self, scope: &Scope) -> Result<WriteDigest> {
        let operation = self.operation();
        // Fields are in order, so equal writes are equal bytes.
        let bytes = serde_json::to_vec(self).map_err(|e| {
            Error::internal(operation, "a write cannot be told apart").with_source(e)
        })?;
        let parts = DigestBuilder::new(scope, CapabilityName::Search, operation);
        Ok(parts.part(&bytes).finish())
    }

    fn weight(&self) -> usize {
        let SearchWrite::Change { changes, .. } = self else {
            return 0;
        };
        let sizes = changes.iter();
        sizes
            .map(|change| document_bytes(change.id(), change.values()))
            .sum()
    }

    async fn prepare(&self, local: &Local, ctx: &CallCtx) -> Result<Prepared> {
        Prepared::of(local, ctx, self).await
    }

    fn make(
        &self,
        tx: &mut WriteTx<'_>,
        scope: &Scope,
        _: WriteId,
        prepared: &Prepared,
    ) -> Result<SearchAck> {
        let operation = self.operation();
        match self {
            SearchWrite::CreateIndex { index, fields } => {
                if let Some(found) = find(tx, operation, scope, index)? {
                    if found.fields == *fields {
                        return Ok(SearchAck::Created(false));
                    }
                    return Err(Error::conflict(
                        operation,
                        format!(
                            "the index {index:?} exists with other fields; drop it first or choose another name"
                        ),
                    )
                    .with_context("index", index));
                }
                let id = tx.next_version();
                let new = NewIndex {
                    name: index,
                    fields,
                    id,
                    created_at: tx.now.as_millis(),
                };
                create(tx, operation, scope, &new, prepared)?;
                Ok(SearchAck::Created(true))
            }
            SearchWrite::DropIndex { index } => {
                let found = find(tx, operation, scope, index)?;
                if let Some(found) = &found {
                    drop_index(tx, operation, found)?;
                }
                Ok(SearchAck::Dropped(found.is_some()))
            }
            SearchWrite::Change { index, changes } => {
                let declared = find(tx, operation, scope, index)?
                    .ok_or_else(|| declared::missing(operation, index))?;
                let mut applying = Applying::of(operation, &declared, prepared)?;
                let outcomes = changes
                    .iter()
                    .enumerate()
                    .map(|(at, change)| applying.apply(tx, change, prepared.made(at)))
                    .collect::<Result<Vec<_>>>()?;
                applying.finish(tx)?;
                Ok(SearchAck::Changed(outcomes))
            }
        }
    }

    fn adopt(
        &self,
        tx: &mut WriteTx<'_>,
        scope: &Scope,
        _: WriteId,
        prepared: &Prepared,
        origin: &Elsewhere<'_, SearchAck>,
    ) -> Result<Adopted> {
        adopt::adopt(tx, scope, self, prepared, origin)
    }

    fn kept(&self, ack: &SearchAck) -> SearchAck {
        ack.clone()
    }

    fn answer(&self, kept: SearchAck) -> SearchAck {
        kept
    }

    async fn follow(&self, local: &Local, ctx: &CallCtx, prepared: &Prepared) {
        let (Some(declared), Ok(tenant)) = (&prepared.declared, local.tenant(&ctx.tenant).await)
        else {
            return;
        };
        let room = local.search_room();
        match self {
            SearchWrite::DropIndex { .. } => room.forget_dropped(&tenant, declared.id).await,
            _ => room.nudge(&tenant, &room.handle(tenant.id(), declared)),
        }
    }
}
