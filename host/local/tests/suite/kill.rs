//! An acknowledged write survives `kill -9` of the process, and is applied once when it comes again.
//!
//! The test runs itself as a child that writes with several tasks and prints each acknowledgement; the parent kills it
//! in the middle, opens the store and looks for everything that was acknowledged.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stuga_core::files::{Files, FilesWrite, Spooled};
use stuga_core::memory::{Expected, Memory, MemoryAck, MemoryWrite};
use stuga_core::records::{RecordWrite, Records};
use stuga_core::sessions::{Order, Role, SessionAck, SessionWrite, Sessions};
use stuga_core::standby::{Adopted, Made, Standby};
use stuga_core::{
    AgentName, CallCtx, Capability, CapabilityName, InvocationId, RequestId, SystemClock, TenantId,
    Timestamp, Write, WriteId, first_version,
};
use stuga_local::{Local, LocalConfig};
use uuid::Uuid;

use crate::mortal;

/// How often the child is killed, unless `STUGA_KILL_ROUNDS` says otherwise.
const ROUNDS: u32 = 24;
/// Whose sessions they are.
const ACTOR: &str = "astrid";
/// Tasks that write at the same time in the child, so that batches hold several writes.
const WRITERS: u32 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_survives_kill_9() {
    if let Some((directory, round)) = mortal::as_child() {
        write_until_killed(&directory, round).await;
    }
    let rounds = std::env::var("STUGA_KILL_ROUNDS");
    let rounds = rounds.map_or(ROUNDS, |rounds| rounds.parse().unwrap());
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    for round in 0..rounds {
        let before = acknowledged.len();
        // A different moment each time: early in the first writes, or after many.
        kill_after(
            directory.path(),
            round,
            1 + (round as usize * 7) % 90,
            &mut acknowledged,
        );
        assert!(acknowledged.len() > before, "the child wrote nothing");
        verify(directory.path(), &acknowledged).await;
    }
}

/// A write of the test, by its numbers: everything about it can be derived again.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Number {
    round: u32,
    writer: u32,
    n: u32,
}

/// What a write stores.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Kind {
    Item,
    Record,
    /// Of the writer's one session in this round.
    Event,
    /// At a path of its own.
    File,
    /// Uploaded in parts to a path that several writes share, so that it makes the one before an earlier version.
    Version,
}

impl Number {
    fn kind(self) -> Kind {
        match self.n % 10 {
            9 => Kind::File,
            8 => Kind::Version,
            5 => Kind::Record,
            6 | 7 => Kind::Event,
            _ => Kind::Item,
        }
    }

    fn key(self) -> String {
        format!("{}/{}/{}", self.round, self.writer, self.n)
    }

    /// The session that the writer's events of this round share.
    fn shared(self) -> String {
        format!("{}-{}", self.round, self.writer)
    }

    /// The path that ten versions share: fewer than are kept.
    fn path(self) -> String {
        format!("{}-{}", self.shared(), self.n / 100)
    }

    fn content(self) -> Vec<u8> {
        self.key().repeat(20).into_bytes()
    }

    fn text(self) -> String {
        self.key().repeat(20)
    }

    fn write_id(self) -> WriteId {
        WriteId {
            invocation: self.ctx().invocation,
            call: 0,
        }
    }

    /// The number that a write's id was made of.
    fn of(id: WriteId) -> Self {
        let id = id.invocation.as_uuid().as_u128();
        Self {
            round: u32::try_from(id >> 64).unwrap(),
            writer: (id >> 32) as u32,
            n: id as u32,
        }
    }

    fn ctx(self) -> CallCtx {
        let id =
            (u128::from(self.round) << 64) | (u128::from(self.writer) << 32) | u128::from(self.n);
        let id = Uuid::from_u128(id);
        CallCtx::new(
            TenantId::new("acme").unwrap(),
            AgentName::new("scribe").unwrap(),
            InvocationId::from_uuid(id),
            RequestId::from_uuid(id),
            Timestamp::default(),
            tokio::time::Instant::now() + Duration::from_secs(60),
        )
    }

    /// Applies the write and answers the version, or of an event the time, that it got.
    async fn apply(self, local: &Local) -> u64 {
        let ctx = self.ctx();
        let id = WriteId {
            invocation: ctx.invocation,
            call: 0,
        };
        match self.kind() {
            Kind::Item => {
                let write = MemoryWrite::Put {
                    key: self.key(),
                    value: self.content(),
                    ttl: None,
                    expected: Expected::Absent,
                };
                if self.is_copied() {
                    return self.copy(local, &ctx, id, &write).await;
                }
                let ack = self.land(&*local.memory(), &ctx, id, &write).await;
                ack.version
            }
            Kind::Record => {
                let write = RecordWrite::Put {
                    namespace: "/a".to_owned(),
                    id: Some(self.key().replace('/', "-")),
                    text: self.text(),
                    metadata: Vec::new(),
                };
                let ack = self.land(&*local.records(), &ctx, id, &write).await;
                ack.version
            }
            Kind::Event => {
                let write = SessionWrite::Append {
                    actor: ACTOR.to_owned(),
                    session: self.shared(),
                    role: Role::User,
                    content: self.text(),
                    metadata: Vec::new(),
                };
                match self.land(&*local.sessions(), &ctx, id, &write).await {
                    SessionAck::Appended { at, .. } => at.as_millis(),
                    other => panic!("an append was answered with {other:?}"),
                }
            }
            Kind::File => {
                let spooled = local.files().spool(&ctx, &self.content()).await.unwrap();
                self.put(local, &ctx, id, self.key(), spooled).await
            }
            Kind::Version => {
                let mut upload = local.files().begin_upload(&ctx).await.unwrap();
                for part in self.content().chunks(7) {
                    upload.append(&ctx, part).await.unwrap();
                }
                let spooled = upload.finish(&ctx).await.unwrap();
                self.put(local, &ctx, id, self.path(), spooled).await
            }
        }
    }

    async fn put(
        self,
        local: &Local,
        ctx: &CallCtx,
        id: WriteId,
        path: String,
        spooled: Spooled,
    ) -> u64 {
        let write = FilesWrite::Put {
            path,
            sha256: spooled.sha256,
            size: spooled.size,
            content_type: "text/plain".to_owned(),
            metadata: Vec::new(),
            expected: Expected::Any,
        };
        let ack = self.land(&*local.files(), ctx, id, &write).await;
        ack.info.unwrap().version
    }

    /// Whether the write is made while the cloud is away: some of each kind are.
    fn is_noted(self) -> bool {
        self.n % 3 == 1
    }

    /// Whether it is an item that the cloud has, of which this is the copy.
    fn is_copied(self) -> bool {
        self.kind() == Kind::Item && self.n % 3 == 2
    }

    /// Takes over what the cloud made of it; answers the version, which is the same each time.
    async fn copy(self, local: &Local, ctx: &CallCtx, id: WriteId, write: &MemoryWrite) -> u64 {
        let at = Timestamp::from_millis(1_700_000_000_000);
        let place = u64::from(self.round * WRITERS + self.writer) << 32;
        let version = first_version(at) + place + u64::from(self.n);
        let made = Made {
            ack: MemoryAck {
                version,
                existed: false,
            },
            stamp: version,
            at,
        };
        let copied = local.memory().copy(ctx, id, write, &made).await.unwrap();
        assert_eq!(copied, Adopted::Stands);
        version
    }

    async fn land<W: Write>(
        self,
        side: &(impl Capability<Write = W> + Standby<W>),
        ctx: &CallCtx,
        id: WriteId,
        write: &W,
    ) -> W::Ack {
        let landed = match self.is_noted() {
            true => side.apply_noted(ctx, id, write).await,
            false => side.apply(ctx, id, write).await,
        };
        landed.unwrap()
    }

    /// Begins the session that the writer's events of this round go to.
    async fn begin_session(self, local: &Local) {
        let ctx = self.ctx();
        let id = WriteId {
            invocation: ctx.invocation,
            call: 1,
        };
        let write = SessionWrite::Create {
            actor: ACTOR.to_owned(),
            id: Some(self.shared()),
            ttl: None,
            metadata: Vec::new(),
        };
        local.sessions().apply(&ctx, id, &write).await.unwrap();
    }

    /// What is stored of the write, with the version or time that it has.
    async fn stored(self, local: &Local) -> Option<(Vec<u8>, u64)> {
        let (ctx, key) = (self.ctx(), self.key());
        match self.kind() {
            Kind::Item => {
                let item = local.memory().get(&ctx, &key).await.unwrap()?;
                Some((item.value, item.version))
            }
            Kind::Record => {
                let (records, id) = (local.records(), key.replace('/', "-"));
                let record = records.get(&ctx, "/a", &id).await.unwrap()?;
                Some((record.text.into_bytes(), record.version))
            }
            Kind::Event => {
                let (text, session) = (self.text(), self.shared());
                let (sessions, order) = (local.sessions(), Order::OldestFirst);
                let events = sessions.events(&ctx, ACTOR, &session, order, None, 1_000);
                let mut found = events.await.unwrap().entries;
                found.retain(|event| event.content == text);
                assert!(found.len() < 2, "{self:?} is doubled");
                let event = found.pop()?;
                Some((event.content.into_bytes(), event.at.as_millis()))
            }
            Kind::File => {
                let file = local.files().get(&ctx, &key).await.unwrap()?;
                Some((file.content, file.info.version))
            }
            Kind::Version => {
                let (files, path, content) = (local.files(), self.path(), self.content());
                let page = files.list_versions(&ctx, &path, None, 1_000).await.unwrap();
                let mut found = None;
                for version in page.versions {
                    let version = version.info.version;
                    let file = files.get_version(&ctx, &path, version).await.unwrap();
                    if file.unwrap().content == content {
                        assert_eq!(found, None, "{self:?} is doubled");
                        found = Some((content.clone(), version));
                    }
                }
                found
            }
        }
    }
}

fn open(directory: &Path) -> Local {
    Local::open(directory, Arc::new(SystemClock), LocalConfig::default()).unwrap()
}

async fn write_until_killed(directory: &Path, round: u32) {
    let local = open(directory);
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let local = local.clone();
            tokio::spawn(async move {
                let first = Number {
                    round,
                    writer,
                    n: 0,
                };
                first.begin_session(&local).await;
                for n in 0.. {
                    let number = Number { round, writer, n };
                    let version = number.apply(&local).await;
                    mortal::tell(&format!("ack {writer} {n} {version}"));
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

/// Kills a child after so many acknowledgements and takes down all that it told.
fn kill_after(directory: &Path, round: u32, acks: usize, acknowledged: &mut BTreeMap<Number, u64>) {
    let test = "kill::every_acknowledged_write_survives_kill_9";
    mortal::kill_after(test, (directory, round), acks, |words| {
        let ["ack", writer, n, version] = words else {
            return false;
        };
        let number = Number {
            round,
            writer: writer.parse().unwrap(),
            n: n.parse().unwrap(),
        };
        acknowledged.insert(number, version.parse().unwrap());
        true
    });
}

async fn verify(directory: &Path, acknowledged: &BTreeMap<Number, u64>) {
    let local = open(directory);
    for (number, version) in acknowledged {
        assert_eq!(
            number.stored(&local).await,
            Some((number.content(), *version)),
            "{number:?} is lost"
        );
    }
    // Versions are given once. A repetition gets the version of the first time: it was not applied again.
    for (number, version) in acknowledged.iter().rev().take(20) {
        assert_eq!(
            number.apply(&local).await,
            *version,
            "{number:?} came twice"
        );
    }
    check_journal(&local, acknowledged).await;
    check_counters(&local, directory).await;
    local.close().await.unwrap();
}

/// Every write that was noted and acknowledged has one entry, and every entry has its effect: both are one transaction.
async fn check_journal(local: &Local, acknowledged: &BTreeMap<Number, u64>) {
    let (journal, acme) = (local.journal(), TenantId::new("acme").unwrap());
    let mut noted = BTreeMap::new();
    for capability in CapabilityName::ALL {
        let mut after = 0;
        let mut waiting = 0;
        loop {
            let page = journal.next(&acme, capability, after, 100).await.unwrap();
            let Some(last) = page.last() else { break };
            after = last.info.seq;
            waiting += page.len() as u64;
            for entry in page {
                assert!(entry.stamp > 0 && !entry.ack.is_empty());
                let (id, key) = (entry.info.id, entry.info.key.clone());
                let twice = noted.insert(id, entry);
                assert!(twice.is_none(), "{key} is noted twice");
            }
        }
        let backlog = journal.backlog(&acme, capability).await.unwrap();
        assert_eq!(backlog.waiting, waiting, "{capability}");
    }
    for number in acknowledged.keys() {
        let id = number.write_id();
        assert_eq!(noted.remove(&id).is_some(), number.is_noted(), "{number:?}");
    }
    // Whose acknowledgement nobody heard: the effect is there as well.
    for entry in noted.values() {
        let number = Number::of(entry.info.id);
        assert!(number.stored(local).await.is_some(), "{number:?}");
    }
}

/// Counters and rows agree after a crash.
async fn check_counters(local: &Local, directory: &Path) {
    let usage = local.usage(&TenantId::new("acme").unwrap()).await.unwrap();
    let conn = rusqlite::Connection::open(directory.join("tenants/acme/state.db")).unwrap();
    let counted = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap();
    for (sql, counter) in [
        (
            "SELECT (SELECT count(*) FROM memory_item) + (SELECT count(*) FROM session)
               + (SELECT count(*) FROM event) + (SELECT count(*) FROM record)",
            usage.memory_items,
        ),
        (
            "SELECT (SELECT coalesce(sum(octet_length(key) + octet_length(value)), 0) FROM memory_item)
               + (SELECT coalesce(sum(bytes), 0) FROM session)
               + (SELECT coalesce(sum(bytes), 0) FROM event)
               + (SELECT coalesce(sum(bytes), 0) FROM record)",
            usage.memory_bytes,
        ),
        ("SELECT count(*) FROM file", usage.files_count),
        ("SELECT coalesce(sum(size), 0) FROM file", usage.files_bytes),
        ("SELECT count(*) FROM file_version", usage.file_versions),
        (
            "SELECT coalesce(sum(size), 0) FROM file_version",
            usage.file_version_bytes,
        ),
        (
            "SELECT count(*) FROM content c WHERE named_by !=
               (SELECT count(*) FROM file f WHERE f.sha256 = c.sha256)
               + (SELECT count(*) FROM file_version v WHERE v.sha256 = c.sha256)
               + (SELECT count(*) FROM journal j WHERE j.content = c.sha256)",
            0,
        ),
        ("SELECT count(*) FROM journal", usage.journal_entries),
        (
            "SELECT coalesce(sum(bytes), 0) FROM journal",
            usage.journal_bytes,
        ),
        (
            "SELECT abs(journal_waiting - (SELECT count(*) FROM journal WHERE state = 'waiting')) FROM tally",
            0,
        ),
        (
            "SELECT abs((SELECT count(*) FROM event) + (SELECT count(*) FROM record) - (SELECT count(*) FROM vector))",
            0,
        ),
    ] {
        assert_eq!(counted(sql), counter, "{sql}");
    }
    let fine: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(fine, "ok");
}
