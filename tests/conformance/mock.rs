//! The mock host's backends, on which authors test their agents, in the states of its matrix.

use std::sync::Arc;

use stuga_core::testkit::{self, Fixture, ManualClock, prove};
use stuga_core::{Clock, Timestamp};
use stuga_mock::{State, World};
use stuga_resilience::Capabilities;

use crate::facade::{FacadeFiles, FacadeMemory, FacadeRecords, FacadeSessions};

/// No cloud, a healthy one, one that is down.
const STATES: [State; 3] = [State::Local, State::Closed, State::Open];

/// And one that comes and goes. Not for sessions: events that wait for the cloud get their times when they arrive there,
/// so that pages of one listing that come from both sides do not fit together.
const ALL: [State; 4] = [State::Local, State::Closed, State::Open, State::Flapping];

fn mock(state: State) -> (Capabilities, Arc<ManualClock>, World) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
    let time = Arc::clone(&clock) as Arc<dyn Clock>;
    let world = World::empty(&time, state).unwrap();
    (world.capabilities(), clock, world)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn memory_of_the_mock_host_keeps_its_contract() {
    for state in ALL {
        prove(testkit::memory::cases(), || {
            let (capabilities, clock, world) = mock(state);
            let memory = Arc::new(FacadeMemory(capabilities.memory));
            Fixture::new(memory as _, clock).keeping(world)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_the_mock_host_keep_their_contract() {
    for state in ALL {
        prove(testkit::files::cases(), || {
            let (capabilities, clock, world) = mock(state);
            let files = Arc::new(FacadeFiles(capabilities.files));
            Fixture::new(files as _, clock).keeping(world)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_of_the_mock_host_keep_their_contract() {
    for state in STATES {
        prove(testkit::sessions::cases(), || {
            let (capabilities, clock, world) = mock(state);
            let sessions = Arc::new(FacadeSessions(capabilities.sessions));
            Fixture::new(sessions as _, clock).keeping(world)
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_of_the_mock_host_keep_their_contract() {
    for state in ALL {
        prove(testkit::records::cases(), || {
            let (capabilities, clock, world) = mock(state);
            let records = Arc::new(FacadeRecords(capabilities.records));
            Fixture::new(records as _, clock).keeping(world)
        })
        .await;
    }
}
