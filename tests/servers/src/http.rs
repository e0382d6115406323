//! The HTTP requests that tell whether a server can be asked, and that ask what is its own and no service of AWS.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(5);
/// Most bytes that are read of it.
const ANSWER_MAX_BYTES: u64 = 64 << 10;

/// The status and the text of a GET; none when there is no answer.
pub fn get(address: SocketAddr, path: &str) -> Option<(u16, String)> {
    ask(address, "GET", path)
}

/// The status and the text of a request without a body; none when there is no answer.
pub(crate) fn ask(address: SocketAddr, method: &str, path: &str) -> Option<(u16, String)> {
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE).ok()?;
    stream.set_read_timeout(Some(PATIENCE)).ok()?;
    stream.set_write_timeout(Some(PATIENCE)).ok()?;
    // Servers that have pages for people as well are asked for what programs read.
    let request = format!(
        "{method} {path} HTTP/1.0\r\nHost: {address}\r\nAccept: application/json\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).ok()?;
    let mut answer = Vec::new();
    stream
        .take(ANSWER_MAX_BYTES)
        .read_to_end(&mut answer)
        .ok()?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1)?.parse().ok()?;
    let body = answer.split_once("\r\n\r\n").map(|(_, body)| body);
    Some((status, body.unwrap_or_default().to_owned()))
}
