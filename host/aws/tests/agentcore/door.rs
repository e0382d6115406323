//! A door before AgentCore: it holds one request back until the test lets it go on, or its answer. So a test says in which order
//! things happen that a network only rarely lets happen in that order.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, JoinSet};

/// Most bytes of a request or of a piece of an answer.
const REQUEST_MAX_BYTES: usize = 1 << 20;

/// What is held.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// `CreateEvent`.
    Event,
    /// `ListEvents`.
    Listing,
}

/// The next request of a kind is held for whoever waits for it.
type Wanted = Arc<Mutex<Option<(Kind, oneshot::Sender<Held>)>>>;

/// A server behind a door on a free port of the loopback interface. It ends when it is dropped.
pub(crate) struct Door {
    address: SocketAddr,
    wanted: Wanted,
    task: JoinHandle<()>,
}

impl Door {
    pub(crate) async fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let wanted = Wanted::default();
        let task = tokio::spawn(accept(listener, server, Arc::clone(&wanted)));
        Self {
            address,
            wanted,
            task,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Holds the next request of that kind. The answer comes when it is there.
    pub(crate) fn holds(&self, kind: Kind) -> oneshot::Receiver<Held> {
        let (sender, receiver) = oneshot::channel();
        *self.wanted.lock().unwrap() = Some((kind, sender));
        receiver
    }
}

impl Drop for Door {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A request that did not pass.
#[derive(Debug)]
pub(crate) struct Held {
    request: Vec<u8>,
    server: SocketAddr,
    wanted: Wanted,
    /// Who sent it, as long as an answer is to come.
    client: Option<TcpStream>,
    /// The server, once it has the request, and what it answered so far.
    answer: Option<(TcpStream, Vec<u8>)>,
}

impl Held {
    /// Its sender hears that the connection is reset.
    pub(crate) fn cut(&mut self) {
        self.client.take().unwrap().set_zero_linger().unwrap();
    }

    /// Has it reach the server. When this returns the server has done what it asks for; nobody else has heard of it.
    pub(crate) async fn land(&mut self) {
        let mut server = TcpStream::connect(self.server).await.unwrap();
        server.write_all(&self.request).await.unwrap();
        let mut piece = vec![0; REQUEST_MAX_BYTES];
        let read = server.read(&mut piece).await.unwrap();
        piece.truncate(read);
        assert!(piece.starts_with(b"HTTP/1.1 2"), "it was refused");
        self.answer = Some((server, piece));
    }

    /// Lets the answer pass, and whatever follows on the connection.
    pub(crate) async fn answer(mut self) {
        if self.answer.is_none() {
            self.land().await;
        }
        let (server, piece) = self.answer.take().unwrap();
        let mut client = self.client.take().unwrap();
        client.write_all(&piece).await.unwrap();
        tokio::spawn(serve(client, server, self.wanted));
    }
}

async fn accept(listener: TcpListener, server: SocketAddr, wanted: Wanted) {
    let mut open = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let upstream = TcpStream::connect(server).await.unwrap();
        open.spawn(serve(client, upstream, Arc::clone(&wanted)));
    }
}

/// Passes the rest of an answer, and then one request after the other with its answer, until one is wanted.
async fn serve(mut client: TcpStream, mut upstream: TcpStream, wanted: Wanted) -> Option<()> {
    let server = upstream.peer_addr().ok()?;
    let mut piece = vec![0; REQUEST_MAX_BYTES];
    loop {
        tokio::select! {
            read = upstream.read(&mut piece) => match read {
                Ok(0) | Err(_) => return None,
                Ok(read) => client.write_all(&piece[..read]).await.ok()?,
            },
            // Nothing is sent before the answer is whole.
            ready = client.readable() => {
                ready.ok()?;
                let request = next(&mut client).await?;
                let Some(holder) = claim(&wanted, &request) else {
                    upstream.write_all(&request).await.ok()?;
                    continue;
                };
                let held = Held {
                    request,
                    server,
                    wanted: Arc::clone(&wanted),
                    client: Some(client),
                    answer: None,
                };
                return holder.send(held).ok();
            }
        }
    }
}

fn claim(wanted: &Wanted, request: &[u8]) -> Option<oneshot::Sender<Held>> {
    let mut wanted = wanted.lock().unwrap();
    let kind = kind(request);
    wanted
        .take_if(|(wanted, _)| Some(*wanted) == kind)
        .map(|(_, holder)| holder)
}

fn kind(request: &[u8]) -> Option<Kind> {
    let line = request.split(|byte| *byte == b'\r').next()?;
    let path = std::str::from_utf8(line).ok()?.strip_prefix("POST ")?;
    let path = path.split([' ', '?']).next()?.trim_end_matches('/');
    match path.split('/').collect::<Vec<_>>()[..] {
        ["", "memories", _, "events"] => Some(Kind::Event),
        ["", "memories", _, "actor", _, "sessions", _] => Some(Kind::Listing),
        _ => None,
    }
}

/// One request with its body; none when the client has nothing more to send.
async fn next(client: &mut TcpStream) -> Option<Vec<u8>> {
    let mut request = Vec::new();
    let whole = loop {
        if let Some(whole) = length(&request) {
            break whole;
        }
        read_on(client, &mut request).await?;
    };
    while request.len() < whole {
        read_on(client, &mut request).await?;
    }
    Some(request)
}

async fn read_on(client: &mut TcpStream, request: &mut Vec<u8>) -> Option<()> {
    assert!(request.len() < REQUEST_MAX_BYTES, "a request is too long");
    let read = client.read_buf(request).await.ok()?;
    (read > 0).then_some(())
}

/// How long a request is, once its head is there.
fn length(request: &[u8]) -> Option<usize> {
    let head = request.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let text = String::from_utf8_lossy(&request[..head]).to_ascii_lowercase();
    let body = text
        .lines()
        .find_map(|line| line.strip_prefix("content-length:")?.trim().parse().ok());
    Some(head + body.unwrap_or(0))
}
