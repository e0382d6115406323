//! The contract of memory.
//!
//! Every sentence of `wit/memory.wit` and of [`crate::memory`] that a backend must keep is a case here.

mod bounds;
mod conditions;
mod expiry;
mod isolation;
mod listing;
mod repetition;
mod writes;

use std::time::Duration;

use super::suite::{Case, Fixture};
use crate::memory::{Expected, Item, Memory, MemoryAck, MemoryWrite};
use crate::{CallCtx, Result};

/// All cases.
pub fn cases() -> Vec<Case<dyn Memory>> {
    let mut all = writes::cases();
    all.extend(conditions::cases());
    all.extend(expiry::cases());
    all.extend(listing::cases());
    all.extend(bounds::cases());
    all.extend(repetition::cases());
    all.extend(isolation::cases());
    all
}

type Memories = Fixture<dyn Memory>;

/// A new invocation of the tenant and agent that a case uses when it does not matter which.
fn ctx() -> CallCtx {
    super::ctx("acme", "scribe")
}

fn put(key: &str, value: impl AsRef<[u8]>) -> MemoryWrite {
    put_if(Expected::Any, key, value)
}

fn put_if(expected: Expected, key: &str, value: impl AsRef<[u8]>) -> MemoryWrite {
    MemoryWrite::Put {
        key: key.to_owned(),
        value: value.as_ref().to_vec(),
        ttl: None,
        expected,
    }
}

fn put_for(ttl: Duration, key: &str, value: impl AsRef<[u8]>) -> MemoryWrite {
    MemoryWrite::Put {
        key: key.to_owned(),
        value: value.as_ref().to_vec(),
        ttl: Some(ttl),
        expected: Expected::Any,
    }
}

fn delete(key: &str) -> MemoryWrite {
    MemoryWrite::Delete {
        key: key.to_owned(),
    }
}

impl Memories {
    /// Applies a write in an invocation of its own.
    async fn try_apply(&self, write: &MemoryWrite) -> Result<MemoryAck> {
        self.try_apply_as(&ctx(), write).await
    }

    async fn try_apply_as(&self, ctx: &CallCtx, write: &MemoryWrite) -> Result<MemoryAck> {
        let id = ctx.next_write_id()?;
        self.backend.apply(ctx, id, write).await
    }

    async fn apply(&self, write: &MemoryWrite) -> MemoryAck {
        self.try_apply(write).await.unwrap()
    }

    async fn get(&self, key: &str) -> Option<Item> {
        self.backend.get(&ctx(), key).await.unwrap()
    }

    /// Reads a whole listing, page by page, and checks what holds for every listing.
    async fn list_all(&self, ctx: &CallCtx, prefix: &str, limit: u32) -> Vec<Item> {
        let mut items: Vec<Item> = Vec::new();
        let mut cursor: Option<String> = None;
        for _ in 0..10_000 {
            let page = self
                .backend
                .list(ctx, prefix, cursor.as_deref(), limit)
                .await
                .unwrap();
            assert!(
                page.items.len() <= limit as usize,
                "a page is over the limit"
            );
            items.extend(page.items);
            let in_order = items.windows(2).all(|pair| pair[0].key < pair[1].key);
            assert!(in_order, "keys are out of order or appear twice");
            cursor = page.next_cursor;
            if cursor.is_none() {
                return items;
            }
        }
        panic!("the listing does not end");
    }

    async fn keys(&self, prefix: &str, limit: u32) -> Vec<String> {
        let items = self.list_all(&ctx(), prefix, limit).await;
        items.into_iter().map(|item| item.key).collect()
    }
}
