//! How many messages a tenant's mailboxes hold, by the places of letters: those that wait or are held, and the dead.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::{Result, TenantId};
use tokio::time::Instant;

use super::names::{DEAD, OPEN};
use super::shelf::Shelf;
use crate::Shared;
use crate::objects::At;
use crate::quota::meter::{Count, Held};

const OPERATION: &str = "a2a.count";

/// Counts places.
pub(super) struct Places(pub(super) Arc<Shared>);

#[async_trait]
impl Count for Places {
    /// `ListObjectsV2`; the dead come after those that wait. A page begins behind a name.
    async fn page(
        &self,
        tenant: &TenantId,
        next: Option<String>,
        deadline: Instant,
    ) -> Result<(Held, Option<String>)> {
        let at = At {
            operation: OPERATION,
            deadline,
        };
        let prefix = match &next {
            Some(next) if next.starts_with(DEAD) => DEAD,
            _ => OPEN,
        };
        // The first page of the dead begins behind the name that all of theirs begin with.
        let after = next.as_deref().filter(|next| *next != DEAD);
        let shelf = Shelf::of(&self.0, tenant)?;
        let (count, last) = shelf.count(at, prefix, after).await?;
        let next = match (last, prefix) {
            (None, OPEN) => Some(DEAD.to_owned()),
            (last, _) => last,
        };
        Ok((Held { count, bytes: 0 }, next))
    }
}
