//! Batches that fail in parts or as a whole, and the bounds of the queue.

use cap_std::ambient_authority;
use cap_std::fs::Dir;
use stuga_core::testkit::ManualClock;
use stuga_core::{ErrorKind, Timestamp};
use tempfile::TempDir;

use super::*;
use crate::content::ContentStore;
use crate::schema;
use crate::tally::Quotas;

struct Store {
    conn: Connection,
    content: ContentStore,
    clock: ManualClock,
    _directory: TempDir,
}

type Answer = oneshot::Receiver<Result<u64>>;

impl Store {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let mut conn = Connection::open(directory.path().join("state.db")).unwrap();
        conn.pragma_update(None, "journal_mode", "wal").unwrap();
        schema::migrations().to_latest(&mut conn).unwrap();
        let dir = Dir::open_ambient_dir(directory.path(), ambient_authority()).unwrap();
        Self {
            conn,
            content: ContentStore::open(dir, crate::Durability::Fsynced).unwrap(),
            // At the beginning of time versions count from 1.
            clock: ManualClock::at(Timestamp::from_millis(0)),
            _directory: directory,
        }
    }

    /// Runs the jobs as one batch, with chores that do what `chores` says.
    fn run(&mut self, mut batch: Vec<Box<dyn Job>>, chores: impl FnOnce(&mut WriteTx<'_>) -> bool) {
        let terms = Terms {
            quotas: Quotas::default(),
            clock: &self.clock,
            content: &self.content,
        };
        let committed = apply_all(&mut self.conn, &mut batch, &terms, chores);
        for job in batch {
            job.settle(committed.as_ref().map(|_| ()));
        }
    }

    fn rows(&self) -> Vec<String> {
        let mut statement = self
            .conn
            .prepare("SELECT key FROM memory_item ORDER BY version")
            .unwrap();
        let rows = statement.query_map([], |row| row.get(0)).unwrap();
        rows.map(|row| row.unwrap()).collect()
    }

    fn version(&self) -> u64 {
        let sql = "SELECT version FROM tally";
        self.conn.query_row(sql, [], |row| row.get(0)).unwrap()
    }
}

/// A job that inserts `bytes` bytes under `key`, counts a version, and then answers `outcome`.
fn insert(key: &'static str, bytes: usize, outcome: Result<()>) -> (Box<dyn Job>, Answer) {
    job("test.insert", Syncs::First, move |tx| {
        let version = tx.next_version();
        tx.execute(
            "test.insert",
            "INSERT INTO memory_item (agent, key, version, created_at, updated_at, value)
             VALUES ('a', ?1, ?2, 0, 0, zeroblob(?3))",
            (key, version, bytes),
        )?;
        outcome.map(|()| version)
    })
}

fn refusal() -> Result<()> {
    Err(Error::conflict("test.insert", "refused after the insert"))
}

#[test]
fn a_write_that_fails_leaves_nothing_and_the_others_stand() {
    let mut store = Store::new();
    let (one, mut first) = insert("one", 1, Ok(()));
    let (two, mut second) = insert("two", 1, refusal());
    let (three, mut third) = insert("three", 1, Ok(()));
    store.run(vec![one, two, three], |_| true);
    assert_eq!(first.try_recv().unwrap().unwrap(), 1);
    let refused = second.try_recv().unwrap().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict);
    assert_eq!(
        third.try_recv().unwrap().unwrap(),
        2,
        "the counter went back"
    );
    assert_eq!(store.rows(), ["one", "three"]);
    assert_eq!(store.version(), 2);
}

#[test]
fn chores_that_fail_harm_no_write() {
    let mut store = Store::new();
    let (one, mut first) = insert("one", 1, Ok(()));
    store.run(vec![one], |tx| {
        tx.tally.version = 1_000;
        false
    });
    assert_eq!(first.try_recv().unwrap().unwrap(), 1);
}

#[test]
fn on_a_full_disk_nobody_is_told_that_a_lost_write_stands() {
    let mut store = Store::new();
    let pages: u32 = store
        .conn
        .query_row("PRAGMA page_count", [], |row| row.get(0))
        .unwrap();
    store
        .conn
        .pragma_update(None, "max_page_count", pages + 20)
        .unwrap();
    let (small, mut first) = insert("small", 1, Ok(()));
    let (huge, mut second) = insert("huge", 1 << 20, Ok(()));
    let (after, mut third) = insert("after", 1, Ok(()));
    store.run(vec![small, huge, after], |_| true);
    let error = second.try_recv().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(!error.causes().is_empty());
    let stands = store.rows();
    for (key, answer) in [
        ("small", first.try_recv().unwrap()),
        ("after", third.try_recv().unwrap()),
    ] {
        assert_eq!(answer.is_ok(), stands.iter().any(|row| row == key), "{key}");
    }
    let (again, mut answer) = insert("again", 1, Ok(()));
    store.run(vec![again], |_| true);
    assert!(answer.try_recv().unwrap().is_ok(), "the store goes on");
}

#[test]
fn when_the_transaction_is_lost_everybody_is_told() {
    let mut store = Store::new();
    let (one, mut first) = insert("one", 1, Ok(()));
    let (two, mut second) = job::<u64, _>("test.rollback", Syncs::First, |tx| {
        tx.execute("test.rollback", "ROLLBACK", [])?;
        Ok(0)
    });
    let (three, mut third) = insert("three", 1, Ok(()));
    store.run(vec![one, two, three], |_| true);
    for answer in [&mut first, &mut second, &mut third] {
        let error = answer.try_recv().unwrap().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    }
    assert!(store.rows().is_empty());
}

#[test]
fn the_queue_takes_its_limit_and_refuses_one_more() {
    let queue = Queue::default();
    let mut answers = Vec::new();
    for n in 0..QUEUE_MAX_WRITES {
        let (job, answer) = insert("k", 1, Ok(()));
        answers.push(answer);
        let must_drain = queue.push("test.insert", job, 1).unwrap();
        assert_eq!(must_drain, n == 0, "the first of them starts the drain");
    }
    let (job, _) = insert("k", 1, Ok(()));
    let full = queue.push("test.insert", job, 1).unwrap_err();
    assert_eq!(full.kind(), ErrorKind::RateLimited);
    assert!(full.retry_after().is_some());
    let mut left = QUEUE_MAX_WRITES;
    while let Some(batch) = queue.take_batch() {
        assert!(batch.len() <= BATCH_MAX_WRITES);
        left -= batch.len();
    }
    assert_eq!(left, 0);
    let (job, _) = insert("k", 1, Ok(()));
    assert!(
        queue.push("test.insert", job, 1).unwrap(),
        "a new drain begins"
    );
}

#[test]
fn the_queue_is_bounded_in_bytes_and_so_is_a_batch() {
    let queue = Queue::default();
    let weight = BATCH_MAX_BYTES / 2 + 1;
    let mut taken = 0;
    while queue
        .push("test.insert", insert("k", 1, Ok(())).0, weight)
        .is_ok()
    {
        taken += 1;
        assert!(taken * weight <= QUEUE_MAX_BYTES + 2 * weight, "no bound");
    }
    assert_eq!(
        queue.take_batch().unwrap().len(),
        1,
        "two are over the bound of a batch"
    );
}

#[test]
fn a_drain_that_dies_leaves_nobody_waiting() {
    let queue = Queue::default();
    let (job, mut answer) = insert("k", 1, Ok(()));
    assert!(queue.push("test.insert", job, 1).unwrap());
    queue.abandon();
    assert!(answer.try_recv().is_err(), "its sender is gone");
    let (job, _) = insert("k", 1, Ok(()));
    assert!(
        queue.push("test.insert", job, 1).unwrap(),
        "a new drain begins"
    );
}
