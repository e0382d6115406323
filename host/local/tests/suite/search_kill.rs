//! Documents that were acknowledged survive `kill -9` at any moment of writing and indexing, and are found.
//!
//! The test runs itself as a child that writes with several tasks and queries in between, so that it dies in transactions,
//! commits of the derived index and merges; the parent opens the store and looks for everything that was acknowledged.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use stuga_core::search::{
    Analyzer, Change, Field, FieldKind, Operator, Query, Search, SearchAck, SearchWrite, TextPart,
    Value, VectorSource,
};
use stuga_core::{
    AgentName, CallCtx, Capability, InvocationId, RequestId, SystemClock, TenantId, Timestamp,
    WriteId,
};
use stuga_local::{Local, LocalConfig};
use uuid::Uuid;

use crate::mortal;

/// How often the child is killed.
const ROUNDS: u32 = 16;
/// Tasks that write at the same time in the child.
const WRITERS: u32 = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_acknowledged_document_survives_kill_9_and_is_found() {
    if let Some((directory, round)) = mortal::as_child() {
        write_until_killed(&directory, round).await;
    }
    let directory = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeMap::new();
    for round in 0..ROUNDS {
        kill_after(
            directory.path(),
            round,
            1 + (round as usize * 7) % 60,
            &mut acknowledged,
        );
        verify(directory.path(), &acknowledged).await;
    }
    assert!(acknowledged.len() > ROUNDS as usize);
}

/// A write of the test, by its numbers. Each third one replaces the document before it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
struct Number {
    round: u32,
    writer: u32,
    n: u32,
}

impl Number {
    /// The document that it writes.
    fn document(self) -> String {
        let n = if self.n % 3 == 2 { self.n - 1 } else { self.n };
        format!("{}-{}-{n}", self.round, self.writer)
    }

    /// A word that no other write uses.
    fn word(self) -> String {
        format!("w{}x{}x{}", self.round, self.writer, self.n)
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
        let text = Value::Text(format!("{} och mera text", self.word()));
        let write = SearchWrite::Change {
            index: "notes".to_owned(),
            changes: vec![Change::Put {
                id: self.document(),
                fields: vec![("text".to_owned(), text)],
            }],
        };
        let (ctx, call) = (self.ctx(), 0);
        let invocation = ctx.invocation;
        let id = WriteId { invocation, call };
        match local.search().apply(&ctx, id, &write).await.unwrap() {
            SearchAck::Changed(outcomes) => outcomes[0].version,
            other => unreachable!("{other:?}"),
        }
    }

    async fn found(self, local: &Local) -> Vec<(String, u64)> {
        let query = Query {
            text: Some(TextPart {
                words: self.word(),
                fields: Vec::new(),
                operator: Operator::Any,
            }),
            ..Query::default()
        };
        let answer = local
            .search()
            .query(&self.ctx(), "notes", &query)
            .await
            .unwrap();
        let hits = answer.hits.into_iter();
        hits.map(|hit| (hit.document.id, hit.document.version))
            .collect()
    }
}

fn open(directory: &Path) -> Local {
    Local::open(directory, Arc::new(SystemClock), LocalConfig::default()).unwrap()
}

async fn write_until_killed(directory: &Path, round: u32) {
    let local = open(directory);
    let first = Number {
        round,
        writer: u32::MAX,
        n: 0,
    };
    let field = |name: &str, kind| Field {
        name: name.to_owned(),
        kind,
    };
    let create = SearchWrite::CreateIndex {
        index: "notes".to_owned(),
        fields: vec![
            field("text", FieldKind::Text(Analyzer::Sv)),
            field(
                "vec",
                FieldKind::Vector(VectorSource::MadeFrom("text".to_owned())),
            ),
        ],
    };
    let ctx = first.ctx();
    let id = ctx.next_write_id().unwrap();
    local.search().apply(&ctx, id, &create).await.unwrap();
    let writers: Vec<_> = (0..WRITERS)
        .map(|writer| {
            let local = local.clone();
            tokio::spawn(async move {
                for n in 0.. {
                    let number = Number { round, writer, n };
                    let version = number.apply(&local).await;
                    mortal::tell(&format!("ack {writer} {n} {version}"));
                    if n % 4 == writer {
                        let found = number.found(&local).await;
                        assert_eq!(found, [(number.document(), version)]);
                    }
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
    let test = "search_kill::every_acknowledged_document_survives_kill_9_and_is_found";
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
    // What a later write of the same document has replaced is not there any more, and not found.
    let mut latest: BTreeMap<String, (Number, u64)> = BTreeMap::new();
    for (number, version) in acknowledged {
        latest.insert(number.document(), (*number, *version));
    }
    let search = local.search();
    for (id, (number, version)) in &latest {
        let document = search
            .get(&number.ctx(), "notes", id)
            .await
            .unwrap()
            .unwrap();
        assert!(document.version >= *version, "{number:?} is lost");
    }
    for (number, version) in acknowledged.iter().rev().take(40) {
        let document = search
            .get(&number.ctx(), "notes", &number.document())
            .await
            .unwrap();
        let stands = document.is_some_and(|document| document.version == *version);
        let expected = if stands {
            vec![(number.document(), *version)]
        } else {
            Vec::new()
        };
        assert_eq!(number.found(&local).await, expected, "{number:?}");
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
    let documents = counted("SELECT count(*) FROM search_document");
    assert_eq!(documents, usage.search_documents);
    assert_eq!(documents, counted("SELECT documents FROM search_index"));
    assert_eq!(documents, counted("SELECT count(*) FROM search_vector"));
    let bytes = counted("SELECT CAST(total(bytes) AS INTEGER) FROM search_document");
    assert_eq!(bytes, usage.search_bytes);
    assert_eq!(bytes, counted("SELECT bytes FROM search_index"));
}
