//! `memory`: reads go to the facade as closures, writes as values.

use std::time::Duration;

use stuga_core::memory::{self, Expected, MemoryWrite};
use stuga_core::{CapabilityName, Result};

use crate::bindings::stuga::agent::memory::{Host, Item, Page};
use crate::state::HostState;

impl HostState {
    async fn write_memory(&self, write: MemoryWrite) -> Result<memory::MemoryAck> {
        let (ctx, capabilities) = self.permit(CapabilityName::Memory, "memory.write")?;
        write.check()?;
        capabilities.memory.write(ctx, &write).await
    }
}

impl Host for HostState {
    async fn get(&mut self, key: String) -> Result<Option<Item>> {
        let (ctx, capabilities) = self.permit(CapabilityName::Memory, "memory.get")?;
        memory::check_key("memory.get", &key)?;
        let key = key.as_str();
        let item = capabilities
            .memory
            .read(ctx, "memory.get", key, |memory| async move {
                memory.get(ctx, key).await
            })
            .await?;
        Ok(item.map(Item::from))
    }

    async fn put(&mut self, key: String, value: Vec<u8>, ttl_ms: Option<u64>) -> Result<u64> {
        let ttl = ttl_ms.map(Duration::from_millis);
        let ack = self
            .write_memory(MemoryWrite::Put {
                key,
                value,
                ttl,
                expected: Expected::Any,
            })
            .await?;
        Ok(ack.version)
    }

    async fn compare_and_set(
        &mut self,
        key: String,
        expected: Option<u64>,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> Result<u64> {
        let ttl = ttl_ms.map(Duration::from_millis);
        let expected = expected.map_or(Expected::Absent, Expected::Version);
        let ack = self
            .write_memory(MemoryWrite::Put {
                key,
                value,
                ttl,
                expected,
            })
            .await?;
        Ok(ack.version)
    }

    async fn delete(&mut self, key: String) -> Result<bool> {
        Ok(self
            .write_memory(MemoryWrite::Delete { key })
            .await?
            .existed)
    }

    async fn list(&mut self, prefix: String, cursor: Option<String>, limit: u32) -> Result<Page> {
        let (ctx, capabilities) = self.permit(CapabilityName::Memory, "memory.list")?;
        memory::check_prefix("memory.list", &prefix)?;
        memory::check_limit("memory.list", limit)?;
        let (prefix, cursor) = (prefix.as_str(), cursor.as_deref());
        let page = capabilities
            .memory
            .read(
                ctx,
                "memory.list",
                &(prefix, cursor, limit),
                |memory| async move { memory.list(ctx, prefix, cursor, limit).await },
            )
            .await?;
        Ok(Page {
            items: page.items.into_iter().map(Item::from).collect(),
            next_cursor: page.next_cursor,
        })
    }
}

impl From<memory::Item> for Item {
    fn from(item: memory::Item) -> Self {
        Self {
            key: item.key,
            value: item.value,
            version: item.version,
            created_at: item.created_at.as_millis(),
            updated_at: item.updated_at.as_millis(),
            expires_at: item.expires_at.map(stuga_core::Timestamp::as_millis),
        }
    }
}
