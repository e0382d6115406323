//! The tenants and agents of the isolation tests, what they own, and everything that each of them can do.

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use stuga_core::files::FilesWrite;
use stuga_core::memory::{Expected, MemoryAck, MemoryWrite};
use stuga_core::records::RecordWrite;
use stuga_core::sessions::{Order, Role, SessionWrite};
use stuga_core::testkit::{ManualClock, ctx};
use stuga_core::{CallCtx, Clock, Result, Timestamp, Write};
use stuga_local::{Local, LocalConfig};
use tempfile::TempDir;

/// Keys and paths that all of them use.
const KEYS: [&str; 3] = ["k", "k/1", "k/2"];

/// Actors and ids of sessions that all of them use.
const ACTORS: [&str; 2] = ["k", "k/1"];
const SESSIONS: [&str; 2] = ["s", "s-1"];
/// Where all of them keep records.
const NAMESPACE: &str = "/users/k/facts";

/// Two tenants with two agents each. However the names are glued together, some of them become equal.
pub(crate) fn everybody() -> [CallCtx; 4] {
    [("a", "b-c"), ("a", "b"), ("a-b", "c"), ("a-b", "b")].map(|(t, a)| ctx(t, a))
}

/// What an agent writes into everything that it owns.
pub(crate) fn mark(ctx: &CallCtx) -> String {
    mark_of(ctx.tenant.as_str(), ctx.agent.as_str())
}

pub(crate) fn mark_of(tenant: &str, agent: &str) -> String {
    format!("<secret of {agent} of {tenant}>")
}

pub(crate) fn put(key: &str, value: &str) -> MemoryWrite {
    put_if(Expected::Any, key, value)
}

fn put_if(expected: Expected, key: &str, value: &str) -> MemoryWrite {
    MemoryWrite::Put {
        key: key.to_owned(),
        value: value.into(),
        ttl: None,
        expected,
    }
}

fn begin(actor: &str, session: &str, mark: String) -> SessionWrite {
    SessionWrite::Create {
        actor: actor.to_owned(),
        id: Some(session.to_owned()),
        ttl: None,
        metadata: vec![("by".to_owned(), mark)],
    }
}

fn say(actor: &str, session: &str, content: String) -> SessionWrite {
    SessionWrite::Append {
        actor: actor.to_owned(),
        session: session.to_owned(),
        role: Role::User,
        content,
        metadata: Vec::new(),
    }
}

fn note(id: &str, text: String) -> RecordWrite {
    RecordWrite::Put {
        namespace: NAMESPACE.to_owned(),
        id: Some(id.to_owned()),
        text,
        metadata: Vec::new(),
    }
}

/// A data directory that all of them share.
pub(crate) struct Stage {
    pub(crate) local: Local,
    pub(crate) directory: TempDir,
    clock: Arc<ManualClock>,
}

impl Stage {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let directory = TempDir::new().unwrap();
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        let local = Local::open(directory.path(), time, LocalConfig::default()).unwrap();
        Self {
            local,
            directory,
            clock,
        }
    }

    pub(crate) async fn try_put(&self, ctx: &CallCtx, key: &str, value: &str) -> Result<MemoryAck> {
        let id = ctx.next_write_id()?;
        self.local.memory().apply(ctx, id, &put(key, value)).await
    }

    /// Gives an agent an item and a file at each of the keys, and each actor its sessions, with its mark in all of them.
    pub(crate) async fn furnish(&self, ctx: &CallCtx) {
        for key in KEYS {
            self.try_put(ctx, key, &mark(ctx)).await.unwrap();
            let content = format!("{key} {}", mark(ctx));
            let write = self.spool(ctx, key, &content).await.unwrap();
            let id = ctx.next_write_id().unwrap();
            self.local.files().apply(ctx, id, &write).await.unwrap();
        }
        for id in SESSIONS {
            let write_id = ctx.next_write_id().unwrap();
            let write = note(id, mark(ctx));
            let records = self.local.records();
            records.apply(ctx, write_id, &write).await.unwrap();
        }
        for (actor, session) in conversations() {
            for write in [
                begin(actor, session, mark(ctx)),
                say(actor, session, mark(ctx)),
            ] {
                let id = ctx.next_write_id().unwrap();
                self.local.sessions().apply(ctx, id, &write).await.unwrap();
            }
        }
    }

    async fn spool(&self, ctx: &CallCtx, path: &str, content: &str) -> Result<FilesWrite> {
        let spooled = self.local.files().spool(ctx, content.as_bytes()).await?;
        Ok(FilesWrite::Put {
            path: path.to_owned(),
            sha256: spooled.sha256,
            size: spooled.size,
            content_type: "text/plain".to_owned(),
            metadata: vec![("by".to_owned(), mark(ctx))],
            expected: Expected::Any,
        })
    }

    /// All that an agent owns, versions and times included, as text.
    pub(crate) async fn everything_of(&self, owner: &CallCtx) -> Vec<String> {
        let (memory, files) = (self.local.memory(), self.local.files());
        let items = memory.list(owner, "", None, 1_000).await.unwrap().items;
        let mut all: Vec<String> = items.iter().map(|item| format!("{item:?}")).collect();
        for info in files.list(owner, "", None, 1_000).await.unwrap().files {
            let file = files.get(owner, &info.path).await.unwrap();
            all.push(format!("{info:?} {file:?}"));
        }
        for path in KEYS {
            let page = files.list_versions(owner, path, None, 1_000).await.unwrap();
            for version in page.versions {
                let number = version.info.version;
                let file = files.get_version(owner, path, number).await.unwrap();
                all.push(format!("{version:?} {file:?}"));
            }
        }
        let records = self.local.records().list(owner, "", None, 1_000).await;
        all.push(format!("{:?}", records.unwrap()));
        let sessions = self.local.sessions();
        for (actor, id) in conversations() {
            let session = sessions.get(owner, actor, id).await.unwrap();
            let events = sessions.events(owner, actor, id, Order::OldestFirst, None, 1_000);
            all.push(format!(
                "{session:?} {:?}",
                events.await.map_err(|e| e.kind())
            ));
        }
        all
    }

    /// Does everything that an agent can do, at the keys that all use, and returns all that it hears, errors included.
    pub(crate) async fn do_everything(&self, ctx: &CallCtx) -> Vec<String> {
        let mut heard = Vec::new();
        self.use_memory(ctx, &mut heard).await;
        self.use_files(ctx, &mut heard).await;
        self.use_sessions(ctx, &mut heard).await;
        self.use_records(ctx, &mut heard).await;
        // What a sweep removes must be the sweeper's own, too.
        self.clock.advance(Duration::from_secs(2 * 3_600));
        hear(
            &mut heard,
            self.try_put(ctx, "last", "x").await.map(|ack| ack.existed),
        );
        heard
    }

    async fn use_memory(&self, ctx: &CallCtx, heard: &mut Vec<String>) {
        let memory = self.local.memory();
        let mut cursors = vec![None];
        for prefix in ["", "k", "k/"] {
            let page = memory.list(ctx, prefix, None, 1).await;
            cursors.extend(page.iter().map(|page| page.next_cursor.clone()));
            hear(
                heard,
                page.map(|page| values(page.items.into_iter().map(|item| item.value))),
            );
        }
        for cursor in cursors.iter().flatten() {
            let page = memory.list(ctx, "k", Some(cursor), 10).await;
            hear(
                heard,
                page.map(|page| values(page.items.into_iter().map(|item| item.value))),
            );
        }
        for key in KEYS {
            let item = memory.get(ctx, key).await;
            hear(
                heard,
                item.map(|item| values(item.into_iter().map(|item| item.value))),
            );
            let mut writes = vec![
                put(key, &mark(ctx)),
                put_if(Expected::Absent, key, "absent"),
            ];
            // Versions that others may have.
            writes
                .extend((0..40).map(|version| put_if(Expected::Version(version), key, "guessed")));
            writes.push(MemoryWrite::Delete {
                key: key.to_owned(),
            });
            for write in writes {
                let id = ctx.next_write_id().unwrap();
                hear(
                    heard,
                    memory.apply(ctx, id, &write).await.map(|ack| ack.existed),
                );
            }
        }
    }

    async fn use_files(&self, ctx: &CallCtx, heard: &mut Vec<String>) {
        let files = self.local.files();
        self.use_uploads(ctx, heard).await;
        for prefix in ["", "k", "k/"] {
            let page = files.list(ctx, prefix, None, 1).await;
            hear(heard, page.map(|page| format!("{:?}", page.files)));
        }
        for path in KEYS {
            hear(heard, files.stat(ctx, path).await);
            self.use_versions(ctx, path, heard).await;
            let file = files.get(ctx, path).await;
            hear(
                heard,
                file.map(|file| values(file.into_iter().map(|file| file.content))),
            );
            // The very content that another has at this path, named without having it.
            for owner in everybody()
                .iter()
                .filter(|owner| owner.tenant != ctx.tenant)
            {
                let content = format!("{path} {}", mark(owner));
                let mut named = self.spool(ctx, path, "anything").await.unwrap();
                if let FilesWrite::Put { sha256, size, .. } = &mut named {
                    *sha256 = digest(&content);
                    *size = content.len() as u64;
                }
                let id = ctx.next_write_id().unwrap();
                let stolen = files.apply(ctx, id, &named).await;
                assert!(
                    stolen.is_err(),
                    "{} named a content of {}",
                    mark(ctx),
                    mark(owner)
                );
            }
            let write = self.spool(ctx, path, &mark(ctx)).await.unwrap();
            // Versions that others may have.
            let guesses = (0..40).map(Expected::Version).chain([Expected::Absent]);
            for guess in guesses {
                let mut write = write.clone();
                if let FilesWrite::Put { expected, .. } = &mut write {
                    *expected = guess;
                }
                let id = ctx.next_write_id().unwrap();
                hear(
                    heard,
                    files.apply(ctx, id, &write).await.map(|ack| ack.existed),
                );
            }
            let delete = FilesWrite::Delete {
                path: path.to_owned(),
            };
            let purge = FilesWrite::Purge {
                path: path.to_owned(),
            };
            for write in [write, delete, purge] {
                let id = ctx.next_write_id().unwrap();
                hear(
                    heard,
                    files.apply(ctx, id, &write).await.map(|ack| ack.existed),
                );
            }
        }
    }

    /// Uploads, drops and finishes contents with the mark of the agent.
    async fn use_uploads(&self, ctx: &CallCtx, heard: &mut Vec<String>) {
        let files = self.local.files();
        let mark = mark(ctx);
        let mut dropped = files.begin_upload(ctx).await.unwrap();
        hear(heard, dropped.append(ctx, mark.as_bytes()).await);
        drop(dropped);
        let mut upload = files.begin_upload(ctx).await.unwrap();
        hear(heard, upload.append(ctx, mark.as_bytes()).await);
        hear(heard, upload.finish(ctx).await);
        hear(heard, upload.append(ctx, mark.as_bytes()).await);
    }

    async fn use_versions(&self, ctx: &CallCtx, path: &str, heard: &mut Vec<String>) {
        let files = self.local.files();
        let page = files.list_versions(ctx, path, None, 1).await;
        let cursor = page.iter().find_map(|page| page.next_cursor.clone());
        hear(heard, page.map(|page| page.versions));
        if let Some(cursor) = cursor {
            let page = files.list_versions(ctx, path, Some(&cursor), 100).await;
            hear(heard, page.map(|page| page.versions));
        }
        hear(heard, files.read_range(ctx, path, None, 0, 1_000).await);
        // Versions that others may have.
        for version in 0..40 {
            let file = files.get_version(ctx, path, version).await;
            hear(
                heard,
                file.map(|file| values(file.into_iter().map(|file| file.content))),
            );
            let part = files.read_range(ctx, path, Some(version), 0, 1_000).await;
            hear(
                heard,
                part.map(|part| values(part.into_iter().map(|part| part.content))),
            );
            let write = FilesWrite::Restore {
                path: path.to_owned(),
                version,
            };
            let id = ctx.next_write_id().unwrap();
            let restored = files.apply(ctx, id, &write).await;
            hear(heard, restored.map(|ack| ack.existed));
        }
    }

    async fn use_records(&self, ctx: &CallCtx, heard: &mut Vec<String>) {
        let records = self.local.records();
        let page = records.list(ctx, "", None, 1).await;
        let cursor = page.iter().find_map(|page| page.next_cursor.clone());
        let rest = records.list(ctx, "", cursor.as_deref(), 10).await;
        for page in [page, rest] {
            let texts = |page: stuga_core::records::Page| {
                let texts = page.records.into_iter().map(|record| record.text);
                texts.collect::<Vec<_>>()
            };
            hear(heard, page.map(texts));
        }
        let hits = records.recall(ctx, "", "secret of", 100).await;
        let texts = hits.map(|hits| hits.into_iter().map(|hit| hit.record.text));
        hear(heard, texts.map(Iterator::collect::<Vec<_>>));
        for id in SESSIONS {
            let found = records.get(ctx, NAMESPACE, id).await;
            hear(heard, found.map(|record| record.map(|record| record.text)));
            let delete = RecordWrite::Delete {
                namespace: NAMESPACE.to_owned(),
                id: id.to_owned(),
            };
            for write in [note(id, mark(ctx)), delete] {
                let write_id = ctx.next_write_id().unwrap();
                let ack = records.apply(ctx, write_id, &write).await;
                hear(heard, ack.map(|ack| ack.existed));
            }
        }
    }

    async fn use_sessions(&self, ctx: &CallCtx, heard: &mut Vec<String>) {
        let sessions = self.local.sessions();
        for (actor, id) in conversations() {
            // Times and ids of events differ between any two runs, so only what was said is heard.
            let session = sessions.get(ctx, actor, id).await;
            hear(
                heard,
                session.map(|session| session.map(|session| session.metadata)),
            );
            let page = sessions.list(ctx, actor, None, 1).await;
            let cursor = page.iter().find_map(|page| page.next_cursor.clone());
            hear(
                heard,
                page.map(|page| page.entries.into_iter().map(|s| s.id).collect::<Vec<_>>()),
            );
            let rest = sessions.list(ctx, actor, cursor.as_deref(), 10).await;
            hear(
                heard,
                rest.map(|page| page.entries.into_iter().map(|s| s.id).collect::<Vec<_>>()),
            );
            for order in [Order::OldestFirst, Order::NewestFirst] {
                let page = sessions.events(ctx, actor, id, order, None, 10).await;
                let said = |page: stuga_core::sessions::Page<stuga_core::sessions::Event>| {
                    let said = page.entries.into_iter().map(|event| event.content);
                    said.collect::<Vec<_>>()
                };
                hear(heard, page.map(said));
            }
            let (actor_name, session) = (actor.to_owned(), id.to_owned());
            let close = SessionWrite::Close {
                actor: actor_name.clone(),
                session: session.clone(),
            };
            let delete = SessionWrite::Delete {
                actor: actor_name,
                session,
            };
            for write in [
                say(actor, id, mark(ctx)),
                begin(actor, id, mark(ctx)),
                close,
                say(actor, id, mark(ctx)),
                delete,
            ] {
                let write_id = ctx.next_write_id().unwrap();
                let ack = sessions.apply(ctx, write_id, &write).await;
                hear(heard, ack.map(|_| write.operation()));
            }
        }
    }
}

/// Every actor with every session.
fn conversations() -> impl Iterator<Item = (&'static str, &'static str)> {
    ACTORS
        .into_iter()
        .flat_map(|actor| SESSIONS.map(|session| (actor, session)))
}

/// Keeps an answer or all that an error says to the caller.
fn hear(heard: &mut Vec<String>, result: Result<impl Debug>) {
    heard.push(match result {
        Ok(answer) => format!("{answer:?}"),
        Err(error) => format!("{error} {:?}", error.context()),
    });
}

fn values(values: impl Iterator<Item = Vec<u8>>) -> String {
    let texts = values.map(|value| String::from_utf8_lossy(&value).into_owned());
    texts.collect::<Vec<_>>().join(", ")
}

/// SHA-256 as anybody can compute it.
fn digest(content: &str) -> String {
    use sha2::Digest;
    hex::encode(sha2::Sha256::digest(content))
}

/// The directories in `directory`.
pub(crate) fn directories(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_dir()).collect()
}

/// The bytes of every file below `directory`.
pub(crate) fn bytes_below(directory: &Path) -> Vec<Vec<u8>> {
    let mut all = Vec::new();
    for entry in std::fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            all.extend(bytes_below(&path));
        } else {
            all.push(std::fs::read(&path).unwrap());
        }
    }
    all
}
