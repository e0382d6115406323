//! The contract suites on the local backends, without a facade. A sentence that does not hold is named.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use stuga_core::testkit::a2a::MailBackend;
use stuga_core::testkit::a2a::posting::Postbox;
use stuga_core::testkit::secrets::SecretsBackend;
use stuga_core::testkit::{self, Fixture, ManualClock, prove};
use stuga_core::{Clock, Timestamp};
use stuga_local::{Local, LocalConfig};
use tempfile::TempDir;

fn fixture<C: ?Sized>(backend: impl Fn(&Local) -> Arc<C>) -> Fixture<C> {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
    let directory = TempDir::new().unwrap();
    let local = Local::open(
        directory.path(),
        Arc::clone(&clock) as Arc<dyn Clock>,
        LocalConfig::default(),
    )
    .unwrap();
    Fixture::new(backend(&local), clock).keeping(directory)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_its_contract() {
    prove(testkit::memory::cases(), || fixture(Local::memory)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_keep_their_contract() {
    prove(testkit::files::cases(), || fixture(Local::files)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_keep_their_contract() {
    prove(testkit::sessions::cases(), || fixture(Local::sessions)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_keep_their_contract() {
    prove(testkit::records::cases(), || fixture(Local::records)).await;
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
    prove(testkit::search::cases(), || fixture(Local::search)).await;
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
    prove(testkit::memory::cases(), || fixture(Local::memory)).await;
}
