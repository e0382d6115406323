//! The contract suites. Each case has an AgentCore memory of its own.

use std::future::Future;
use std::sync::Arc;

use stuga_aws::Aws;
use stuga_core::embed::HashedEmbedder;
use stuga_core::testkit::{self, Case, Fixture, prove};
use stuga_test_servers::{Ministack, Redis, served};
use tokio::runtime::Handle;
use tokio::task::block_in_place;

use crate::world::World;

/// Waits within a function that is not async, on a runtime of several threads.
pub(crate) fn wait<T>(work: impl Future<Output = T>) -> T {
    block_in_place(|| Handle::current().block_on(work))
}

async fn proved<C>(suite: &str, cases: Vec<Case<C>>, backend: impl Fn(&Aws) -> Arc<C>)
where
    C: ?Sized + Send + Sync + 'static,
{
    let (agentcore, redis) = (Ministack::shared().await, Redis::shared().await);
    let both = format!(
        "{} (AgentCore) and {}",
        agentcore.describe(),
        redis.describe()
    );
    served(&format!("contract of {suite}"), &both);
    prove(cases, || {
        let world = wait(World::new());
        Fixture::new(backend(&world.host()), Arc::clone(&world.clock))
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_keeps_its_contract() {
    proved("memory", testkit::memory::cases(), |aws: &Aws| {
        aws.memory().unwrap() as _
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_keep_their_contract() {
    let sessions = |aws: &Aws| aws.sessions(Arc::new(HashedEmbedder)).unwrap() as _;
    proved("sessions", testkit::sessions::cases(), sessions).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_tell_another_side_where_everything_stands() {
    let sessions = |aws: &Aws| aws.sessions(Arc::new(HashedEmbedder)).unwrap() as _;
    let cases = testkit::sessions::conversations::cases();
    proved("sessions, told to another side", cases, sessions).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_keep_their_contract() {
    let records = |aws: &Aws| aws.records(Arc::new(HashedEmbedder)).unwrap() as _;
    proved("records", testkit::records::cases(), records).await;
}
