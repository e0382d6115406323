//! Does every backend keep the contract, as it is reached through the facade?
//!
//! The local backends prove themselves without the facade in their own crate. `STUGA_CASE=part_of_a_name` runs the
//! sentences whose name contains it.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "helpers of tests fail by panicking, like the tests"
)]

mod facade;
mod hosts;
mod mock;
mod states;
mod turns;

use std::sync::Arc;

use facade::{
    FacadeFiles, FacadeJobs, FacadeMail, FacadeMemory, FacadeModel, FacadeRecords, FacadeSearch,
    FacadeSecrets, FacadeSessions,
};
use stuga_core::testkit::{self, Fixture, ManualClock, ctx, prove};
use stuga_core::{Backend, CapabilityName, Clock, Timestamp};
use stuga_local::{EndpointEmbedder, Local, LocalConfig, Models};
use stuga_resilience::Capabilities;
use stuga_tests::openai::OpenAi;
use tempfile::TempDir;

/// The facade in mode `local` on a fresh data directory, without a model.
fn local_mode() -> (Capabilities, Arc<ManualClock>, TempDir) {
    local_mode_with(&Models::default())
}

fn local_mode_with(models: &Models) -> (Capabilities, Arc<ManualClock>, TempDir) {
    let (local, clock, directory) = open_local_with(models);
    (Capabilities::local(local.backends()), clock, directory)
}

fn open_local() -> (Local, Arc<ManualClock>, TempDir) {
    open_local_with(&Models::default())
}

fn open_local_with(models: &Models) -> (Local, Arc<ManualClock>, TempDir) {
    let clock = clock();
    let (local, directory) = open_local_by_with(&clock, models);
    (local, clock, directory)
}

fn open_local_by(clock: &Arc<ManualClock>) -> (Local, TempDir) {
    open_local_by_with(clock, &Models::default())
}

fn open_local_by_with(clock: &Arc<ManualClock>, models: &Models) -> (Local, TempDir) {
    let directory = TempDir::new().unwrap();
    let time = Arc::clone(clock) as Arc<dyn Clock>;
    let config = LocalConfig::default();
    let local = Local::open_with(directory.path(), time, config, models).unwrap();
    (local, directory)
}

fn clock() -> Arc<ManualClock> {
    Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_in_local_mode_keeps_its_contract() {
    prove(testkit::memory::cases(), || {
        let (capabilities, clock, directory) = local_mode();
        let memory = Arc::new(FacadeMemory(capabilities.memory));
        Fixture::new(memory as _, clock).keeping(directory)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_in_local_mode_keep_their_contract() {
    prove(testkit::model::cases(), || {
        let parrot = OpenAi::start();
        let (capabilities, clock, directory) = local_mode_with(&parrot.models());
        let model = Arc::new(FacadeModel(capabilities.model));
        Fixture::new(model as _, clock)
            .keeping(directory)
            .keeping(parrot)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_with_an_embedder_behind_an_endpoint_keep_their_contract() {
    prove(testkit::model::cases(), || {
        let parrot = OpenAi::start();
        let embedder = EndpointEmbedder::new(&parrot.endpoint(), stuga_core::embed::DIMENSION);
        let models = Models {
            embedder: Arc::new(embedder.unwrap()),
            ..parrot.models()
        };
        let (capabilities, clock, directory) = local_mode_with(&models);
        let model = Arc::new(FacadeModel(capabilities.model));
        Fixture::new(model as _, clock)
            .keeping(directory)
            .keeping(parrot)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_with_an_embedder_behind_an_endpoint_keep_their_contract() {
    prove(testkit::records::cases(), || {
        let parrot = OpenAi::start();
        let embedder = EndpointEmbedder::new(&parrot.endpoint(), stuga_core::embed::DIMENSION);
        let models = Models {
            embedder: Arc::new(embedder.unwrap()),
            ..Models::default()
        };
        let (capabilities, clock, directory) = local_mode_with(&models);
        let records = Arc::new(FacadeRecords(capabilities.records));
        Fixture::new(records as _, clock)
            .keeping(directory)
            .keeping(parrot)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_in_local_mode_keep_their_contract() {
    prove(testkit::files::cases(), || {
        let (capabilities, clock, directory) = local_mode();
        let files = Arc::new(FacadeFiles(capabilities.files));
        Fixture::new(files as _, clock).keeping(directory)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_in_local_mode_keep_their_contract() {
    prove(testkit::sessions::cases(), || {
        let (capabilities, clock, directory) = local_mode();
        let sessions = Arc::new(FacadeSessions(capabilities.sessions));
        Fixture::new(sessions as _, clock).keeping(directory)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_in_local_mode_keep_their_contract() {
    prove(testkit::records::cases(), || {
        let (capabilities, clock, directory) = local_mode();
        let records = Arc::new(FacadeRecords(capabilities.records));
        Fixture::new(records as _, clock).keeping(directory)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn jobs_in_local_mode_keep_their_contract() {
    prove(testkit::jobs::cases(), || {
        let (capabilities, clock, directory) = local_mode();
        let jobs = Arc::new(FacadeJobs(capabilities.jobs));
        Fixture::new(jobs as _, clock).keeping(directory)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mailboxes_in_local_mode_keep_their_contract() {
    prove(testkit::a2a::cases(), || {
        let (local, clock, directory) = open_local();
        let facade = Capabilities::local(local.backends()).mailbox;
        let mail = Arc::new(FacadeMail {
            facade,
            queue: local.mail(),
            desk: local.mail(),
        });
        Fixture::new(mail as _, clock).keeping(directory)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn search_in_local_mode_keeps_its_contract() {
    prove(testkit::search::cases(), || {
        let (capabilities, clock, directory) = local_mode();
        let search = Arc::new(FacadeSearch(capabilities.search));
        Fixture::new(search as _, clock).keeping(directory)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_in_local_mode_keep_their_contract() {
    prove(testkit::secrets::cases(), || {
        let (local, clock, directory) = open_local();
        let facade = Capabilities::local(local.backends()).secrets;
        let secrets = Arc::new(FacadeSecrets(facade, local.secrets()));
        Fixture::new(secrets as _, clock).keeping(directory)
    })
    .await;
}

#[tokio::test]
async fn the_receipt_of_local_mode_names_the_local_backend_and_no_breaker() {
    let (capabilities, _clock, _directory) = local_mode();
    let ctx = ctx("acme", "scribe");
    let put = stuga_core::memory::MemoryWrite::Delete {
        key: "k".to_owned(),
    };
    capabilities.memory.write(&ctx, &put).await.unwrap();
    let read = |memory: Arc<dyn stuga_core::memory::Memory>| {
        let ctx = &ctx;
        async move { memory.get(ctx, "k").await }
    };
    capabilities
        .memory
        .read(&ctx, "memory.get", "k", read)
        .await
        .unwrap();
    let uses = ctx.receipt.snapshot();
    let [used] = uses.as_slice() else {
        unreachable!("one capability was used: {uses:?}")
    };
    assert_eq!(used.capability, CapabilityName::Memory);
    assert_eq!((used.backend, used.breaker), (Backend::Local, None));
    assert_eq!((used.reads, used.writes, used.pending), (1, 1, 0));
}
