//! What an instance holds of WASI: its handles, its timers, and what it wrote but did not end with a newline.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use sha2::{Digest, Sha256};
use tokio::time::Instant;

use crate::bindings::stuga::agent::log::{Host, Level};
use crate::state::HostState;

/// Most handles that an instance may hold.
const HANDLES_MAX: u32 = 1_024;
/// Longest line in bytes; the rest is cut.
const LINE_MAX_BYTES: usize = 8 << 10;
/// How much of what was written outside of a call is kept, in bytes: enough for the end of a stack trace.
const TAIL_MAX_BYTES: usize = 2 << 10;
/// How many of the last lines on standard error are kept for the reason of a trap, and how much of each, in bytes: what
/// an exception says of itself stands in its last line, followed by what the language's runtime says of it.
const LAST_ERRORS: usize = 3;
const LAST_ERROR_MAX_BYTES: usize = 256;
/// Rust's advice, which does not apply to a component.
const ADVICE: &str = "note: run with `RUST_BACKTRACE=1`";
/// Timers further away than this are as good as never; no call lasts so long.
const TIMER_MAX: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// Where a guest writes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stream {
    Output,
    Error,
}

/// WASI's side of an instance.
#[derive(Default)]
pub(crate) struct Wasi {
    handles: u32,
    /// When each timer is due. What is not here is always ready.
    timers: BTreeMap<u32, Instant>,
    last_timer: u32,
    started: Option<Instant>,
    /// What the guest was told last that the clock shows.
    told: Duration,
    random: Option<ChaCha20Rng>,
    output: Vec<u8>,
    error: Vec<u8>,
    tail: Vec<u8>,
    last_errors: VecDeque<String>,
}

impl Wasi {
    /// Counts a handle that the guest gets.
    pub(super) fn hand_out(&mut self) -> wasmtime::Result<()> {
        if self.handles >= HANDLES_MAX {
            return Err(wasmtime::Error::msg(format!(
                "more than {HANDLES_MAX} WASI handles are open"
            )));
        }
        self.handles += 1;
        Ok(())
    }

    /// Counts a handle that the guest dropped.
    pub(super) fn take_back(&mut self) {
        self.handles = self.handles.saturating_sub(1);
    }

    /// The instance's own clock: counts from its first use and never goes back, also from one call to the next.
    pub(super) fn clock(&mut self) -> Duration {
        self.started.get_or_insert_with(Instant::now).elapsed()
    }

    /// Notes what the guest is told that the clock shows.
    pub(super) fn tell(&mut self, now: Duration) {
        self.told = now;
    }

    /// The clock, which is not behind what the guest was told: that may come from a recording.
    pub(super) fn told(&mut self) -> Duration {
        self.clock().max(self.told)
    }

    /// A timer that is due `after` from now.
    pub(super) fn timer(&mut self, after: Duration) -> wasmtime::Result<u32> {
        self.hand_out()?;
        let id = self.last_timer.checked_add(1);
        let id = id.ok_or_else(|| wasmtime::Error::msg("the instance made too many timers"))?;
        self.last_timer = id;
        self.timers
            .insert(id, Instant::now() + after.min(TIMER_MAX));
        Ok(id)
    }

    /// When a timer is due; none when it is due already.
    pub(super) fn due(&self, timer: u32) -> Option<Instant> {
        let due = self.timers.get(&timer).copied();
        due.filter(|due| *due > Instant::now())
    }

    pub(super) fn drop_pollable(&mut self, timer: u32) {
        self.timers.remove(&timer);
        self.take_back();
    }

    /// The end of what the guest wrote outside of a call, for whoever has to find out why it did not start.
    pub(crate) fn tail(&self) -> String {
        String::from_utf8_lossy(&self.tail).trim().to_owned()
    }

    /// The last lines that the guest wrote to its standard error during this call; none when it wrote none.
    pub(crate) fn last_errors(&self) -> Option<String> {
        let lines: Vec<&str> = self.last_errors.iter().map(String::as_str).collect();
        (!lines.is_empty()).then(|| lines.join(" | "))
    }

    fn keep_tail(&mut self, bytes: &[u8]) {
        let bytes = bytes
            .get(bytes.len().saturating_sub(TAIL_MAX_BYTES)..)
            .unwrap_or(bytes);
        self.tail.extend_from_slice(bytes);
        let over = self.tail.len().saturating_sub(TAIL_MAX_BYTES);
        self.tail.drain(..over);
    }

    fn buffer(&mut self, stream: Stream) -> &mut Vec<u8> {
        match stream {
            Stream::Output => &mut self.output,
            Stream::Error => &mut self.error,
        }
    }

    fn take_line(&mut self, stream: Stream) -> String {
        let bytes = std::mem::take(self.buffer(stream));
        String::from_utf8_lossy(&bytes).trim_end().to_owned()
    }

    /// Keeps a line for whoever has to find out why a call failed.
    fn keep_error(&mut self, line: String) {
        if self.last_errors.len() >= LAST_ERRORS {
            self.last_errors.pop_front();
        }
        self.last_errors.push_back(line);
    }
}

impl HostState {
    /// The instance's WASI, made when it is first used.
    pub(crate) fn wasi(&mut self) -> &mut Wasi {
        self.wasi.get_or_insert_default()
    }

    /// A stream of random numbers, the invocation's own and apart from that of the interface `random`, so that what a
    /// language's runtime draws for itself does not move the agent's. While an instance starts it is the host's.
    pub(super) fn wasi_random(&mut self) -> &mut ChaCha20Rng {
        let call = self.call.as_ref();
        let invocation = call.map(|call| *call.ctx.invocation.as_uuid().as_bytes());
        let key = self.authority.random_key;
        self.wasi().random.get_or_insert_with(|| {
            let mut seed = Sha256::new();
            seed.update(b"wasi:random");
            seed.update(key);
            seed.update(invocation.unwrap_or_default());
            ChaCha20Rng::from_seed(seed.finalize().into())
        })
    }

    /// Takes what a guest writes and hands whole lines to the log.
    pub(super) fn print(&mut self, stream: Stream, bytes: &[u8]) -> wasmtime::Result<()> {
        if self.call.is_none() {
            self.wasi().keep_tail(bytes);
            return Ok(());
        }
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let buffer = self.wasi().buffer(stream);
            let room = LINE_MAX_BYTES.saturating_sub(buffer.len());
            buffer.extend(piece.iter().take(room));
            if piece.ends_with(b"\n") {
                self.print_line(stream)?;
            }
        }
        Ok(())
    }

    /// Readies WASI for a call.
    pub(crate) fn begin_wasi(&mut self) {
        if let Some(wasi) = &mut self.wasi {
            wasi.last_errors.clear();
            wasi.random = None;
        }
    }

    /// Hands to the log what a guest wrote and did not end with a newline.
    pub(crate) fn finish_wasi(&mut self) -> wasmtime::Result<()> {
        for stream in [Stream::Output, Stream::Error] {
            if self
                .wasi
                .as_mut()
                .is_some_and(|wasi| !wasi.buffer(stream).is_empty())
            {
                self.print_line(stream)?;
            }
        }
        Ok(())
    }

    fn print_line(&mut self, stream: Stream) -> wasmtime::Result<()> {
        let (level, name) = match stream {
            Stream::Output => (Level::Info, "stdout"),
            Stream::Error => (Level::Warn, "stderr"),
        };
        let line = self.wasi().take_line(stream);
        if line.is_empty() {
            return Ok(());
        }
        if stream == Stream::Error && !line.starts_with(ADVICE) {
            // It may become part of an error, which tells as much as the log.
            let mut kept = line.clone();
            if let Some(call) = &self.call {
                call.revealed.clean(&mut kept, LAST_ERROR_MAX_BYTES);
            }
            self.wasi().keep_error(kept);
        }
        self.write(level, line, vec![("stream".to_owned(), name.to_owned())])
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::Arc;

    use stuga_core::Grants;

    use super::*;
    use crate::JobCheck;
    use crate::state::{Authority, Call};

    fn state() -> HostState {
        HostState::new(Arc::new(Authority {
            grants: Grants::NONE,
            config: BTreeMap::new(),
            secrets: BTreeSet::new(),
            job_check: JobCheck::default(),
            capabilities: None,
            memory_bytes: 0,
            random_key: [7; 32],
        }))
    }

    fn in_a_call() -> HostState {
        let mut state = state();
        state.begin(Call::new(
            Arc::new(stuga_core::testkit::ctx("tenant", "agent")),
            None,
        ));
        state
    }

    #[tokio::test]
    async fn a_line_is_logged_when_it_ends_or_the_call_does() {
        let mut state = in_a_call();
        let lines = |state: &HostState| state.call.as_ref().unwrap().lines;
        state.print(Stream::Output, b"one\ntw").unwrap();
        assert_eq!(lines(&state), 1);
        state.print(Stream::Output, b"o\n\n").unwrap();
        assert_eq!(lines(&state), 2);
        state.print(Stream::Error, b"three").unwrap();
        assert_eq!(lines(&state), 2);
        state.finish_wasi().unwrap();
        assert_eq!(lines(&state), 3);
        state.finish_wasi().unwrap();
        assert_eq!(lines(&state), 3);
        assert_eq!(state.wasi().last_errors().as_deref(), Some("three"));
    }

    #[tokio::test]
    async fn what_a_guest_writes_takes_bounded_memory() {
        let mut state = in_a_call();
        let flood = vec![b'x'; 1 << 20];
        for _ in 0..3 {
            state.print(Stream::Error, &flood).unwrap();
        }
        assert_eq!(state.wasi().error.len(), LINE_MAX_BYTES);
        for _ in 0..10_000 {
            state.print(Stream::Error, b"\nline").unwrap();
        }
        let call = state.call.take().unwrap();
        assert_eq!(call.lines + call.lines_dropped, 10_000);
        assert!(call.lines_dropped > 0);
        assert_eq!(state.wasi().last_errors.len(), LAST_ERRORS);
        state.print(Stream::Error, &flood).unwrap();
        state.print(Stream::Error, b"the end\n").unwrap();
        assert_eq!(state.wasi().tail.len(), TAIL_MAX_BYTES);
        assert!(state.wasi().tail().ends_with("xthe end"));
    }

    #[tokio::test(start_paused = true)]
    async fn handles_are_bounded_and_come_back() {
        let mut state = state();
        let wasi = state.wasi();
        let timers: Vec<u32> = (0..HANDLES_MAX)
            .map(|_| wasi.timer(Duration::from_nanos(u64::MAX)).unwrap())
            .collect();
        let error = wasi.hand_out().unwrap_err();
        assert!(error.to_string().contains("1024 WASI handles"), "{error}");
        assert!(timers.iter().all(|timer| wasi.due(*timer).is_some()));
        timers.iter().for_each(|timer| wasi.drop_pollable(*timer));
        assert!(wasi.timers.is_empty());
        let soon = wasi.timer(Duration::from_millis(5)).unwrap();
        tokio::time::advance(Duration::from_millis(5)).await;
        assert_eq!(wasi.due(soon), None);
        assert_eq!(wasi.due(0), None);
    }
}
