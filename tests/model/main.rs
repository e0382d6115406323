//! What happens when the model's endpoint misbehaves, and whether real models do what is promised of them.
//!
//! The contract itself is proved in `conformance`. The tests with real models need packages that `cargo xtask test` installs; without
//! them they say so and are counted as skipped.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

mod faults;
mod limits;
mod llama;
mod secrets;

use std::sync::Arc;
use std::time::Duration;

use stuga_core::model::{Message, Model, Options, Request, Role};
use stuga_core::testkit::ManualClock;
use stuga_core::{CallCtx, Clock, Timestamp};
use stuga_local::{EndpointConfig, Local, LocalConfig, Models};
use stuga_tests::openai::OpenAi;
use tempfile::TempDir;
use tokio::time::Instant;

/// A host with a model.
struct World {
    local: Local,
    model: Arc<dyn Model>,
    clock: Arc<ManualClock>,
    _directory: TempDir,
}

impl World {
    fn with(models: &Models) -> Self {
        let clock = Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000)));
        let directory = TempDir::new().unwrap();
        let time = Arc::clone(&clock) as Arc<dyn Clock>;
        let config = LocalConfig::default();
        let local = Local::open_with(directory.path(), time, config, models).unwrap();
        Self {
            model: local.model(),
            local,
            clock,
            _directory: directory,
        }
    }

    /// Before a server that has that much time to say something.
    fn before(server: &OpenAi, patience: Duration) -> Self {
        Self::with(&Models {
            endpoint: Some(EndpointConfig {
                patience,
                ..server.endpoint()
            }),
            ..Models::default()
        })
    }
}

fn ctx() -> CallCtx {
    stuga_core::testkit::ctx("acme", "scribe")
}

/// A context that ends `after` from now.
fn ctx_until(after: Duration) -> CallCtx {
    let template = ctx();
    CallCtx::new(
        template.tenant,
        template.agent,
        template.invocation,
        template.request,
        template.accepted_at,
        Instant::now() + after,
    )
}

fn say(text: &str) -> Request {
    Request {
        messages: vec![Message {
            role: Role::User,
            content: text.to_owned(),
        }],
        options: Options::default(),
    }
}

/// Says that a test cannot run here: `cargo xtask test` counts it as skipped.
fn skip(test: &str, reason: &str) {
    use std::io::Write;
    println!("{test}: skipped: {reason}");
    if let Some(path) = std::env::var_os("STUGA_SKIPPED") {
        let mut file = std::fs::OpenOptions::new().append(true).open(path).unwrap();
        writeln!(file, "{test}\t{reason}").unwrap();
    }
}
