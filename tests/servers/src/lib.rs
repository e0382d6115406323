//! The servers that tests of the AWS backends run before.
//!
//! Each is a type with two functions: `install` puts what it needs into `target/servers`, once for good (also called by
//! `cargo xtask test`), and `shared` starts one for the test binary on free ports of the loopback interface and answers when it
//! can be asked. It dies with the test process, however that ends. A server that cannot be had makes the test fail with the
//! reason: no test is left out.
//!
//! Tests share a server, so each works with tenants, buckets and queues of its own: see [`unique`].
//!
//! Only the standard library is used: xtask depends on this crate, and starting a server may hold up the thread of the one
//! test that asks first.

mod debian;
mod folder;
mod http;
mod ministack;
mod opensearch;
mod process;
mod python;
mod redis;
mod seaweedfs;
mod served;

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

pub use folder::{data, servers};
pub use http::get;
pub use ministack::Ministack;
pub use opensearch::OpenSearch;
pub use process::{Server, free_port};
pub use python::Venv;
pub use redis::{Locks, Redis};
pub use seaweedfs::SeaweedFs;
pub use served::served;

/// Why a server cannot be had, and what to do.
#[derive(Debug)]
pub struct Problem(String);

impl Problem {
    /// A problem in these words.
    pub fn new(words: impl Into<String>) -> Self {
        Self(words.into())
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Problem {}

/// Result of a function of this crate.
pub type Result<T> = std::result::Result<T, Problem>;

/// One server for the test binary: started by whoever asks first.
///
/// A start that failed is not tried again: every test gets its reason.
pub struct Shared<T: 'static>(Mutex<Option<std::result::Result<&'static T, String>>>);

impl<T> Shared<T> {
    /// Nothing is started yet.
    pub const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// The server, started by `start` the first time.
    ///
    /// # Panics
    /// When it cannot be started, with the reason.
    #[expect(clippy::panic, reason = "a test without its server has failed")]
    pub fn get(&self, start: impl FnOnce() -> Result<T>) -> &'static T {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let started = kept.get_or_insert_with(|| match start() {
            Ok(server) => Ok(Box::leak(Box::new(server))),
            Err(problem) => Err(problem.to_string()),
        });
        match started {
            Ok(server) => server,
            Err(reason) => panic!("{reason}"),
        }
    }
}

impl<T> Default for Shared<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// Installs every server and says which cannot be had.
pub fn install_all() -> Vec<Problem> {
    let all = [
        Ministack::install().map(drop),
        SeaweedFs::install().map(drop),
        Redis::install().map(drop),
        OpenSearch::install().map(drop),
    ];
    all.into_iter().filter_map(Result::err).collect()
}

/// A name of `a-z`, `0-9` and `-` that nothing else on a shared server has, such as `acme-1k2f3-0`.
pub fn unique(stem: &str) -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    let millis = since.unwrap_or_default().as_millis() % 1_000_000_000;
    let process = std::process::id();
    let number = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("{stem}-{process:x}{millis:x}-{number}")
}
