//! Nothing of another tenant ever leaves a host: every byte that it sends to AgentCore and to Redis is looked at.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use stuga_aws::{Aws, Pattern};
use stuga_core::embed::HashedEmbedder;
use stuga_core::memory::{Expected, Memory, MemoryWrite};
use stuga_core::records::{RecordWrite, Records};
use stuga_core::sessions::{Order, Role, SessionWrite, Sessions};
use stuga_core::{CallCtx, Capability, ErrorKind, testkit};
use stuga_test_servers::{Ministack, Redis};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

use crate::world::{World, new_memory};

/// Passes everything on and keeps what clients sent.
struct Listener {
    address: SocketAddr,
    sent: Arc<Mutex<Vec<u8>>>,
    task: JoinHandle<()>,
}

impl Listener {
    async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = Arc::clone(&sent);
        let task = tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let kept = Arc::clone(&kept);
                tokio::spawn(async move {
                    let (mut from_client, mut to_client) = client.into_split();
                    let server = TcpStream::connect(server).await.unwrap();
                    let (mut from_server, mut to_server) = server.into_split();
                    tokio::spawn(async move {
                        tokio::io::copy(&mut from_server, &mut to_client).await.ok();
                    });
                    let mut piece = vec![0; 64 << 10];
                    while let Ok(length @ 1..) = from_client.read(&mut piece).await {
                        kept.lock()
                            .unwrap_or_else(PoisonError::into_inner)
                            .extend_from_slice(&piece[..length]);
                        if to_server.write_all(&piece[..length]).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
        Self {
            address,
            sent,
            task,
        }
    }

    /// What was sent since the last question.
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.sent.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn holds(sent: &[u8], word: &str) -> bool {
    sent.windows(word.len()).any(|part| part == word.as_bytes())
}

fn ctx_of(tenant: &str) -> CallCtx {
    testkit::ctx(tenant, "scribe")
}

fn put(key: &str) -> MemoryWrite {
    MemoryWrite::Put {
        key: key.to_owned(),
        value: b"mine".to_vec(),
        ttl: None,
        expected: Expected::Any,
    }
}

/// Uses every operation with names that could lead to somebody else.
async fn use_everything(aws: &Aws, ctx: &CallCtx, names: &[&str], cursors: &[String]) {
    let memory = aws.memory().unwrap();
    let sessions = aws.sessions(Arc::new(HashedEmbedder)).unwrap();
    let records = aws.records(Arc::new(HashedEmbedder)).unwrap();
    for name in names {
        memory
            .apply(ctx, ctx.next_write_id().unwrap(), &put(name))
            .await
            .ok();
        memory.get(ctx, name).await.ok();
        memory.list(ctx, name, None, 10).await.ok();
        let id = Some("s".to_owned());
        let create = SessionWrite::Create {
            actor: (*name).to_owned(),
            id,
            ttl: None,
            metadata: Vec::new(),
        };
        let say = SessionWrite::Append {
            actor: (*name).to_owned(),
            session: "s".to_owned(),
            role: Role::User,
            content: "hej".to_owned(),
            metadata: Vec::new(),
        };
        for write in [create, say] {
            sessions
                .apply(ctx, ctx.next_write_id().unwrap(), &write)
                .await
                .ok();
        }
        sessions.get(ctx, name, "s").await.ok();
        sessions.get(ctx, "astrid", name).await.ok();
        sessions.list(ctx, name, None, 10).await.ok();
        sessions
            .events(ctx, name, "s", Order::OldestFirst, None, 10)
            .await
            .ok();
        sessions.recall(ctx, name, "hej", 10).await.ok();
        let namespace = format!("/{name}");
        let learn = RecordWrite::Put {
            namespace: namespace.clone(),
            id: None,
            text: "hej".to_owned(),
            metadata: Vec::new(),
        };
        records
            .apply(ctx, ctx.next_write_id().unwrap(), &learn)
            .await
            .ok();
        records.get(ctx, &namespace, "k").await.ok();
        records.list(ctx, &namespace, None, 10).await.ok();
        records.recall(ctx, &namespace, "hej", 10).await.ok();
    }
    for cursor in cursors {
        memory.list(ctx, "", Some(cursor), 10).await.ok();
        sessions.list(ctx, "astrid", Some(cursor), 10).await.ok();
        sessions
            .events(ctx, "astrid", "s", Order::OldestFirst, Some(cursor), 10)
            .await
            .ok();
        records.list(ctx, "", Some(cursor), 10).await.ok();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_request_ever_names_what_is_anothers() {
    let ministack = Ministack::shared().await;
    let mut world = World::new().await;
    let agentcore = Listener::before(ministack.address()).await;
    let redis = Listener::before(Redis::shared().await.address()).await;
    world.config.endpoints.all = Some(format!("http://{}", agentcore.address));
    let memory = world.config.memory.as_mut().unwrap();
    memory.redis = format!("redis://{}", redis.address);
    let aws = world.host();

    // The victim's names, as they go over the wire when the victim itself is served.
    let victim = ctx_of("victim");
    for key in ["hidden-1", "hidden-2"] {
        aws.memory()
            .unwrap()
            .apply(&victim, victim.next_write_id().unwrap(), &put(key))
            .await
            .unwrap();
    }
    let page = aws
        .memory()
        .unwrap()
        .list(&victim, "", None, 1)
        .await
        .unwrap();
    let (to_agentcore, to_redis) = (agentcore.take(), redis.take());
    let (in_agentcore, in_redis) = ("\"victim/scribe/memory\"", "stuga:victim:scribe:");
    assert!(
        holds(&to_agentcore, in_agentcore),
        "the names changed: this test sees nothing"
    );
    assert!(
        holds(&to_redis, in_redis),
        "the names changed: this test sees nothing"
    );

    let names = [
        "victim",
        "victim/scribe",
        "victim/scribe/memory",
        "../victim/scribe/memory",
        "/victim/scribe/memory",
        "victim%2Fscribe%2Fmemory",
        "victim/scribe/memory|hidden-1",
        "stuga:victim:scribe:",
        "a/../../../victim/scribe/sessions/astrid",
        "hidden-1",
    ];
    let cursors: Vec<_> = page.next_cursor.into_iter().collect();
    assert_eq!(cursors.len(), 1);
    let attacker = ctx_of("attacker");
    use_everything(&aws, &attacker, &names, &cursors).await;
    let (to_agentcore, to_redis) = (agentcore.take(), redis.take());
    // What the attacker calls its own may hold the victim's name, but behind the attacker's.
    let behind = |sent: &[u8], before: &str, word: &str| {
        let all = sent
            .windows(word.len())
            .filter(|part| *part == word.as_bytes())
            .count();
        let own = format!("{before}{word}");
        let own = sent
            .windows(own.len())
            .filter(|part| *part == own.as_bytes())
            .count();
        all - own
    };
    assert!(holds(&to_agentcore, "\"attacker/scribe/memory\""));
    assert_eq!(behind(&to_agentcore, "", in_agentcore), 0);
    for path in ["/actor/victim", "actorId\":\"victim"] {
        assert!(!holds(&to_agentcore, path), "{path} was asked for");
    }
    assert!(holds(&to_redis, "/stuga:attacker:scribe:}"));
    assert!(
        !holds(&to_redis, "/stuga:victim:"),
        "a key of another was asked for"
    );

    // And nothing of the victim's was changed.
    let page = aws
        .memory()
        .unwrap()
        .list(&victim, "", None, 10)
        .await
        .unwrap();
    let keys: Vec<_> = page.items.into_iter().map(|item| item.key).collect();
    assert_eq!(keys, ["hidden-1", "hidden-2"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_refused_is_refused_before_anything_is_sent() {
    let ministack = Ministack::shared().await;
    let mut world = World::new().await;
    let agentcore = Listener::before(ministack.address()).await;
    world.config.endpoints.all = Some(format!("http://{}", agentcore.address));
    let own = new_memory(ministack).await;
    world.config.memory.as_mut().unwrap().memory_id = Some(Pattern::new(&own).unwrap());
    let aws = world.host();
    let ctx = ctx_of("acme");
    let sessions = aws.sessions(Arc::new(HashedEmbedder)).unwrap();
    let records = aws.records(Arc::new(HashedEmbedder)).unwrap();
    for bad in ["a\0b", "", &"k".repeat(600)] {
        let id = ctx.next_write_id().unwrap();
        let refused = aws
            .memory()
            .unwrap()
            .apply(&ctx, id, &put(bad))
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid);
    }
    for bad in ["../victim", "/victim", "a b", "%2e%2e"] {
        let refused = sessions.get(&ctx, bad, "s").await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{bad}");
        let refused = sessions.get(&ctx, "astrid", bad).await.unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{bad}");
        let refused = records
            .list(&ctx, &format!("{bad}/../x"), None, 1)
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{bad}");
        let refused = aws
            .memory()
            .unwrap()
            .list(&ctx, "", Some(bad), 1)
            .await
            .unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Invalid, "{bad}");
    }
    assert!(agentcore.take().is_empty(), "something was sent");
}
