//! Memory, sessions and records on AgentCore, as ministack plays it, with a real Redis.
//!
//! A write beside the `CreateEvent` that it ends in: what is above it are the lease and the card in Redis. What was written
//! is read from near, so a read is beside the request that it spares.

use std::sync::Arc;

use aws_sdk_bedrockagentcore::Client;
use aws_sdk_bedrockagentcore::types::PayloadType;
use aws_smithy_types::{DateTime, Document};
use serde_json::json;
use stuga_core::embed::HashedEmbedder;
use stuga_core::memory::{Expected, Memory, MemoryWrite};
use stuga_core::records::{RecordWrite, Records};
use stuga_core::sessions::{Order, Role, SessionWrite, Sessions};
use stuga_test_servers::{Ministack, Redis, unique};

use crate::harness::{Figures, REGION, acme, apply, host, sdk};

const KEYS: (&str, &str) = ("test", "test");
/// What is written, and how much of it there is to be listed.
const BYTES: usize = 1 << 10;
const LISTED: u32 = 100;

/// The SDK alone, with streams of its own.
struct Bare {
    client: Client,
    memory: String,
    text: String,
}

impl Bare {
    async fn create(&self, session: &str) -> String {
        let create = self
            .client
            .create_event()
            .memory_id(&self.memory)
            .actor_id("bare")
            .session_id(session)
            .event_timestamp(DateTime::from_secs(1_700_000_000))
            .payload(PayloadType::Blob(Document::String(self.text.clone())));
        let made = create.send().await.unwrap();
        made.event().unwrap().event_id().to_owned()
    }

    async fn get(&self, session: &str, event: &str) {
        let get = self
            .client
            .get_event()
            .memory_id(&self.memory)
            .actor_id("bare")
            .session_id(session)
            .event_id(event);
        assert!(get.send().await.unwrap().event().is_some());
    }

    async fn list(&self, session: &str) {
        let list = self
            .client
            .list_events()
            .memory_id(&self.memory)
            .actor_id("bare")
            .session_id(session)
            .include_payloads(true)
            .max_results(100);
        assert_eq!(list.send().await.unwrap().events().len(), LISTED as usize);
    }
}

async fn new_memory(endpoint: &str) -> String {
    let control = aws_sdk_bedrockagentcorecontrol::Client::new(&sdk(KEYS, endpoint));
    let create = control
        .create_memory()
        .name(unique("bench").replace('-', "_"))
        .event_expiry_duration(365);
    let made = create.send().await.unwrap();
    made.memory().unwrap().id().to_owned()
}

pub(crate) async fn measure(figures: &mut Figures) {
    let (server, redis) = (Ministack::shared().await, Redis::shared().await);
    let endpoint = server.endpoint();
    let memory_id = new_memory(&endpoint).await;
    let bare = Bare {
        client: Client::new(&sdk(KEYS, &endpoint)),
        memory: memory_id.clone(),
        text: "x".repeat(BYTES),
    };
    let settings = json!({
        "region": REGION,
        "endpoints": {"all": endpoint},
        "memory": {"memory_id": memory_id, "redis": redis.url()},
    });
    let aws = host(KEYS, settings);
    let served = format!("{} and {}", server.describe(), redis.describe());
    let first = bare.create("kept").await;
    for _ in 1..LISTED {
        bare.create("kept").await;
    }

    let memory: Arc<dyn Memory> = aws.memory().unwrap();
    let put = async |key: String| {
        let write = MemoryWrite::Put {
            key,
            value: vec![b'x'; BYTES],
            ttl: None,
            expected: Expected::Any,
        };
        apply(&*memory, &write).await;
    };
    for n in 0..LISTED {
        put(format!("k{n:03}")).await;
    }
    let mut section = figures.of("memory", served.clone());
    let ours = async |n: usize| put(format!("k{:03}", n % LISTED as usize)).await;
    let create = async |_: usize| drop(bare.create("many").await);
    section.row("put 1 KiB", "CreateEvent", ours, &create).await;
    let ours = async |_: usize| drop(memory.get(&acme(), "k000").await.unwrap().unwrap());
    let get = async |_: usize| bare.get("kept", &first).await;
    section
        .row("get 1 KiB that is near", "GetEvent", ours, get)
        .await;
    let ours = async |_: usize| {
        let page = memory.list(&acme(), "k", None, LISTED).await.unwrap();
        assert_eq!(page.items.len(), LISTED as usize);
    };
    let list = async |_: usize| bare.list("kept").await;
    section
        .row("list 100 of 1 KiB that are near", "ListEvents", ours, &list)
        .await;

    let sessions: Arc<dyn Sessions> = aws.sessions(Arc::new(HashedEmbedder)).unwrap();
    for session in ["kept", "many"] {
        let create = SessionWrite::Create {
            actor: "astrid".to_owned(),
            id: Some(session.to_owned()),
            ttl: None,
            metadata: Vec::new(),
        };
        apply(&*sessions, &create).await;
    }
    let say = async |session: &str| {
        let write = SessionWrite::Append {
            actor: "astrid".to_owned(),
            session: session.to_owned(),
            role: Role::User,
            content: bare.text.clone(),
            metadata: Vec::new(),
        };
        apply(&*sessions, &write).await;
    };
    for _ in 0..LISTED {
        say("kept").await;
    }
    let mut section = figures.of("sessions", served.clone());
    let ours = async |_: usize| say("many").await;
    section
        .row("append 1 KiB", "CreateEvent", ours, &create)
        .await;
    let ours = async |_: usize| {
        let (ctx, order) = (acme(), Order::OldestFirst);
        let events = sessions.events(&ctx, "astrid", "kept", order, None, LISTED);
        assert_eq!(events.await.unwrap().entries.len(), LISTED as usize);
    };
    section
        .row(
            "events, 100 of 1 KiB that are near",
            "ListEvents",
            ours,
            &list,
        )
        .await;

    let records: Arc<dyn Records> = aws.records(Arc::new(HashedEmbedder)).unwrap();
    let mut section = figures.of("records", served);
    let ours = async |n: usize| {
        let write = RecordWrite::Put {
            namespace: "/facts".to_owned(),
            id: Some(format!("{:03}", n % LISTED as usize)),
            text: bare.text.clone(),
            metadata: Vec::new(),
        };
        apply(&*records, &write).await;
    };
    section.row("put 1 KiB", "CreateEvent", ours, &create).await;
}
