//! A data directory with an open store, and short forms of the calls that tests make on it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use stuga_core::files::{Files, FilesAck, FilesWrite, Spooled};
use stuga_core::memory::{Expected, Memory, MemoryAck, MemoryWrite};
use stuga_core::testkit::{ManualClock, ctx};
use stuga_core::{CallCtx, Capability, Clock, Result, TenantId, Timestamp};
use stuga_local::{Local, LocalConfig, Quotas, Usage};
use tempfile::TempDir;

/// The tenant that a test uses when it does not matter which.
const TENANT: &str = "acme";

/// A store in a directory of its own, with a clock that the test sets.
pub(crate) struct House {
    pub(crate) local: Local,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) directory: TempDir,
    config: LocalConfig,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(LocalConfig::default())
    }

    pub(crate) fn with(config: LocalConfig) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let directory = TempDir::new().unwrap();
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        Self {
            local: Local::open(directory.path(), time, config.clone()).unwrap(),
            clock,
            directory,
            config,
        }
    }

    /// A second store on the same directory, as another process has it.
    pub(crate) fn beside(&self) -> Local {
        let time = Arc::clone(&self.clock) as Arc<dyn Clock>;
        Local::open(self.directory.path(), time, self.config.clone()).unwrap()
    }

    /// Closes the store and opens it again.
    pub(crate) async fn reopen(&mut self) {
        self.local.close().await.unwrap();
        self.local = self.beside();
    }

    pub(crate) fn quotas(&self, quotas: Quotas) {
        self.local
            .set_quotas(&TenantId::new(TENANT).unwrap(), quotas);
    }

    pub(crate) async fn usage(&self) -> Usage {
        let usage = self.local.usage(&TenantId::new(TENANT).unwrap()).await;
        usage.unwrap()
    }

    pub(crate) fn tenant_dir(&self) -> PathBuf {
        self.directory.path().join("tenants").join(TENANT)
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.tenant_dir().join("state.db")
    }

    /// Applies a write in an invocation of its own.
    pub(crate) async fn write(&self, write: MemoryWrite) -> Result<MemoryAck> {
        let ctx = scribe();
        let id = ctx.next_write_id()?;
        self.local.memory().apply(&ctx, id, &write).await
    }

    pub(crate) async fn get(&self, key: &str) -> Option<Vec<u8>> {
        let item = self.local.memory().get(&scribe(), key).await.unwrap();
        item.map(|item| item.value)
    }

    pub(crate) async fn spool(&self, content: &str) -> Spooled {
        let files = self.local.files();
        files.spool(&scribe(), content.as_bytes()).await.unwrap()
    }

    pub(crate) async fn put_file(&self, path: &str, content: &str) -> Result<FilesAck> {
        let ctx = scribe();
        let files = self.local.files();
        let spooled = files.spool(&ctx, content.as_bytes()).await?;
        let write = FilesWrite::Put {
            path: path.to_owned(),
            sha256: spooled.sha256,
            size: spooled.size,
            content_type: "text/plain".to_owned(),
            metadata: Vec::new(),
            expected: Expected::Any,
        };
        files.apply(&ctx, ctx.next_write_id()?, &write).await
    }

    pub(crate) async fn delete_file(&self, path: &str) -> Result<FilesAck> {
        let ctx = scribe();
        let write = FilesWrite::Delete {
            path: path.to_owned(),
        };
        let files = self.local.files();
        files.apply(&ctx, ctx.next_write_id()?, &write).await
    }

    pub(crate) async fn try_get_file(&self, path: &str) -> Result<Option<Vec<u8>>> {
        let file = self.local.files().get(&scribe(), path).await?;
        Ok(file.map(|file| file.content))
    }

    pub(crate) async fn purge_file(&self, path: &str) -> Result<FilesAck> {
        let ctx = scribe();
        let id = ctx.next_write_id()?;
        let write = FilesWrite::Purge {
            path: path.to_owned(),
        };
        self.local.files().apply(&ctx, id, &write).await
    }

    /// How many versions of a file are kept, with the one that stands.
    pub(crate) async fn versions_of(&self, path: &str) -> usize {
        let files = self.local.files();
        let page = files.list_versions(&scribe(), path, None, 1_000).await;
        page.unwrap().versions.len()
    }

    pub(crate) async fn get_file(&self, path: &str) -> Option<Vec<u8>> {
        self.try_get_file(path).await.unwrap()
    }
}

/// A new invocation of one agent of [`TENANT`].
pub(crate) fn scribe() -> CallCtx {
    ctx(TENANT, "scribe")
}

pub(crate) fn put(key: &str, value: &str) -> MemoryWrite {
    MemoryWrite::Put {
        key: key.to_owned(),
        value: value.into(),
        ttl: None,
        expected: Expected::Any,
    }
}

pub(crate) fn put_for(ttl: Duration, key: &str, value: &str) -> MemoryWrite {
    MemoryWrite::Put {
        key: key.to_owned(),
        value: value.into(),
        ttl: Some(ttl),
        expected: Expected::Any,
    }
}

pub(crate) fn delete(key: &str) -> MemoryWrite {
    MemoryWrite::Delete {
        key: key.to_owned(),
    }
}
