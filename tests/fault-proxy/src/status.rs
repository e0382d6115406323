//! Answers HTTP requests in the server's place.

use bytes::Bytes;
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_TYPE, RETRY_AFTER};
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;

use crate::Fault;

/// Most bytes of a request that are read before it is answered.
const BODY_MAX_BYTES: usize = 64 << 20;

/// Answers every request on `client` until the fault is another one.
pub(crate) async fn serve(client: TcpStream, mut fault: watch::Receiver<Fault>) {
    let answers = fault.clone();
    let service = service_fn(move |request| answer(request, answers.borrow().clone()));
    let connection =
        hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(client), service);
    tokio::pin!(connection);
    let other = fault.wait_for(|fault| !matches!(fault, Fault::Status { .. }));
    tokio::select! {
        _ = &mut connection => return,
        _ = other => {}
    }
    // A client that keeps the connection must meet the new fault.
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

async fn answer(
    request: Request<Incoming>,
    fault: Fault,
) -> Result<Response<Full<Bytes>>, std::convert::Infallible> {
    // Read to the end, or the client may see a reset instead of the answer.
    let _ = Limited::new(request.into_body(), BODY_MAX_BYTES)
        .collect()
        .await;
    let (code, retry_after, body) = match fault {
        Fault::Status {
            code,
            retry_after,
            body,
        } => (code, retry_after, body),
        _ => (503, None, String::new()),
    };
    let kind = match body.as_bytes().first() {
        Some(b'{' | b'[') => "application/json",
        Some(b'<') => "application/xml",
        _ => "text/plain",
    };
    let mut response = Response::new(Full::new(Bytes::from(body)));
    *response.status_mut() = StatusCode::from_u16(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static(kind));
    if let Some(seconds) = retry_after {
        headers.insert(RETRY_AFTER, seconds.into());
    }
    Ok(response)
}
