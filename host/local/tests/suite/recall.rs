//! Recall when the embedder changes or is away, and over more than a few rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use stuga_core::embed::{self, Embedder};
use stuga_core::records::{RecordWrite, Records};
use stuga_core::sessions::{Role, SessionWrite, Sessions};
use stuga_core::testkit::ManualClock;
use stuga_core::{Capability, Clock, Error, ErrorKind, Result, TenantId, Timestamp};
use stuga_local::{Local, LocalConfig, Models};
use tempfile::TempDir;

use crate::common::scribe;

/// The built-in embedder under another name, which can be away.
struct Named {
    name: &'static str,
    away: AtomicBool,
}

#[async_trait]
impl Embedder for Named {
    fn model(&self) -> &str {
        self.name
    }

    fn dimension(&self) -> usize {
        embed::DIMENSION
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::unavailable("embed", "the model is away"));
        }
        Ok(texts.iter().map(|text| embed::embed(text)).collect())
    }
}

struct House {
    local: Local,
    embedder: Arc<Named>,
    directory: TempDir,
}

impl House {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let (local, embedder) = open(&directory, "one");
        Self {
            local,
            embedder,
            directory,
        }
    }

    /// Opens the store with an embedder of another name.
    async fn change_model(&mut self, name: &'static str) {
        self.local.close().await.unwrap();
        (self.local, self.embedder) = open(&self.directory, name);
    }

    async fn learn(&self, id: &str, text: &str) {
        let ctx = scribe();
        let write = RecordWrite::Put {
            namespace: "/a".to_owned(),
            id: Some(id.to_owned()),
            text: text.to_owned(),
            metadata: Vec::new(),
        };
        let id = ctx.next_write_id().unwrap();
        self.local.records().apply(&ctx, id, &write).await.unwrap();
    }

    async fn say(&self, said: &[String]) {
        let (actor, session) = ("astrid".to_owned(), "s".to_owned());
        let create = SessionWrite::Create {
            actor: actor.clone(),
            id: Some(session.clone()),
            ttl: None,
            metadata: Vec::new(),
        };
        let append = |content: &String| SessionWrite::Append {
            actor: actor.clone(),
            session: session.clone(),
            role: Role::User,
            content: content.clone(),
            metadata: Vec::new(),
        };
        for write in [create].into_iter().chain(said.iter().map(append)) {
            let ctx = scribe();
            let id = ctx.next_write_id().unwrap();
            self.local.sessions().apply(&ctx, id, &write).await.unwrap();
        }
    }

    async fn learned(&self, query: &str) -> usize {
        let records = self.local.records();
        let hits = records.recall(&scribe(), "/a", query, 100).await;
        hits.unwrap().len()
    }

    async fn said(&self, query: &str) -> usize {
        let sessions = self.local.sessions();
        let hits = sessions.recall(&scribe(), "astrid", query, 100).await;
        hits.unwrap().len()
    }

    /// Counters agree with rows, vectors included.
    async fn assert_counted(&self) {
        let usage = self.local.usage(&TenantId::new("acme").unwrap()).await;
        let database = self.directory.path().join("tenants/acme/state.db");
        let conn = rusqlite::Connection::open(database).unwrap();
        let sql = "SELECT (SELECT coalesce(sum(bytes), 0) FROM record) + (SELECT coalesce(sum(bytes), 0) FROM event)
                   + (SELECT coalesce(sum(bytes), 0) FROM session)";
        let bytes: u64 = conn.query_row(sql, [], |row| row.get(0)).unwrap();
        assert_eq!(usage.unwrap().memory_bytes, bytes);
    }
}

fn open(directory: &TempDir, name: &'static str) -> (Local, Arc<Named>) {
    let embedder = Arc::new(Named {
        name,
        away: AtomicBool::new(false),
    });
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
    let local = Local::open_with(
        directory.path(),
        clock as Arc<dyn Clock>,
        LocalConfig::default(),
        &Models {
            embedder: Arc::clone(&embedder) as Arc<dyn Embedder>,
            ..Models::default()
        },
    );
    (local.unwrap(), embedder)
}

#[tokio::test]
async fn what_is_stored_while_the_embedder_is_away_is_recalled_once_it_is_back() {
    let house = House::new();
    house.embedder.away.store(true, Ordering::SeqCst);
    house.learn("k", "the red house").await;
    house.say(&["the red house".to_owned()]).await;
    let refused = house
        .local
        .records()
        .recall(&scribe(), "/a", "red", 1)
        .await;
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Unavailable);
    house.assert_counted().await;
    house.embedder.away.store(false, Ordering::SeqCst);
    assert_eq!(house.learned("red house").await, 1);
    assert_eq!(house.said("red house").await, 1);
    house.assert_counted().await;
}

#[tokio::test]
async fn vectors_of_another_model_are_made_anew_some_at_each_recall() {
    let mut house = House::new();
    for n in 0..70 {
        house.learn(&format!("k{n}"), "the red house").await;
    }
    let said: Vec<String> = (0..70).map(|n| format!("the red house {n}")).collect();
    house.say(&said).await;
    house.change_model("another").await;
    for found in [64, 70, 70] {
        assert_eq!(house.learned("red house").await, found);
        assert_eq!(house.said("red house").await, found);
        house.assert_counted().await;
    }
}

#[tokio::test]
async fn a_text_that_says_nothing_is_embedded_once() {
    let house = House::new();
    house.learn("k", "?! ...").await;
    house.learn("l", "the red house").await;
    assert_eq!(house.learned("red house").await, 1);
    let database = house.directory.path().join("tenants/acme/state.db");
    let conn = rusqlite::Connection::open(database).unwrap();
    let sql = "SELECT count(*) FROM vector";
    let vectors: u64 = conn.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(vectors, 2);
}

#[tokio::test]
async fn a_replaced_record_leaves_no_vector_behind() {
    let house = House::new();
    for text in ["the red house", "the blue boat"] {
        house.learn("k", text).await;
    }
    let database = house.directory.path().join("tenants/acme/state.db");
    let conn = rusqlite::Connection::open(database).unwrap();
    let sql = "SELECT count(*) FROM vector WHERE number NOT IN (SELECT number FROM record)";
    let left: u64 = conn.query_row(sql, [], |row| row.get(0)).unwrap();
    assert_eq!(left, 0);
    assert_eq!(house.learned("red").await, 0);
    house.assert_counted().await;
}
