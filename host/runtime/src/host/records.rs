//! `records`: reads go to the facade as closures, writes as values.

use stuga_core::records::{
    self, RecordAck, RecordWrite, check_id, check_limit, check_namespace, check_recall, check_under,
};
use stuga_core::{CapabilityName, Result};

use crate::bindings::stuga::agent::records::{Entry, Hit, Host, Page, Stored};
use crate::state::HostState;

impl HostState {
    async fn write_record(&self, write: RecordWrite) -> Result<RecordAck> {
        let (ctx, capabilities) = self.permit(CapabilityName::Records, "records.write")?;
        write.check()?;
        capabilities.records.write(ctx, &write).await
    }
}

impl Host for HostState {
    async fn put(
        &mut self,
        namespace: String,
        id: Option<String>,
        text: String,
        mut metadata: Vec<(String, String)>,
    ) -> Result<Stored> {
        metadata.sort();
        let ack = self
            .write_record(RecordWrite::Put {
                namespace,
                id,
                text,
                metadata,
            })
            .await?;
        Ok(Stored {
            id: ack.id,
            version: ack.version,
        })
    }

    async fn get(&mut self, namespace: String, id: String) -> Result<Option<Entry>> {
        let (ctx, capabilities) = self.permit(CapabilityName::Records, "records.get")?;
        check_namespace("records.get", &namespace)?;
        check_id("records.get", &id)?;
        let (namespace, id) = (namespace.as_str(), id.as_str());
        let record = capabilities
            .records
            .read(ctx, "records.get", &(namespace, id), |records| async move {
                records.get(ctx, namespace, id).await
            })
            .await?;
        Ok(record.map(Entry::from))
    }

    async fn delete(&mut self, namespace: String, id: String) -> Result<bool> {
        let ack = self
            .write_record(RecordWrite::Delete { namespace, id })
            .await?;
        Ok(ack.existed)
    }

    async fn list(&mut self, under: String, cursor: Option<String>, limit: u32) -> Result<Page> {
        let (ctx, capabilities) = self.permit(CapabilityName::Records, "records.list")?;
        check_under("records.list", &under)?;
        check_limit("records.list", limit)?;
        let (under, cursor) = (under.as_str(), cursor.as_deref());
        let page = capabilities
            .records
            .read(
                ctx,
                "records.list",
                &(under, cursor, limit),
                |records| async move { records.list(ctx, under, cursor, limit).await },
            )
            .await?;
        Ok(Page {
            entries: page.records.into_iter().map(Entry::from).collect(),
            next_cursor: page.next_cursor,
        })
    }

    async fn recall(&mut self, under: String, query: String, k: u32) -> Result<Vec<Hit>> {
        let (ctx, capabilities) = self.permit(CapabilityName::Records, "records.recall")?;
        check_under("records.recall", &under)?;
        check_recall("records.recall", &query, k)?;
        let (under, query) = (under.as_str(), query.as_str());
        let hits = capabilities
            .records
            .read(
                ctx,
                "records.recall",
                &(under, query, k),
                |records| async move { records.recall(ctx, under, query, k).await },
            )
            .await?;
        Ok(hits
            .into_iter()
            .map(|hit| Hit {
                entry: hit.record.into(),
                score: hit.score,
            })
            .collect())
    }
}

impl From<records::Record> for Entry {
    fn from(record: records::Record) -> Self {
        Self {
            namespace: record.namespace,
            id: record.id,
            text: record.text,
            metadata: record.metadata,
            version: record.version,
            created_at: record.created_at.as_millis(),
            updated_at: record.updated_at.as_millis(),
        }
    }
}
