//! Which tenants have messages, found without a look into their mailboxes: one small object for each.
//!
//! A mark is derived. It is written after the letter and before its token, and removed only if it is still the one that
//! was read before the tenant's places were found empty. S3 answers what was written last, so there is no letter without
//! a mark but one whose post was never acknowledged; a mark without a letter is removed by the next look. Each post
//! writes another content, which tells other hosts that there is more.

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use sha2::{Digest, Sha256};
use stuga_core::a2a::delivery::Pending;
use stuga_core::{ErrorKind, Result, TenantId};
use tokio::sync::Notify;

use crate::Shared;
use crate::call::call_until;
use crate::error::absent;
use crate::objects::At;
use crate::scope;

/// Marks that one request lists.
const PAGE: i32 = 1_000;
/// Most marks that are listed.
const MARKS_MAX: usize = 100_000;

/// Writes the tenant's mark with a content that it did not have before.
pub(super) async fn set(shared: &Shared, at: At, tenant: &TenantId, content: String) -> Result<()> {
    let scope = shared.scope(tenant);
    let clients = shared.clients.of(tenant);
    let put = clients
        .s3()
        .put_object()
        .bucket(scope.mail_bucket()?)
        .key(scope.mail_mark())
        .body(Bytes::from(content).into());
    call_until(at.deadline, at.operation, put.send())
        .await
        .map(drop)
}

/// The state of the tenant's mark; none when there is none.
pub(super) async fn read(shared: &Shared, at: At, tenant: &TenantId) -> Result<Option<String>> {
    let scope = shared.scope(tenant);
    let clients = shared.clients.of(tenant);
    let head = clients
        .s3()
        .head_object()
        .bucket(scope.mail_bucket()?)
        .key(scope.mail_mark());
    let found = absent(call_until(at.deadline, at.operation, head.send()).await)?;
    Ok(found.and_then(|mark| mark.e_tag))
}

/// Removes the tenant's mark if it is still in that state.
pub(super) async fn remove(shared: &Shared, at: At, tenant: &TenantId, state: &str) -> Result<()> {
    let scope = shared.scope(tenant);
    let clients = shared.clients.of(tenant);
    let delete = clients
        .s3()
        .delete_object()
        .bucket(scope.mail_bucket()?)
        .key(scope.mail_mark())
        .if_match(state);
    match call_until(at.deadline, at.operation, delete.send()).await {
        // Somebody posted meanwhile, or removed it as well.
        Err(error) if matches!(error.kind(), ErrorKind::Conflict | ErrorKind::NotFound) => Ok(()),
        ended => ended.map(drop),
    }
}

/// Every tenant with a mark.
pub(super) async fn list(shared: &Shared, at: At) -> Result<Vec<Pending>> {
    let (bucket, root) = scope::mail_marks(&shared.config)?;
    let clients = shared.clients.host();
    let mut found = Vec::new();
    let mut after: Option<String> = None;
    loop {
        let list = clients
            .s3()
            .list_objects_v2()
            .bucket(&bucket)
            .prefix(root)
            .set_start_after(after)
            .max_keys(PAGE);
        let answer = call_until(at.deadline, at.operation, list.send()).await?;
        for object in answer.contents() {
            let name = object.key().and_then(|key| key.strip_prefix(root));
            // What is no tenant's name was not put there by a host.
            if let Some(tenant) = name.and_then(|name| TenantId::new(name).ok()) {
                let stamp = stamp(object.e_tag().unwrap_or_default());
                found.push(Pending { tenant, stamp });
            }
        }
        after = answer
            .contents()
            .last()
            .and_then(|object| object.key.clone());
        let is_over = !answer.is_truncated.unwrap_or_default() || after.is_none();
        if is_over || found.len() >= MARKS_MAX {
            return Ok(found);
        }
    }
}

fn stamp(state: &str) -> u64 {
    let digest = Sha256::digest(state);
    let first = digest.first_chunk::<8>().copied().unwrap_or_default();
    u64::from_be_bytes(first)
}

/// Tells this process's runner in which tenants something changed through it.
#[derive(Default)]
pub(super) struct Bell {
    changed: Mutex<BTreeSet<TenantId>>,
    rings: Notify,
}

impl Bell {
    /// Says that something changed.
    pub(super) fn ring(&self, tenant: &TenantId) {
        let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
        changed.insert(tenant.clone());
        self.rings.notify_one();
    }

    /// The next tenant in which something changed.
    pub(super) async fn changed(&self) -> TenantId {
        loop {
            let next = {
                let mut changed = self.changed.lock().unwrap_or_else(PoisonError::into_inner);
                let next = changed.pop_first();
                if !changed.is_empty() {
                    self.rings.notify_one();
                }
                next
            };
            match next {
                Some(tenant) => return tenant,
                None => self.rings.notified().await,
            }
        }
    }
}
