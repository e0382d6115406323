//! An acknowledged write survives `kill -9` of the process, and is applied once when it comes again.
//!
//! The test runs itself as a child that writes with several tasks and prints each acknowledgement; the parent kills it
//! in the middle, opens the store and looks for everything that was acknowledged.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use stuga_core::files::FilesWrite;
use stuga_core::memory::{Expected, MemoryWrite};
use stuga_core::{
    AgentName, CallCtx, InvocationId, RequestId, SystemClock, TenantId, Timestamp, WriteId,
};
use stuga_local::{Local, LocalConfig};
use uuid::Uuid;

/// Set for the child: where the store is, and where its numbering begins.
const CHILD_DIRECTORY: &str = "STUGA_KILL_TEST_DIRECTORY";
const CHILD_ROUND: &str = "STUGA_KILL_TEST_ROUND";
/// How often the child is killed.
const ROUNDS: u32 = 24;
/// Tasks that write at the same time in the child, so that batches hold several writes.
const WRITERS: u32 = 6;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_write_survives_kill_9() {
    if let Some(directory) = std::env::var_os(CHILD_DIRECTORY) {
        let round = std::env::var(CHILD_ROUND).unwrap().parse().unwrap();
        write_until_killed(Path::new(&directory), round).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    for round in 0..ROUNDS {
        let before = acknowledged.len();
        // A different moment each time: early in the first writes, or after many.
        kill_after(
            directory.path(),
            round,
            1 + (round * 7) % 90,
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

impl Number {
    /// Each tenth write is a file.
    fn is_file(self) -> bool {
        self.n % 10 == 9
    }

    fn key(self) -> String {
        format!("{}/{}/{}", self.round, self.writer, self.n)
    }

    fn content(self) -> Vec<u8> {
        self.key().repeat(20).into_bytes()
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

    /// Applies the write and answers the version that it got.
    async fn apply(self, local: &Local) -> u64 {
        let ctx = self.ctx();
        let id = WriteId {
            invocation: ctx.invocation,
            call: 0,
        };
        if !self.is_file() {
            let write = MemoryWrite::Put {
                key: self.key(),
                value: self.content(),
                ttl: None,
                expected: Expected::Absent,
            };
            return local
                .memory()
                .apply(&ctx, id, &write)
                .await
                .unwrap()
                .version;
        }
        let files = local.files();
        let spooled = files.spool(&ctx, &self.content()).await.unwrap();
        let write = FilesWrite::Put {
            path: self.key(),
            sha256: spooled.sha256,
            size: spooled.size,
            content_type: "text/plain".to_owned(),
            metadata: Vec::new(),
            expected: Expected::Any,
        };
        let ack = files.apply(&ctx, id, &write).await.unwrap();
        ack.info.unwrap().version
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
                for n in 0.. {
                    let number = Number { round, writer, n };
                    let version = number.apply(&local).await;
                    // One call, so that lines do not mix.
                    let line = format!("ack {writer} {n} {version}\n");
                    std::io::stdout().write_all(line.as_bytes()).unwrap();
                }
            })
        })
        .collect();
    for writer in writers {
        writer.await.unwrap();
    }
}

/// Starts a child, kills it after `acks` acknowledgements and takes down all that it printed.
fn kill_after(directory: &Path, round: u32, acks: u32, acknowledged: &mut BTreeMap<Number, u64>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "every_acknowledged_write_survives_kill_9",
            "--nocapture",
        ])
        .env(CHILD_DIRECTORY, directory)
        .env(CHILD_ROUND, round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap());
    let mut seen = 0;
    let mut line = String::new();
    // To the end of the pipe: what was printed before the kill was acknowledged, too.
    while lines.read_line(&mut line).unwrap() > 0 {
        // The kill may cut the last line; then its write was not acknowledged to anybody.
        let whole = line.ends_with('\n');
        let words: Vec<&str> = line.split_whitespace().collect();
        if let (true, ["ack", writer, n, version]) = (whole, words.as_slice()) {
            let number = Number {
                round,
                writer: writer.parse().unwrap(),
                n: n.parse().unwrap(),
            };
            acknowledged.insert(number, version.parse().unwrap());
            seen += 1;
            if seen == acks {
                child.kill().unwrap();
            }
        }
        line.clear();
    }
    let status = child.wait().unwrap();
    assert!(
        !status.success() && seen >= acks,
        "the child ended by itself: {status}"
    );
}

async fn verify(directory: &Path, acknowledged: &BTreeMap<Number, u64>) {
    let local = open(directory);
    let (memory, files) = (local.memory(), local.files());
    for (number, version) in acknowledged {
        let (ctx, key) = (number.ctx(), number.key());
        let stored = if number.is_file() {
            let file = files.get(&ctx, &key).await.unwrap();
            file.map(|file| (file.content, file.info.version))
        } else {
            let item = memory.get(&ctx, &key).await.unwrap();
            item.map(|item| (item.value, item.version))
        };
        assert_eq!(
            stored,
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
    check_counters(&local, directory).await;
    local.close().await.unwrap();
}

/// Counters and rows agree after a crash.
async fn check_counters(local: &Local, directory: &Path) {
    let usage = local.usage(&TenantId::new("acme").unwrap()).await.unwrap();
    let conn = rusqlite::Connection::open(directory.join("tenants/acme/state.db")).unwrap();
    let counted = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, u64>(0)).unwrap();
    assert_eq!(
        counted("SELECT count(*) FROM memory_item"),
        usage.memory_items
    );
    assert_eq!(
        counted(
            "SELECT CAST(total(octet_length(key) + octet_length(value)) AS INTEGER) FROM memory_item"
        ),
        usage.memory_bytes
    );
    assert_eq!(counted("SELECT count(*) FROM file"), usage.files_count);
    assert_eq!(
        counted("SELECT CAST(total(size) AS INTEGER) FROM file"),
        usage.files_bytes
    );
    let fine: String = conn
        .query_row("PRAGMA integrity_check", [], |row| row.get(0))
        .unwrap();
    assert_eq!(fine, "ok");
}
