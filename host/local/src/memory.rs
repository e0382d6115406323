//! Memory on SQLite.

use async_trait::async_trait;
use stuga_core::cursor::{self, Listing};
use stuga_core::memory::{
    Item, KEY_MAX_BYTES, Memory, MemoryWrite, Page, check_key, check_limit, check_prefix,
};
use stuga_core::{CallCtx, Result, Timestamp};

use crate::Local;
use crate::effects::sides;

mod effects;
mod queries;

/// Memory of all tenants on this host.
pub struct LocalMemory {
    pub(crate) local: Local,
}

sides!(LocalMemory, MemoryWrite);

#[async_trait]
impl Memory for LocalMemory {
    async fn get(&self, ctx: &CallCtx, key: &str) -> Result<Option<Item>> {
        const OPERATION: &str = "memory.get";
        check_key(OPERATION, key)?;
        let key = key.to_owned();
        self.local
            .read(ctx, OPERATION, move |reading| {
                queries::get(reading.conn, &reading.scope, key, reading.now())
            })
            .await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page> {
        const OPERATION: &str = "memory.list";
        check_prefix(OPERATION, prefix)?;
        check_limit(OPERATION, limit)?;
        let after = cursor
            .map(|c| cursor::decode(OPERATION, Listing::Memory, prefix, c, KEY_MAX_BYTES))
            .transpose()?;
        let prefix = prefix.to_owned();
        self.local
            .read(ctx, OPERATION, move |reading| {
                queries::list(
                    reading.conn,
                    &reading.scope,
                    &prefix,
                    after,
                    limit,
                    reading.now(),
                )
            })
            .await
    }
}

/// Whether an item that expires then is still there.
fn is_live(expires_at: Option<u64>, now: Timestamp) -> bool {
    expires_at.is_none_or(|at| at > now.as_millis())
}
