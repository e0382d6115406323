//! Jobs against a model: random submissions, claims, ends, losses and times, with the store reopened, must answer what a
//! few lines of plain code answer.

use std::time::Duration;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use stuga_core::jobs::queue::{Outcome, Settled};
use stuga_core::jobs::{JobAck, JobWrite, Jobs, Options, PRIORITY_STEP, Priority, State};
use stuga_core::lease::{Failure, Held, LOSSES_MAX, Lease, LeaseToken};
use stuga_core::retry::{Next, RetryPolicy};
use stuga_core::{AgentName, Clock, ErrorKind, TenantId, Timestamp};
use uuid::Uuid;

use crate::common::{House, scribe};

/// Short, so that steps of time run over it.
const LEASE: Duration = Duration::from_millis(10);
const RETRY: RetryPolicy = RetryPolicy {
    attempts: 2,
    // Less than the clock can show, whatever the roll: the suites prove the waits.
    base: Duration::from_millis(1),
    cap: Duration::from_millis(1),
};

#[derive(Clone, Debug)]
enum Step {
    Submit { delay_ms: u64, priority: usize },
    Claim { leases: usize },
    Succeed { token: usize },
    Fail { token: usize },
    Release { token: usize },
    Prolong { token: usize },
    Cancel { job: usize },
    Requeue { job: usize },
    Advance { ms: u64 },
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        6 => (0_u64..6, 0_usize..3).prop_map(|(delay_ms, priority)| Step::Submit { delay_ms, priority }),
        6 => (1_usize..4).prop_map(|leases| Step::Claim { leases }),
        3 => any::<usize>().prop_map(|token| Step::Succeed { token }),
        4 => any::<usize>().prop_map(|token| Step::Fail { token }),
        1 => any::<usize>().prop_map(|token| Step::Release { token }),
        2 => any::<usize>().prop_map(|token| Step::Prolong { token }),
        1 => any::<usize>().prop_map(|job| Step::Cancel { job }),
        2 => any::<usize>().prop_map(|job| Step::Requeue { job }),
        6 => (1_u64..8).prop_map(|ms| Step::Advance { ms }),
        1 => Just(Step::Reopen),
    ]
}

/// What a job is, in a few lines.
#[derive(Clone, Debug)]
struct Model {
    id: String,
    priority: usize,
    due_at: Timestamp,
    state: State,
    attempt: u32,
    failures: u32,
    losses: u32,
    token: Option<usize>,
    lease_until: Timestamp,
}

#[derive(Default)]
struct Models {
    jobs: Vec<Model>,
    /// Tokens handed out, by number.
    tokens: usize,
}

impl Models {
    fn holding(&mut self, token: usize) -> Option<&mut Model> {
        self.jobs
            .iter_mut()
            .find(|job| job.state == State::Running && job.token == Some(token))
    }

    fn put_back_lost(&mut self, now: Timestamp) {
        for job in &mut self.jobs {
            if job.state != State::Running || job.lease_until > now {
                continue;
            }
            if job.losses >= LOSSES_MAX {
                job.fail(now);
            } else {
                job.losses += 1;
                job.give_back(now);
            }
        }
    }

    /// The jobs that a claim must take, in order.
    fn due(&self, now: Timestamp, most: usize) -> Vec<usize> {
        let mut due: Vec<usize> = (0..self.jobs.len())
            .filter(|n| self.jobs[*n].state == State::Waiting && self.jobs[*n].due_at <= now)
            .collect();
        due.sort_by_key(|n| {
            let job = &self.jobs[*n];
            let head_start = PRIORITY_STEP.as_millis() as i128 * job.priority as i128;
            (i128::from(job.due_at.as_millis()) - head_start, *n)
        });
        due.truncate(most);
        due
    }
}

impl Model {
    fn give_back(&mut self, now: Timestamp) {
        self.state = State::Waiting;
        self.token = None;
        self.due_at = self.due_at.min(now);
    }

    fn fail(&mut self, now: Timestamp) -> Next {
        self.failures += 1;
        let next = RETRY.after(self.failures, 7);
        match next {
            Next::GiveUp => self.state = State::Dead,
            Next::Retry(wait) => {
                self.state = State::Waiting;
                self.token = None;
                self.attempt += 1;
                self.losses = 0;
                self.due_at = now.saturating_add(wait);
            }
        }
        next
    }
}

fn token(number: usize) -> LeaseToken {
    LeaseToken::from_uuid(Uuid::from_u128(number as u128 + 1))
}

async fn run(steps: Vec<Step>) {
    let mut house = House::new();
    let mut models = Models::default();
    let (tenant, agents) = (
        TenantId::new("acme").unwrap(),
        [AgentName::new("scribe").unwrap()],
    );
    for step in steps {
        let now = house.clock.now();
        let (jobs, queue) = (house.local.jobs(), house.local.job_queue());
        match step {
            Step::Submit { delay_ms, priority } => {
                submit(&house, &mut models, delay_ms, priority).await
            }
            Step::Claim { leases } => {
                models.put_back_lost(now);
                let asked: Vec<_> = (0..leases)
                    .map(|n| Lease {
                        token: token(models.tokens + n),
                        time: LEASE,
                    })
                    .collect();
                let claims = queue.claim(&tenant, &agents, &asked, 7).await.unwrap();
                let due = models.due(now, leases);
                let expected: Vec<_> = due.iter().map(|n| models.jobs[*n].id.clone()).collect();
                let taken: Vec<_> = claims.jobs.iter().map(|job| job.id.clone()).collect();
                assert_eq!(taken, expected);
                for (nth, n) in due.into_iter().enumerate() {
                    let job = &mut models.jobs[n];
                    assert_eq!(claims.jobs[nth].attempt, job.attempt);
                    job.state = State::Running;
                    job.token = Some(models.tokens + nth);
                    job.lease_until = now.saturating_add(LEASE);
                }
                models.tokens += leases;
            }
            Step::Succeed { token: t } | Step::Fail { token: t } | Step::Release { token: t }
                if models.tokens > 0 =>
            {
                let t = t % models.tokens;
                let (outcome, expected) = settle(&mut models, &step, t, now);
                let settled = queue.settle(&tenant, &token(t), outcome).await;
                let settled = settled.unwrap();
                assert!(expected.contains(&settled), "{step:?}: {settled:?}");
            }
            Step::Prolong { token: t } if models.tokens > 0 => {
                let t = t % models.tokens;
                let lease = Lease {
                    token: token(t),
                    time: LEASE,
                };
                let held = queue.prolong(&tenant, &lease).await.unwrap();
                let holding = models.holding(t);
                assert_eq!(held == Held::Yes, holding.is_some());
                if let Some(job) = holding {
                    job.lease_until = now.saturating_add(LEASE);
                }
            }
            Step::Cancel { job } if !models.jobs.is_empty() => {
                let n = job % models.jobs.len();
                let write = JobWrite::Cancel {
                    id: models.jobs[n].id.clone(),
                };
                let ctx = scribe();
                let ack = jobs.apply(&ctx, ctx.next_write_id().unwrap(), &write).await;
                let was_open = !models.jobs[n].state.is_end();
                assert_eq!(ack.unwrap(), JobAck::Cancelled { was_open });
                if was_open {
                    models.jobs[n].state = State::Cancelled;
                }
            }
            Step::Requeue { job } if !models.jobs.is_empty() => {
                let n = job % models.jobs.len();
                let write = JobWrite::Requeue {
                    id: models.jobs[n].id.clone(),
                };
                let ctx = scribe();
                let ack = jobs.apply(&ctx, ctx.next_write_id().unwrap(), &write).await;
                let job = &mut models.jobs[n];
                if job.state == State::Dead {
                    assert_eq!(ack.unwrap(), JobAck::Requeued);
                    job.state = State::Waiting;
                    job.attempt += 1;
                    job.failures = 0;
                    job.losses = 0;
                    job.token = None;
                    job.due_at = now;
                } else {
                    assert_eq!(ack.unwrap_err().kind(), ErrorKind::Conflict);
                }
            }
            Step::Advance { ms } => house.clock.advance(Duration::from_millis(ms)),
            Step::Reopen => house.reopen().await,
            _ => {}
        }
        check(&*house.local.jobs(), &models).await;
    }
}

async fn submit(house: &House, models: &mut Models, delay_ms: u64, priority: usize) {
    let delay = Duration::from_millis(delay_ms);
    let write = JobWrite::Submit {
        kind: "copy".to_owned(),
        input: "1".to_owned(),
        options: Options {
            delay,
            priority: Priority::ALL[priority],
            retry: RETRY,
            ..Options::default()
        },
    };
    let ctx = scribe();
    let id = ctx.next_write_id().unwrap();
    let ack = house.local.jobs().apply(&ctx, id, &write).await.unwrap();
    let JobAck::Submitted { id, .. } = ack else {
        unreachable!("a submission was answered with {ack:?}")
    };
    let now = house.clock.now();
    models.jobs.push(Model {
        id,
        priority,
        due_at: now.saturating_add(delay),
        state: State::Waiting,
        attempt: 1,
        failures: 0,
        losses: 0,
        token: None,
        lease_until: now,
    });
}

/// What to tell about an attempt, and what may be answered.
fn settle(models: &mut Models, step: &Step, t: usize, now: Timestamp) -> (Outcome, Vec<Settled>) {
    let outcome = match step {
        Step::Succeed { .. } => Outcome::Succeeded("1".to_owned()),
        Step::Fail { .. } => Outcome::Failed {
            failure: Failure::new(ErrorKind::Unavailable, "no"),
            roll: 7,
        },
        _ => Outcome::Released,
    };
    let ended = models
        .jobs
        .iter()
        .find(|job| job.token == Some(t) && job.state.is_end())
        .map(|job| job.state);
    let expected = match (models.holding(t), &outcome) {
        (Some(job), Outcome::Succeeded(_)) => {
            job.state = State::Succeeded;
            Settled::Succeeded
        }
        (Some(job), Outcome::Failed { .. }) => Settled::Failed(job.fail(now)),
        (Some(job), Outcome::Released) => {
            job.give_back(now);
            Settled::Released
        }
        (None, Outcome::Succeeded(_)) if ended == Some(State::Succeeded) => Settled::Succeeded,
        (None, Outcome::Failed { .. }) if ended == Some(State::Dead) => {
            Settled::Failed(Next::GiveUp)
        }
        (None, _) => Settled::Lost,
    };
    (outcome, vec![expected])
}

async fn check(jobs: &dyn Jobs, models: &Models) {
    let page = jobs.list(&scribe(), None, None, 1_000).await.unwrap();
    let shown: Vec<_> = page
        .jobs
        .into_iter()
        .rev()
        .map(|job| (job.id, job.state, job.attempt))
        .collect();
    let expected: Vec<_> = models
        .jobs
        .iter()
        .map(|job| (job.id.clone(), job.state, job.attempt))
        .collect();
    assert_eq!(shown, expected);
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 48,
        failure_persistence: None,
        rng_seed: RngSeed::Fixed(7),
        ..ProptestConfig::default()
    })]

    #[test]
    fn jobs_answer_what_the_model_answers(steps in vec(step(), 1..80)) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(run(steps));
    }
}
