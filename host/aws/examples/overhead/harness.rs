//! What all measurements share: both sides in turns, and the rows that come of it.

use std::fmt::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_s3::types::{BucketLocationConstraint, CreateBucketConfiguration};
use serde_json::{Value, json};
use stuga_aws::{AccessKeys, Aws, AwsConfig};
use stuga_core::testkit::ctx;
use stuga_core::{CallCtx, Capability, SystemClock, Write as _};

/// How often each side is measured.
pub(crate) const ROUNDS: usize = 200;
/// Rounds before that, which open connections and warm caches.
pub(crate) const WARM_UP: usize = 20;
/// The region of everything.
pub(crate) const REGION: &str = "eu-north-1";

/// An invocation of the one agent of the one tenant.
pub(crate) fn acme() -> CallCtx {
    ctx("acme", "scribe")
}

/// Applies a write in an invocation of its own.
pub(crate) async fn apply<C: Capability + ?Sized>(
    backend: &C,
    write: &C::Write,
) -> <C::Write as stuga_core::Write>::Ack {
    let ctx = acme();
    let id = ctx.next_write_id().unwrap();
    let applied = backend.apply(&ctx, id, write).await;
    applied.unwrap_or_else(|error| panic!("{}: {error}: {}", write.operation(), error.causes()))
}

/// A host with these sections of `aws:`.
pub(crate) fn host(keys: (&str, &str), settings: Value) -> Aws {
    let config: AwsConfig = serde_json::from_value(settings).unwrap();
    let keys = AccessKeys {
        id: keys.0.to_owned(),
        secret: keys.1.into(),
        session_token: None,
    };
    Aws::open_with_keys(config, Arc::new(SystemClock), keys).unwrap()
}

/// What the bare clients are made from.
pub(crate) fn sdk(keys: (&str, &str), endpoint: &str) -> SdkConfig {
    let credentials = Credentials::new(keys.0, keys.1, None, None, "bench");
    SdkConfig::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(REGION))
        .endpoint_url(endpoint)
        .credentials_provider(SharedCredentialsProvider::new(credentials))
        .build()
}

/// The bare client of S3.
pub(crate) fn s3(keys: (&str, &str), endpoint: &str) -> aws_sdk_s3::Client {
    let config = aws_sdk_s3::config::Builder::from(&sdk(keys, endpoint));
    aws_sdk_s3::Client::from_conf(config.force_path_style(true).build())
}

/// A new bucket of that client.
pub(crate) async fn new_bucket(s3: &aws_sdk_s3::Client, name: &str) {
    let place = CreateBucketConfiguration::builder()
        .location_constraint(BucketLocationConstraint::from(REGION))
        .build();
    let create = s3.create_bucket().bucket(name);
    create
        .create_bucket_configuration(place)
        .send()
        .await
        .unwrap();
}

/// All that was measured.
pub(crate) struct Figures {
    rows: Vec<Row>,
}

struct Row {
    capability: &'static str,
    server: String,
    operation: &'static str,
    /// The bare requests beside it.
    bare: &'static str,
    ours_ms: f64,
    bare_ms: f64,
}

impl Row {
    fn ratio(&self) -> f64 {
        self.ours_ms / self.bare_ms
    }
}

impl Figures {
    pub(crate) fn new() -> Self {
        Self { rows: Vec::new() }
    }

    /// The rows of one capability on one server.
    pub(crate) fn of(&mut self, capability: &'static str, server: String) -> Section<'_> {
        Section {
            figures: self,
            capability,
            server,
        }
    }

    pub(crate) fn table(&self) -> String {
        let mut text = "| | operation | beside | ours, ms | bare, ms | ratio |\n".to_owned();
        text.push_str("| --- | --- | --- | ---: | ---: | ---: |\n");
        for row in &self.rows {
            let Row {
                capability,
                operation,
                bare,
                ours_ms,
                bare_ms,
                ..
            } = row;
            writeln!(
                text,
                "| {capability} | {operation} | {bare} | {ours_ms:.2} | {bare_ms:.2} | {:.2} |",
                row.ratio()
            )
            .unwrap();
        }
        text
    }

    pub(crate) fn json(&self) -> Value {
        let rows = self.rows.iter().map(|row| {
            json!({
                "capability": row.capability,
                "server": row.server,
                "operation": row.operation,
                "bare": row.bare,
                "ours_ms": row.ours_ms,
                "bare_ms": row.bare_ms,
                "ratio": row.ratio(),
            })
        });
        json!({ "rounds": ROUNDS, "rows": rows.collect::<Vec<_>>() })
    }
}

/// Where the rows of one capability go.
pub(crate) struct Section<'f> {
    figures: &'f mut Figures,
    capability: &'static str,
    server: String,
}

impl Section<'_> {
    /// Measures both sides in turns; each gets the number of the round.
    pub(crate) async fn row(
        &mut self,
        operation: &'static str,
        bare_requests: &'static str,
        ours: impl AsyncFn(usize),
        bare: impl AsyncFn(usize),
    ) {
        let (mut of_ours, mut of_bare) = (Vec::new(), Vec::new());
        for round in 0..WARM_UP + ROUNDS {
            let begin = Instant::now();
            ours(round).await;
            let middle = Instant::now();
            bare(round).await;
            if round >= WARM_UP {
                of_ours.push(middle - begin);
                of_bare.push(middle.elapsed());
            }
        }
        let row = Row {
            capability: self.capability,
            server: self.server.clone(),
            operation,
            bare: bare_requests,
            ours_ms: median_ms(of_ours),
            bare_ms: median_ms(of_bare),
        };
        eprintln!(
            "{}, {operation}: {:.2} ms, bare {:.2} ms, ratio {:.2}",
            row.capability,
            row.ours_ms,
            row.bare_ms,
            row.ratio()
        );
        self.figures.rows.push(row);
    }
}

fn median_ms(mut times: Vec<Duration>) -> f64 {
    times.sort_unstable();
    times[times.len() / 2].as_secs_f64() * 1e3
}
