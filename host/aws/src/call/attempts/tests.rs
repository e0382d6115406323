//! Requests to a server that fails in its own way for each attempt.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use stuga_core::{ErrorKind, Result};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::super::call_until;
use crate::clients::{AccessKeys, Clients};
use crate::config::{AwsConfig, Endpoints};

/// What happens to an attempt.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Fate {
    /// The port is closed, from here on.
    Refused,
    /// The request is read and the connection closed.
    Unanswered,
    /// The connection is closed in the middle of the answer.
    Cut,
    /// An answer without a body.
    Status(u16),
}

use Fate::{Cut, Refused, Status, Unanswered};

/// A server with one connection for each attempt.
async fn serve(fates: &[Fate]) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let mut fates: VecDeque<Fate> = fates.iter().copied().collect();
    if fates.front() == Some(&Refused) {
        return address;
    }
    let mut listener = Some(listener);
    tokio::spawn(async move {
        while let (Some(fate), Some(open)) = (fates.pop_front(), &listener) {
            let (mut client, _) = open.accept().await.unwrap();
            if fates.front() == Some(&Refused) {
                listener = None;
            }
            let (mut request, mut piece) = (Vec::new(), [0; 4096]);
            while !request.windows(4).any(|end| end == b"\r\n\r\n") {
                let count = client.read(&mut piece).await.unwrap();
                request.extend_from_slice(&piece[..count]);
            }
            let answer = match fate {
                Refused | Unanswered => String::new(),
                Cut => "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n<a".to_owned(),
                Status(code) => format!(
                    "HTTP/1.1 {code} Word\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
                ),
            };
            client.write_all(answer.as_bytes()).await.unwrap();
            client.shutdown().await.ok();
        }
    });
    address
}

fn clients(address: SocketAddr, max_attempts: u32) -> Clients {
    let config = AwsConfig {
        region: "eu-north-1".to_owned(),
        endpoints: Endpoints {
            all: Some(format!("http://{address}")),
            ..Endpoints::default()
        },
        max_attempts,
        ..AwsConfig::default()
    };
    let keys = AccessKeys {
        id: "test".to_owned(),
        secret: "test".into(),
        session_token: None,
    };
    Clients::new(Arc::new(config), Some(keys))
}

fn deadline() -> Instant {
    Instant::now() + Duration::from_secs(60)
}

/// Creates a queue, which changes something and has its answer read.
async fn create(fates: &[Fate]) -> Result<()> {
    let clients = clients(serve(fates).await, fates.len() as u32);
    let create = clients.host().sqs().create_queue().queue_name("q");
    call_until(deadline(), "test.create", create.send())
        .await
        .map(drop)
}

/// Looks for one.
async fn find(fates: &[Fate]) -> Result<()> {
    let clients = clients(serve(fates).await, fates.len() as u32);
    let find = clients.host().sqs().get_queue_url().queue_name("q");
    call_until(deadline(), "test.find", find.send())
        .await
        .map(drop)
}

#[tokio::test]
async fn a_change_that_was_sent_and_not_answered_may_have_landed() {
    for fates in [
        &[Unanswered][..],
        &[Cut],
        &[Status(500)],
        &[Status(502)],
        &[Status(504)],
        // Whatever is said of the attempts after it.
        &[Unanswered, Refused],
        &[Unanswered, Status(503)],
        &[Status(503), Unanswered],
    ] {
        let error = create(fates).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Timeout, "{fates:?}: {error:?}");
        assert!(error.causes().contains("sqs:CreateQueue"), "{error:?}");
    }
}

#[tokio::test]
async fn a_change_that_was_not_sent_or_was_refused_has_not_landed() {
    for fates in [
        &[Refused][..],
        &[Status(503)],
        &[Status(429)],
        &[Status(403)],
        &[Status(503), Refused],
    ] {
        let error = create(fates).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{fates:?}: {error:?}");
    }
}

#[tokio::test]
async fn a_refusal_after_an_attempt_in_doubt_stays_what_it_is() {
    let error = create(&[Unanswered, Status(412)]).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Conflict, "{error:?}");
}

#[tokio::test]
async fn of_what_only_reads_nothing_can_have_landed() {
    for fates in [&[Unanswered][..], &[Cut], &[Status(500)], &[Refused]] {
        let error = find(fates).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{fates:?}: {error:?}");
    }
}
