//! Jobs through the server and the commands: run, retried, stopped, cancelled, cut off and run again.

use std::fs;

use serde_json::{Value, json};

use crate::support::{Server, Site, expect, problem};

/// How often a test looks for what must come before it gives up.
const LOOKS_MAX: usize = 20_000;

/// A site whose jobs are held so briefly that a crash is noticed at once.
fn site() -> Site {
    let site = Site::new();
    let config = "runtime: {job_lease: 1s, max_jobs: 4}\n";
    fs::write(site.path().join("stuga.yaml"), config).unwrap();
    site
}

async fn submit(server: &Server, key: &str, input: Value) -> String {
    let answer = expect(server.echo("acme", key, "submit", input), 200).await;
    answer["output"]["id"].as_str().unwrap().to_owned()
}

async fn job(server: &Server, key: &str, id: &str) -> Value {
    job_of("acme", server, key, id).await
}

async fn job_of(tenant: &str, server: &Server, key: &str, id: &str) -> Value {
    let path = format!("/v1/tenants/{tenant}/jobs/{id}");
    expect(server.get(&path).bearer_auth(key), 200).await
}

/// Looks at a job until it is in that state.
async fn until(server: &Server, key: &str, id: &str, state: &str) -> Value {
    until_of("acme", server, key, id, state).await
}

async fn until_of(tenant: &str, server: &Server, key: &str, id: &str, state: &str) -> Value {
    let mut shown = Value::Null;
    for _ in 0..LOOKS_MAX {
        shown = job_of(tenant, server, key, id).await;
        if shown["state"] == state {
            return shown;
        }
        tokio::task::yield_now().await;
    }
    panic!("the job is not {state} but {shown}")
}

#[tokio::test]
async fn a_skill_that_waits_for_its_job_gets_the_output() {
    let site = site();
    let key = site.key("acme");
    let server = site.start();
    let input = json!({"kind": "note", "input": {"key": "k", "text": "hej"}});
    let answer = expect(server.echo("acme", &key, "run", input), 200).await;
    let shown = &answer["output"];
    assert_eq!(shown["state"], "succeeded", "{shown}");
    assert_eq!(shown["percent"], 50);
    assert!(shown["output"]["value"].is_u64(), "{shown}");
    let found = server.echo("acme", &key, "get", json!({"key": "k"}));
    assert_eq!(expect(found, 200).await["output"]["text"], "hej");
    let used = answer["receipt"]["capabilities"].as_array().unwrap();
    assert_eq!(used[0]["capability"], "jobs");
}

#[tokio::test]
async fn a_failed_job_is_tried_again_and_one_that_keeps_failing_is_dead_until_it_is_queued_again() {
    let site = site();
    let key = site.key("acme");
    let server = site.start();
    let input = json!({"kind": "flaky", "input": 3, "attempts": 3});
    let id = submit(&server, &key, input).await;
    let shown = until(&server, &key, &id, "succeeded").await;
    assert_eq!(
        (&shown["attempt"], &shown["output"]),
        (&json!(3), &json!(3))
    );

    let input = json!({"kind": "flaky", "input": 3, "attempts": 2});
    let id = submit(&server, &key, input).await;
    let shown = until(&server, &key, &id, "dead").await;
    let failure = json!({"kind": "unavailable", "message": "not yet"});
    assert_eq!(shown["failure"], failure);
    let path = format!("/v1/tenants/acme/jobs/{id}/requeue");
    let requeued = server.post(&path).bearer_auth(&key).send().await.unwrap();
    assert_eq!(requeued.status(), 204);
    until(&server, &key, &id, "succeeded").await;
    problem(server.post(&path).bearer_auth(&key), 409, "job-state").await;
}

#[tokio::test]
async fn a_job_that_crashes_or_takes_too_long_fails_and_harms_nobody() {
    let site = site();
    let key = site.key("acme");
    let server = site.start();
    let crash = json!({"kind": "crash", "input": {"text": "bang"}, "attempts": 1});
    let crashed = submit(&server, &key, crash).await;
    let shown = until(&server, &key, &crashed, "dead").await;
    assert_eq!(shown["failure"]["kind"], "internal", "{shown}");
    let spin = json!({"kind": "spin", "input": {}, "attempts": 1, "deadline_ms": 50});
    let stopped = submit(&server, &key, spin).await;
    let shown = until(&server, &key, &stopped, "dead").await;
    assert_eq!(shown["failure"]["kind"], "timeout", "{shown}");
    let echoed = server.echo("acme", &key, "echo", json!({"text": "hej"}));
    expect(echoed, 200).await;
}

#[tokio::test]
async fn a_running_job_is_cancelled_and_makes_room() {
    let site = site();
    let key = site.key("acme");
    let server = site.start();
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(submit(&server, &key, json!({"kind": "spin", "input": {}})).await);
    }
    for id in &ids {
        until(&server, &key, id, "running").await;
    }
    let waiting = json!({"kind": "note", "input": {"key": "k", "text": "hej"}});
    let waiting = submit(&server, &key, waiting).await;
    assert_eq!(
        job(&server, &key, &waiting).await["state"],
        "waiting",
        "three at a time"
    );
    let path = format!("/v1/tenants/acme/jobs/{}/cancel", ids[0]);
    let cancelled = expect(server.post(&path).bearer_auth(&key), 200).await;
    assert_eq!(cancelled["was_open"], true);
    until(&server, &key, &waiting, "succeeded").await;
    assert_eq!(job(&server, &key, &ids[0]).await["state"], "cancelled");
}

#[tokio::test]
async fn one_tenants_flood_does_not_hold_up_another() {
    let site = site();
    let (acme, globex) = (site.key("acme"), site.key("globex"));
    let server = site.start();
    for _ in 0..6 {
        submit(&server, &acme, json!({"kind": "spin", "input": {}})).await;
    }
    let input = json!({"kind": "note", "input": {"key": "k", "text": "hej"}});
    let answer = expect(server.echo("globex", &globex, "submit", input), 200).await;
    let id = answer["output"]["id"].as_str().unwrap();
    until_of("globex", &server, &globex, id, "succeeded").await;
}

#[tokio::test]
async fn after_kill_9_unfinished_jobs_run_again_and_finished_ones_do_not() {
    let site = site();
    let key = site.key("acme");
    let mut ids = Vec::new();
    // As often as an attempt may be lost without counting as failed.
    for round in 0..3 {
        let server = site.start();
        for n in 0..8 {
            let input = json!({"kind": "count", "input": {"key": format!("{round}-{n}")}});
            ids.push(submit(&server, &key, input).await);
        }
        server.kill();
    }
    let server = site.start();
    for id in &ids {
        let shown = until(&server, &key, id, "succeeded").await;
        assert_eq!(shown["attempt"], 1, "{shown}");
    }
    // Each attempt writes under its job and number: one key a job, however often it was cut off.
    let keys = expect(server.echo("acme", &key, "list", json!({"key": ""})), 200).await;
    let keys = keys["output"]["keys"].as_array().unwrap();
    assert_eq!(keys.len(), ids.len());
}

#[tokio::test]
async fn a_server_that_stops_gives_its_jobs_back_and_the_next_one_runs_them() {
    let site = site();
    let key = site.key("acme");
    let server = site.start();
    let id = submit(&server, &key, json!({"kind": "spin", "input": {}})).await;
    until(&server, &key, &id, "running").await;
    server.terminate();
    assert!(server.wait(), "the server ends with success");
    let shown = site.stuga(&["jobs", "show", "acme", &id, "--output", "json"]);
    let shown: Value = serde_json::from_str(&shown).unwrap();
    assert_eq!(
        (&shown["state"], &shown["attempt"]),
        (&json!("waiting"), &json!(1))
    );
    let server = site.start();
    until(&server, &key, &id, "running").await;
}

#[tokio::test]
async fn commands_see_and_change_the_jobs_of_a_running_server() {
    let site = site();
    let key = site.key("acme");
    let server = site.start();
    let set = ["--set", "kind=spin", "--set", "input:={}"];
    let mut invoke = vec!["invoke", "acme/fixture-echo", "submit", "--output", "json"];
    invoke.extend(set);
    let submitted: Value = serde_json::from_str(&site.stuga(&invoke)).unwrap();
    let id = submitted["output"]["id"].as_str().unwrap();
    until(&server, &key, id, "running").await;
    let listed = site.stuga(&["jobs", "list", "acme", "--state", "running"]);
    assert!(listed.contains(id) && listed.contains("spin"), "{listed}");
    assert_eq!(
        site.stuga(&["jobs", "cancel", "acme/fixture-echo", id])
            .trim(),
        format!("cancelled {id}")
    );
    // The server notices, and its place is free: three more can run.
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.push(submit(&server, &key, json!({"kind": "spin", "input": {}})).await);
    }
    for id in &ids {
        until(&server, &key, id, "running").await;
    }
}

#[test]
fn a_command_without_a_server_runs_the_job_that_it_waits_for() {
    let site = site();
    let input = r#"input:={"key": "k", "text": "hej"}"#;
    let target = "acme/fixture-echo";
    let run = [
        "invoke",
        target,
        "run",
        "--set",
        "kind=note",
        "--set",
        input,
    ];
    let shown = site.stuga(&run);
    assert!(shown.contains("\"state\": \"succeeded\""), "{shown}");
}

#[test]
fn wrong_use_is_told_with_the_fix() {
    let site = site();
    let says = |args: &[&str], text: &str| {
        let output = site.try_stuga(args);
        let error = String::from_utf8(output.stderr).unwrap();
        assert!(!output.status.success(), "{args:?}");
        assert!(error.contains(text), "{args:?}: {error}");
    };
    let submit = ["invoke", "acme/fixture-echo", "submit"];
    let with = |kind: &'static str, input: &'static str| {
        [&submit[..], &["--set", kind, "--set", input]].concat()
    };
    says(
        &with("kind=nope", "input:=1"),
        "the agent has no job \"nope\"; it has count, crash, flaky, note, spin",
    );
    says(
        &with("kind=flaky", "input:=\"x\""),
        "the input does not fit the schema of job \"flaky\"",
    );
    says(
        &["invoke", "acme/fixture-echo", "report"],
        "progress is reported from within a job",
    );
    let schedule = r#"{"name":"n","cron":"daily","time_zone":"UTC","kind":"flaky","input":1}"#;
    fs::write(site.path().join("schedule.json"), schedule).unwrap();
    says(
        &[
            "invoke",
            "acme/fixture-echo",
            "schedule",
            "--input",
            "schedule.json",
        ],
        "five fields such as `30 6 * * MON-FRI`",
    );
    says(
        &["jobs", "show", "acme", "nobody"],
        "there is no job nobody",
    );
    says(
        &["jobs", "list", "acme/fixture-ecko"],
        "did you mean \"fixture-echo\"?",
    );
    says(
        &["jobs", "list", "acme", "--state", "ded"],
        "waiting, running",
    );
}

#[tokio::test]
async fn jobs_are_a_tenants_own_and_listed_page_by_page() {
    let site = site();
    let (acme, globex) = (site.key("acme"), site.key("globex"));
    let server = site.start();
    let later = json!({"kind": "spin", "input": {}, "delay_ms": 3_600_000});
    let mut ids = Vec::new();
    for _ in 0..3 {
        ids.insert(0, submit(&server, &acme, later.clone()).await);
    }
    let path = "/v1/tenants/acme/jobs";
    problem(server.get(path).bearer_auth(&globex), 403, "foreign-tenant").await;
    let foreign = format!("/v1/tenants/globex/jobs/{}", ids[0]);
    problem(
        server.get(&foreign).bearer_auth(&globex),
        404,
        "unknown-job",
    )
    .await;
    let cancel = format!("{foreign}/cancel");
    problem(
        server.post(&cancel).bearer_auth(&globex),
        404,
        "unknown-job",
    )
    .await;
    let mut listed = Vec::new();
    let mut next = String::new();
    loop {
        let page = format!("{path}?limit=1{next}");
        let page = expect(server.get(&page).bearer_auth(&acme), 200).await;
        for job in page["jobs"].as_array().unwrap() {
            assert_eq!(job["agent"], "fixture-echo");
            listed.push(job["id"].as_str().unwrap().to_owned());
        }
        match page["next_cursor"].as_str() {
            Some(cursor) => next = format!("&cursor={cursor}"),
            None => break,
        }
    }
    assert_eq!(listed, ids);
    let wrong = format!("{path}?state=ded");
    problem(server.get(&wrong).bearer_auth(&acme), 400, "bad-request").await;
    let openapi = server.get("/openapi.json").send().await.unwrap();
    let openapi: Value = openapi.json().await.unwrap();
    assert!(openapi["paths"]["/v1/tenants/{tenant}/jobs/{id}/requeue"]["post"].is_object());
}

#[tokio::test]
async fn the_metrics_count_attempts_by_outcome() {
    let site = site();
    let key = site.key("acme");
    let server = site.start();
    let input = json!({"kind": "flaky", "input": 2, "attempts": 2});
    let id = submit(&server, &key, input).await;
    until(&server, &key, &id, "succeeded").await;
    // An attempt is counted right after its end is on disk.
    let lines = [
        "stuga_job_attempts_total{outcome=\"failed\"} 1",
        "stuga_job_attempts_total{outcome=\"succeeded\"} 1",
        "stuga_job_attempts_total{outcome=\"dead\"} 0",
        "stuga_jobs_running 0",
    ];
    let mut metrics = String::new();
    for _ in 0..LOOKS_MAX {
        let answer = server.get("/metrics").send().await.unwrap();
        metrics = answer.text().await.unwrap();
        if lines.iter().all(|line| metrics.contains(line)) {
            return;
        }
    }
    panic!("{lines:?} are not in\n{metrics}");
}
