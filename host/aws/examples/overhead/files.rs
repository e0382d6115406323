//! Files on S3, as SeaweedFS plays it.
//!
//! Beside an operation stand the same requests sent by the SDK alone. A put has a second row, beside the one `PutObject` that
//! a program without versions, conditions and memory of writes would send.

use std::sync::Arc;

use aws_sdk_s3::Client;
use aws_sdk_s3::primitives::ByteStream;
use serde_json::json;
use stuga_core::files::{Expected, Files, FilesWrite, Spooled};
use stuga_test_servers::{SeaweedFs, unique};

use crate::harness::{Figures, REGION, acme, apply, host, new_bucket, s3};

const SMALL: usize = 4 << 10;
const LARGE: usize = 4 << 20;
const LISTED: u32 = 100;

struct Bench {
    files: Arc<dyn Files>,
    s3: Client,
    bucket: String,
}

pub(crate) async fn measure(figures: &mut Figures) {
    let server = SeaweedFs::shared().await;
    let bucket = unique("bench");
    let (keys, endpoint) = (server.keys(), server.endpoint());
    let s3 = s3(keys, &endpoint);
    new_bucket(&s3, &bucket).await;
    let settings = json!({
        "region": REGION,
        "endpoints": {"all": endpoint},
        "files": {"bucket": bucket, "path_style": true},
    });
    let aws = host(keys, settings);
    let bench = Bench {
        files: aws.files().unwrap(),
        s3,
        bucket,
    };
    bench.run(figures, server.describe()).await;
    aws.settled().await;
}

impl Bench {
    async fn run(&self, figures: &mut Figures, server: String) {
        let mut section = figures.of("files", server);
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

        let ours = async |_: usize| drop(self.files.stat(&acme(), "small").await.unwrap());
        let bare = async |_: usize| self.bare_get("b/manifest", None).await;
        section.row("stat", "GetObject", ours, bare).await;

        let ours = async |_: usize| drop(self.files.get(&acme(), "small").await.unwrap());
        let bare = async |_: usize| {
            self.bare_get("b/manifest", None).await;
            self.bare_get("b/small", None).await;
        };
        section.row("get 4 KiB", "2 GetObject", ours, bare).await;

        let len = u32::try_from(LARGE).unwrap();
        let ours = async |_: usize| {
            let ctx = acme();
            let read = self.files.read_range(&ctx, "large", None, 0, len);
            drop(read.await.unwrap());
        };
        let bare = async |_: usize| {
            self.bare_get("b/manifest", None).await;
            self.bare_get("b/large", Some(format!("bytes=0-{}", LARGE - 1)))
                .await;
        };
        section
            .row("read-range 4 MiB", "2 GetObject", ours, bare)
            .await;

        let ours = async |_: usize| drop(self.files.spool(&acme(), &small).await.unwrap());
        let bare = async |_: usize| self.bare_put("b/small", &small).await;
        section.row("spool 4 KiB", "PutObject", ours, bare).await;

        let ours = async |_: usize| self.name("small", &spooled).await;
        let bare = async |_: usize| {
            let head = self.s3.head_object();
            let head = head.bucket(&self.bucket).key("b/small").send();
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
        section
            .row("put of what is spooled", "the same 5 requests", ours, bare)
            .await;

        let ours = async |_: usize| self.put("small", &small).await;
        let bare = async |_: usize| self.bare_put("b/small", &small).await;
        section
            .row("spool and put 4 KiB", "PutObject", ours, bare)
            .await;

        let ours = async |_: usize| {
            let page = self.files.list(&acme(), "list/", None, LISTED).await;
            assert_eq!(page.unwrap().files.len(), LISTED as usize);
        };
        let bare = async |_: usize| {
            let list = self.s3.list_objects_v2().bucket(&self.bucket).prefix("l/");
            assert_eq!(list.send().await.unwrap().contents().len(), LISTED as usize);
        };
        section
            .row("list 100 that are known", "ListObjectsV2", ours, bare)
            .await;
    }

    async fn put(&self, path: &str, content: &[u8]) {
        let spooled = self.files.spool(&acme(), content).await.unwrap();
        self.name(path, &spooled).await;
    }

    async fn name(&self, path: &str, spooled: &Spooled) {
        let write = FilesWrite::Put {
            path: path.to_owned(),
            sha256: spooled.sha256.clone(),
            size: spooled.size,
            content_type: "text/plain".to_owned(),
            metadata: Vec::new(),
            expected: Expected::Any,
        };
        apply(&*self.files, &write).await;
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
