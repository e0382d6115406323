//! What the contract cannot say of search on this host: that everything derived comes back whatever happens to it, that
//! two processes see each other's writes, and what holds when the host embeds with another model.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use async_trait::async_trait;
use stuga_core::embed::{Embedder, HashedEmbedder, embed};
use stuga_core::search::{
    Analyzer, Answer, Change, Field, FieldKind, Freshness, Near, Operator, Query, Search,
    SearchAck, SearchWrite, TextPart, Value, VectorPart, VectorSource,
};
use stuga_core::{Capability, Clock, Error, ErrorKind, Result, SystemClock};
use stuga_local::{Local, LocalConfig, Models, Quotas};

use crate::common::{House, scribe};

fn create() -> SearchWrite {
    let field = |name: &str, kind| Field {
        name: name.to_owned(),
        kind,
    };
    SearchWrite::CreateIndex {
        index: "notes".to_owned(),
        fields: vec![
            field("text", FieldKind::Text(Analyzer::Sv)),
            field(
                "vec",
                FieldKind::Vector(VectorSource::MadeFrom("text".to_owned())),
            ),
        ],
    }
}

fn put(id: &str, text: &str) -> Change {
    Change::Put {
        id: id.to_owned(),
        fields: vec![("text".to_owned(), Value::Text(text.to_owned()))],
    }
}

async fn apply(local: &Local, write: &SearchWrite) -> Result<SearchAck> {
    let ctx = scribe();
    local
        .search()
        .apply(&ctx, ctx.next_write_id()?, write)
        .await
}

async fn change(local: &Local, changes: Vec<Change>) -> Result<SearchAck> {
    let index = "notes".to_owned();
    apply(local, &SearchWrite::Change { index, changes }).await
}

fn words(words: &str) -> Query {
    Query {
        text: Some(TextPart {
            words: words.to_owned(),
            fields: Vec::new(),
            operator: Operator::Any,
        }),
        ..Query::default()
    }
}

fn like(words: &str) -> Query {
    Query {
        vector: Some(VectorPart {
            field: "vec".to_owned(),
            near: Near::Words(words.to_owned()),
        }),
        ..Query::default()
    }
}

async fn query(local: &Local, query: &Query) -> Answer {
    local
        .search()
        .query(&scribe(), "notes", query)
        .await
        .unwrap()
}

async fn found(local: &Local, asked: &Query) -> Vec<String> {
    let hits = query(local, asked).await.hits.into_iter();
    hits.map(|hit| hit.document.id).collect()
}

/// A house with an index of three documents that was searched, so that everything derived exists.
async fn furnished() -> House {
    let house = House::new();
    apply(&house.local, &create()).await.unwrap();
    let texts = [
        ("a", "röd stuga"),
        ("b", "blå båt"),
        ("c", "stugor vid sjön"),
    ];
    let changes = texts.map(|(id, text)| put(id, text)).to_vec();
    change(&house.local, changes).await.unwrap();
    expect_whole(&house.local).await;
    house
}

async fn expect_whole(local: &Local) {
    assert_eq!(found(local, &words("stugan")).await.len(), 2);
    assert_eq!(found(local, &words("båtar")).await, ["b"]);
    assert_eq!(found(local, &like("blå båt")).await[0], "b");
}

/// The directory of the one derived index.
fn derived(house: &House) -> PathBuf {
    let entries = fs::read_dir(house.tenant_dir().join("search")).unwrap();
    let mut directories = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_dir());
    let only = directories.next().unwrap();
    assert!(directories.next().is_none());
    only
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).unwrap();
    let mut files: Vec<PathBuf> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file() && fs::metadata(path).unwrap().len() > 0)
        .collect();
    files.sort();
    files
}

#[tokio::test]
async fn a_derived_index_that_is_gone_is_built_again() {
    let mut house = furnished().await;
    house.local.close().await.unwrap();
    fs::remove_dir_all(house.tenant_dir().join("search")).unwrap();
    house.local = house.beside();
    expect_whole(&house.local).await;
}

#[tokio::test]
async fn a_derived_index_that_goes_while_it_is_open_is_built_again() {
    let house = furnished().await;
    fs::remove_dir_all(derived(&house)).unwrap();
    change(&house.local, vec![put("d", "kvarn")]).await.unwrap();
    assert_eq!(found(&house.local, &words("kvarnen")).await, ["d"]);
    expect_whole(&house.local).await;
}

#[tokio::test]
async fn a_damaged_derived_index_is_built_again_whichever_file_is_hit() {
    let mut house = furnished().await;
    house.local.close().await.unwrap();
    let names: Vec<_> = files(&derived(&house))
        .iter()
        .map(|path| path.extension().unwrap_or_default().to_owned())
        .collect();
    assert!(names.len() >= 4, "{names:?}");
    let mut hit = 0;
    for extension in names {
        // Each round builds files of other names.
        let all = files(&derived(&house));
        let Some(file) = all
            .iter()
            .find(|path| path.extension().unwrap_or_default() == extension)
        else {
            continue;
        };
        let mut bytes = fs::read(file).unwrap();
        let middle = bytes.len() / 2;
        match hit % 3 {
            0 => bytes[middle] ^= 0xff,
            1 => bytes.truncate(middle),
            _ => bytes.clear(),
        }
        fs::write(file, bytes).unwrap();
        hit += 1;
        house.local = house.beside();
        expect_whole(&house.local).await;
        house.local.close().await.unwrap();
    }
    assert!(hit >= 4);
}

#[tokio::test]
async fn a_derived_index_of_another_version_is_built_again() {
    let mut house = furnished().await;
    house.local.close().await.unwrap();
    let meta = derived(&house).join("meta.json");
    let text = fs::read_to_string(&meta).unwrap();
    assert!(text.contains("words-1"));
    fs::write(&meta, text.replace("words-1", "words-0")).unwrap();
    house.local = house.beside();
    expect_whole(&house.local).await;
    assert!(
        fs::read_to_string(derived(&house).join("meta.json"))
            .unwrap()
            .contains("words-1")
    );
}

#[tokio::test]
async fn an_older_copy_of_a_derived_index_catches_up_with_what_is_gone_as_well() {
    let mut house = furnished().await;
    house.local.close().await.unwrap();
    let directory = derived(&house);
    let copies: Vec<(PathBuf, Vec<u8>)> = files(&directory)
        .into_iter()
        .map(|path| (path.clone(), fs::read(path).unwrap()))
        .collect();
    house.local = house.beside();
    change(
        &house.local,
        vec![put("a", "kvarn"), Change::Delete { id: "b".to_owned() }],
    )
    .await
    .unwrap();
    assert_eq!(
        found(&house.local, &words("båt stuga kvarn")).await.len(),
        2
    );
    house.local.close().await.unwrap();
    fs::remove_dir_all(&directory).unwrap();
    fs::create_dir(&directory).unwrap();
    for (path, bytes) in copies {
        fs::write(path, bytes).unwrap();
    }
    house.local = house.beside();
    assert!(found(&house.local, &words("båt")).await.is_empty());
    assert_eq!(found(&house.local, &words("kvarn")).await, ["a"]);
    assert_eq!(found(&house.local, &words("stuga")).await, ["c"]);
}

#[tokio::test]
async fn two_processes_see_each_others_writes() {
    let house = furnished().await;
    let other = house.beside();
    for n in 0..6 {
        let (writer, reader) = match n % 2 {
            0 => (&house.local, &other),
            _ => (&other, &house.local),
        };
        let word = format!("ord{n}");
        change(writer, vec![put(&word, &word), put("a", &word)])
            .await
            .unwrap();
        let mut ids = found(reader, &words(&word)).await;
        ids.sort();
        assert_eq!(ids, ["a".to_owned(), word.clone()]);
        assert_eq!(
            found(reader, &like(&word)).await[..2],
            ["a".to_owned(), word.clone()]
        );
        change(writer, vec![Change::Delete { id: word.clone() }])
            .await
            .unwrap();
        assert_eq!(found(reader, &words(&word)).await, ["a"]);
    }
}

#[tokio::test]
async fn vectors_in_memory_do_not_outlive_what_is_no_longer_remembered() {
    let house = furnished().await;
    let other = house.beside();
    assert_eq!(found(&other, &like("blå båt")).await[0], "b");
    change(&house.local, vec![Change::Delete { id: "b".to_owned() }])
        .await
        .unwrap();
    // As after ten thousand further changes.
    let conn = rusqlite::Connection::open(house.database()).unwrap();
    conn.execute("UPDATE search_index SET gone_floor = last_seq", [])
        .unwrap();
    conn.execute("DELETE FROM search_gone", []).unwrap();
    assert!(
        !found(&other, &like("blå båt"))
            .await
            .contains(&"b".to_owned())
    );
    assert!(found(&other, &words("båt")).await.is_empty());
}

#[tokio::test]
async fn a_dropped_index_leaves_nothing_behind() {
    let mut house = furnished().await;
    let directory = derived(&house);
    let index = "notes".to_owned();
    let drop_index = SearchWrite::DropIndex { index };
    assert_eq!(
        apply(&house.local, &drop_index).await.unwrap(),
        SearchAck::Dropped(true)
    );
    let usage = house.usage().await;
    assert_eq!((usage.search_documents, usage.search_bytes), (0, 0));
    house.reopen().await;
    apply(&house.local, &create()).await.unwrap();
    assert!(found(&house.local, &words("stuga")).await.is_empty());
    assert!(!directory.exists());
    // Writes sweep what is left in tables.
    for n in 0..8 {
        house.clock.advance(std::time::Duration::from_secs(2));
        house
            .write(crate::common::put("k", &n.to_string()))
            .await
            .unwrap();
    }
    let conn = rusqlite::Connection::open(house.database()).unwrap();
    for table in ["search_document", "search_vector", "search_gone"] {
        let rows: u64 = conn
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| {
                row.get(0)
            })
            .unwrap();
        assert_eq!(rows, 0, "{table}");
    }
}

#[tokio::test]
async fn documents_are_held_to_the_quotas_of_search() {
    let house = furnished().await;
    let usage = house.usage().await;
    assert_eq!(usage.search_documents, 3);
    let quotas = |documents, bytes| Quotas {
        search_documents: documents,
        search_bytes: bytes,
        ..Quotas::default()
    };
    house.quotas(quotas(3, u64::MAX));
    let refused = change(&house.local, vec![put("d", "x")]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
    assert_eq!(refused.context_value("quota"), Some("search_documents"));
    change(&house.local, vec![put("a", "samma antal")])
        .await
        .unwrap();
    house.quotas(quotas(100, house.usage().await.search_bytes));
    let refused = change(&house.local, vec![put("a", &"längre ".repeat(100))]).await;
    assert_eq!(
        refused.unwrap_err().context_value("quota"),
        Some("search_bytes")
    );
    change(&house.local, vec![Change::Delete { id: "a".to_owned() }])
        .await
        .unwrap();
    assert_eq!(house.usage().await.search_documents, 2);
}

#[tokio::test(start_paused = true)]
async fn what_was_written_is_indexed_without_a_query() {
    let house = furnished().await;
    change(&house.local, vec![put("d", "kvarn")]).await.unwrap();
    let mut fast = words("kvarnen");
    fast.freshness = Freshness::Fast;
    for _ in 0..10_000 {
        if found(&house.local, &fast).await == ["d"] {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    unreachable!("it is not indexed");
}

/// The built-in embedder under another name, or one that is out of order.
struct Other {
    fails: bool,
}

#[async_trait]
impl Embedder for Other {
    fn model(&self) -> &str {
        if self.fails {
            HashedEmbedder.model()
        } else {
            "other-1"
        }
    }

    fn dimension(&self) -> usize {
        HashedEmbedder.dimension()
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>> {
        if self.fails {
            return Err(Error::unavailable("embed", "the model does not answer"));
        }
        Ok(texts.iter().map(|text| embed(text)).collect())
    }
}

impl Other {
    fn house(self, directory: &Path) -> Local {
        let clock = Arc::new(SystemClock) as Arc<dyn Clock>;
        let models = Models {
            embedder: Arc::new(self),
            ..Models::default()
        };
        Local::open_with(directory, clock, LocalConfig::default(), &models).unwrap()
    }
}

#[tokio::test]
async fn vectors_of_another_model_are_not_compared_and_the_answer_says_so() {
    let mut house = furnished().await;
    house.local.close().await.unwrap();
    let other = Other { fails: false }.house(house.directory.path());
    let answer = query(&other, &like("blå båt")).await;
    assert_eq!(answer.hits.len(), 1, "by words alone");
    let reason = answer.degraded.unwrap();
    assert!(
        reason.contains("hashed-ngram-1") && reason.contains("other-1"),
        "{reason}"
    );
    let hybrid = Query {
        vector: like("blå båt").vector,
        ..words("stuga")
    };
    let answer = query(&other, &hybrid).await;
    assert!(answer.degraded.is_some());
    assert_eq!(answer.hits.len(), 2, "its own words are looked for");
    // What is written meanwhile gets no vector of the wrong kind.
    change(&other, vec![put("d", "blå båt")]).await.unwrap();
    other.close().await.unwrap();
    house.local = house.beside();
    let ids = found(&house.local, &like("blå båt")).await;
    assert!(
        ids.contains(&"b".to_owned()) && !ids.contains(&"d".to_owned()),
        "{ids:?}"
    );
    assert_eq!(found(&house.local, &words("båt")).await, ["b", "d"]);
}

#[tokio::test]
async fn a_model_that_does_not_answer_degrades_queries_and_refuses_texts() {
    let house = furnished().await;
    house.local.close().await.unwrap();
    let other = Other { fails: true }.house(house.directory.path());
    let answer = query(&other, &like("blå båt")).await;
    assert_eq!(answer.hits.len(), 1);
    assert!(answer.degraded.unwrap().contains("does not answer"));
    let refused = change(&other, vec![put("d", "text")]).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable);
    change(&other, vec![Change::Delete { id: "a".to_owned() }])
        .await
        .unwrap();
}
