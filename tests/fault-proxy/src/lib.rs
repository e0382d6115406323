//! A TCP proxy that fails on command: it stands between a host and a server, and whoever holds it decides how the
//! network behaves, for connections that are open as well as for new ones.
//!
//! It knows no protocol but for [`Fault::Status`], which speaks HTTP/1.1. It decides nothing by itself: schedules and
//! seeds belong to the test or the drill that holds it.

mod fault;
mod relay;
mod status;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

pub use fault::{Fault, Side};

/// Most connections that the proxy holds at the same time; more wait in the listener's backlog.
pub const CONNECTIONS_MAX: usize = 4_096;
/// Connections that may wait to be accepted.
const BACKLOG: u32 = 1_024;
/// Wait before a port that somebody else took in the meantime is tried again.
const AGAIN_AFTER: Duration = Duration::from_millis(10);

/// What went through a proxy since it was started.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Traffic {
    /// Connections accepted.
    pub connections: u64,
    /// Bytes that clients sent and the proxy passed on.
    pub bytes_to_server: u64,
    /// Bytes that the server sent and the proxy passed on.
    pub bytes_to_client: u64,
}

#[derive(Default)]
struct Counters {
    connections: AtomicU64,
    to_server: AtomicU64,
    to_client: AtomicU64,
}

/// A running proxy on a free port of the loopback interface. It ends when it is dropped.
pub struct FaultProxy {
    address: SocketAddr,
    fault: watch::Sender<Fault>,
    listens: watch::Receiver<bool>,
    counters: Arc<Counters>,
    task: JoinHandle<()>,
}

impl FaultProxy {
    /// Starts a proxy to `server` without a fault.
    ///
    /// # Errors
    /// When no port can be had.
    pub async fn start(server: SocketAddr) -> io::Result<Self> {
        let listener = bound(SocketAddr::from(([127, 0, 0, 1], 0)))?.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let (fault, watched) = watch::channel(Fault::None);
        let (listening, listens) = watch::channel(true);
        let counters = Arc::new(Counters::default());
        let proxy = Proxy {
            address,
            server,
            fault: watched,
            listening,
            counters: Arc::clone(&counters),
        };
        let task = tokio::spawn(proxy.run(listener));
        Ok(Self {
            address,
            fault,
            listens,
            counters,
            task,
        })
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on the network behaves like this, on open connections, too.
    pub fn set(&self, fault: Fault) {
        self.fault.send_replace(fault);
    }

    /// Waits until the port is open, or where connections are to be refused until it is closed and all that were open are reset: a
    /// busy machine takes its time.
    pub async fn in_force(&self) {
        let mut listens = self.listens.clone();
        let is_open = |open: &bool| *open != matches!(*self.fault.borrow(), Fault::Refuse);
        // It ends with the proxy, which is there.
        let _ = listens.wait_for(is_open).await;
    }

    /// Ends every fault.
    pub fn heal(&self) {
        self.set(Fault::None);
    }

    /// What went through so far.
    pub fn traffic(&self) -> Traffic {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Traffic {
            connections: read(&self.counters.connections),
            bytes_to_server: read(&self.counters.to_server),
            bytes_to_client: read(&self.counters.to_client),
        }
    }
}

impl Drop for FaultProxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What runs in the background. Its connections are owned by it and end with it.
struct Proxy {
    address: SocketAddr,
    server: SocketAddr,
    fault: watch::Receiver<Fault>,
    /// Whether the port is open.
    listening: watch::Sender<bool>,
    counters: Arc<Counters>,
}

impl Proxy {
    async fn run(mut self, listener: TcpListener) {
        let mut listener = Some(listener);
        let mut kept = None;
        let mut open = JoinSet::new();
        loop {
            let refuses = matches!(*self.fault.borrow_and_update(), Fault::Refuse);
            if refuses {
                // A closed port is what refuses; an accepted connection that is reset is something else.
                if listener.take().is_some() {
                    // Bound it stays ours: a client that keeps trying could be given it as its own port.
                    kept = bound(self.address).ok();
                }
            } else if listener.is_none() {
                let socket = kept.take().map_or_else(|| bound(self.address), Ok);
                listener = socket.and_then(|socket| socket.listen(BACKLOG)).ok();
            }
            // As long as an old connection is there it is not closed.
            let is_open = listener.is_some() || refuses && !open.is_empty();
            self.listening.send_replace(is_open);
            let lost = !refuses && listener.is_none();
            tokio::select! {
                changed = self.fault.changed() => if changed.is_err() { return },
                () = sleep(AGAIN_AFTER), if lost => {}
                Some(_) = open.join_next() => {}
                accepted = accept(listener.as_ref()), if open.len() < CONNECTIONS_MAX => {
                    if let Some(client) = accepted {
                        self.counters.connections.fetch_add(1, Ordering::Relaxed);
                        open.spawn(self.serve(client));
                    }
                }
            }
        }
    }

    fn serve(&self, client: TcpStream) -> impl Future<Output = ()> + Send + use<> {
        let (server, fault) = (self.server, self.fault.clone());
        let counters = Arc::clone(&self.counters);
        async move {
            let now = fault.borrow().clone();
            match now {
                Fault::Status { .. } => status::serve(client, fault).await,
                _ => relay::serve(client, server, fault, &counters).await,
            }
        }
    }
}

async fn accept(listener: Option<&TcpListener>) -> Option<TcpStream> {
    match listener {
        Some(listener) => listener.accept().await.ok().map(|(client, _)| client),
        None => std::future::pending().await,
    }
}

/// A socket at an address that may have been in use a moment ago. It refuses connections until it listens.
fn bound(address: SocketAddr) -> io::Result<TcpSocket> {
    let socket = TcpSocket::new_v4()?;
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    Ok(socket)
}
