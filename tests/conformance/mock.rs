//! The mock host's backends, on which authors test their agents, in the states of its matrix.

use std::sync::Arc;

use stuga_core::Clock;
use stuga_core::testkit::job_queue::JobSides;
use stuga_core::testkit::{self, Fixture, ManualClock, prove};
use stuga_local::Models;
use stuga_mock::{State, World};
use stuga_resilience::Capabilities;
use stuga_tests::openai::OpenAi;

use crate::clock;
use crate::facade::{
    FacadeFiles, FacadeJobs, FacadeMail, FacadeMemory, FacadeModel, FacadeRecords, FacadeSearch,
    FacadeSecrets, FacadeSessions,
};

fn mock(state: State) -> (Capabilities, Arc<ManualClock>, World) {
    let clock = clock();
    let time = Arc::clone(&clock) as Arc<dyn Clock>;
    let world = World::empty(&time, state).unwrap();
    (world.capabilities(), clock, world)
}

/// One sentence after the other in every state, so that they share two cores.
macro_rules! proves {
    ($name:ident, $suite:ident, $facade:ident, $field:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            for state in State::ALL {
                prove(testkit::$suite::cases(), || {
                    let (capabilities, clock, world) = mock(state);
                    let backend = Arc::new($facade(capabilities.$field));
                    Fixture::new(backend as _, clock).keeping(world)
                })
                .await;
            }
        }
    };
}

proves!(
    memory_of_the_mock_host_keeps_its_contract,
    memory,
    FacadeMemory,
    memory
);
proves!(
    files_of_the_mock_host_keep_their_contract,
    files,
    FacadeFiles,
    files
);
proves!(
    sessions_of_the_mock_host_keep_their_contract,
    sessions,
    FacadeSessions,
    sessions
);
proves!(
    records_of_the_mock_host_keep_their_contract,
    records,
    FacadeRecords,
    records
);
proves!(
    search_of_the_mock_host_keeps_its_contract,
    search,
    FacadeSearch,
    search
);
proves!(
    jobs_of_the_mock_host_keep_their_contract,
    jobs,
    FacadeJobs,
    jobs
);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_queue_of_jobs_of_the_mock_host_keeps_its_contract() {
    for state in State::ALL {
        prove(testkit::job_queue::cases(), || {
            let (capabilities, clock, world) = mock(state);
            let sides = Arc::new(JobSides {
                jobs: Arc::new(FacadeJobs(capabilities.jobs)),
                queue: world.job_queue(),
            });
            Fixture::new(sides, clock).keeping(world)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn mailboxes_of_the_mock_host_keep_their_contract() {
    for state in State::ALL {
        prove(testkit::a2a::cases(), || {
            let (capabilities, clock, world) = mock(state);
            let mail = Arc::new(FacadeMail {
                facade: capabilities.mailbox,
                queue: world.mail_queue(),
                desk: world.mail_desk(),
            });
            Fixture::new(mail as _, clock).keeping(world)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_of_the_mock_host_keep_their_contract() {
    for state in State::ALL {
        prove(testkit::secrets::cases(), || {
            let (capabilities, clock, world) = mock(state);
            let secrets = FacadeSecrets(capabilities.secrets, world.secret_store());
            Fixture::new(Arc::new(secrets) as _, clock).keeping(world)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_behind_the_path_of_the_mock_host_keep_their_contract() {
    for state in State::ALL {
        prove(testkit::model::cases(), || {
            let (parrot, clock) = (OpenAi::start(), clock());
            let models: Models = parrot.models();
            let time = Arc::clone(&clock) as Arc<dyn Clock>;
            let world = World::with_models(&time, state, &models).unwrap();
            let model = Arc::new(FacadeModel(world.capabilities().model));
            Fixture::new(model as _, clock)
                .keeping(world)
                .keeping(parrot)
        })
        .await;
    }
}
