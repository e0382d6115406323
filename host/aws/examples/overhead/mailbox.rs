//! Mailboxes on SQS and S3, as ministack plays them.
//!
//! Beside an operation stands what a program sends that trusts the queue alone: without letters that any host can read, and
//! without a limit of 256 KiB on what is said.

use std::time::Duration;

use aws_sdk_sqs::types::QueueAttributeName;
use serde_json::json;
use stuga_core::a2a::delivery::{MailQueue, Outcome, Settled};
use stuga_core::a2a::{MailboxWrite, Message};
use stuga_core::lease::{Lease, LeaseToken};
use stuga_core::{AgentName, TenantId};
use stuga_test_servers::{Ministack, unique};
use uuid::Uuid;

use crate::harness::{Figures, REGION, apply, host, new_bucket, s3, sdk};

const KEYS: (&str, &str) = ("test", "test");

/// A queue as a program has it that knows nothing of ours.
struct Bare {
    client: aws_sdk_sqs::Client,
    url: String,
    text: String,
}

impl Bare {
    async fn new(endpoint: &str, text: &str) -> Self {
        let client = aws_sdk_sqs::Client::new(&sdk(KEYS, endpoint));
        let make = client
            .create_queue()
            .queue_name(unique("bare") + ".fifo")
            .attributes(QueueAttributeName::FifoQueue, "true");
        let url = make.send().await.unwrap().queue_url.unwrap();
        Self {
            client,
            url,
            text: text.to_owned(),
        }
    }

    async fn send(&self) {
        let send = self
            .client
            .send_message()
            .queue_url(&self.url)
            .message_body(&self.text)
            .message_group_id("acme/svea")
            .message_deduplication_id(Uuid::new_v4().to_string());
        send.send().await.unwrap();
    }

    async fn take(&self) {
        let receive = self.client.receive_message().queue_url(&self.url);
        let mut found = receive.send().await.unwrap().messages.unwrap();
        let delete = self
            .client
            .delete_message()
            .queue_url(&self.url)
            .receipt_handle(found.remove(0).receipt_handle.unwrap());
        delete.send().await.unwrap();
    }
}

pub(crate) async fn measure(figures: &mut Figures) {
    let server = Ministack::shared().await;
    let (endpoint, name) = (server.endpoint(), unique("mail"));
    let s3 = s3(KEYS, &endpoint);
    new_bucket(&s3, &name).await;
    let settings = json!({
        "region": REGION,
        "endpoints": {"all": endpoint},
        "files": {"bucket": name, "path_style": true},
        "a2a": {"queue_prefix": format!("{name}_{{tenant}}_")},
    });
    let aws = host(KEYS, settings);
    let tenant = TenantId::new("acme").unwrap();
    aws.provision(&tenant).await.unwrap();
    let text = serde_json::to_string(&"x".repeat(1 << 10)).unwrap();
    let bare = Bare::new(&endpoint, &text).await;
    let mail = aws.mail();
    let post = async |_: usize| {
        let write = MailboxWrite::Post {
            to: "acme/svea".to_owned(),
            message: Message {
                skill: "note".to_owned(),
                input: text.clone(),
                session: None,
            },
            depth: 1,
        };
        drop(apply(&*mail, &write).await);
    };
    let mut section = figures.of("mailbox", server.describe());
    section
        .row("post 1 KiB", "SendMessage", &post, async |_| {
            bare.send().await
        })
        .await;
    let small = async |key: &str, bytes: usize| {
        let put = s3.put_object().bucket(&name).key(format!("bare/{key}"));
        put.body(vec![b'x'; bytes].into()).send().await.unwrap();
    };
    let same = async |_: usize| {
        small("letter", 1_500).await;
        small("place", 0).await;
        small("mark", 40).await;
        bare.send().await;
    };
    section
        .row("post 1 KiB", "the same 4 requests", &post, same)
        .await;
    // As many wait on both sides as are taken, and more.
    let agents = [AgentName::new("svea").unwrap()];
    let take = async |_: usize| {
        let lease = Lease {
            token: LeaseToken::from_uuid(Uuid::new_v4()),
            time: Duration::from_secs(30),
        };
        let taken = mail.take(&tenant, &agents, &[lease], u64::MAX).await;
        let taken = taken.unwrap().messages.remove(0);
        let settled = mail.settle(&tenant, &taken.token, Outcome::Delivered);
        assert_eq!(settled.await.unwrap(), Settled::Delivered);
    };
    section
        .row(
            "take and settle",
            "ReceiveMessage, DeleteMessage",
            take,
            async |_| bare.take().await,
        )
        .await;
}
