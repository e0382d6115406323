//! What files on S3 cost above the bare requests: `cargo run --release -p stuga-aws --example files_overhead`.
//!
//! Each operation of the capability, and the same requests sent by the SDK alone, take turns on one SeaweedFS. Printed are the
//! medians and their ratio. For `put` there is a second row: against the one bare `PutObject` that a program without versions,
//! conditions and memory of writes would send.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a bench fails by panicking"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_sdk_s3::Client;
use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::primitives::ByteStream;
use stuga_aws::{AccessKeys, Aws, AwsConfig, Endpoints};
use stuga_core::files::{Expected, Files, FilesWrite};
use stuga_core::testkit::ctx;
use stuga_core::{CallCtx, SystemClock};
use stuga_test_servers::{SeaweedFs, unique};

/// How often each side is measured.
const ROUNDS: usize = 200;
const SMALL: usize = 4 << 10;
const LARGE: usize = 4 << 20;
const LISTED: u32 = 100;

struct Bench {
    files: Arc<dyn Files>,
    s3: Client,
    bucket: String,
}

fn acme() -> CallCtx {
    ctx("acme", "scribe")
}

#[tokio::main]
async fn main() {
    let server = SeaweedFs::shared().await;
    let bucket = unique("bench");
    let (id, secret) = server.keys();
    let s3 = Client::from_conf(
        aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-north-1"))
            .credentials_provider(Credentials::new(id, secret, None, None, "bench"))
            .endpoint_url(server.endpoint())
            .force_path_style(true)
            .build(),
    );
    s3.create_bucket().bucket(&bucket).send().await.unwrap();
    let files = format!(r#"{{"bucket": "{bucket}", "path_style": true}}"#);
    let config = AwsConfig {
        region: "eu-north-1".to_owned(),
        endpoints: Endpoints {
            all: Some(server.endpoint()),
            ..Endpoints::default()
        },
        files: Some(serde_json::from_str(&files).unwrap()),
        ..AwsConfig::default()
    };
    let keys = AccessKeys {
        id: id.to_owned(),
        secret: secret.into(),
        session_token: None,
    };
    let aws = Aws::open_with_keys(config, Arc::new(SystemClock), keys).unwrap();
    let bench = Bench {
        files: aws.files().unwrap(),
        s3,
        bucket,
    };
    println!("| operation | ours, ms | bare, ms | ratio |\n| --- | --- | --- | --- |");
    bench.run().await;
    aws.settled().await;
}

impl Bench {
    async fn run(&self) {
        let (small, large) = (vec![7; SMALL], vec![8; LARGE]);
        let spooled = self.files.spool(&acme(), &small).await.unwrap();
        self.put("small", &small).await;
        self.put("large", &large).await;
        self.bare_put("b/manifest", &vec![b'x'; 700]).await;
        self.bare_put("b/small", &small).await;
        self.bare_put("b/large", &large).await;
        for n in 0..LISTED {
            self.put(&format!("list/{n:03}"), b"x").await;
            self.bare_put(&format!("l/{n:03}"), b"x").await;
        }

        let ours = || async { drop(self.files.stat(&acme(), "small").await.unwrap()) };
        let bare = || self.bare_get("b/manifest", None);
        row("stat (1 request)", ours, bare).await;

        let ours = || async { drop(self.files.get(&acme(), "small").await.unwrap()) };
        let bare = || async {
            self.bare_get("b/manifest", None).await;
            self.bare_get("b/small", None).await;
        };
        row("get 4 KiB (2 requests)", ours, bare).await;

        let len = u32::try_from(LARGE).unwrap();
        let ours = || async {
            drop(
                self.files
                    .read_range(&acme(), "large", None, 0, len)
                    .await
                    .unwrap(),
            );
        };
        let bare = || async {
            self.bare_get("b/manifest", None).await;
            self.bare_get("b/large", Some(format!("bytes=0-{}", LARGE - 1)))
                .await;
        };
        row("read-range 4 MiB (2 requests)", ours, bare).await;

        let ours = || async { drop(self.files.spool(&acme(), &small).await.unwrap()) };
        row("spool 4 KiB (1 request)", ours, || {
            self.bare_put("b/small", &small)
        })
        .await;

        let ours = || self.name("small", &spooled);
        let bare = || async {
            let head = self
                .s3
                .head_object()
                .bucket(&self.bucket)
                .key("b/small")
                .send();
            let (head, (), ()) = tokio::join!(
                head,
                self.bare_get("b/manifest", None),
                self.bare_put("b/claim", &[b'x'; 100]),
            );
            head.unwrap();
            let copy = self.s3.copy_object().bucket(&self.bucket).key("b/copy");
            let copy = copy.copy_source(format!("{}/b/small", self.bucket));
            copy.send().await.unwrap();
            self.bare_put("b/manifest", &[b'x'; 700]).await;
        };
        row("put of what is spooled (5 requests)", ours, bare).await;

        let ours = || async { self.put("small", &small).await };
        row("spool and put, against one PutObject", ours, || {
            self.bare_put("b/small", &small)
        })
        .await;

        let ours = || async {
            let page = self
                .files
                .list(&acme(), "list/", None, LISTED)
                .await
                .unwrap();
            assert_eq!(page.files.len(), LISTED as usize);
        };
        let bare = || async {
            let list = self.s3.list_objects_v2().bucket(&self.bucket).prefix("l/");
            assert_eq!(list.send().await.unwrap().contents().len(), LISTED as usize);
        };
        row("list 100 known, against one ListObjectsV2", ours, bare).await;
    }

    async fn put(&self, path: &str, content: &[u8]) {
        let spooled = self.files.spool(&acme(), content).await.unwrap();
        self.name(path, &spooled).await;
    }

    async fn name(&self, path: &str, spooled: &stuga_core::files::Spooled) {
        let id = stuga_core::InvocationId::from_uuid(uuid::Uuid::new_v4());
        let id = stuga_core::WriteId {
            invocation: id,
            call: 0,
        };
        let write = FilesWrite::Put {
            path: path.to_owned(),
            sha256: spooled.sha256.clone(),
            size: spooled.size,
            content_type: "text/plain".to_owned(),
            metadata: Vec::new(),
            expected: Expected::Any,
        };
        self.files.apply(&acme(), id, &write).await.unwrap();
    }

    async fn bare_put(&self, key: &str, content: &[u8]) {
        let body = ByteStream::from(content.to_vec());
        let put = self
            .s3
            .put_object()
            .bucket(&self.bucket)
            .key(key)
            .body(body);
        put.send().await.unwrap();
    }

    async fn bare_get(&self, key: &str, range: Option<String>) {
        let get = self.s3.get_object().bucket(&self.bucket).key(key);
        let got = get.set_range(range).send().await.unwrap();
        got.body.collect().await.unwrap();
    }
}

/// Measures both sides in turns and prints a row.
async fn row<A: Future<Output = ()>, B: Future<Output = ()>>(
    what: &str,
    ours: impl Fn() -> A,
    bare: impl Fn() -> B,
) {
    let mut times: [Vec<Duration>; 2] = [Vec::new(), Vec::new()];
    // The first rounds open connections.
    for round in 0..ROUNDS + 10 {
        let begun = Instant::now();
        ours().await;
        let between = Instant::now();
        bare().await;
        if round >= 10 {
            times[0].push(between - begun);
            times[1].push(between.elapsed());
        }
    }
    let [ours, bare] = times.map(|mut times| {
        times.sort_unstable();
        times[times.len() / 2].as_secs_f64() * 1e3
    });
    println!("| {what} | {ours:.2} | {bare:.2} | {:.2} |", ours / bare);
}
