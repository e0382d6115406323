//! The mock host: runs a component against scenarios, without a server.
//!
//! It is the real runtime over the real local backends on a directory that is thrown away, with a clock that stands
//! still, ids that follow from a seed, faults on command, and a second set of backends that plays the cloud behind the real
//! facade. So it does what a host does because it is one; docs/guides/test-an-agent.md lists what it does not model.
//!
//! In reading order: [`scenario_schema`] and [`load`] for what an author writes, [`Mock`] for the component, [`Run`] for
//! what came of it, [`junit`] for CI.

mod attendant;
mod bench;
mod clock;
mod cloud;
mod compare;
mod doubles;
mod expect;
mod faults;
mod ids;
mod jobs;
mod junit;
mod kept;
mod load;
mod logs;
mod matrix;
mod mock;
mod operations;
mod outbox;
mod redact;
mod report;
mod run;
mod runner;
mod scenario;
mod schema;
mod state;
mod turn;
mod watch;
mod world;

pub use bench::Bench;
pub use compare::Mismatch;
pub use junit::junit;
pub use load::{Loaded, load, read};
pub use logs::LogLine;
pub use mock::Mock;
pub use report::{Called, Ended, Ran, Run, Verdict};
pub use scenario::{FailureKind, LogLevel, Scenario};
pub use schema::scenario_schema;
pub use state::State;
pub use world::World;
