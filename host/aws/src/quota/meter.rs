//! About how much a tenant has of something in the cloud: counted there now and then, and kept up in between by what passes
//! through this process.
//!
//! What others write between two counts is not known here, and a write that failed may stay counted until the next one; so
//! nothing is refused before it was counted anew. Counting is done by writes, a step at a time: nobody waits for long, and a
//! tenant whose first count is not finished is not refused anything.

use std::ops::AddAssign;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use moka::sync::Cache;
use stuga_core::{Error, Result, TenantId};
use tokio::time::{Instant, timeout_at};

/// Between two counts of a tenant that is far from its limits.
const EVERY: Duration = Duration::from_secs(3_600);
/// The same of one that has more than half of a limit.
const NEAR_EVERY: Duration = Duration::from_secs(600);
/// How old a count must be to be repeated before something is refused.
const AGAIN_AFTER: Duration = Duration::from_secs(10);
/// Until a count is tried again that the cloud did not answer.
const RETRY_AFTER: Duration = Duration::from_secs(60);
/// Longest time that one write spends counting.
const STEP_MAX: Duration = Duration::from_secs(2);
/// Most tenants of whom something is known.
const TENANTS_MAX: u64 = 10_000;

/// So many things of so many bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub(crate) struct Held {
    pub(crate) count: u64,
    pub(crate) bytes: u64,
}

impl AddAssign for Held {
    fn add_assign(&mut self, more: Self) {
        self.count = self.count.saturating_add(more.count);
        self.bytes = self.bytes.saturating_add(more.bytes);
    }
}

impl Held {
    /// No limit at all.
    const UNLIMITED: Self = Self {
        count: u64::MAX,
        bytes: u64::MAX,
    };

    /// What is left of it without `less`; nothing where that is more.
    pub(crate) fn without(self, less: Self) -> Self {
        Self {
            count: self.count.saturating_sub(less.count),
            bytes: self.bytes.saturating_sub(less.bytes),
        }
    }
}

/// Counts in the cloud.
#[async_trait]
pub(crate) trait Count: Send + Sync + 'static {
    /// One page of what a tenant has, and where the next one begins.
    ///
    /// # Errors
    /// As the cloud answers; `Timeout` at `deadline`.
    async fn page(
        &self,
        tenant: &TenantId,
        next: Option<String>,
        deadline: Instant,
    ) -> Result<(Held, Option<String>)>;
}

/// Holds tenants to their limits of one kind of thing.
pub(crate) struct Meter {
    counter: Box<dyn Count>,
    /// What the limits are called, of things and of bytes.
    limits: [&'static str; 2],
    tenants: Cache<TenantId, Arc<Tenant>>,
}

#[derive(Default)]
struct Tenant {
    book: Mutex<Book>,
    /// A count that is not finished.
    progress: tokio::sync::Mutex<Option<Progress>>,
}

/// What is known of a tenant.
#[derive(Default)]
struct Book {
    counted: Option<Counted>,
    /// What came and went since the count began that is not finished.
    came: Held,
    went: Held,
    not_before: Option<Instant>,
}

#[derive(Clone, Copy)]
struct Counted {
    held: Held,
    at: Instant,
    /// What came and went since it began.
    came: Held,
    went: Held,
}

struct Progress {
    began: Instant,
    held: Held,
    next: Option<String>,
}

/// A limit that would be exceeded.
struct Over {
    name: &'static str,
    limit: u64,
    used: u64,
}

impl Meter {
    /// A meter of what `counter` counts; `limits` are the names of the limits of things and of bytes.
    pub(crate) fn new(counter: impl Count, limits: [&'static str; 2]) -> Self {
        Self {
            counter: Box::new(counter),
            limits,
            tenants: Cache::new(TENANTS_MAX),
        }
    }

    /// Lets `more` in and counts it, if the tenant stays within `limit` as far as is known.
    ///
    /// # Errors
    /// `QuotaExceeded` with the limit's name.
    pub(crate) async fn admit(
        &self,
        operation: &'static str,
        tenant: &TenantId,
        more: Held,
        limit: Held,
        deadline: Instant,
    ) -> Result<()> {
        if limit == Held::UNLIMITED || more == Held::default() {
            return Ok(());
        }
        let of = self.tenants.get_with_by_ref(tenant, Arc::default);
        if of.book().is_due(limit) {
            self.count(tenant, &of, deadline).await;
        }
        let Some(mut over) = of.book().take(more, limit, self.limits) else {
            return Ok(());
        };
        if of.book().is_older_than(AGAIN_AFTER) {
            self.count(tenant, &of, deadline).await;
            over = match of.book().take(more, limit, self.limits) {
                Some(over) => over,
                None => return Ok(()),
            };
        }
        let Over { name, limit, used } = over;
        Err(Error::quota_exceeded(
            operation,
            format!(
                "the tenant's quota {name} is reached; delete something or ask the operator for more"
            ),
        )
        .with_context("quota", name)
        .with_context("limit", limit)
        .with_context("used", used))
    }

    /// Counts what has gone.
    pub(crate) fn release(&self, tenant: &TenantId, less: Held) {
        if let Some(of) = self.tenants.get(tenant) {
            of.book().lose(less);
        }
    }

    /// Goes on counting for a while. What goes wrong is left to the next one who counts.
    async fn count(&self, tenant: &TenantId, of: &Tenant, deadline: Instant) {
        let asked = Instant::now();
        let until = deadline.min(asked + STEP_MAX);
        let Ok(mut progress) = timeout_at(until, of.progress.lock()).await else {
            return;
        };
        if of.book().is_newer_than(asked) {
            return;
        }
        let is_usable = |progress: &Progress| progress.began.elapsed() < EVERY;
        let mut counting = progress.take().filter(is_usable).unwrap_or_else(|| {
            of.book().begin();
            Progress {
                began: asked,
                held: Held::default(),
                next: None,
            }
        });
        while Instant::now() < until {
            let page = self.counter.page(tenant, counting.next.clone(), until);
            match page.await {
                Ok((held, next)) => {
                    counting.held += held;
                    counting.next = next;
                    if counting.next.is_none() {
                        of.book().finish(counting.held);
                        return;
                    }
                }
                Err(error) => {
                    tracing::debug!(%tenant, %error, limits = ?self.limits, "what a tenant has could not be counted");
                    if Instant::now() < until {
                        of.book().not_before = Some(Instant::now() + RETRY_AFTER);
                    }
                    break;
                }
            }
        }
        *progress = Some(counting);
    }
}

impl Tenant {
    fn book(&self) -> std::sync::MutexGuard<'_, Book> {
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counted {
    fn now(&self) -> Held {
        let mut now = self.held;
        now += self.came;
        now.without(self.went)
    }
}

impl Book {
    fn is_due(&self, limit: Held) -> bool {
        let now = Instant::now();
        if self.not_before.is_some_and(|not_before| now < not_before) {
            return false;
        }
        let Some(counted) = &self.counted else {
            return true;
        };
        let used = counted.now();
        let is_near = used.count > limit.count / 2 || used.bytes > limit.bytes / 2;
        let every = if is_near { NEAR_EVERY } else { EVERY };
        counted.at.elapsed() >= every
    }

    fn is_older_than(&self, age: Duration) -> bool {
        let counted = self.counted.as_ref();
        counted.is_none_or(|counted| counted.at.elapsed() >= age)
    }

    fn is_newer_than(&self, moment: Instant) -> bool {
        let counted = self.counted.as_ref();
        counted.is_some_and(|counted| counted.at > moment)
    }

    /// Counts what comes, or says which limit it would exceed.
    fn take(&mut self, more: Held, limit: Held, [count, bytes]: [&'static str; 2]) -> Option<Over> {
        if let Some(counted) = &mut self.counted {
            let used = counted.now();
            for (name, used, more, limit) in [
                (count, used.count, more.count, limit.count),
                (bytes, used.bytes, more.bytes, limit.bytes),
            ] {
                if more > 0 && used.saturating_add(more) > limit {
                    return Some(Over { name, limit, used });
                }
            }
            counted.came += more;
        }
        self.came += more;
        None
    }

    fn lose(&mut self, less: Held) {
        self.went += less;
        if let Some(counted) = &mut self.counted {
            counted.went += less;
        }
    }

    fn begin(&mut self) {
        (self.came, self.went) = (Held::default(), Held::default());
    }

    fn finish(&mut self, held: Held) {
        self.not_before = None;
        self.counted = Some(Counted {
            held,
            at: Instant::now(),
            came: self.came,
            went: self.went,
        });
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use stuga_core::ErrorKind;

    use super::*;

    /// A cloud with so many things of one byte each, which tells ten of them a page and counts how often it was asked.
    #[derive(Clone, Default)]
    struct Cloud {
        things: Arc<AtomicU64>,
        asked: Arc<AtomicU64>,
        page_takes: Duration,
    }

    #[async_trait]
    impl Count for Cloud {
        async fn page(
            &self,
            _: &TenantId,
            next: Option<String>,
            deadline: Instant,
        ) -> Result<(Held, Option<String>)> {
            self.asked.fetch_add(1, Ordering::Relaxed);
            timeout_at(deadline, tokio::time::sleep(self.page_takes))
                .await
                .map_err(|_| Error::timeout("test", "late"))?;
            let from: u64 = next.map_or(0, |next| next.parse().unwrap());
            let all = self.things.load(Ordering::Relaxed);
            let count = all.saturating_sub(from).min(10);
            let next = (from + count < all).then(|| (from + count).to_string());
            Ok((
                Held {
                    count,
                    bytes: count,
                },
                next,
            ))
        }
    }

    const LIMIT: Held = Held {
        count: 30,
        bytes: 1_000,
    };

    fn cloud(things: u64, page_takes: Duration) -> (Cloud, Meter) {
        let cloud = Cloud {
            things: Arc::new(AtomicU64::new(things)),
            page_takes,
            ..Cloud::default()
        };
        (cloud.clone(), Meter::new(cloud, ["things", "bytes"]))
    }

    async fn admit(meter: &Meter, count: u64) -> Option<String> {
        let tenant = TenantId::new("acme").unwrap();
        let (more, later) = (
            Held {
                count,
                bytes: count,
            },
            Duration::from_secs(60),
        );
        let admitted = meter.admit("test.put", &tenant, more, LIMIT, Instant::now() + later);
        let refused = admitted.await.err()?;
        assert_eq!(refused.kind(), ErrorKind::QuotaExceeded);
        refused.context_value("used").map(str::to_owned)
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_there_and_what_comes_is_held_to_the_limit() {
        let (cloud, meter) = cloud(25, Duration::ZERO);
        assert_eq!(admit(&meter, 4).await, None);
        assert_eq!(admit(&meter, 1).await, None);
        assert_eq!(admit(&meter, 1).await.as_deref(), Some("30"));
        assert_eq!(cloud.asked.load(Ordering::Relaxed), 3, "three pages, once");
        meter.release(&TenantId::new("acme").unwrap(), Held { count: 2, bytes: 2 });
        assert_eq!(admit(&meter, 2).await, None);
        assert!(admit(&meter, 1).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_refused_before_it_was_counted_anew() {
        let (cloud, meter) = cloud(28, Duration::ZERO);
        assert_eq!(admit(&meter, 2).await, None);
        // Somebody else removed a lot, and what was admitted here failed.
        cloud.things.store(5, Ordering::Relaxed);
        assert!(admit(&meter, 1).await.is_some(), "it was counted just now");
        tokio::time::advance(AGAIN_AFTER).await;
        assert_eq!(admit(&meter, 1).await, None);
    }

    #[tokio::test(start_paused = true)]
    async fn others_are_noticed_by_the_next_count() {
        let (cloud, meter) = cloud(0, Duration::ZERO);
        assert_eq!(admit(&meter, 1).await, None);
        cloud.things.store(30, Ordering::Relaxed);
        assert_eq!(admit(&meter, 1).await, None);
        tokio::time::advance(EVERY).await;
        assert!(admit(&meter, 1).await.is_some());
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_count_goes_on_with_the_next_write_and_nobody_waits_for_it() {
        let (cloud, meter) = cloud(95, Duration::from_millis(900));
        for _ in 0..3 {
            let begun = Instant::now();
            assert_eq!(admit(&meter, 1).await, None, "it is not counted yet");
            assert!(begun.elapsed() <= STEP_MAX);
        }
        while admit(&meter, 1).await.is_none() {
            assert!(
                cloud.asked.load(Ordering::Relaxed) < 30,
                "it begins again and again"
            );
        }
    }

    #[tokio::test(start_paused = true)]
    async fn without_a_limit_nothing_is_counted() {
        let (cloud, meter) = cloud(95, Duration::ZERO);
        let tenant = TenantId::new("acme").unwrap();
        let more = Held { count: 1, bytes: 1 };
        let admitted = meter.admit("test.put", &tenant, more, Held::UNLIMITED, Instant::now());
        admitted.await.unwrap();
        assert_eq!(cloud.asked.load(Ordering::Relaxed), 0);
    }
}
