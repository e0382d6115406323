//! `search`: reads go to the facade as closures, writes as values; both are converted in [`convert`].

mod convert;

use stuga_core::search::check::{check_id, check_index};
use stuga_core::search::{self, Change, SearchAck, SearchWrite};
use stuga_core::{CapabilityName, Error, Result};

use crate::bindings::stuga::agent::search::{
    Answer, Change as WitChange, Document, Field, Host, IndexInfo, Outcome, Patch, SearchQuery,
    StoredDocument,
};
use crate::state::HostState;

impl HostState {
    async fn write_search(&self, write: SearchWrite) -> Result<SearchAck> {
        let (ctx, capabilities) = self.permit(CapabilityName::Search, "search.write")?;
        write.check()?;
        capabilities.search.write(ctx, &write).await
    }

    async fn change_documents(&self, index: String, changes: Vec<Change>) -> Result<Vec<Outcome>> {
        match self
            .write_search(SearchWrite::Change { index, changes })
            .await?
        {
            SearchAck::Changed(outcomes) => Ok(outcomes.into_iter().map(Outcome::from).collect()),
            _ => Err(unexpected()),
        }
    }

    async fn change_document(&self, index: String, change: Change) -> Result<Outcome> {
        let outcomes = self.change_documents(index, vec![change]).await?;
        outcomes.into_iter().next().ok_or_else(unexpected)
    }
}

fn unexpected() -> Error {
    Error::internal(
        "search.write",
        "a write was answered as another kind of write",
    )
}

impl Host for HostState {
    async fn create_index(&mut self, name: String, fields: Vec<Field>) -> Result<bool> {
        let mut fields: Vec<search::Field> = fields.into_iter().map(search::Field::from).collect();
        fields.sort_by(|a, b| a.name.cmp(&b.name));
        let write = SearchWrite::CreateIndex {
            index: name,
            fields,
        };
        match self.write_search(write).await? {
            SearchAck::Created(is_new) => Ok(is_new),
            _ => Err(unexpected()),
        }
    }

    async fn drop_index(&mut self, name: String) -> Result<bool> {
        match self
            .write_search(SearchWrite::DropIndex { index: name })
            .await?
        {
            SearchAck::Dropped(existed) => Ok(existed),
            _ => Err(unexpected()),
        }
    }

    async fn describe_index(&mut self, name: String) -> Result<Option<IndexInfo>> {
        let (ctx, capabilities) = self.permit(CapabilityName::Search, "search.describe-index")?;
        check_index("search.describe-index", &name)?;
        let name = name.as_str();
        let info = capabilities
            .search
            .read(ctx, "search.describe-index", name, |search| async move {
                search.describe(ctx, name).await
            })
            .await?;
        Ok(info.map(IndexInfo::from))
    }

    async fn list_indices(&mut self) -> Result<Vec<IndexInfo>> {
        let (ctx, capabilities) = self.permit(CapabilityName::Search, "search.list-indices")?;
        let all = capabilities
            .search
            .read(ctx, "search.list-indices", &(), |search| async move {
                search.indices(ctx).await
            })
            .await?;
        Ok(all.into_iter().map(IndexInfo::from).collect())
    }

    async fn put(&mut self, index: String, document: Document) -> Result<Outcome> {
        self.change_document(index, convert::put(document)).await
    }

    async fn update(&mut self, index: String, patch: Patch) -> Result<Outcome> {
        self.change_document(index, convert::update(patch)).await
    }

    async fn delete(&mut self, index: String, id: String) -> Result<bool> {
        let outcome = self.change_document(index, Change::Delete { id }).await?;
        Ok(outcome.existed)
    }

    async fn bulk(&mut self, index: String, changes: Vec<WitChange>) -> Result<Vec<Outcome>> {
        let changes = changes.into_iter().map(convert::change).collect();
        self.change_documents(index, changes).await
    }

    async fn get(&mut self, index: String, id: String) -> Result<Option<StoredDocument>> {
        let (ctx, capabilities) = self.permit(CapabilityName::Search, "search.get")?;
        check_index("search.get", &index)?;
        check_id("search.get", &id)?;
        let (index, id) = (index.as_str(), id.as_str());
        let document = capabilities
            .search
            .read(ctx, "search.get", &(index, id), |search| async move {
                search.get(ctx, index, id).await
            })
            .await?;
        Ok(document.map(StoredDocument::from))
    }

    async fn query(&mut self, index: String, query: SearchQuery) -> Result<Answer> {
        let (ctx, capabilities) = self.permit(CapabilityName::Search, "search.query")?;
        check_index("search.query", &index)?;
        let query = convert::query("search.query", query)?;
        query.check("search.query")?;
        let (index, query) = (index.as_str(), &query);
        let answer = capabilities
            .search
            .read(ctx, "search.query", &(index, query), |search| async move {
                search.query(ctx, index, query).await
            })
            .await?;
        if let Some(reason) = &answer.degraded {
            ctx.receipt.degrade(CapabilityName::Search, reason);
        }
        Ok(answer.into())
    }
}
