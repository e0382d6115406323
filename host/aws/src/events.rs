//! Events of the host on EventBridge: that a capability failed over or recovered, that a plugin was deployed, that a tenant
//! reached a limit.
//!
//! Publishing waits for nobody: events lie in a queue of bounded length and go out in batches, once each. What does not fit or
//! is refused is counted and dropped; nothing of the host depends on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use aws_sdk_eventbridge::types::PutEventsRequestEntry;
use aws_smithy_types::DateTime;
use serde_json::Value;
use stuga_core::{TenantId, Timestamp};
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::Shared;
use crate::call::call_until;
use crate::config::EventsConfig;

const OPERATION: &str = "events.publish";
/// Most events that wait.
pub const EVENTS_MAX: usize = 1_024;
/// Most events of one request.
const BATCH_MAX: usize = 10;
/// Longest detail of an event in bytes; EventBridge takes 256 KiB for all of a request.
const DETAIL_MAX_BYTES: usize = 16 << 10;
/// Longest wait for one answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// What happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum EventKind {
    /// A capability is served by this host and not by AWS.
    Failover,
    /// A capability is served by AWS again.
    Recovery,
    /// A tenant runs another version of a plugin.
    Deploy,
    /// A tenant reached a limit.
    Quota,
}

impl EventKind {
    /// The `detail-type` of the event.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Failover => "Stuga Failover",
            Self::Recovery => "Stuga Recovery",
            Self::Deploy => "Stuga Deploy",
            Self::Quota => "Stuga Quota",
        }
    }
}

/// One event.
#[derive(Clone, PartialEq, Debug)]
pub struct HostEvent {
    /// What happened.
    pub kind: EventKind,
    /// Whose affair it is; none for the host's own.
    pub tenant: Option<TenantId>,
    /// When.
    pub at: Timestamp,
    /// The rest, a JSON object of at most 16 KiB; it must hold no secret.
    pub detail: Value,
}

/// Publishes events. Cheap to clone.
#[derive(Clone)]
pub struct EventPublisher {
    queue: mpsc::Sender<HostEvent>,
    counts: Arc<Counts>,
    closing: CancellationToken,
    task: Arc<Mutex<Option<JoinHandle<()>>>>,
}

#[derive(Default)]
struct Counts {
    published: AtomicU64,
    dropped: AtomicU64,
}

impl EventPublisher {
    /// Starts the task that sends; it ends when the last publisher is dropped, or with [`EventPublisher::close`].
    pub(crate) fn start(shared: Arc<Shared>, config: EventsConfig) -> Self {
        let (queue, waiting) = mpsc::channel(EVENTS_MAX);
        let counts = Arc::new(Counts::default());
        let sender = Sender {
            shared,
            config,
            counts: Arc::clone(&counts),
        };
        let closing = CancellationToken::new();
        let task = tokio::spawn(sender.run(waiting, closing.clone()));
        Self {
            queue,
            counts,
            closing,
            task: Arc::new(Mutex::new(Some(task))),
        }
    }

    /// Leaves an event to be sent and returns at once. One that does not fit is dropped and counted.
    pub fn publish(&self, event: HostEvent) {
        if self.queue.try_send(event).is_err() {
            self.counts.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Events that EventBridge has taken.
    pub fn published(&self) -> u64 {
        self.counts.published.load(Ordering::Relaxed)
    }

    /// Events that were lost: too many waited, or EventBridge did not take them.
    pub fn dropped(&self) -> u64 {
        self.counts.dropped.load(Ordering::Relaxed)
    }

    /// Sends what waits, then ends. What any clone publishes after that is dropped.
    pub async fn close(&self) {
        self.closing.cancel();
        if let Some(task) = self.task.lock().await.take()
            && let Err(error) = task.await
        {
            tracing::error!(%error, "the sender of events died");
        }
    }
}

struct Sender {
    shared: Arc<Shared>,
    config: EventsConfig,
    counts: Arc<Counts>,
}

impl Sender {
    async fn run(self, mut waiting: mpsc::Receiver<HostEvent>, closing: CancellationToken) {
        let mut batch = Vec::with_capacity(BATCH_MAX);
        loop {
            let come = tokio::select! {
                come = waiting.recv_many(&mut batch, BATCH_MAX) => come,
                () = closing.cancelled(), if !waiting.is_closed() => {
                    waiting.close();
                    continue;
                }
            };
            if come == 0 {
                return;
            }
            let events = batch.len() as u64;
            let entries = batch
                .drain(..)
                .filter_map(|event| self.entry(event))
                .collect();
            let taken = self.send(entries).await.min(events);
            self.counts.published.fetch_add(taken, Ordering::Relaxed);
            self.counts
                .dropped
                .fetch_add(events - taken, Ordering::Relaxed);
        }
    }

    /// `PutEvents`; says how many were taken.
    async fn send(&self, entries: Vec<PutEventsRequestEntry>) -> u64 {
        if entries.is_empty() {
            return 0;
        }
        let count = entries.len() as u64;
        let client = self.shared.clients.host().events();
        let put = client.put_events().set_entries(Some(entries)).send();
        match call_until(Instant::now() + PATIENCE, OPERATION, put).await {
            Ok(answer) => {
                let failed = u64::try_from(answer.failed_entry_count).unwrap_or(count);
                if failed > 0 {
                    tracing::warn!(failed, "EventBridge did not take all events");
                }
                count.saturating_sub(failed)
            }
            Err(error) => {
                tracing::warn!(%error, causes = error.causes(), count, "events were not published");
                0
            }
        }
    }

    fn entry(&self, event: HostEvent) -> Option<PutEventsRequestEntry> {
        let detail = serde_json::json!({
            "tenant": event.tenant,
            "detail": event.detail,
        })
        .to_string();
        if detail.len() > DETAIL_MAX_BYTES {
            return None;
        }
        let millis = i64::try_from(event.at.as_millis()).ok()?;
        let entry = PutEventsRequestEntry::builder()
            .event_bus_name(&self.config.bus)
            .source(&self.config.source)
            .detail_type(event.kind.as_str())
            .time(DateTime::from_millis(millis))
            .detail(detail);
        Some(entry.build())
    }
}
