//! The contract suites on the local backends, without a facade. A sentence that does not hold is named.

use std::sync::Arc;

use stuga_core::files::Files;
use stuga_core::memory::Memory;
use stuga_core::records::Records;
use stuga_core::search::Search;
use stuga_core::sessions::Sessions;
use stuga_core::standby::Replica;
use stuga_core::testkit::a2a::MailBackend;
use stuga_core::testkit::a2a::posting::Postbox;
use stuga_core::testkit::journal::Desk;
use stuga_core::testkit::secrets::SecretsBackend;
use stuga_core::testkit::standby::Sides;
use stuga_core::testkit::{self, Fixture, ManualClock, prove};
use stuga_core::{Clock, Timestamp, Write};
use stuga_local::{Local, LocalConfig};
use tempfile::TempDir;

fn fixture<C: ?Sized>(backend: impl Fn(&Local) -> Arc<C>) -> Fixture<C> {
    let clock = clock();
    let (local, directory) = house(&clock);
    Fixture::new(backend(&local), clock).keeping(directory)
}

/// Two houses, one of which takes over what the other one acknowledged.
fn sides<C: ?Sized, W: Write>(
    backend: impl Fn(&Local) -> Arc<C>,
    adopts: impl Fn(&Local) -> Arc<dyn Replica<W>>,
) -> Fixture<Sides<C, W>> {
    let clock = clock();
    let (from, of_from) = house(&clock);
    let (to, of_to) = house(&clock);
    let sides = Sides::new(backend(&from), backend(&to), adopts(&to));
    Fixture::new(Arc::new(sides), clock)
        .keeping(of_from)
        .keeping(of_to)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)))
}

fn house(clock: &Arc<ManualClock>) -> (Local, TempDir) {
    let directory = TempDir::new().unwrap();
    let clock = Arc::clone(clock) as Arc<dyn Clock>;
    let local = Local::open(directory.path(), clock, LocalConfig::default()).unwrap();
    (local, directory)
}

fn memory(local: &Local) -> Arc<dyn Memory> {
    local.memory()
}

fn files(local: &Local) -> Arc<dyn Files> {
    local.files()
}

fn sessions(local: &Local) -> Arc<dyn Sessions> {
    local.sessions()
}

fn records(local: &Local) -> Arc<dyn Records> {
    local.records()
}

fn search(local: &Local) -> Arc<dyn Search> {
    local.search()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_takes_over_what_another_side_acknowledged() {
    prove(testkit::standby::memory::cases(), || {
        sides(memory, |local| local.memory())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_take_over_what_another_side_acknowledged() {
    prove(testkit::standby::files::cases(), || {
        sides(files, |local| local.files())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_take_over_what_another_side_acknowledged() {
    prove(testkit::standby::sessions::cases(), || {
        sides(sessions, |local| local.sessions())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_tell_another_side_where_everything_stands() {
    prove(testkit::sessions::conversations::cases(), || {
        let clock = clock();
        let (local, folder) = house(&clock);
        Fixture::new(local.sessions() as _, clock).keeping(folder)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_take_over_what_another_side_acknowledged() {
    prove(testkit::standby::records::cases(), || {
        sides(records, |local| local.records())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn search_takes_over_what_another_side_acknowledged() {
    prove(testkit::standby::search::cases(), || {
        sides(search, |local| local.search())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_keeps_its_contract() {
    let desk = |local: &Local| {
        Arc::new(Desk {
            journal: local.journal(),
            memory: local.memory(),
            standby: local.memory(),
        })
    };
    prove(testkit::journal::cases(), || fixture(desk)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_its_contract() {
    prove(testkit::memory::cases(), || fixture(memory)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_keep_their_contract() {
    prove(testkit::files::cases(), || fixture(files)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_keep_their_contract() {
    prove(testkit::sessions::cases(), || fixture(sessions)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_keep_their_contract() {
    prove(testkit::records::cases(), || fixture(records)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_keep_their_contract() {
    prove(testkit::jobs::cases(), || fixture(Local::jobs)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_of_jobs_keeps_its_contract() {
    let sides = |local: &Local| {
        Arc::new(testkit::job_queue::JobSides {
            jobs: local.jobs(),
            queue: local.job_queue(),
        })
    };
    prove(testkit::job_queue::cases(), || fixture(sides)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn search_keeps_its_contract() {
    prove(testkit::search::cases(), || fixture(search)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mailboxes_keep_their_contract() {
    prove(testkit::a2a::cases(), || {
        fixture(|local| -> Arc<dyn MailBackend> { local.mail() })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn posting_keeps_its_contract() {
    prove(testkit::a2a::posting::cases(), || {
        fixture(|local| -> Arc<dyn Postbox> { local.mail() })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_keep_their_contract() {
    prove(testkit::secrets::cases(), || {
        fixture(|local| -> Arc<dyn SecretsBackend> { local.secrets() })
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn invocations_keep_their_contract() {
    prove(testkit::invocation::cases(), || fixture(Local::invocations)).await;
}

#[tokio::test]
async fn memory_keeps_its_contract_on_one_thread() {
    prove(testkit::memory::cases(), || fixture(memory)).await;
}
