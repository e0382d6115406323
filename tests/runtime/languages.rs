//! Agents in other languages: the same calls give the same answers, and their WASI reaches nothing outside.

use std::time::Duration;

use serde_json::{Value, json};
use stuga_core::{ErrorKind, Grants, InvocationId, Timestamp};
use stuga_runtime::{Agent, AgentSettings, InvokeError, JobRun, LoadError, Request};
use stuga_tests::guest_or_skip;

use crate::{World, call, call_in, context, ctx, settings};

const KINDS: [ErrorKind; 9] = [
    ErrorKind::NotFound,
    ErrorKind::Invalid,
    ErrorKind::Denied,
    ErrorKind::Conflict,
    ErrorKind::QuotaExceeded,
    ErrorKind::RateLimited,
    ErrorKind::Timeout,
    ErrorKind::Unavailable,
    ErrorKind::Internal,
];
const LONG: Duration = Duration::from_secs(20);

/// One test for each language, so that a language that cannot be built here is skipped alone.
macro_rules! in_each {
    ($check:ident: $($language:ident),+) => {
        mod $check {
            $(#[tokio::test]
            async fn $language() {
                let test = concat!(module_path!(), "::", stringify!($language));
                super::$check(&super::Guest::$language(test)).await;
            })+
        }
    };
}

/// The echo agent in one language, for one test.
struct Guest {
    component: &'static str,
    test: &'static str,
}

impl Guest {
    fn rust(test: &'static str) -> Self {
        Self::new("fixture-echo", test)
    }

    fn javascript(test: &'static str) -> Self {
        Self::new("fixture-echo-js", test)
    }

    fn python(test: &'static str) -> Self {
        Self::new("fixture-echo-py", test)
    }

    fn new(component: &'static str, test: &'static str) -> Self {
        Self { component, test }
    }

    fn has_wasi(&self) -> bool {
        self.component != "fixture-echo"
    }

    /// The agent, or none when it could not be built here, which is noted as a skipped test.
    async fn agent(&self, world: &World) -> Option<Agent> {
        let agent = self.deploy(world, |_| ()).await?;
        Some(agent.unwrap())
    }

    async fn deploy(
        &self,
        world: &World,
        change: impl FnOnce(&mut AgentSettings),
    ) -> Option<Result<Agent, LoadError>> {
        let component = guest_or_skip(self.component, self.test)?;
        let mut settings = settings();
        settings.limits.memory_bytes = 64 << 20;
        settings
            .config
            .insert("greeting".into(), r#"{"sv":"hej"}"#.into());
        change(&mut settings);
        let _one_at_a_time = match self.has_wasi() {
            true => Some(COMPILING.lock().await),
            false => None,
        };
        let plugin = world.runtime.load(component).await.unwrap();
        let capabilities = world.capabilities.clone();
        Some(world.runtime.deploy(plugin, settings, capabilities).await)
    }
}

/// A Python agent compiles for many seconds: one at a time, so that the others find it in the code cache.
static COMPILING: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

fn invocation() -> InvocationId {
    stuga_core::testkit::ctx("tenant", "agent").invocation
}

async fn refused(agent: &Agent, skill: &str, input: Value) -> stuga_core::Error {
    match call(agent, skill, input).await.unwrap_err() {
        InvokeError::Agent(error) => error,
        other => panic!("{skill}: {other}"),
    }
}

/// Calls with the answer that every language gives.
fn table() -> Vec<(&'static str, Value, Value)> {
    let text = "snö, 雪 och \u{1f3d4}, \"citerat\"\u{0}\n";
    vec![
        ("echo", json!({"text": text}), json!({"text": text})),
        ("calls", json!({}), json!({"value": 1})),
        ("calls", json!({}), json!({"value": 2})),
        (
            "get",
            json!({"key": "none"}),
            json!({"text": null, "version": null}),
        ),
        ("list", json!({"key": ""}), json!({"keys": []})),
        ("config", json!({"name": "greeting"}), json!({"sv": "hej"})),
        ("config", json!({"name": "none"}), Value::Null),
        ("log", json!({"text": "en rad"}), json!({})),
    ]
}

in_each!(the_same_calls_give_the_same_answers: rust, javascript, python);

async fn the_same_calls_give_the_same_answers(guest: &Guest) {
    let language = guest.component;
    let world = World::new();
    let Some(agent) = guest.agent(&world).await else {
        return;
    };
    assert_eq!(agent.plugin().manifest().name.as_str(), "fixture-echo");
    for (skill, input, expected) in table() {
        let answer = call(&agent, skill, input).await;
        assert_eq!(answer.unwrap(), expected, "{language} {skill}");
    }
    remembers(&agent, language).await;
    fails_as_asked(&agent, language).await;
    emits_in_order(&agent, language).await;
    assert_eq!(agent.stats().discarded, 0, "{language}");
}

async fn remembers(agent: &Agent, language: &str) {
    let text = "värde \u{1f3d4}";
    for key in ["a/2", "a/1", "b"] {
        call(agent, "put", json!({"key": key, "text": text}))
            .await
            .unwrap();
    }
    let keys = call(agent, "list", json!({"key": "a/"})).await.unwrap();
    assert_eq!(keys, json!({"keys": ["a/1", "a/2"]}), "{language}");
    let first = call(agent, "get", json!({"key": "b"})).await.unwrap();
    assert_eq!(first["text"], text, "{language}");
    let put = json!({"key": "b", "text": "x", "ttl_ms": 3_600_000});
    let version = call(agent, "put", put).await.unwrap()["value"].clone();
    assert!(version.as_u64() > first["version"].as_u64(), "{language}");

    let error = refused(agent, "put", json!({"key": "a\nb", "text": ""})).await;
    assert_eq!(error.kind(), ErrorKind::Invalid, "{language}");
    assert!(error.message().contains("control character"), "{error}");
}

async fn fails_as_asked(agent: &Agent, language: &str) {
    for kind in KINDS {
        let input = json!({"kind": kind.as_str(), "retry_after_ms": 250});
        let error = refused(agent, "fail", input).await;
        assert_eq!(error.kind(), kind, "{language}");
        assert_eq!(error.message(), "asked to fail", "{language}");
        assert_eq!(error.context_value("asked"), Some(kind.as_str()));
        assert_eq!(error.retry_after(), Some(Duration::from_millis(250)));
    }
    let error = refused(agent, "fail", json!({"kind": "broken"})).await;
    assert_eq!(error.message(), "no such kind of error", "{language}");
    let error = refused(agent, "no-such-skill", json!({})).await;
    assert_eq!(error.kind(), ErrorKind::NotFound, "{language}");
    let message = error.message();
    assert!(
        message
            .starts_with("agent `fixture-echo` has no skill `no-such-skill`; it has: echo, calls"),
        "{language}: {message}"
    );
}

async fn emits_in_order(agent: &Agent, language: &str) {
    let (sender, mut parts) = tokio::sync::mpsc::channel(8);
    let request = Request {
        skill: "emit".into(),
        input: json!({"n": 3}).to_string(),
        session: Some("s".into()),
    };
    let reply = agent
        .invoke(ctx(LONG), request, Some(sender))
        .await
        .unwrap();
    let output: Value = serde_json::from_str(&reply.output).unwrap();
    assert_eq!(output, json!({"value": 3}), "{language}");
    let mut seen = Vec::new();
    while let Some(part) = parts.recv().await {
        let part: Value = serde_json::from_str(&part).unwrap();
        seen.push(part["value"].clone());
    }
    assert_eq!(seen, [1, 2, 3], "{language}");
}

in_each!(a_repeated_invocation_sees_the_same_time_and_chance: rust, javascript, python);

async fn a_repeated_invocation_sees_the_same_time_and_chance(guest: &Guest) {
    let accepted = Timestamp::from_millis(1_763_800_000_123);
    let language = guest.component;
    let world = World::new();
    let Some(agent) = guest.agent(&world).await else {
        return;
    };
    // Rust has no WASI and so no time of its own.
    let skills: &[&str] = if guest.has_wasi() {
        &["random", "own"]
    } else {
        &["random"]
    };
    for skill in skills {
        let (first, other) = (invocation(), invocation());
        let mut drawn = Vec::new();
        for id in [first, other, first] {
            let ctx = context(id, accepted, LONG);
            drawn.push(call_in(&agent, ctx, skill, json!({})).await.unwrap());
        }
        assert_eq!(drawn[0], drawn[2], "{language} {skill}");
        assert_ne!(drawn[0], drawn[1], "{language} {skill}");
        if *skill == "own" {
            assert_eq!(drawn[0]["now"], accepted.as_millis(), "{language}");
        }
    }
    let now = call_in(
        &agent,
        context(invocation(), accepted, LONG),
        "now",
        json!({}),
    )
    .await;
    assert_eq!(now.unwrap()["value"], accepted.as_millis(), "{language}");
    let said = call(&agent, "context", json!({})).await.unwrap();
    assert!(said["remaining_ms"].as_u64() <= Some(LONG.as_millis() as u64));
    assert_eq!(said["session"], Value::Null, "{language}");
}

in_each!(a_job_is_run_and_knows_its_attempt: rust, javascript, python);

async fn a_job_is_run_and_knows_its_attempt(guest: &Guest) {
    let world = World::new();
    let Some(agent) = guest.agent(&world).await else {
        return;
    };
    let attempt = async |kind: &str, until: u32| {
        let run = JobRun {
            id: "j".into(),
            kind: kind.into(),
            input: until.to_string(),
            attempt: 2,
        };
        match agent.run_job(ctx(LONG), run).await {
            Ok(reply) => reply.output,
            Err(InvokeError::Agent(error)) => format!("{}: {}", error.kind(), error.message()),
            Err(other) => panic!("{other}"),
        }
    };
    let jobs = &agent.plugin().manifest().jobs;
    let flaky = jobs.iter().find(|job| job.name == "flaky").unwrap();
    assert_eq!(flaky.input_schema["type"], "integer");
    assert_eq!(attempt("flaky", 2).await, "2");
    let early = attempt("flaky", 3).await;
    assert!(early.starts_with("unavailable: "), "{early}");
    let unknown = attempt("nope", 1).await;
    assert!(unknown.starts_with("not-found: "), "{unknown}");
}

in_each!(an_exception_that_nobody_catches_costs_one_instance_and_is_named: javascript, python);

async fn an_exception_that_nobody_catches_costs_one_instance_and_is_named(guest: &Guest) {
    let language = guest.component;
    let world = World::new();
    let Some(agent) = guest.agent(&world).await else {
        return;
    };
    call(&agent, "calls", json!({})).await.unwrap();
    let error = call(&agent, "panic", json!({"text": "oh no"}))
        .await
        .unwrap_err();
    let InvokeError::Trapped { reason } = &error else {
        panic!("{language}: {error}")
    };
    assert!(
        reason.contains("asked to panic: oh no"),
        "{language}: {reason}"
    );
    assert_eq!(agent.stats().discarded, 1, "{language}");
    assert_eq!(call(&agent, "calls", json!({})).await.unwrap()["value"], 1);
}

in_each!(what_never_ends_or_takes_all_memory_is_stopped: javascript, python);

async fn what_never_ends_or_takes_all_memory_is_stopped(guest: &Guest) {
    let language = guest.component;
    let world = World::new();
    let Some(agent) = guest.agent(&world).await else {
        return;
    };
    let short = ctx(Duration::from_millis(50));
    let error = call_in(&agent, short, "loop", json!({})).await.unwrap_err();
    assert!(
        matches!(error, InvokeError::Deadline),
        "{language}: {error}"
    );
    let error = call(&agent, "memory-bomb", json!({})).await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.contains("67108864 bytes of memory"),
        "{language}: {text}"
    );
    call(&agent, "calls", json!({})).await.unwrap();
}

in_each!(nothing_outside_is_reached: python);

async fn nothing_outside_is_reached(guest: &Guest) {
    let world = World::new();
    let Some(agent) = guest.agent(&world).await else {
        return;
    };
    let said = call(&agent, "outside", json!({})).await.unwrap();
    let nothing = json!({
        "environment": {},
        "arguments": [],
        "input": "",
        "read": "FileNotFoundError",
        "write": "FileNotFoundError",
        "list": "FileNotFoundError",
        "tcp": "PermissionError",
        "udp": "PermissionError",
        "name": "PermissionError",
    });
    assert_eq!(said, nothing);
    let error = call(&agent, "exit", json!({})).await.unwrap_err();
    assert!(
        error.to_string().contains("the agent left with failure"),
        "{error}"
    );
    call(&agent, "write", json!({"n": 3 << 20})).await.unwrap();
}

in_each!(a_wait_goes_by_the_hosts_time_and_ends_at_the_deadline: python);

async fn a_wait_goes_by_the_hosts_time_and_ends_at_the_deadline(guest: &Guest) {
    let world = World::new();
    let Some(agent) = guest.agent(&world).await else {
        return;
    };
    tokio::time::pause();
    let hour = json!({"ms": 3_600_000});
    let patient = ctx(Duration::from_secs(7_200));
    let waited = call_in(&agent, patient, "sleep", hour.clone())
        .await
        .unwrap();
    assert!(waited["value"].as_u64() >= Some(3_600_000), "{waited}");
    let error = call_in(&agent, ctx(LONG), "sleep", hour).await.unwrap_err();
    assert!(matches!(error, InvokeError::Deadline), "{error}");
}

in_each!(programs_find_what_they_take_for_granted: javascript);

async fn programs_find_what_they_take_for_granted(guest: &Guest) {
    let world = World::new();
    let Some(agent) = guest.agent(&world).await else {
        return;
    };
    let cases: [(&[u8], &str); 7] = [
        (b"hej", "hej"),
        (
            "å 雪 \u{1f3d4}\u{10ffff}".as_bytes(),
            "å 雪 \u{1f3d4}\u{10ffff}",
        ),
        (b"a\xffb", "a\u{fffd}b"),
        (b"\xc3", "\u{fffd}"),
        (b"\xc0\x80", "\u{fffd}\u{fffd}"),
        (b"\xed\xa0\x80", "\u{fffd}\u{fffd}\u{fffd}"),
        (b"\xf5\x80\x80\x80", "\u{fffd}\u{fffd}\u{fffd}\u{fffd}"),
    ];
    for (bytes, text) in cases {
        let said = call(&agent, "codec", json!({ "bytes": bytes }))
            .await
            .unwrap();
        assert_eq!(said["text"], text, "{bytes:?}");
        assert_eq!(said["bytes"], json!(text.as_bytes()), "{bytes:?}");
    }
    let error = refused(&agent, "promise", json!({})).await;
    assert!(error.message().contains("skills answer at once"), "{error}");
}

in_each!(an_agent_needs_the_grants_of_its_world: javascript, python);

async fn an_agent_needs_the_grants_of_its_world(guest: &Guest) {
    let language = guest.component;
    let world = World::new();
    let deployed = guest.deploy(&world, |settings| {
        settings.grants = Grants::NONE;
    });
    match deployed.await {
        None => {}
        Some(Ok(_)) => panic!("{language} was deployed"),
        Some(Err(error)) => {
            assert_eq!(error.kind(), "not-granted", "{language}");
            let text = error.to_string();
            assert!(text.contains("add `memory` to the `grants`"), "{text}");
        }
    }
}
