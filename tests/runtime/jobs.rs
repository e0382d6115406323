//! Jobs as a component submits and runs them: through the bindings, the host's binding and the local backend.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use stuga_core::{Error, ErrorKind};
use stuga_runtime::{Agent, InvokeError, JobCheck, JobRun};

use crate::{World, call, ctx};

async fn echo() -> (Agent, World) {
    let world = World::new();
    let agent = world.deploy("fixture-echo", |_| ()).await.unwrap();
    (agent, world)
}

fn run(id: &str, kind: &str, input: Value) -> JobRun {
    JobRun {
        id: id.to_owned(),
        kind: kind.to_owned(),
        input: input.to_string(),
        attempt: 2,
    }
}

async fn attempt(agent: &Agent, job: JobRun) -> Result<Value, InvokeError> {
    let reply = agent.run_job(ctx(Duration::from_secs(20)), job).await?;
    Ok(serde_json::from_str(&reply.output).unwrap())
}

#[tokio::test]
async fn a_component_says_which_jobs_it_has() {
    let (agent, _world) = echo().await;
    let jobs = &agent.plugin().manifest().jobs;
    let names: Vec<_> = jobs.iter().map(|job| job.name.as_str()).collect();
    assert_eq!(names, ["note", "count", "flaky", "spin", "crash"]);
    assert_eq!(jobs[2].input_schema["type"], "integer");
}

#[tokio::test]
async fn a_submitted_job_is_shown_and_cancelled() {
    let (agent, _world) = echo().await;
    let submit = json!({"kind": "flaky", "input": 1, "key": "k"});
    let first = call(&agent, "submit", submit.clone()).await.unwrap();
    let again = call(&agent, "submit", submit).await.unwrap();
    assert_eq!(first, again, "one key, one job");
    let shown = call(&agent, "job", first.clone()).await.unwrap();
    assert_eq!(
        (&shown["state"], &shown["attempt"]),
        (&json!("waiting"), &json!(1))
    );
    let cancelled = call(&agent, "cancel-job", first.clone()).await.unwrap();
    assert_eq!(cancelled["existed"], true);
    let shown = call(&agent, "job", first.clone()).await.unwrap();
    assert_eq!(shown["state"], "cancelled");
    let requeued = call(&agent, "requeue-job", first).await;
    let Err(InvokeError::Agent(error)) = requeued else {
        panic!("a cancelled job was queued again")
    };
    assert_eq!(error.kind(), ErrorKind::Conflict);
}

#[tokio::test]
async fn an_attempt_runs_in_an_instance_of_its_own() {
    let (agent, _world) = echo().await;
    let created = agent.stats().created;
    let output = attempt(&agent, run("j", "flaky", json!(2))).await.unwrap();
    assert_eq!(output, json!(2), "its number");
    let stats = agent.stats();
    assert_eq!((stats.created, stats.warm, stats.busy), (created + 1, 1, 0));
    let failed = attempt(&agent, run("j", "flaky", json!(3))).await;
    let Err(InvokeError::Agent(error)) = failed else {
        panic!("it did not fail")
    };
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}

#[tokio::test]
async fn a_crash_a_deadline_and_an_unknown_kind_end_an_attempt() {
    let (agent, _world) = echo().await;
    let crashed = attempt(&agent, run("j", "crash", json!({"text": "bang"}))).await;
    assert!(matches!(crashed, Err(InvokeError::Trapped { .. })));
    let spin = run("j", "spin", json!({}));
    let late = agent.run_job(ctx(Duration::from_millis(50)), spin).await;
    assert!(matches!(late, Err(InvokeError::Deadline)));
    let unknown = attempt(&agent, run("j", "nope", json!({}))).await;
    let Err(InvokeError::Agent(error)) = unknown else {
        panic!("it ran")
    };
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.message().contains("note, count"), "{error}");
    call(&agent, "echo", json!({"text": "hej"})).await.unwrap();
}

#[tokio::test]
async fn an_attempt_that_comes_again_writes_once() {
    let (agent, _world) = echo().await;
    let ctx = ctx(Duration::from_secs(20));
    let mut versions = Vec::new();
    for _ in 0..2 {
        let again = Arc::new(stuga_core::CallCtx::new(
            ctx.tenant.clone(),
            ctx.agent.clone(),
            ctx.invocation,
            ctx.request.clone(),
            ctx.accepted_at,
            ctx.deadline,
        ));
        let job = run("j", "count", json!({"key": "k"}));
        let reply = agent.run_job(again, job).await.unwrap();
        versions.push(reply.output);
    }
    assert_eq!(versions[0], versions[1]);
}

#[tokio::test]
async fn what_is_submitted_is_checked_first_and_progress_needs_a_job() {
    let world = World::new();
    let refuse = |_: &str, _: &str| Err(Error::invalid("jobs.submit", "it does not fit"));
    let agent = world
        .deploy("fixture-echo", |s| s.job_check = JobCheck::new(refuse))
        .await
        .unwrap();
    let submitted = call(&agent, "submit", json!({"kind": "flaky", "input": 1})).await;
    let Err(InvokeError::Agent(error)) = submitted else {
        panic!("it was taken")
    };
    assert!(error.message().contains("it does not fit"), "{error}");
    let reported = call(&agent, "report", json!({})).await;
    let Err(InvokeError::Agent(error)) = reported else {
        panic!("it was taken")
    };
    assert!(error.message().contains("from within a job"), "{error}");
}
