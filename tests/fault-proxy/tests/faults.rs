//! Every fault as a client meets it, on new connections and on open ones.
#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::time::Duration;

use stuga_fault_proxy::{Fault, FaultProxy, Side};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::{Instant, timeout};

/// Long enough for what must come, never waited for in full when all is well.
const PATIENCE: Duration = Duration::from_secs(20);
/// How long nothing must come before a test believes that nothing does.
const SILENCE: Duration = Duration::from_millis(100);

/// A server that says everything back.
async fn echo() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(async move {
                let (mut reader, mut writer) = stream.into_split();
                let _ = tokio::io::copy(&mut reader, &mut writer).await;
            });
        }
    });
    address
}

async fn proxy() -> FaultProxy {
    FaultProxy::start(echo().await).await.unwrap()
}

async fn connect(proxy: &FaultProxy) -> TcpStream {
    TcpStream::connect(proxy.address()).await.unwrap()
}

/// Sends `text` and reads as much back.
async fn ask(stream: &mut TcpStream, text: &[u8]) -> std::io::Result<Vec<u8>> {
    stream.write_all(text).await?;
    let mut back = vec![0; text.len()];
    timeout(PATIENCE, stream.read_exact(&mut back))
        .await
        .unwrap()?;
    Ok(back)
}

fn is_reset(error: &std::io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::ConnectionReset | ErrorKind::BrokenPipe | ErrorKind::UnexpectedEof
    )
}

#[tokio::test]
async fn without_a_fault_everything_passes_and_is_counted() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    let large = vec![7; 1 << 20];
    let (mut reader, mut writer) = stream.split();
    let mut back = Vec::new();
    let send = async {
        writer.write_all(&large).await.unwrap();
        writer.shutdown().await.unwrap();
    };
    let (_, read) = tokio::join!(send, timeout(PATIENCE, reader.read_to_end(&mut back)));
    read.unwrap().unwrap();
    assert_eq!(back, large);
    let traffic = proxy.traffic();
    assert_eq!(
        (
            traffic.connections,
            traffic.bytes_to_server,
            traffic.bytes_to_client
        ),
        (1, 1 << 20, 1 << 20)
    );
}

#[tokio::test]
async fn a_refused_port_is_closed_until_it_heals_and_open_connections_are_reset() {
    let proxy = proxy().await;
    let mut open = connect(&proxy).await;
    assert_eq!(ask(&mut open, b"hello").await.unwrap(), b"hello");
    proxy.set(Fault::Refuse);
    let mut byte = [0];
    let lost = timeout(PATIENCE, open.read_exact(&mut byte)).await.unwrap();
    assert!(is_reset(&lost.unwrap_err()));
    timeout(PATIENCE, proxy.in_force()).await.unwrap();
    let refused = TcpStream::connect(proxy.address()).await.unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::ConnectionRefused);
    proxy.heal();
    timeout(PATIENCE, proxy.in_force()).await.unwrap();
    let mut again = connect(&proxy).await;
    assert_eq!(ask(&mut again, b"back").await.unwrap(), b"back");
}

#[tokio::test]
async fn into_a_black_hole_nothing_passes_and_afterwards_nothing_is_missing() {
    let proxy = proxy().await;
    let mut open = connect(&proxy).await;
    ask(&mut open, b"before").await.unwrap();
    proxy.set(Fault::BlackHole);
    let mut new = connect(&proxy).await;
    for stream in [&mut open, &mut new] {
        stream.write_all(b"lost?").await.unwrap();
        let mut back = [0; 5];
        assert!(
            timeout(SILENCE, stream.read_exact(&mut back))
                .await
                .is_err()
        );
    }
    proxy.heal();
    for stream in [&mut open, &mut new] {
        let mut back = [0; 5];
        timeout(PATIENCE, stream.read_exact(&mut back))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(&back, b"lost?");
    }
}

#[tokio::test]
async fn a_delay_holds_each_direction_back() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    proxy.set(Fault::Delay(Duration::from_millis(50)));
    let began = Instant::now();
    ask(&mut stream, b"slow").await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(100));
}

#[tokio::test]
async fn a_rate_stretches_what_passes() {
    let proxy = proxy().await;
    proxy.set(Fault::Rate(10_000));
    let mut stream = connect(&proxy).await;
    let began = Instant::now();
    ask(&mut stream, &[1; 1_000]).await.unwrap();
    assert!(began.elapsed() >= Duration::from_millis(200));
}

#[tokio::test]
async fn a_cut_lets_exactly_so_many_bytes_pass() {
    let proxy = proxy().await;
    proxy.set(Fault::Cut {
        from: Side::Client,
        after: 3,
    });
    let mut stream = connect(&proxy).await;
    stream.write_all(b"abcdef").await.unwrap();
    let mut back = Vec::new();
    let ended = timeout(PATIENCE, stream.read_to_end(&mut back))
        .await
        .unwrap();
    assert!(ended.is_err() || back.len() < 6, "it was not cut");
    assert_eq!(proxy.traffic().bytes_to_server, 3);
}

#[tokio::test]
async fn a_cut_of_the_answer_comes_in_the_middle_of_it() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    ask(&mut stream, b"whole").await.unwrap();
    proxy.set(Fault::Cut {
        from: Side::Server,
        after: 4,
    });
    let cut = ask(&mut stream, b"0123456789").await;
    assert!(is_reset(&cut.unwrap_err()));
    assert_eq!(proxy.traffic().bytes_to_client, 5 + 4);
}

#[tokio::test]
async fn a_stall_comes_in_the_middle_and_what_it_held_back_passes_when_it_ends() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    proxy.set(Fault::Stall {
        from: Side::Server,
        after: 4,
    });
    stream.write_all(b"0123456789").await.unwrap();
    let mut back = [0; 10];
    let (begin, rest) = back.split_at_mut(4);
    let read = timeout(PATIENCE, stream.read_exact(begin)).await.unwrap();
    read.unwrap();
    assert!(timeout(SILENCE, stream.read(rest)).await.is_err());
    proxy.heal();
    let read = timeout(PATIENCE, stream.read_exact(rest)).await.unwrap();
    read.unwrap();
    assert_eq!(&back, b"0123456789");
    assert_eq!(ask(&mut stream, b"again").await.unwrap(), b"again");
}

#[tokio::test]
async fn a_status_is_answered_to_every_request_without_the_server() {
    let proxy = proxy().await;
    proxy.set(Fault::Status {
        code: 429,
        retry_after: Some(7),
        body: "{\"message\":\"slow down\"}".to_owned(),
    });
    let mut stream = connect(&proxy).await;
    for _ in 0..2 {
        let request = b"POST /x HTTP/1.1\r\nhost: a\r\ncontent-length: 2\r\n\r\nhi";
        stream.write_all(request).await.unwrap();
        let mut answer = Vec::new();
        while !answer.ends_with(b"down\"}") {
            let mut piece = [0; 512];
            let read = timeout(PATIENCE, stream.read(&mut piece)).await.unwrap();
            let read = read.unwrap();
            assert!(
                read > 0,
                "closed after {}",
                String::from_utf8_lossy(&answer)
            );
            answer.extend_from_slice(&piece[..read]);
        }
        let answer = String::from_utf8(answer).unwrap().to_lowercase();
        assert!(answer.starts_with("http/1.1 429"), "{answer}");
        assert!(answer.contains("retry-after: 7"), "{answer}");
        assert!(answer.contains("application/json"), "{answer}");
    }
    assert_eq!(proxy.traffic().bytes_to_server, 0);
    // A kept connection must not keep the fault.
    proxy.heal();
    let mut rest = Vec::new();
    timeout(PATIENCE, stream.read_to_end(&mut rest))
        .await
        .unwrap()
        .unwrap();
    let mut healed = connect(&proxy).await;
    assert_eq!(ask(&mut healed, b"hello").await.unwrap(), b"hello");
}

#[tokio::test]
async fn a_dropped_proxy_ends_with_its_connections() {
    let proxy = proxy().await;
    let mut stream = connect(&proxy).await;
    ask(&mut stream, b"x").await.unwrap();
    drop(proxy);
    let mut byte = [0];
    let ended = timeout(PATIENCE, stream.read(&mut byte)).await.unwrap();
    assert!(matches!(ended, Ok(0) | Err(_)));
}
