//! Passes bytes between a client and the server, as the fault of the moment lets them.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::{Counters, Fault, Side};

/// Largest piece that is passed on at once.
const PIECE_MAX_BYTES: usize = 64 << 10;

/// How a direction ended.
enum End {
    /// The sender has closed its side, and the receiver knows.
    Closed,
    /// The connection is to be reset.
    Reset,
}

/// Relays one connection to its end.
pub(crate) async fn serve(
    client: TcpStream,
    server: std::net::SocketAddr,
    mut fault: watch::Receiver<Fault>,
    counters: &Counters,
) {
    // Into a black hole no connection to the server is made before it heals.
    let Some(()) = until_it_passes(&mut fault).await else {
        return reset(client);
    };
    let Ok(upstream) = TcpStream::connect(server).await else {
        return reset(client);
    };
    let _ = (client.set_nodelay(true), upstream.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = upstream.into_split();
    let mut up = Direction {
        from: Side::Client,
        reader: from_client,
        writer: to_server,
        fault: fault.clone(),
        passed: &counters.to_server,
    };
    let mut down = Direction {
        from: Side::Server,
        reader: from_server,
        writer: to_client,
        fault,
        passed: &counters.to_client,
    };
    let ended = {
        let (sent, received) = (up.run(), down.run());
        tokio::pin!(sent, received);
        tokio::select! {
            // A client that has sent all may still wait for the answer.
            end = &mut sent => match end {
                End::Closed => received.await,
                End::Reset => End::Reset,
            },
            end = &mut received => match end {
                End::Closed => sent.await,
                End::Reset => End::Reset,
            },
        }
    };
    if matches!(ended, End::Reset) {
        for (reader, writer) in [(up.reader, down.writer), (down.reader, up.writer)] {
            if let Ok(stream) = reader.reunite(writer) {
                reset(stream);
            }
        }
    }
}

/// Waits while nothing passes; none when the connection is to be reset instead.
async fn until_it_passes(fault: &mut watch::Receiver<Fault>) -> Option<()> {
    let waited = fault
        .wait_for(|fault| !matches!(fault, Fault::BlackHole))
        .await;
    match waited.as_deref() {
        Ok(Fault::Refuse | Fault::Status { .. }) | Err(_) => None,
        Ok(_) => Some(()),
    }
}

struct Direction<'c> {
    from: Side,
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
    fault: watch::Receiver<Fault>,
    passed: &'c AtomicU64,
}

impl Direction<'_> {
    async fn run(&mut self) -> End {
        let mut buffer = vec![0; PIECE_MAX_BYTES];
        let mut left = self.allowance();
        loop {
            tokio::select! {
                changed = self.fault.changed() => {
                    if changed.is_err() || self.resets() {
                        return End::Reset;
                    }
                    left = self.allowance();
                }
                read = self.reader.read(&mut buffer) => {
                    let piece = match read {
                        Ok(0) => return self.close().await,
                        Ok(n) => buffer.get(..n).unwrap_or_default(),
                        Err(_) => return End::Reset,
                    };
                    if self.pass(piece, &mut left).await.is_none() {
                        return End::Reset;
                    }
                }
            }
        }
    }

    /// Passes a piece on under the fault of the moment; none when the connection is to be reset.
    async fn pass(&mut self, mut piece: &[u8], left: &mut Option<u64>) -> Option<()> {
        loop {
            until_it_passes(&mut self.fault).await?;
            let fault = self.fault.borrow().clone();
            match fault {
                Fault::Delay(by) => sleep(by).await,
                Fault::Rate(per_second) => {
                    let seconds = piece.len() as f64 / f64::from(per_second.max(1));
                    sleep(Duration::from_secs_f64(seconds)).await;
                }
                _ => {}
            }
            let len = left.map_or(piece.len(), |left| {
                piece.len().min(usize::try_from(left).unwrap_or(usize::MAX))
            });
            let (now, later) = piece.split_at_checked(len)?;
            self.writer.write_all(now).await.ok()?;
            self.passed.fetch_add(len as u64, Ordering::Relaxed);
            *left = left.map(|left| left.saturating_sub(len as u64));
            if *left == Some(0) {
                self.until_it_goes_on().await?;
                *left = self.allowance();
            }
            if later.is_empty() {
                return Some(());
            }
            piece = later;
        }
    }

    /// Waits while what is over stays here; none when the connection is to be reset.
    async fn until_it_goes_on(&mut self) -> Option<()> {
        let from = self.from;
        let stalls =
            |fault: &Fault| matches!(fault, Fault::Stall { from: side, .. } if *side == from);
        if !stalls(&self.fault.borrow()) {
            return None;
        }
        let waited = self.fault.wait_for(|fault| !stalls(fault)).await;
        match waited.as_deref() {
            Ok(Fault::Refuse | Fault::Status { .. }) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }

    /// Tells the receiver that nothing more comes, as soon as anything passes.
    async fn close(&mut self) -> End {
        if until_it_passes(&mut self.fault).await.is_none() {
            return End::Reset;
        }
        let _ = self.writer.shutdown().await;
        End::Closed
    }

    /// How many bytes of this direction still pass; none for any number.
    fn allowance(&self) -> Option<u64> {
        match *self.fault.borrow() {
            Fault::Cut { from, after } | Fault::Stall { from, after } if from == self.from => {
                Some(after)
            }
            _ => None,
        }
    }

    fn resets(&self) -> bool {
        matches!(*self.fault.borrow(), Fault::Refuse | Fault::Status { .. })
    }
}

/// Ends a connection so that the other side sees a reset and no orderly end.
pub(crate) fn reset(stream: TcpStream) {
    let _ = stream.set_zero_linger();
    drop(stream);
}
