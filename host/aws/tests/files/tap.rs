//! A wire between a host and a server that remembers what was sent, and that can lose one answer.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Longest beginning of a request that is remembered.
const REMEMBERED_BYTES: usize = 64 << 10;

/// A running tap. It ends when it is dropped.
pub(crate) struct Tap {
    pub(crate) address: SocketAddr,
    wire: Arc<Wire>,
    task: JoinHandle<()>,
}

#[derive(Default)]
struct Wire {
    sent: Mutex<Vec<Vec<u8>>>,
    /// The number of the request whose answer is lost; 0 for none.
    lost: AtomicU64,
}

impl Tap {
    pub(crate) async fn start(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let wire = Arc::new(Wire::default());
        let shared = Arc::clone(&wire);
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server).await.unwrap();
                open.spawn(relay(client, server, Arc::clone(&shared)));
            }
        });
        Self {
            address,
            wire,
            task,
        }
    }

    /// Forgets what was sent.
    pub(crate) fn forget(&self) {
        self.wire.lost.store(0, Ordering::SeqCst);
        self.wire.sent.lock().unwrap().clear();
    }

    /// What was sent: for each request, in the order of their beginnings, its first bytes.
    pub(crate) fn sent(&self) -> Vec<String> {
        let sent = self.wire.sent.lock().unwrap();
        sent.iter()
            .map(|bytes| String::from_utf8_lossy(bytes).into_owned())
            .collect()
    }

    /// Forgets, and loses the answer of the `number`th request from now on: the server has done what was asked.
    pub(crate) fn lose(&self, number: u64) {
        self.forget();
        self.wire.lost.store(number, Ordering::SeqCst);
    }
}

impl Drop for Tap {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// HTTP/1.1 without pipelining: what a client sends after an answer is the next request.
async fn relay(client: TcpStream, server: TcpStream, wire: Arc<Wire>) {
    let (mut from_client, mut to_client) = client.into_split();
    let (mut from_server, mut to_server) = server.into_split();
    let mut asking: Option<usize> = None;
    let (mut up, mut down) = (vec![0; 64 << 10], vec![0; 64 << 10]);
    loop {
        tokio::select! {
            read = from_client.read(&mut up) => {
                let Ok(count @ 1..) = read else { return };
                {
                    let mut sent = wire.sent.lock().unwrap();
                    let number = *asking.get_or_insert_with(|| {
                        sent.push(Vec::new());
                        sent.len() - 1
                    });
                    if let Some(request) = sent.get_mut(number) {
                        let room = REMEMBERED_BYTES.saturating_sub(request.len());
                        request.extend_from_slice(&up[..count.min(room)]);
                    }
                }
                if to_server.write_all(&up[..count]).await.is_err() { return }
            }
            read = from_server.read(&mut down) => {
                let Ok(count @ 1..) = read else { return };
                let goes_on = down.starts_with(b"HTTP/1.1 100");
                let number = asking.map(|number| number as u64 + 1);
                if !goes_on && number == Some(wire.lost.load(Ordering::SeqCst)) {
                    return;
                }
                if !goes_on {
                    asking = None;
                }
                if to_client.write_all(&down[..count]).await.is_err() { return }
            }
        }
    }
}
