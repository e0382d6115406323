//! An attempt of a job on Lambda: its slip on S3, as SeaweedFS plays it, and a double of Lambda that ends every attempt before
//! it answers. So what is measured is the way there and back, and none of the guest's work.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::time::Duration;

use async_trait::async_trait;
use aws_sdk_lambda::primitives::Blob;
use aws_sdk_lambda::types::InvocationType;
use aws_sdk_s3::Client;
use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use stuga_core::jobs::Progress;
use stuga_core::jobs::elsewhere::{Ended, Order, Principal};
use stuga_core::{AgentName, InvocationId, Result, TenantId, Timestamp};
use stuga_test_servers::{SeaweedFs, unique};
use tokio::net::TcpListener;
use uuid::Uuid;

use crate::harness::{Figures, REGION, host, new_bucket, s3, sdk};

const KIB: usize = 1 << 10;

/// Where slips lie.
#[derive(Clone)]
struct Slips {
    s3: Client,
    bucket: String,
}

impl Slips {
    async fn put(&self, invocation: &str, slip: &Value) {
        let key = format!("_jobs/acme/attempts/{invocation}");
        let put = self.s3.put_object().bucket(&self.bucket).key(key);
        let put = put.body(slip.to_string().into_bytes().into());
        put.send().await.unwrap();
    }

    async fn get(&self, invocation: &str) -> Value {
        let key = format!("_jobs/acme/attempts/{invocation}");
        let get = self.s3.get_object().bucket(&self.bucket).key(key);
        let body = get.send().await.unwrap().body.collect().await.unwrap();
        serde_json::from_slice(&body.into_bytes()).unwrap()
    }
}

/// Lambda, where every attempt has ended by the time that its invocation is answered.
async fn lambda(slips: Slips) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let slips = slips.clone();
            let service = service_fn(move |request| invoked(request, slips.clone()));
            let server = hyper::server::conn::http1::Builder::new();
            tokio::spawn(server.serve_connection(TokioIo::new(stream), service));
        }
    });
    address
}

async fn invoked(
    request: Request<Incoming>,
    slips: Slips,
) -> std::result::Result<Response<Empty<Bytes>>, Infallible> {
    let ticket = request.into_body().collect().await.unwrap().to_bytes();
    let ticket: Value = serde_json::from_slice(&ticket).unwrap();
    let slip = json!({"phase": "ended", "ended": {"succeeded": "1"}, "progress": null});
    slips
        .put(ticket["invocation"].as_str().unwrap(), &slip)
        .await;
    let mut taken = Response::new(Empty::new());
    *taken.status_mut() = StatusCode::ACCEPTED;
    Ok(taken)
}

/// A host that has nothing more to say.
struct Host;

#[async_trait]
impl Principal for Host {
    async fn component(&self) -> Result<Vec<u8>> {
        Ok(vec![0; KIB])
    }

    async fn progress(&self, _: Progress) {}
}

fn order(invocation: Uuid) -> Order {
    Order {
        tenant: TenantId::new("acme").unwrap(),
        agent: AgentName::new("svea").unwrap(),
        invocation: InvocationId::from_uuid(invocation),
        component: "0".repeat(64),
        settings: json!({}),
        job: "j".to_owned(),
        kind: "note".to_owned(),
        input: serde_json::to_string(&"x".repeat(KIB)).unwrap(),
        attempt: 1,
        began_at: Timestamp::from_millis(1_700_000_000_000),
        time: Duration::from_secs(60),
    }
}

pub(crate) async fn measure(figures: &mut Figures) {
    let server = SeaweedFs::shared().await;
    let (keys, endpoint, bucket) = (server.keys(), server.endpoint(), unique("jobs"));
    let s3 = s3(keys, &endpoint);
    new_bucket(&s3, &bucket).await;
    let slips = Slips {
        s3,
        bucket: bucket.clone(),
    };
    let double = format!("http://{}", lambda(slips.clone()).await);
    let settings = json!({
        "region": REGION,
        "endpoints": {"all": endpoint, "lambda": double},
        "files": {"bucket": bucket, "path_style": true},
        "jobs": {"function": "stuga", "agents": ["svea"]},
    });
    let aws = host(keys, settings);
    let executor = aws.job_executor().unwrap();
    let client = aws_sdk_lambda::Client::new(&sdk(keys, &double));

    let mut section = figures.of("jobs", format!("{}, a double of Lambda", server.describe()));
    let ours = async |_: usize| {
        let ended = executor.execute(&order(Uuid::new_v4()), &Host).await;
        assert_eq!(ended.unwrap(), Ended::Succeeded("1".to_owned()));
    };
    let bare = async |_: usize| {
        let invocation = Uuid::new_v4();
        let offered = json!({"phase": "offered", "order": order(invocation)});
        slips.put(&invocation.to_string(), &offered).await;
        let ticket = json!({"tenant": "acme", "invocation": invocation.to_string()});
        let invoke = client
            .invoke()
            .function_name("stuga")
            .invocation_type(InvocationType::Event)
            .payload(Blob::new(ticket.to_string()));
        invoke.send().await.unwrap();
        assert_eq!(slips.get(&invocation.to_string()).await["phase"], "ended");
    };
    section
        .row(
            "offer an attempt and hear its end",
            "PutObject, Invoke, GetObject",
            ours,
            bare,
        )
        .await;
}
