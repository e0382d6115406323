//! Records whose embedder changes, is away, or is slow: a put always stands, and a recall catches up.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use async_trait::async_trait;
use stuga_core::embed::{Embedder, embed, normalise};
use stuga_core::records::{RecordWrite, Records};
use stuga_core::testkit::{ManualClock, ctx};
use stuga_core::{Capability, Clock, Error, Result, Timestamp};
use stuga_local::{Local, LocalConfig, Models};
use tempfile::TempDir;

/// Hashed words, folded to half the numbers, under a name of its own; away on command.
struct Folded {
    name: &'static str,
    away: AtomicBool,
    hangs: AtomicBool,
    texts: AtomicUsize,
}

impl Folded {
    fn new(name: &'static str) -> Arc<Self> {
        Arc::new(Self {
            name,
            away: AtomicBool::new(false),
            hangs: AtomicBool::new(false),
            texts: AtomicUsize::new(0),
        })
    }
}

#[async_trait]
impl Embedder for Folded {
    fn model(&self) -> &str {
        self.name
    }

    fn dimension(&self) -> usize {
        256
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        if self.hangs.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        if self.away.load(Ordering::SeqCst) {
            return Err(Error::unavailable("embed", "the model is away"));
        }
        self.texts.fetch_add(texts.len(), Ordering::SeqCst);
        let fold = |text: &&str| {
            let wide = embed(text);
            let (left, right) = wide.split_at(256);
            let mut vector: Vec<f32> = left.iter().zip(right).map(|(a, b)| a + b).collect();
            normalise("embed", &mut vector).map(|()| vector)
        };
        texts.iter().map(fold).collect()
    }
}

fn open(directory: &Path, embedder: Option<Arc<Folded>>) -> Local {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
    let mut models = Models::default();
    if let Some(embedder) = embedder {
        models.embedder = embedder;
    }
    let config = LocalConfig::default();
    Local::open_with(directory, clock as Arc<dyn Clock>, config, &models).unwrap()
}

async fn put(local: &Local, id: &str, text: &str) {
    let ctx = ctx("acme", "scribe");
    let write = RecordWrite::Put {
        namespace: "/facts".to_owned(),
        id: Some(id.to_owned()),
        text: text.to_owned(),
        metadata: Vec::new(),
    };
    let write_id = ctx.next_write_id().unwrap();
    local.records().apply(&ctx, write_id, &write).await.unwrap();
}

async fn recall(records: &dyn Records, query: &str, k: u32) -> Vec<String> {
    let ctx = ctx("acme", "scribe");
    let hits = records.recall(&ctx, "", query, k).await.unwrap();
    hits.into_iter().map(|hit| hit.record.id).collect()
}

async fn memory_bytes(local: &Local) -> u64 {
    let tenant = ctx("acme", "scribe").tenant;
    local.usage(&tenant).await.unwrap().memory_bytes
}

#[tokio::test]
async fn a_record_is_recalled_by_the_embedder_that_came_after_it() {
    let directory = TempDir::new().unwrap();
    let local = open(directory.path(), None);
    put(&local, "home", "She lives in a cabin by the lake.").await;
    put(&local, "dog", "Hunden heter Bamse.").await;
    let before = memory_bytes(&local).await;
    local.close().await.unwrap();

    let embedder = Folded::new("folded-1");
    let local = open(directory.path(), Some(Arc::clone(&embedder)));
    assert_eq!(
        recall(&*local.records(), "cabins near lakes", 1).await,
        ["home"]
    );
    // Two vectors of 512 numbers have become two of 256, and the quota knows.
    assert_eq!(memory_bytes(&local).await, before - 2 * 256);
    let made = embedder.texts.load(Ordering::SeqCst);
    assert_eq!(
        recall(&*local.records(), "vad heter hunden", 1).await,
        ["dog"]
    );
    let again = embedder.texts.load(Ordering::SeqCst) - made;
    assert_eq!(again, 1, "only the query is embedded once all is renewed");
}

#[tokio::test]
async fn many_old_vectors_are_renewed_some_at_a_time_the_newest_first() {
    let directory = TempDir::new().unwrap();
    let local = open(directory.path(), None);
    for n in 0..100 {
        put(
            &local,
            &format!("{n:03}"),
            &format!("the red house number {n}"),
        )
        .await;
    }
    local.close().await.unwrap();
    let local = open(directory.path(), Some(Folded::new("folded-1")));
    let first = recall(&*local.records(), "red house", 100).await;
    assert_eq!(first.len(), 64);
    assert!(first.contains(&"099".to_owned()) && !first.contains(&"000".to_owned()));
    assert_eq!(recall(&*local.records(), "red house", 100).await.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn a_put_stands_though_the_embedder_is_away_or_hangs_and_is_recalled_later() {
    let directory = TempDir::new().unwrap();
    let embedder = Folded::new("folded-1");
    let local = open(directory.path(), Some(Arc::clone(&embedder)));
    embedder.away.store(true, Ordering::SeqCst);
    put(&local, "home", "She lives in a cabin by the lake.").await;
    embedder.away.store(false, Ordering::SeqCst);
    embedder.hangs.store(true, Ordering::SeqCst);
    put(&local, "dog", "Hunden heter Bamse.").await;
    embedder.hangs.store(false, Ordering::SeqCst);
    assert_eq!(
        recall(&*local.records(), "cabins near lakes", 1).await,
        ["home"]
    );
    assert_eq!(recall(&*local.records(), "hunden", 1).await, ["dog"]);
}

#[tokio::test]
async fn a_recall_without_its_embedder_says_that_it_is_away() {
    let directory = TempDir::new().unwrap();
    let embedder = Folded::new("folded-1");
    let local = open(directory.path(), Some(Arc::clone(&embedder)));
    put(&local, "home", "a cabin").await;
    embedder.away.store(true, Ordering::SeqCst);
    let (records, ctx) = (local.records(), ctx("acme", "scribe"));
    let refused = records.recall(&ctx, "", "cabin", 1).await.unwrap_err();
    assert_eq!(refused.kind(), stuga_core::ErrorKind::Unavailable);
}
