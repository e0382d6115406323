//! Do files on S3 keep their contract, whatever happens on the way?
//!
//! SeaweedFS is a real object store and the stricter double; ministack is a second opinion. `STUGA_CASE=part_of_a_name` runs
//! the sentences of the contract whose name contains it.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test fails by panicking"
)]

mod download;
mod faults;
mod hosts;
mod isolation;
mod quota;
mod replica;
mod stage;
mod tap;
mod uploads;
mod versions;

use stage::Stage;
use stuga_core::testkit::{self, Fixture, prove};
use stuga_test_servers::{Ministack, SeaweedFs, served};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_on_seaweedfs_keep_their_contract() {
    let stage = Stage::seaweedfs().await;
    let server = SeaweedFs::shared().await.describe();
    served("contract of files, in a bucket with versions", &server);
    prove(testkit::files::cases(), || fixture(&stage)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_on_ministack_keep_their_contract() {
    let stage = Stage::ministack().await;
    let server = Ministack::shared().await.describe();
    served("contract of files, in a bucket without versions", &server);
    prove(testkit::files::cases(), || fixture(&stage)).await;
}

/// An empty backend, whose tenants nobody else has.
fn fixture(stage: &Stage) -> Fixture<dyn stuga_core::files::Files> {
    let stage = stage.again();
    Fixture::new(stage.host().files().unwrap() as _, stage.clock.clone())
}
