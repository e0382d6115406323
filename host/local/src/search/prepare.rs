//! What a write needs before its transaction: which index it means, and vectors of its texts. Embedding takes longer than
//! storing, and the writer of a tenant is shared.

use stuga_core::search::made::{Made, embed_changes, embedding_of};
use stuga_core::search::{Embedding, SearchWrite};
use stuga_core::{CallCtx, Result, Write};

use super::declared::{self, Declared};
use crate::Local;
use crate::tenant::within;

/// What was made for a write.
pub(crate) struct Prepared {
    /// The index that it was made for.
    pub(super) declared: Option<Declared>,
    /// What the host embeds with.
    pub(super) embedding: Embedding,
    /// For each change the vectors that it replaces.
    pub(super) made: Vec<Vec<Made>>,
}

impl Prepared {
    pub(super) async fn of(local: &Local, ctx: &CallCtx, write: &SearchWrite) -> Result<Self> {
        let operation = write.operation();
        let embedder = local.embedder();
        let embedding = embedding_of(&**embedder);
        let name = write.key().to_owned();
        let declared = local
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
        Ok(Self {
            declared,
            embedding,
            made,
        })
    }

    /// Whether it was made for that index.
    pub(super) fn is_for(&self, declared: &Declared) -> bool {
        let own = self.declared.as_ref();
        own.is_some_and(|own| own.id == declared.id)
    }

    /// The vectors of the change at a place.
    pub(super) fn made(&self, at: usize) -> &[Made] {
        self.made.get(at).map_or(&[], Vec::as_slice)
    }
}
