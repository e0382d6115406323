//! The mock host's backends, on which authors test their agents, in the states of its matrix.

use std::sync::Arc;

use stuga_core::secrets::SecretValue;
use stuga_core::testkit::job_queue::JobSides;
use stuga_core::testkit::{self, Fixture, ManualClock, prove};
use stuga_core::{Clock, ErrorKind};
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

/// What does not hold in a state: its sentence and the reason.
const NOT_THERE: &[(State, &str, &str)] = &[(
    State::HalfOpen,
    "an_agent_has_a_bounded_number_of_indices",
    "the cloud never gets what waits, and counts the indices that it has",
)];

/// One sentence after the other in every state, so that they share two cores.
macro_rules! proves {
    ($name:ident, $suite:ident, $facade:ident, $field:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        async fn $name() {
            for state in State::ALL {
                println!("{state:?}");
                let mut cases = testkit::$suite::cases();
                cases.retain(|case| {
                    let is_it =
                        |(at, name, _): &&(_, &str, &str)| *at == state && *name == case.name;
                    let not = NOT_THERE.iter().find(is_it);
                    if let Some((_, name, why)) = not {
                        println!("left out: {name}: {why}");
                    }
                    not.is_none()
                });
                prove(cases, || {
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
    // Jobs lie on the host in every state.
    for state in [State::Local, State::Flapping] {
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
async fn mailboxes_of_the_mock_host_keep_their_contract_wherever_they_lie() {
    // Mailboxes in the cloud and on the host know nothing of each other: in each of these states one of them serves.
    for (state, serving) in [
        (State::Local, 0),
        (State::Closed, 0),
        (State::Open, 1),
        (State::Isolated, 1),
    ] {
        prove(testkit::a2a::cases(), || {
            let (capabilities, clock, world) = mock(state);
            let mail = Arc::new(FacadeMail {
                facade: capabilities.mailbox,
                queue: world.mail_queues().swap_remove(serving),
                desk: world.mail_desks().swap_remove(serving),
            });
            Fixture::new(mail as _, clock).keeping(world)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn secrets_of_the_mock_host_keep_their_contract_where_every_secret_can_be_seen() {
    // In the other states a host knows of a secret what it has a copy of, see below.
    for state in [State::Local, State::Closed] {
        prove(testkit::secrets::cases(), || {
            let (capabilities, clock, world) = mock(state);
            let secrets = FacadeSecrets(capabilities.secrets, world.secret_store());
            Fixture::new(Arc::new(secrets) as _, clock).keeping(world)
        })
        .await;
    }
}

#[tokio::test]
async fn while_the_cloud_is_away_the_mock_host_has_copies_of_secrets_and_knows_of_no_others() {
    for state in [State::Open, State::Isolated] {
        let (capabilities, _clock, world) = mock(state);
        let (secrets, ctx) = (capabilities.secrets, testkit::ctx("acme", "scribe"));
        let value = SecretValue::new(b"hemligt".to_vec()).unwrap();
        let (store, id) = (world.secret_store(), ctx.next_write_id().unwrap());
        store.set(&ctx.tenant, id, "token", &value).await.unwrap();
        let revealed = secrets.reveal(&ctx, "token", 1).await.unwrap().unwrap();
        assert_eq!(revealed.reveal(), b"hemligt");
        let other = secrets.reveal(&ctx, "other", 1).await.unwrap_err();
        assert_eq!(other.kind(), ErrorKind::Unavailable, "{other}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn models_behind_the_facade_of_the_mock_host_keep_their_contract() {
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
