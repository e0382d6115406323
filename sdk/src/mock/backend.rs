//! The capability functions of a native build: each goes to the mock host that is running on this thread.
//!
//! The counterpart of `guest.rs`, function by function.

use super::current;
use super::state::State;

/// Hands the running host to `f`.
///
/// # Panics
/// When no host is running: a mistake of the test, and these functions exist only in tests.
#[expect(clippy::panic, reason = "a mistake of the test, so the test fails")]
fn with<T>(f: impl FnOnce(&mut State) -> T) -> T {
    match current() {
        Some(host) => f(&mut host.state()),
        None => panic!(
            "no host: outside a component, run this inside stuga_sdk::mock::Host::new().run(|| ...)"
        ),
    }
}

pub(crate) mod memory {
    use stuga_core::memory::Expected;

    use super::with;
    use crate::Result;
    use crate::memory::{Item, Page, Version};
    use crate::mock::memory as store;

    pub(crate) fn get(key: &str) -> Result<Option<Item>> {
        with(|state| store::get(state, key))
    }

    pub(crate) fn put(key: &str, value: &[u8], ttl_ms: Option<u64>) -> Result<Version> {
        with(|state| store::put(state, key, value, ttl_ms, Expected::Any))
    }

    pub(crate) fn compare_and_set(
        key: &str,
        expected: Option<Version>,
        value: &[u8],
        ttl_ms: Option<u64>,
    ) -> Result<Version> {
        let expected = expected.map_or(Expected::Absent, Expected::Version);
        with(|state| store::put(state, key, value, ttl_ms, expected))
    }

    pub(crate) fn delete(key: &str) -> Result<bool> {
        with(|state| store::delete(state, key))
    }

    pub(crate) fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        with(|state| store::list(state, prefix, cursor, limit))
    }
}

pub(crate) mod files {
    use super::with;
    use crate::Result;
    use crate::files::{File, FileInfo, Page, Part, PutOptions, VersionPage};
    use crate::mock::{files as store, uploads};

    /// The number of an upload of the running host.
    #[derive(Debug)]
    pub(crate) struct Upload(u64);

    impl Upload {
        pub(crate) fn begin(path: &str) -> Result<Self> {
            with(|state| uploads::begin(state, path)).map(Self)
        }

        pub(crate) fn append(&self, part: &[u8]) -> Result<()> {
            with(|state| uploads::append(state, self.0, part))
        }

        pub(crate) fn finish(&self, options: &PutOptions) -> Result<FileInfo> {
            with(|state| uploads::finish(state, self.0, options))
        }
    }

    impl Drop for Upload {
        /// Without a host there is nothing left to end.
        fn drop(&mut self) {
            if let Some(host) = super::current() {
                uploads::end(&mut host.state(), self.0);
            }
        }
    }

    pub(crate) fn put(path: &str, content: &[u8], options: &PutOptions) -> Result<FileInfo> {
        with(|state| store::put(state, path, content, options))
    }

    pub(crate) fn get(path: &str) -> Result<Option<File>> {
        with(|state| store::get(state, path))
    }

    pub(crate) fn stat(path: &str) -> Result<Option<FileInfo>> {
        with(|state| store::stat(state, path))
    }

    pub(crate) fn list(prefix: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        with(|state| store::list(state, prefix, cursor, limit))
    }

    pub(crate) fn delete(path: &str) -> Result<bool> {
        with(|state| store::delete(state, path))
    }

    pub(crate) fn list_versions(
        path: &str,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<VersionPage> {
        with(|state| store::list_versions(state, path, cursor, limit))
    }

    pub(crate) fn get_version(path: &str, version: u64) -> Result<Option<File>> {
        with(|state| store::get_version(state, path, version))
    }

    pub(crate) fn restore(path: &str, version: u64) -> Result<FileInfo> {
        with(|state| store::restore(state, path, version))
    }

    pub(crate) fn purge(path: &str) -> Result<bool> {
        with(|state| store::purge(state, path))
    }

    pub(crate) fn read_range(
        path: &str,
        version: Option<u64>,
        offset: u64,
        len: u32,
    ) -> Result<Option<Part>> {
        with(|state| store::read_range(state, path, version, offset, len))
    }
}

pub(crate) mod sessions {
    use super::with;
    use crate::Result;
    use crate::mock::sessions as store;
    use crate::sessions::{Appended, CreateOptions, Event, Order, Page, Role, Session};

    pub(crate) fn create(actor: &str, options: &CreateOptions) -> Result<Session> {
        with(|state| store::create(state, actor, options))
    }

    pub(crate) fn get(actor: &str, id: &str) -> Result<Option<Session>> {
        with(|state| store::get(state, actor, id))
    }

    pub(crate) fn list(actor: &str, cursor: Option<&str>, limit: u32) -> Result<Page<Session>> {
        with(|state| store::list(state, actor, cursor, limit))
    }

    pub(crate) fn append(
        actor: &str,
        session: &str,
        role: Role,
        content: &str,
        metadata: &[(String, String)],
    ) -> Result<Appended> {
        with(|state| store::append(state, actor, session, role, content, metadata))
    }

    pub(crate) fn events(
        actor: &str,
        session: &str,
        order: Order,
        cursor: Option<&str>,
        limit: u32,
    ) -> Result<Page<Event>> {
        with(|state| store::events(state, actor, session, order, cursor, limit))
    }

    pub(crate) fn close(actor: &str, session: &str) -> Result<bool> {
        with(|state| store::close(state, actor, session))
    }

    pub(crate) fn delete(actor: &str, session: &str) -> Result<bool> {
        with(|state| store::delete(state, actor, session))
    }
}

pub(crate) mod records {
    use super::with;
    use crate::Result;
    use crate::mock::records as store;
    use crate::records::{Hit, Page, Record, Stored};

    pub(crate) fn put(
        namespace: &str,
        id: Option<&str>,
        text: &str,
        metadata: &[(String, String)],
    ) -> Result<Stored> {
        with(|state| store::put(state, namespace, id, text, metadata))
    }

    pub(crate) fn get(namespace: &str, id: &str) -> Result<Option<Record>> {
        with(|state| store::get(state, namespace, id))
    }

    pub(crate) fn delete(namespace: &str, id: &str) -> Result<bool> {
        with(|state| store::delete(state, namespace, id))
    }

    pub(crate) fn list(under: &str, cursor: Option<&str>, limit: u32) -> Result<Page> {
        with(|state| store::list(state, under, cursor, limit))
    }

    pub(crate) fn recall(under: &str, query: &str, k: u32) -> Result<Vec<Hit>> {
        with(|state| store::recall(state, under, query, k))
    }
}

pub(crate) mod log {
    use super::current;
    use crate::log::Level;

    /// Logging works without a host, too: pure functions that log can be tested as they are.
    pub(crate) fn write(level: Level, message: &str, fields: &[(String, String)]) {
        if let Some(host) = current() {
            host.state().log(level, message, fields);
        }
    }
}

pub(crate) mod output {
    use super::with;
    use crate::Result;

    pub(crate) fn emit(json: &str) -> Result<()> {
        with(|state| state.emit(json))
    }
}

pub(crate) mod clock {
    use super::with;

    pub(crate) fn now() -> u64 {
        with(|state| state.now)
    }

    pub(crate) fn elapsed() -> u64 {
        with(|state| state.elapsed())
    }
}

pub(crate) mod random {
    use super::with;
    use crate::random::BYTES_MAX;

    /// A host stops the call of an agent that asks for too much; so does this one.
    pub(crate) fn bytes(len: u32) -> Vec<u8> {
        assert!(
            len <= BYTES_MAX,
            "{len} random bytes asked for; the limit is {BYTES_MAX}"
        );
        with(|state| state.bytes(len))
    }

    pub(crate) fn next_u64() -> u64 {
        with(|state| state.next_u64())
    }
}

pub(crate) mod config {
    use super::with;

    pub(crate) fn get(name: &str) -> Option<String> {
        with(|state| state.config.get(name).cloned())
    }
}
