//! Jobs of an agent on the mock host: run, retried, cancelled, waited for, made by schedules.

#![cfg(not(target_family = "wasm"))]
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use serde_json::json;
use stuga_sdk::jobs::{self, Options, Priority, Retry, State};
use stuga_sdk::{
    Agent, Capability, Context, Error, ErrorKind, Jobs, Origin, Result, Skills, memory, mock,
};

#[derive(Default)]
struct Clerk;

impl Agent for Clerk {
    const NAME: &'static str = "clerk";
    const VERSION: &'static str = "0.1.0";
    const SUMMARY: &'static str = "Does things later.";
    const CAPABILITIES: &'static [Capability] = &[Capability::Jobs, Capability::Memory];

    fn skills() -> Skills<Self> {
        Skills::new()
            .skill("submit", "Submits a note.", Self::submit)
            .skill("now", "Submits a note and waits for it.", Self::now)
            .skill("wrong", "Submits what is not there.", Self::wrong)
    }

    fn jobs() -> Jobs<Self> {
        Jobs::new()
            .job("note", "Notes a text.", Self::note)
            .job("fail", "Fails until the given attempt.", Self::fail)
            .job("refuse", "Refuses.", Self::refuse)
    }
}

impl Clerk {
    fn submit(&self, _: &Context, text: String) -> Result<String> {
        jobs::submit("note", &text)
    }

    fn now(&self, _: &Context, text: String) -> Result<String> {
        let id = jobs::submit("note", &text)?;
        let job = jobs::wait(&id, Duration::from_secs(1))?;
        job.ok_or_else(|| Error::internal("it is gone"))?.output()
    }

    fn wrong(&self, _: &Context, kind: String) -> Result<String> {
        jobs::submit(&kind, &5)
    }

    fn note(&self, ctx: &Context, text: String) -> Result<String> {
        jobs::report_progress(50, "noting")?;
        let seen = memory::get("notes")?.map(|item| item.value);
        let mut notes = seen.unwrap_or_default();
        notes.extend_from_slice(text.as_bytes());
        memory::put("notes", &notes)?;
        Ok(format!("{text} by {}", ctx.skill()))
    }

    fn fail(&self, ctx: &Context, until: u32) -> Result<u32> {
        match ctx.origin() {
            Origin::Job { attempt, .. } if *attempt >= until => Ok(*attempt),
            _ => Err(Error::unavailable("not yet")),
        }
    }

    fn refuse(&self, _: &Context, _: ()) -> Result<()> {
        Err(Error::invalid("never"))
    }
}

fn state(id: &str) -> State {
    jobs::get(id).unwrap().unwrap().info.state
}

#[test]
fn a_job_that_a_skill_submitted_runs_when_the_test_says_so() {
    mock::Host::new().run(|| {
        let id = mock::invoke::<Clerk>("submit", json!("a")).unwrap();
        let id = id.as_str().unwrap();
        assert_eq!(state(id), State::Waiting);
        assert_eq!(mock::run_jobs::<Clerk>(), 1);
        let job = jobs::get(id).unwrap().unwrap();
        assert_eq!(job.output::<String>().unwrap(), "a by note");
        assert_eq!(job.info.progress.unwrap().percent, 50);
        assert_eq!(mock::run_jobs::<Clerk>(), 0, "once");
    });
}

#[test]
fn a_skill_that_waits_gets_the_output() {
    mock::Host::new().run(|| {
        let output = mock::invoke::<Clerk>("now", json!("b")).unwrap();
        assert_eq!(output, json!("b by note"));
    });
}

#[test]
fn what_cannot_be_submitted_is_named() {
    mock::Host::new().run(|| {
        let unknown = mock::invoke::<Clerk>("wrong", json!("nope")).unwrap_err();
        assert_eq!(unknown.kind(), ErrorKind::NotFound);
        assert!(
            unknown.message().contains("note, fail, refuse"),
            "{unknown}"
        );
        let misfit = mock::invoke::<Clerk>("wrong", json!("note")).unwrap_err();
        assert_eq!(misfit.kind(), ErrorKind::Invalid);
        assert!(misfit.message().contains("`note`"), "{misfit}");
        let outside = jobs::report_progress(1, "").unwrap_err();
        assert_eq!(outside.kind(), ErrorKind::Invalid);
    });
}

#[test]
fn a_failed_job_is_tried_again_after_its_wait_and_then_succeeds() {
    let host = mock::Host::new();
    let id = host.run(|| jobs::submit("fail", &3).unwrap());
    for attempt in 1..=3 {
        assert_eq!(host.run(mock::run_jobs::<Clerk>), 1, "attempt {attempt}");
        host.advance(Duration::from_secs(10));
    }
    let job = host.run(|| jobs::get(&id)).unwrap().unwrap();
    assert_eq!(job.output::<u32>().unwrap(), 3);
}

#[test]
fn a_job_that_keeps_failing_is_dead_until_it_is_queued_again() {
    let host = mock::Host::new();
    let second = Duration::from_secs(1);
    let retry = Retry {
        attempts: 2,
        base: second,
        cap: second,
    };
    let options = Options::new().retry(retry);
    let id = host.run(|| jobs::submit_with("fail", &3, &options).unwrap());
    for _ in 0..2 {
        host.run(mock::run_jobs::<Clerk>);
        host.advance(second);
    }
    let job = host.run(|| jobs::get(&id)).unwrap().unwrap();
    assert_eq!(job.info.state, State::Dead);
    assert!(
        job.output::<u32>()
            .unwrap_err()
            .message()
            .contains("not yet")
    );
    host.run(|| jobs::requeue(&id)).unwrap();
    host.run(mock::run_jobs::<Clerk>);
    assert_eq!(host.run(|| state(&id)), State::Succeeded);
}

#[test]
fn a_refusal_leaves_no_attempt() {
    mock::Host::new().run(|| {
        let id = jobs::submit("refuse", &()).unwrap();
        assert_eq!(mock::run_jobs::<Clerk>(), 1);
        assert_eq!(state(&id), State::Dead);
    });
}

#[test]
fn jobs_run_by_priority_and_when_they_are_due() {
    let host = mock::Host::new();
    host.run(|| {
        let later = Options::new().delay(Duration::from_secs(60));
        jobs::submit_with("note", "c", &later).unwrap();
        jobs::submit("note", "b").unwrap();
        let first = Options::new().priority(Priority::High);
        jobs::submit_with("note", "a", &first).unwrap();
        let cancelled = jobs::submit("note", "x").unwrap();
        assert!(jobs::cancel(&cancelled).unwrap());
    });
    let notes = || host.run(|| memory::get("notes").unwrap().unwrap().value);
    host.run(mock::run_jobs::<Clerk>);
    assert_eq!(notes(), b"ab");
    host.advance(Duration::from_secs(60));
    host.run(mock::run_jobs::<Clerk>);
    assert_eq!(notes(), b"abc");
}

#[test]
fn a_schedule_makes_its_job_once_a_time() {
    let host = mock::Host::new();
    host.run(|| jobs::put_schedule("hourly", "0 * * * *", "UTC", "note", "h").unwrap());
    assert_eq!(host.run(mock::run_jobs::<Clerk>), 0);
    for _ in 0..3 {
        host.advance(Duration::from_secs(3_600));
        assert_eq!(host.run(mock::run_jobs::<Clerk>), 1);
        assert_eq!(host.run(mock::run_jobs::<Clerk>), 0);
    }
}
