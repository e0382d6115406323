//! How a job is run and kept.

use std::time::Duration;

/// Which of the agent's due jobs go first. Each step is worth five minutes, so that none waits forever.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub enum Priority {
    /// After the others.
    Low,
    /// As usual.
    #[default]
    Normal,
    /// Before the others.
    High,
}

/// How often a job is tried and how long to wait in between: a random time up to `base`, then up to twice that, and so on
/// up to `cap`.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Retry {
    /// 1 to 100, the first one included.
    pub attempts: u32,
    /// At least 1 ms.
    pub base: Duration,
    /// `base` to 7 days.
    pub cap: Duration,
}

/// Options of a job, each with a default.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Options {
    pub(crate) delay: Duration,
    pub(crate) priority: Priority,
    pub(crate) retry: Option<Retry>,
    pub(crate) deadline: Option<Duration>,
    pub(crate) retention: Option<Duration>,
    pub(crate) idempotency_key: Option<String>,
}

impl Options {
    /// At once, as usual, five attempts, the tenant's deadline, kept for a day.
    pub fn new() -> Self {
        Self::default()
    }

    /// When the first attempt is due, counted from now: at most 366 days.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.delay = delay;
        self
    }

    /// Which jobs it goes before.
    #[must_use]
    pub fn priority(mut self, priority: Priority) -> Self {
        self.priority = priority;
        self
    }

    /// How often it is tried.
    #[must_use]
    pub fn retry(mut self, retry: Retry) -> Self {
        self.retry = Some(retry);
        self
    }

    /// One attempt and no other.
    #[must_use]
    pub fn once(self) -> Self {
        self.retry(Retry {
            attempts: 1,
            base: Duration::from_secs(1),
            cap: Duration::from_secs(1),
        })
    }

    /// Longest run of an attempt: 10 ms to 24 hours, and no longer than the tenant's limit.
    #[must_use]
    pub fn deadline(mut self, deadline: Duration) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// How long it stays after its end: at most 30 days.
    #[must_use]
    pub fn retention(mut self, retention: Duration) -> Self {
        self.retention = Some(retention);
        self
    }

    /// Makes submitting the same again answer the same job, as long as that stays: 1 to 255 visible ASCII characters.
    #[must_use]
    pub fn idempotency_key(mut self, key: &str) -> Self {
        self.idempotency_key = Some(key.to_owned());
        self
    }
}
