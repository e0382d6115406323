//! What everybody does with `secrets`. They are a tenant's: its agents share them, so the mark is the tenant's.

use stuga_core::CallCtx;
use stuga_core::secrets::{Removal, SecretStore, SecretValue, Secrets};

use super::{Heard, Stage, mark_of};

/// A secret that every tenant has.
const NAME: &str = "token";

/// What is revealed to all agents of a tenant.
fn value_of(ctx: &CallCtx) -> String {
    mark_of(ctx.tenant.as_str(), "everybody")
}

impl Stage {
    pub(super) async fn furnish_secrets(&self, ctx: &CallCtx) {
        let value = SecretValue::new(value_of(ctx).into_bytes()).unwrap();
        let (store, id) = (self.local.secrets(), ctx.next_write_id().unwrap());
        // The second agent of a tenant meets what the first has set; one version is enough.
        if store.list(&ctx.tenant).await.unwrap().is_empty() {
            store.set(&ctx.tenant, id, NAME, &value).await.unwrap();
        }
    }

    /// The tenant's secrets, opened.
    pub(super) async fn secrets_of(&self, owner: &CallCtx) -> Vec<String> {
        let store = self.local.secrets();
        let mut all = Vec::new();
        for info in store.list(&owner.tenant).await.unwrap() {
            let value = store.reveal(owner, &info.name, info.version).await;
            let value = value.unwrap().unwrap().reveal().to_vec();
            all.push(format!("{info:?} {}", String::from_utf8(value).unwrap()));
        }
        all
    }

    pub(super) async fn use_secrets(&self, ctx: &CallCtx, heard: &mut Heard) {
        let secrets = self.local.secrets();
        let found = secrets.find(ctx, NAME, None).await;
        let info = found.as_ref().ok().cloned().flatten();
        heard.hear("secrets.get", found.map(|info| info.is_some()));
        // What a handle says of itself.
        heard.hear("secrets.name", Ok(info.as_ref().map(|info| &info.name)));
        heard.hear(
            "secrets.version",
            Ok(info.as_ref().map(|info| info.version)),
        );
        let created_at = info.as_ref().map(|info| info.created_at);
        heard.hear("secrets.created-at", Ok(created_at));
        let version = info.map_or(1, |info| info.version);
        let revealed = secrets.reveal(ctx, NAME, version).await;
        let text = |value: SecretValue| String::from_utf8(value.reveal().to_vec()).unwrap();
        heard.hear("secrets.reveal", revealed.map(|value| value.map(text)));
    }

    /// What the operator of one tenant does: other values than before, under another key.
    pub(crate) async fn manage_secrets(&self, ctx: &CallCtx) {
        let (store, tenant) = (self.local.secrets(), &ctx.tenant);
        let id = || ctx.next_write_id().unwrap();
        store.rotate(tenant, id()).await.unwrap();
        store
            .remove(tenant, id(), NAME, Removal::All)
            .await
            .unwrap();
        self.furnish_secrets(ctx).await;
    }
}
