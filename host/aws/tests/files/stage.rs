//! A bucket on one of the servers, and hosts that use it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_sdk_s3::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_s3::types::{
    BucketLocationConstraint, BucketVersioningStatus, CreateBucketConfiguration,
    VersioningConfiguration,
};
use stuga_aws::{AccessKeys, Aws, AwsConfig, Endpoints};
use stuga_core::files::{Expected, Files, FilesAck, FilesWrite, Spooled};
use stuga_core::testkit::{ManualClock, ctx};
use stuga_core::{CallCtx, Clock, Result, Timestamp, WriteId};
use stuga_test_servers::{Ministack, SeaweedFs, unique};

/// A bucket, and a beginning of keys in it that nobody else uses.
#[derive(Clone)]
pub(crate) struct Stage {
    pub(crate) address: SocketAddr,
    pub(crate) bucket: String,
    /// What stands in all keys of this stage.
    pub(crate) mark: String,
    pub(crate) clock: Arc<ManualClock>,
    keys: (&'static str, &'static str),
}

impl Stage {
    /// On SeaweedFS, in a bucket that keeps versions.
    pub(crate) async fn seaweedfs() -> Self {
        let server = SeaweedFs::shared().await;
        let stage = Self::on(server.address(), server.keys()).await;
        let enabled = BucketVersioningStatus::Enabled;
        let versioning = VersioningConfiguration::builder().status(enabled).build();
        let s3 = stage.s3();
        let put = s3.put_bucket_versioning().bucket(&stage.bucket);
        put.versioning_configuration(versioning)
            .send()
            .await
            .unwrap();
        stage
    }

    /// On ministack, in a bucket that keeps no versions.
    pub(crate) async fn ministack() -> Self {
        Self::on(Ministack::shared().await.address(), ("test", "test")).await
    }

    async fn on(address: SocketAddr, keys: (&'static str, &'static str)) -> Self {
        let stage = Self {
            address,
            bucket: unique("files"),
            mark: unique("stage"),
            clock: Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000))),
            keys,
        };
        let s3 = stage.s3();
        let region = BucketLocationConstraint::EuNorth1;
        let place = CreateBucketConfiguration::builder()
            .location_constraint(region)
            .build();
        let create = s3.create_bucket().bucket(&stage.bucket);
        create
            .create_bucket_configuration(place)
            .send()
            .await
            .unwrap();
        stage
    }

    /// The same bucket with another beginning of keys and a clock of its own.
    pub(crate) fn again(&self) -> Self {
        Self {
            mark: unique("stage"),
            clock: Arc::new(ManualClock::at(Timestamp::from_millis(1_700_000_000_000))),
            ..self.clone()
        }
    }

    /// The same as it is reached through something else.
    pub(crate) fn through(&self, address: SocketAddr) -> Self {
        Self {
            address,
            ..self.clone()
        }
    }

    pub(crate) fn config(&self) -> AwsConfig {
        let files = format!(
            r#"{{"bucket": "{}", "prefix": "files/{mark}/{{tenant}}/", "passing": "passing/{mark}/{{tenant}}/", "path_style": true}}"#,
            self.bucket,
            mark = self.mark,
        );
        AwsConfig {
            region: "eu-north-1".to_owned(),
            endpoints: Endpoints {
                all: Some(format!("http://{}", self.address)),
                ..Endpoints::default()
            },
            // Servers share two cores with builds.
            attempt_timeout: Duration::from_secs(60),
            files: Some(serde_json::from_str(&files).unwrap()),
            ..AwsConfig::default()
        }
    }

    /// One host.
    pub(crate) fn host(&self) -> Aws {
        self.host_with(self.config())
    }

    pub(crate) fn host_with(&self, config: AwsConfig) -> Aws {
        let clock = Arc::clone(&self.clock) as Arc<dyn Clock>;
        let keys = AccessKeys {
            id: self.keys.0.to_owned(),
            secret: self.keys.1.into(),
            session_token: None,
        };
        Aws::open_with_keys(config, clock, keys).unwrap()
    }

    /// The SDK without this crate.
    pub(crate) fn s3(&self) -> aws_sdk_s3::Client {
        let (id, secret) = self.keys;
        let config = aws_sdk_s3::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-north-1"))
            .credentials_provider(Credentials::new(id, secret, None, None, "test"))
            .endpoint_url(format!("http://{}", self.address))
            .force_path_style(true)
            .build();
        aws_sdk_s3::Client::from_conf(config)
    }

    /// Keys of this stage, relative to it, that hold `part`.
    pub(crate) async fn keys(&self, part: &str) -> Vec<String> {
        let s3 = self.s3();
        let mut all = Vec::new();
        for kind in ["files", "passing"] {
            let prefix = format!("{kind}/{}/", self.mark);
            let list = s3.list_objects_v2().bucket(&self.bucket).prefix(&prefix);
            let listed = list.send().await.unwrap();
            let keys = listed.contents().iter().filter_map(|object| object.key());
            all.extend(keys.filter(|key| key.contains(part)).map(str::to_owned));
        }
        all
    }

    /// How many multipart uploads are not complete.
    pub(crate) async fn unfinished(&self) -> usize {
        let s3 = self.s3();
        let list = s3.list_multipart_uploads().bucket(&self.bucket);
        let listed = list.send().await.unwrap();
        let ours = |key: Option<&str>| key.is_some_and(|key| key.contains(&self.mark));
        listed
            .uploads()
            .iter()
            .filter(|upload| ours(upload.key()))
            .count()
    }
}

/// An invocation of the tenant and agent of most tests.
pub(crate) fn acme() -> CallCtx {
    ctx("acme", "scribe")
}

pub(crate) fn put(path: &str, spooled: &Spooled, expected: Expected) -> FilesWrite {
    FilesWrite::Put {
        path: path.to_owned(),
        sha256: spooled.sha256.clone(),
        size: spooled.size,
        content_type: "text/plain".to_owned(),
        metadata: Vec::new(),
        expected,
    }
}

/// Spools and puts.
pub(crate) async fn write(files: &dyn Files, path: &str, content: &str) -> FilesAck {
    let spooled = files.spool(&acme(), content.as_bytes()).await.unwrap();
    apply(files, &put(path, &spooled, Expected::Any))
        .await
        .unwrap()
}

/// Applies a write in an invocation of its own.
pub(crate) async fn apply(files: &dyn Files, write: &FilesWrite) -> Result<FilesAck> {
    let (ctx, id) = fresh();
    files.apply(&ctx, id, write).await
}

pub(crate) fn fresh() -> (CallCtx, WriteId) {
    let ctx = acme();
    let id = ctx.next_write_id().unwrap();
    (ctx, id)
}

/// All versions of a path, the newest first.
pub(crate) async fn versions(files: &dyn Files, path: &str) -> Vec<u64> {
    let page = files.list_versions(&acme(), path, None, 100).await.unwrap();
    page.versions
        .into_iter()
        .map(|version| version.info.version)
        .collect()
}
