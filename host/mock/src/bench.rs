//! A component to be called by hand: what is stored stays from call to call, also when the component is replaced.

use stuga_core::{Clock, SystemClock};
use tracing::Dispatch;

use crate::logs::Capture;
use crate::mock::{Mock, executor};
use crate::report::Called;
use crate::run::{Deployed, Stage};
use crate::scenario::{Call, Scenario};
use crate::state::State;

/// An agent on the mock host, in real time.
pub struct Bench {
    executor: tokio::runtime::Runtime,
    stage: Stage,
    agent: Deployed,
    dispatch: Dispatch,
}

impl Bench {
    /// Opens empty backends around a component. Blocks; not to be called from async code.
    ///
    /// # Errors
    /// Why it cannot be run.
    pub fn open(mock: Mock, seed: u64) -> Result<Self, String> {
        let executor = executor(false).map_err(|error| error.to_string())?;
        let capture = Capture::default();
        let start = SystemClock.now();
        let (stage, agent) = executor.block_on(async {
            let scenario = Scenario::empty();
            let stage = Stage::open(mock, scenario, State::Local, seed, start, &capture)
                .map_err(|error| error.to_string())?;
            let agent = stage.deploy().await.map_err(Stage::explain)?;
            Ok::<_, String>((stage, agent))
        })?;
        Ok(Self {
            executor,
            stage,
            agent,
            dispatch: Dispatch::new(capture),
        })
    }

    /// Puts another component into the place of the one that is there, which stays when the new one does not start.
    ///
    /// # Errors
    /// Why the new one cannot be run.
    pub fn replace(&mut self, mock: Mock) -> Result<(), String> {
        let before = std::mem::replace(&mut self.stage.mock, mock);
        match self.executor.block_on(self.stage.deploy()) {
            Ok(agent) => {
                self.agent = agent;
                Ok(())
            }
            Err(error) => {
                self.stage.mock = before;
                Err(Stage::explain(error))
            }
        }
    }

    /// Calls a skill with JSON.
    ///
    /// # Errors
    /// Why the call cannot be made; that the agent refuses it is an answer.
    pub fn call(&mut self, skill: &str, input: serde_json::Value) -> Result<Called, String> {
        let call = Call::of(skill, input);
        tracing::dispatcher::with_default(&self.dispatch, || {
            self.executor.block_on(self.stage.call(&self.agent, &call))
        })
    }

    /// The component that is called.
    pub fn mock(&self) -> &Mock {
        &self.stage.mock
    }
}
