//! Records on SQLite, with their vectors beside them: a put and what finds it again are one transaction.

use async_trait::async_trait;
use stuga_core::cursor::{self, Listing};
use stuga_core::records::{
    Hit, NAMESPACE_MAX_BYTES, Page, Record, RecordWrite, Records, check_id, check_limit,
    check_namespace, check_recall, check_under,
};
use stuga_core::sessions::SESSION_ID_MAX_BYTES;
use stuga_core::{CallCtx, Result};

use crate::Local;
use crate::effects::sides;
use crate::vectors::Embedded;

mod effects;
mod queries;

/// Longest place in a listing: a namespace and an id, with what parts them.
const PLACE_MAX_BYTES: usize = NAMESPACE_MAX_BYTES + SESSION_ID_MAX_BYTES + 1;

/// Records of all tenants on this host.
pub struct LocalRecords {
    pub(crate) local: Local,
}

sides!(LocalRecords, RecordWrite);

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
        let under = under.to_owned();
        self.local
            .recall(
                ctx,
                OPERATION,
                Embedded::Record,
                query,
                move |reading, query| {
                    queries::recall(reading.conn, &reading.scope, &under, query, k)
                },
            )
            .await
    }
}
