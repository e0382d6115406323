//! The mock host as a library, with the echo agent.

use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use stuga_core::{Backend, BreakerState};
use stuga_mock::{Mock, Run, Scenario, State, Verdict, junit, load, read};

static CACHE: LazyLock<tempfile::TempDir> = LazyLock::new(|| tempfile::tempdir().unwrap());

static ECHO: LazyLock<Mock> = LazyLock::new(|| agent("fixture-echo"));

fn agent(name: &str) -> Mock {
    Mock::load(stuga_tests::guest(name), Some(CACHE.path().join("code"))).unwrap()
}

fn scenarios() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("author/scenarios")
}

fn all() -> Vec<Scenario> {
    let loaded = load(&scenarios()).unwrap();
    assert!(loaded.mistakes.is_empty(), "{:#?}", loaded.mistakes);
    assert!(loaded.scenarios.len() >= 13);
    loaded.scenarios
}

fn scenario(text: &str) -> Scenario {
    read(Path::new("s.yaml"), "s".to_owned(), text).unwrap()
}

fn run(text: &str) -> Run {
    ECHO.run(&scenario(text), State::Local, None)
}

#[test]
fn the_scenarios_of_the_echo_agent_pass_in_every_state_of_the_breakers() {
    for scenario in all() {
        for state in State::ALL {
            let run = ECHO.run(&scenario, state, None);
            assert_eq!(run.verdict, expected(&scenario, state), "{run}");
        }
    }
}

/// How a scenario of the echo agent ends.
fn expected(scenario: &Scenario, state: State) -> Verdict {
    match (scenario.name(), state) {
        // It asks for a version of a secret that there is not, as only the cloud can know.
        ("secrets", State::Open | State::Isolated | State::Flapping) => Verdict::Degraded,
        _ => Verdict::Passed,
    }
}

#[test]
fn meetmind_serves_in_every_state_of_the_breakers() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../plugins/meetmind/scenarios");
    let loaded = load(&folder).unwrap();
    assert!(loaded.mistakes.is_empty(), "{:#?}", loaded.mistakes);
    assert!(loaded.scenarios.len() >= 5);
    let meetmind = agent("meetmind");
    for scenario in &loaded.scenarios {
        for state in State::ALL {
            let run = meetmind.run(scenario, state, None);
            assert_eq!(run.verdict, Verdict::Passed, "{run}");
        }
    }
}

#[test]
fn the_matrix_shows_the_side_that_served_and_the_breaker() {
    let text =
        "calls:\n  - {skill: put, input: {key: a, text: x}}\n  - {skill: get, input: {key: a}}\n";
    let seen = |state| {
        let run = ECHO.run(&scenario(text), state, None);
        let uses: Vec<_> = run
            .calls
            .iter()
            .map(|call| call.receipt[0].clone())
            .collect();
        uses.iter()
            .map(|used| serde_json::to_value(used).unwrap())
            .map(|used| {
                format!(
                    "{} {} {}",
                    used["backend"], used["breaker"], used["pending"]
                )
            })
            .collect::<Vec<_>>()
    };
    assert_eq!(seen(State::Local), [r#""local" null 0"#; 2]);
    assert_eq!(seen(State::Closed), [r#""cloud" "closed" 0"#; 2]);
    let waits = |state: &str| {
        [
            format!(r#""local" {state} 1"#),
            format!(r#""local" {state} 0"#),
        ]
    };
    assert_eq!(seen(State::Open), waits(r#""open""#));
    assert_eq!(seen(State::Isolated), waits(r#""isolated""#));
    // The second probe fails, and with it the breaker opens.
    assert_eq!(
        seen(State::HalfOpen),
        [r#""cloud" "half-open" 0"#, r#""local" "open" 0"#]
    );
}

#[test]
fn a_cloud_that_flaps_gets_what_waited_before_it_serves_again() {
    let call = |n: usize| format!("  - {{skill: put, input: {{key: k{n}, text: x}}}}\n");
    let mut text = String::from("calls:\n");
    text.extend((0..8).map(call));
    text.push_str("expect:\n  memory: [{key: k, count: 8}]\n");
    let run = ECHO.run(&scenario(&text), State::Flapping, None);
    assert_eq!(run.verdict, Verdict::Passed, "{run}");
    let seen: Vec<_> = run.calls.iter().map(|call| &call.receipt[0]).collect();
    let seen: Vec<_> = seen
        .iter()
        .map(|used| (used.backend, used.breaker.unwrap(), used.pending))
        .collect();
    let cloud = (Backend::Cloud, BreakerState::Closed, 0);
    let local = |breaker| (Backend::Local, breaker, 1);
    let (lost, tripped) = (local(BreakerState::Closed), local(BreakerState::Open));
    assert_eq!(
        seen,
        [cloud, cloud, cloud, lost, tripped, tripped, cloud, cloud],
        "an answer is lost, a refusal trips the breaker, a probe fails"
    );
}

#[test]
fn what_differs_in_the_cloud_after_its_return_is_said_of_the_cloud() {
    let text = "calls:\n  - {skill: put, input: {key: a, text: x}}\nexpect:\n  memory: [{key: a, text: y}]\n";
    let run = ECHO.run(&scenario(text), State::Open, None);
    assert_eq!(run.verdict, Verdict::Failed);
    let shown = run.to_string();
    for at in ["memory \"a\"\n", "memory \"a\" in the cloud\n"] {
        assert!(shown.contains(at), "{shown}");
    }
}

#[test]
fn the_same_run_has_the_same_bytes_a_hundred_times() {
    // Every capability, errors, parts, lines and random numbers, while the cloud comes and goes.
    let chosen = |scenario: &Scenario| ["answers", "everything"].contains(&scenario.name());
    let scenarios: Vec<Scenario> = all().into_iter().filter(chosen).collect();
    assert_eq!(scenarios.len(), 2);
    let once = || -> Vec<Run> {
        let flapping = |scenario| ECHO.run(scenario, State::Flapping, Some(7));
        scenarios.iter().map(flapping).collect()
    };
    let first = once();
    let bytes = |run: &Run| serde_json::to_string(run).unwrap();
    for _ in 0..100 {
        let again = once();
        for (first, again) in first.iter().zip(&again) {
            assert_eq!(bytes(first), bytes(again));
        }
        assert_eq!(junit("echo", &first), junit("echo", &again));
    }
}

#[test]
fn another_seed_draws_other_numbers() {
    let text = "calls:\n  - {skill: random, input: {}}\n";
    let drawn = |seed| {
        let run = ECHO.run(&scenario(text), State::Local, Some(seed));
        serde_json::to_string(&run.calls[0].ended).unwrap()
    };
    assert_eq!(drawn(1), drawn(1));
    assert_ne!(drawn(1), drawn(2));
}

#[test]
fn what_differs_is_shown_by_its_place() {
    let run = run("state:
  memory: [{key: a, text: hej}]
calls:
  - skill: get
    input: {key: a}
    expect: {at: {/text: hallå}, receipt: {memory: {writes: 1}}}
expect:
  memory: [{key: a, absent: true}, {key: b, json: 1}]
");
    let shown = run.to_string();
    assert_eq!(run.verdict, Verdict::Failed);
    for line in [
        "calls[0].output/text\n      expected \"hallå\"\n      got      \"hej\"",
        "calls[0].receipt.memory.writes\n      expected 1\n      got      0",
        "memory \"a\"\n      expected nothing\n      got      an item",
        "memory \"b\"\n      expected an item\n      got      nothing",
    ] {
        assert!(shown.contains(line), "{line}\n--\n{shown}");
    }
}

#[test]
fn no_report_shows_the_value_of_a_secret() {
    let value = "hemligt \"lösenord\" \\1";
    let quoted = serde_json::to_string(value).unwrap();
    let long = serde_json::to_string(&format!("{}{value}", "x".repeat(290))).unwrap();
    let text = format!(
        "secrets: {{token: {quoted}}}
calls:
  - {{skill: reveal, input: {{secret: token}}}}
  - skill: reveal
    input: {{secret: token}}
    expect: {{output: {{text: other}}, parts: [{quoted}], logs: [{{contains: nothing like it}}]}}
  - {{skill: reveal, input: {{secret: token, fail: true}}, expect: {{error: {{kind: conflict, contains: {quoted}}}}}}}
  - {{skill: reveal, input: {{secret: token, fail: true}}}}
  - {{skill: put, input: {{key: a, text: {quoted}}}}}
  - {{skill: put, input: {{key: long, text: {long}}}}}
  - {{skill: put, input: {{key: {quoted}, text: x}}}}
  - {{skill: submit, input: {{kind: note, input: {{key: a, text: {quoted}}}}}}}
  - {{skill: list, input: {{key: \"\"}}, expect: {{output: {{}}}}}}
  - {{skill: learn, input: {{namespace: /a, id: x, text: {quoted}}}}}
  - {{skill: say, input: {{actor: a, session: s, text: {quoted}}}}}
expect:
  memory: [{{key: a, text: other}}, {{key: long, text: other}}, {{key: {quoted}, absent: true}}]
  jobs: [{{kind: note, input: {{}}}}]
  records: [{{namespace: /a, id: x, text: other}}]
  sessions: [{{actor: a, id: s, events: [{quoted}, {quoted}]}}]
"
    );
    let run = run(&text);
    assert_eq!(run.verdict, Verdict::Failed);
    assert!(run.mismatches.len() >= 10, "{run}");
    let json = serde_json::to_string(&run).unwrap();
    let shown = run.to_string();
    assert!(shown.contains("[secret token]"), "{shown}");
    for report in [json, shown, junit("echo", &[run]).unwrap()] {
        for part in ["hemligt", "lösenord"] {
            assert!(!report.contains(part), "{report}");
        }
    }
}

#[test]
fn what_a_job_a_message_and_a_document_should_be_is_shown_beside_what_they_are() {
    let run = run("agents: [{agent: svea}]
state:
  search: [{index: notes, fields: {tag: {kind: keyword}}, documents: [{id: a, fields: {tag: x}}]}]
calls:
  - {skill: post, input: {to: svea, skill: note, input: {n: 1}}}
  - {skill: submit, input: {kind: flaky, input: 2}, expect: {ran: [{kind: flaky}]}}
  - {run_jobs: 0s, expect: {ran: [{kind: flaky, output: 2}]}}
expect:
  jobs: [{kind: flaky, state: succeeded}, {kind: note}]
  schedules: [{name: nightly}]
  sent: [{to: svea}]
  posted: [{to: svea, skill: note, input: {n: 2}}]
  search: [{index: notes, id: a, fields: {tag: y}, count: 2}]
");
    let shown = run.to_string();
    for line in [
        "calls[1].ran[0]\n      expected an attempt of flaky\n      got      nothing",
        "calls[2].ran[0]\n      expected an output\n      got      the error unavailable: not yet",
        "jobs[0] \"flaky\" state\n      expected succeeded\n      got      waiting",
        "jobs[1] \"note\"\n      expected a job\n      got      nothing",
        "schedule \"nightly\"\n      expected a schedule\n      got      nothing",
        "sent[0]\n      expected a message to svea\n      got      nothing",
        "posted[0].input/n\n      expected 2\n      got      1",
        "document \"a\" of \"notes\"/tag\n      expected \"y\"\n      got      [\"x\"]",
        "document \"a\" of \"notes\"\n      expected 2 documents\n      got      1 documents",
    ] {
        assert!(shown.contains(line), "{line}\n--\n{shown}");
    }
}

#[test]
fn a_job_that_the_agent_does_not_have_cannot_be_laid_down() {
    let run = run("state: {jobs: [{kind: nope}]}\ncalls: [{skill: echo, input: {text: a}}]\n");
    let shown = run.to_string();
    assert!(
        shown.contains("the agent has no job \"nope\"; it has"),
        "{shown}"
    );
}

#[test]
fn jobs_that_make_each_other_without_end_are_stopped() {
    let run = run("state:
  schedules: [{name: often, cron: '* * * * *', kind: count, input: {key: a}}]
calls: [{run_jobs: 20h}]
");
    let shown = run.to_string();
    assert!(
        shown.contains("more than 1000 attempts of jobs ran"),
        "{shown}"
    );
}

#[test]
fn a_job_that_computes_forever_is_stopped_at_its_deadline() {
    let run = run("calls:
  - {skill: submit, input: {kind: spin, input: {}, attempts: 1, deadline_ms: 200}}
  - {run_jobs: 0s, expect: {ran: [{kind: spin, error: {kind: deadline}}]}}
expect:
  jobs: [{kind: spin, state: dead, failure: 'timeout: the attempt was stopped'}]
");
    assert_eq!(run.verdict, Verdict::Passed, "{run}");
}

#[test]
fn a_capability_that_is_not_granted_is_named_with_what_to_add() {
    let run = run("grants: [memory, files, sessions]\ncalls: [{skill: echo, input: {text: a}}]\n");
    let shown = run.to_string();
    assert!(shown.contains("add `records` to its `grants`"), "{shown}");
}

#[test]
fn a_guest_that_computes_forever_is_stopped_at_its_deadline() {
    let hostile = agent("fixture-hostile");
    let skill = hostile
        .manifest()
        .skills
        .iter()
        .find(|skill| skill.name.contains("spin") || skill.name.contains("loop"))
        .map(|skill| skill.name.clone())
        .unwrap();
    let text = format!(
        "calls:\n  - skill: {skill}\n    deadline: 200ms\n    expect: {{error: {{kind: deadline}}}}\n"
    );
    let run = hostile.run(&scenario(&text), State::Local, None);
    assert_eq!(run.verdict, Verdict::Passed, "{run}");
}

#[test]
fn junit_names_what_failed() {
    let failed = run("calls: [{skill: echo, input: {text: a}, expect: {output: {text: <b>}}}]\n");
    let xml = junit("echo", &[failed]).unwrap();
    assert!(
        xml.contains("failures=\"1\"") && xml.contains("&lt;b&gt;"),
        "{xml}"
    );
}
