//! Secrets as a component uses them: which it may ask for, and where a revealed value does not go.

use std::collections::BTreeSet;
use std::io;
use std::sync::{Arc, Mutex};

use serde_json::json;
use stuga_core::ErrorKind;
use stuga_core::secrets::{Removal, SecretStore, SecretValue};
use stuga_runtime::{Agent, InvokeError};
use tracing::instrument::WithSubscriber;

use crate::{World, call};

const VALUE: &str = "t-0123456789";

/// An agent that may ask for `token`, `missing` and `pin`, where `other` is set as well.
async fn agent() -> (Agent, World) {
    let world = World::new();
    for (name, text) in [("token", VALUE), ("other", "o-0123456789"), ("pin", "1234")] {
        set(&world, name, text).await;
    }
    let agent = world.deploy("fixture-echo", |settings| {
        settings.secrets = BTreeSet::from(["token", "missing", "pin"].map(str::to_owned));
    });
    (agent.await.unwrap(), world)
}

async fn set(world: &World, name: &str, text: &str) {
    let ctx = stuga_core::testkit::ctx("tenant", "agent");
    let value = SecretValue::new(text.into()).unwrap();
    let id = ctx.next_write_id().unwrap();
    let store = world.local.secrets();
    store.set(&ctx.tenant, id, name, &value).await.unwrap();
}

async fn refused(agent: &Agent, input: serde_json::Value) -> stuga_core::Error {
    match call(agent, "reveal", input).await.unwrap_err() {
        InvokeError::Agent(error) => error,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn a_secret_is_revealed_in_the_version_that_was_asked_for() {
    let (agent, world) = agent().await;
    set(&world, "token", "t-9876543210").await;
    for (version, text) in [
        (None, "t-9876543210"),
        (Some(1), VALUE),
        (Some(2), "t-9876543210"),
    ] {
        let input = json!({"secret": "token", "version": version});
        let answer = call(&agent, "reveal", input).await.unwrap();
        assert_eq!(answer["text"], text);
    }
}

#[tokio::test]
async fn what_the_tenant_does_not_name_is_denied_whether_it_exists_or_not() {
    let (agent, _world) = agent().await;
    let other = refused(&agent, json!({"secret": "other"})).await;
    assert_eq!(other.kind(), ErrorKind::Denied);
    assert!(other.message().contains("adds it to `secrets`"), "{other}");
    let unknown = refused(&agent, json!({"secret": "unknown"})).await;
    let alike = other.to_string().replace("other", "unknown");
    assert_eq!(
        (unknown.kind(), unknown.to_string()),
        (ErrorKind::Denied, alike)
    );
    let missing = refused(&agent, json!({"secret": "missing"})).await;
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    assert!(missing.message().contains("stuga secret set"), "{missing}");
    let malformed = refused(&agent, json!({"secret": "../token"})).await;
    assert_eq!(malformed.kind(), ErrorKind::Invalid);
    let version = refused(&agent, json!({"secret": "token", "version": 7})).await;
    assert_eq!(version.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn a_removed_secret_is_gone_at_the_next_call() {
    let (agent, world) = agent().await;
    call(&agent, "reveal", json!({"secret": "token"}))
        .await
        .unwrap();
    let ctx = stuga_core::testkit::ctx("tenant", "agent");
    let id = ctx.next_write_id().unwrap();
    let store = world.local.secrets();
    let removed = store.remove(&ctx.tenant, id, "token", Removal::All).await;
    assert_eq!(removed.unwrap(), 1);
    let gone = refused(&agent, json!({"secret": "token"})).await;
    assert_eq!(gone.kind(), ErrorKind::NotFound);
}

#[tokio::test]
async fn an_error_leaves_the_host_without_the_value() {
    let (agent, _world) = agent().await;
    let error = refused(&agent, json!({"secret": "token", "fail": true})).await;
    assert_eq!(error.kind(), ErrorKind::Conflict);
    assert_eq!(error.message(), "refused with [secret token]");
    assert_eq!(error.context_value("value"), Some("[secret token]"));
    // Four digits stand in any text; the contract says so.
    let error = refused(&agent, json!({"secret": "pin", "fail": true})).await;
    assert_eq!(error.message(), "refused with 1234");
}

#[tokio::test]
async fn log_lines_and_receipts_do_not_hold_the_value() {
    let (agent, _world) = agent().await;
    let log = Log::default();
    let subscriber = tracing_subscriber::fmt()
        .with_writer(log.clone())
        .with_ansi(false)
        .with_max_level(tracing::Level::TRACE)
        .finish();
    let request = stuga_runtime::Request {
        skill: "reveal".to_owned(),
        input: json!({"secret": "token"}).to_string(),
        session: None,
    };
    let ctx = crate::ctx(std::time::Duration::from_secs(20));
    let reply = agent.invoke(ctx, request, None).with_subscriber(subscriber);
    let reply = reply.await.unwrap();
    assert!(
        reply.output.contains(VALUE),
        "the output is the agent's own"
    );
    assert!(!format!("{:?}", reply.receipt).contains(VALUE));
    let lines = String::from_utf8(log.0.lock().unwrap().clone()).unwrap();
    assert!(
        lines.contains("revealed [secret token]") && lines.contains("value=\"[secret token]\""),
        "{lines}"
    );
    assert!(!lines.contains(VALUE), "{lines}");
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
