//! A gate before a domain: it counts and keeps every request, and fails the one that it is told to.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fate {
    /// It is passed on, and so is the answer.
    Pass,
    /// The connection ends before the domain sees it.
    Lost,
    /// The domain does it, and the connection ends before the answer.
    Unanswered,
    /// The gate answers with this status.
    Status(u16),
    /// Nobody ever answers.
    Silence,
}

/// A request as it went through.
#[derive(Clone, Debug)]
pub(crate) struct Seen {
    pub(crate) path: String,
    pub(crate) body: String,
    pub(crate) authorization: Option<String>,
}

type Decide = Box<dyn Fn(usize, &Seen) -> Fate + Send + Sync>;

struct Rules {
    seen: Vec<Seen>,
    decide: Decide,
}

/// A running gate. It ends when it is dropped.
pub(crate) struct Gate {
    address: SocketAddr,
    rules: Arc<Mutex<Rules>>,
    task: JoinHandle<()>,
}

impl Gate {
    /// A gate before `domain` that lets everything through.
    pub(crate) async fn before(domain: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let rules = Arc::new(Mutex::new(Rules {
            seen: Vec::new(),
            decide: Box::new(|_, _| Fate::Pass),
        }));
        let task = tokio::spawn(listen(listener, domain, Arc::clone(&rules)));
        Self {
            address,
            rules,
            task,
        }
    }

    pub(crate) fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// From now on `decide` says what becomes of each request, by its number from 0 on. What was seen before is forgotten.
    pub(crate) fn set(&self, decide: impl Fn(usize, &Seen) -> Fate + Send + Sync + 'static) {
        *self.rules.lock().unwrap() = Rules {
            seen: Vec::new(),
            decide: Box::new(decide),
        };
    }

    /// What came since [`Gate::set`].
    pub(crate) fn seen(&self) -> Vec<Seen> {
        self.rules.lock().unwrap().seen.clone()
    }
}

impl Drop for Gate {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn listen(listener: TcpListener, domain: SocketAddr, rules: Arc<Mutex<Rules>>) {
    let client = reqwest::Client::builder().no_proxy().build().unwrap();
    let mut open = tokio::task::JoinSet::new();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        open.spawn(serve(stream, domain, client.clone(), Arc::clone(&rules)));
    }
}

async fn serve(
    stream: TcpStream,
    domain: SocketAddr,
    client: reqwest::Client,
    rules: Arc<Mutex<Rules>>,
) {
    let service = service_fn(|request| pass(request, domain, &client, &rules));
    let http = hyper::server::conn::http1::Builder::new();
    // An error of the service ends the connection without an answer.
    let _ = http.serve_connection(TokioIo::new(stream), service).await;
}

#[derive(Debug)]
struct Ended;

impl std::fmt::Display for Ended {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("the gate ends the connection")
    }
}

impl std::error::Error for Ended {}

async fn pass(
    request: Request<Incoming>,
    domain: SocketAddr,
    client: &reqwest::Client,
    rules: &Mutex<Rules>,
) -> Result<Response<Full<Bytes>>, Ended> {
    let (head, body) = request.into_parts();
    let body = body.collect().await.map_err(|_| Ended)?.to_bytes();
    let path = head.uri.path_and_query().unwrap().to_string();
    let authorization = head.headers.get("authorization");
    let authorization = authorization.map(|value| value.to_str().unwrap().to_owned());
    let fate = {
        let mut rules = rules.lock().unwrap();
        let seen = Seen {
            path: path.clone(),
            body: String::from_utf8_lossy(&body).into_owned(),
            authorization,
        };
        let fate = (rules.decide)(rules.seen.len(), &seen);
        rules.seen.push(seen);
        fate
    };
    match fate {
        Fate::Lost => return Err(Ended),
        Fate::Silence => std::future::pending::<()>().await,
        Fate::Status(status) => {
            let mut response = Response::new(Full::new(Bytes::new()));
            *response.status_mut() = StatusCode::from_u16(status).unwrap();
            return Ok(response);
        }
        Fate::Pass | Fate::Unanswered => {}
    };
    let url = format!("http://{domain}{path}");
    let mut onward = client.request(head.method, url).body(body);
    if let Some(kind) = head.headers.get("content-type") {
        onward = onward.header("content-type", kind);
    }
    let answer = onward.send().await.map_err(|_| Ended)?;
    let status = answer.status();
    let body = answer.bytes().await.map_err(|_| Ended)?;
    if fate == Fate::Unanswered {
        return Err(Ended);
    }
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert("content-type", json);
    Ok(response)
}
