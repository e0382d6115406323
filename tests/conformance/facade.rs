//! The facade dressed as a backend, so that the contract suites run through it.
//!
//! A suite chooses write ids and the facade makes them itself, from a call's context. So each write gets a context that
//! stands just before that id.

use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::files::{
    File, FileInfo, Files, FilesAck, FilesWrite, Part, Spooled, Upload, VersionPage,
};
use stuga_core::memory::{Item, Memory, MemoryAck, MemoryWrite};
use stuga_core::records::{Hit, Record, RecordAck, RecordWrite, Records};
use stuga_core::sessions::{Event, Order, Session, SessionAck, SessionWrite, Sessions};
use stuga_core::{CallCtx, Capability, Result, Write, WriteId, files, memory, records, sessions};
use stuga_resilience::Failover;

/// Memory as a guest reaches it.
pub(crate) struct FacadeMemory(pub(crate) Failover<dyn Memory>);

/// Files as a guest reaches them.
pub(crate) struct FacadeFiles(pub(crate) Failover<dyn Files>);

/// Sessions as a guest reaches them.
pub(crate) struct FacadeSessions(pub(crate) Failover<dyn Sessions>);

/// Records as a guest reaches them.
pub(crate) struct FacadeRecords(pub(crate) Failover<dyn Records>);

/// Writes through a facade under a chosen id.
async fn write_as<C: Capability + ?Sized>(
    facade: &Failover<C>,
    ctx: &CallCtx,
    id: WriteId,
    write: &C::Write,
) -> Result<<C::Write as Write>::Ack> {
    let ctx = CallCtx::new(
        ctx.tenant.clone(),
        ctx.agent.clone(),
        id.invocation,
        ctx.request.clone(),
        ctx.accepted_at,
        ctx.deadline,
    );
    for _ in 0..id.call {
        ctx.next_write_id()?;
    }
    facade.write(&ctx, write).await
}

#[async_trait]
impl Capability for FacadeMemory {
    type Write = MemoryWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &MemoryWrite) -> Result<MemoryAck> {
        write_as(&self.0, ctx, id, write).await
    }
}

#[async_trait]
impl Memory for FacadeMemory {
    async fn get(&self, ctx: &CallCtx, key: &str) -> Result<Option<Item>> {
        let read = |memory: Arc<dyn Memory>| async move { memory.get(ctx, key).await };
        self.0.read(ctx, read).await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<memory::Page> {
        let read =
            |memory: Arc<dyn Memory>| async move { memory.list(ctx, prefix, cursor, limit).await };
        self.0.read(ctx, read).await
    }
}

#[async_trait]
impl Capability for FacadeFiles {
    type Write = FilesWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &FilesWrite) -> Result<FilesAck> {
        write_as(&self.0, ctx, id, write).await
    }
}

#[async_trait]
impl Files for FacadeFiles {
    async fn spool(&self, ctx: &CallCtx, content: &[u8]) -> Result<Spooled> {
        let prepare = |files: Arc<dyn Files>| async move { files.spool(ctx, content).await };
        self.0.prepare(ctx, prepare).await
    }

    async fn begin_upload(&self, ctx: &CallCtx) -> Result<Box<dyn Upload>> {
        let begin = |files: Arc<dyn Files>| async move { files.begin_upload(ctx).await };
        self.0.prepare(ctx, begin).await
    }

    async fn get(&self, ctx: &CallCtx, path: &str) -> Result<Option<File>> {
        let read = |files: Arc<dyn Files>| async move { files.get(ctx, path).await };
        self.0.read(ctx, read).await
    }

    async fn stat(&self, ctx: &CallCtx, path: &str) -> Result<Option<FileInfo>> {
        let read = |files: Arc<dyn Files>| async move { files.stat(ctx, path).await };
        self.0.read(ctx, read).await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        prefix: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<files::Page> {
        let read =
            |files: Arc<dyn Files>| async move { files.list(ctx, prefix, cursor, limit).await };
        self.0.read(ctx, read).await
    }

    async fn list_versions(
        &self,
        ctx: &CallCtx,
        path: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<VersionPage> {
        let read = |files: Arc<dyn Files>| async move {
            files.list_versions(ctx, path, cursor, limit).await
        };
        self.0.read(ctx, read).await
    }

    async fn get_version(&self, ctx: &CallCtx, path: &str, version: u64) -> Result<Option<File>> {
        let read =
            |files: Arc<dyn Files>| async move { files.get_version(ctx, path, version).await };
        self.0.read(ctx, read).await
    }

    async fn read_range(
        &self,
        ctx: &CallCtx,
        path: &str,
        version: Option<u64>,
        offset: u64,
        len: u32,
    ) -> Result<Option<Part>> {
        let read = |files: Arc<dyn Files>| async move {
            files.read_range(ctx, path, version, offset, len).await
        };
        self.0.read(ctx, read).await
    }
}

#[async_trait]
impl Capability for FacadeSessions {
    type Write = SessionWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &SessionWrite) -> Result<SessionAck> {
        write_as(&self.0, ctx, id, write).await
    }
}

#[async_trait]
impl Sessions for FacadeSessions {
    async fn get(&self, ctx: &CallCtx, actor: &str, id: &str) -> Result<Option<Session>> {
        let read = |sessions: Arc<dyn Sessions>| async move { sessions.get(ctx, actor, id).await };
        self.0.read(ctx, read).await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        actor: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<sessions::Page<Session>> {
        let read = |sessions: Arc<dyn Sessions>| async move {
            sessions.list(ctx, actor, cursor, limit).await
        };
        self.0.read(ctx, read).await
    }

    async fn events(
        &self,
        ctx: &CallCtx,
        actor: &str,
        session: &str,
        order: Order,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<sessions::Page<Event>> {
        let read = |sessions: Arc<dyn Sessions>| async move {
            sessions
                .events(ctx, actor, session, order, cursor, limit)
                .await
        };
        self.0.read(ctx, read).await
    }
}

#[async_trait]
impl Capability for FacadeRecords {
    type Write = RecordWrite;

    async fn apply(&self, ctx: &CallCtx, id: WriteId, write: &RecordWrite) -> Result<RecordAck> {
        write_as(&self.0, ctx, id, write).await
    }
}

#[async_trait]
impl Records for FacadeRecords {
    async fn get(&self, ctx: &CallCtx, namespace: &str, id: &str) -> Result<Option<Record>> {
        let read = |records: Arc<dyn Records>| async move { records.get(ctx, namespace, id).await };
        self.0.read(ctx, read).await
    }

    async fn list(
        &self,
        ctx: &CallCtx,
        under: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<records::Page> {
        let read = |records: Arc<dyn Records>| async move {
            records.list(ctx, under, cursor, limit).await
        };
        self.0.read(ctx, read).await
    }

    async fn recall(&self, ctx: &CallCtx, under: &str, query: &str, k: u32) -> Result<Vec<Hit>> {
        let read =
            |records: Arc<dyn Records>| async move { records.recall(ctx, under, query, k).await };
        self.0.read(ctx, read).await
    }
}
