//! Running the jobs of a mock host: what the host's runner does, one job after the other, when a test says so.

use std::time::Duration;

use super::state::State;
use super::{Host, current, jobs};
use crate::{Agent, Context, Instance, Origin};

/// How much time an attempt is told to have.
const DEADLINE: Duration = Duration::from_secs(300);
/// Most jobs of one run: a job that submits itself again ends there, too.
const RUN_MAX: u32 = 10_000;

/// Runs every job of the running host that is due, in the order in which a host would, each attempt in an instance of its
/// own, and says how many attempts ran. A failed attempt waits for its time: move the clock with
/// [`Host::advance`](super::Host::advance) and run again.
///
/// A job that panics fails the test. [`crate::jobs::wait`] runs what is due by itself.
///
/// # Panics
/// Outside of [`Host::run`](super::Host::run).
#[expect(clippy::panic, reason = "a mistake of the test, so the test fails")]
pub fn run_jobs<A: Agent>() -> u32 {
    let Some(host) = current() else {
        panic!("no host: run this inside stuga_sdk::mock::Host::new().run(|| ...)")
    };
    let mut attempts = 0;
    while attempts < RUN_MAX {
        let Some(attempt) = jobs::take(&mut host.state()) else {
            break;
        };
        attempts += 1;
        run::<A>(&host, attempt);
    }
    attempts
}

fn run<A: Agent>(host: &Host, attempt: jobs::Attempt) {
    let jobs::Attempt {
        id,
        kind,
        input,
        number,
    } = attempt;
    let origin = Origin::Job {
        job_id: id.clone(),
        attempt: number,
    };
    let (suspended, invocation) = {
        let mut state = host.state();
        let suspended = state.suspend();
        let invocation = state.begin(A::CAPABILITIES);
        state.enter::<A>(&origin);
        (suspended, invocation)
    };
    let ctx = Context {
        id: format!("00000000-0000-8000-8000-{invocation:012x}"),
        skill: kind,
        session: None,
        origin,
        deadline: DEADLINE,
        extra: Vec::new(),
    };
    let answer = Instance::<A>::new().run_job(&ctx, &input);
    let mut state = host.state();
    state.end();
    state.resume(suspended);
    jobs::settle(&mut state, &id, answer);
}

impl State {
    /// Notes what the agent that begins an invocation can run as jobs, and which job runs, if it is one.
    pub(super) fn enter<A: Agent>(&mut self, origin: &Origin) {
        let jobs = A::jobs().entries;
        let kinds = jobs.iter().map(|job| (job.name, (job.input_schema)()));
        self.kinds = Some(kinds.collect());
        self.run_jobs = Some(|| {
            run_jobs::<A>();
        });
        self.job = match origin {
            Origin::Job { job_id, attempt } => Some((job_id.clone(), *attempt)),
            _ => None,
        };
    }
}
