//! The mock host keeps the contract that real backends keep: core's suites run against it.
//!
//! The suites speak of writes with ids and of spooled contents, which exist only behind the WIT interface; the adapters
//! here add those two and hand everything else to the SDK's own functions.

#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod adapter;

use std::sync::Arc;

use stuga_core::Timestamp;
use stuga_core::files::Files;
use stuga_core::jobs::Jobs;
use stuga_core::memory::Memory;
use stuga_core::model::Model;
use stuga_core::records::Records;
use stuga_core::search::Search;
use stuga_core::sessions::Sessions;
use stuga_core::testkit::{
    Fixture, ManualClock, a2a, files, jobs, memory, model, prove, records, search, secrets,
    sessions,
};

use adapter::{
    FilesOf, JobsOf, MailboxOf, MemoryOf, Mock, ModelOf, RecordsOf, SearchOf, SecretsOf, SessionsOf,
};
use stuga_core::testkit::a2a::posting::Postbox;
use stuga_core::testkit::secrets::SecretsBackend;

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)))
}

#[tokio::test]
async fn the_mock_keeps_the_contract_of_memory() {
    prove(memory::cases(), || {
        let clock = clock();
        let backend: Arc<dyn Memory> = Arc::new(MemoryOf(Mock::new(Arc::clone(&clock))));
        Fixture::new(backend, clock)
    })
    .await;
}

#[tokio::test]
async fn the_mock_keeps_the_contract_of_models() {
    prove(model::cases(), || {
        let clock = clock();
        let backend: Arc<dyn Model> = Arc::new(ModelOf(Mock::new(Arc::clone(&clock))));
        Fixture::new(backend, clock)
    })
    .await;
}

#[tokio::test]
async fn the_mock_keeps_the_contract_of_files() {
    prove(files::cases(), || {
        let clock = clock();
        let backend: Arc<dyn Files> = Arc::new(FilesOf(Mock::new(Arc::clone(&clock))));
        Fixture::new(backend, clock)
    })
    .await;
}

#[tokio::test]
async fn the_mock_keeps_the_contract_of_sessions() {
    prove(sessions::cases(), || {
        let clock = clock();
        let backend: Arc<dyn Sessions> = Arc::new(SessionsOf(Mock::new(Arc::clone(&clock))));
        Fixture::new(backend, clock)
    })
    .await;
}

#[tokio::test]
async fn the_mock_keeps_the_contract_of_records() {
    prove(records::cases(), || {
        let clock = clock();
        let backend: Arc<dyn Records> = Arc::new(RecordsOf(Mock::new(Arc::clone(&clock))));
        Fixture::new(backend, clock)
    })
    .await;
}

#[tokio::test]
async fn the_mock_keeps_the_contract_of_jobs() {
    prove(jobs::cases(), || {
        let clock = clock();
        let backend: Arc<dyn Jobs> = Arc::new(JobsOf(Mock::new(Arc::clone(&clock))));
        Fixture::new(backend, clock)
    })
    .await;
}

#[tokio::test]
async fn the_mock_keeps_the_contract_of_posting() {
    prove(a2a::posting::cases(), || {
        let clock = clock();
        let backend: Arc<dyn Postbox> = Arc::new(MailboxOf(Mock::new(Arc::clone(&clock))));
        Fixture::new(backend, clock)
    })
    .await;
}

#[tokio::test]
async fn the_mock_keeps_the_contract_of_search() {
    prove(search::cases(), || {
        let clock = clock();
        let backend: Arc<dyn Search> = Arc::new(SearchOf(Mock::new(Arc::clone(&clock))));
        Fixture::new(backend, clock)
    })
    .await;
}

#[tokio::test]
async fn the_mock_keeps_the_contract_of_secrets() {
    prove(secrets::cases(), || {
        let clock = clock();
        let backend: Arc<dyn SecretsBackend> = Arc::new(SecretsOf(Mock::new(Arc::clone(&clock))));
        Fixture::new(backend, clock)
    })
    .await;
}
