//! Which server a suite ran before, told where the output of a test that passes is not swallowed.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::PathBuf;

/// Tells that `suite`, such as `contract of files`, runs before `server`, such as `SeaweedFS 4.48`: in a line of its own on the
/// standard error, and for the summary of `cargo xtask test` in the file `STUGA_SERVED`. Told again, it is told once there.
///
/// # Panics
/// When that file cannot be written: a summary that leaves a suite out would be wrong.
#[expect(
    clippy::panic,
    reason = "a test whose server is not told must not count as proved"
)]
pub fn served(suite: &str, server: &str) {
    // Not by the macros, whose output the test harness keeps of a test that passes.
    writeln!(std::io::stderr(), "{suite}: served by {server}").ok();
    let Some(list) = std::env::var_os("STUGA_SERVED") else {
        return;
    };
    // One write, so that lines of several test binaries do not mix.
    let line = format!("{suite}\t{server}\n");
    OpenOptions::new()
        .append(true)
        .open(&list)
        .and_then(|mut list| list.write_all(line.as_bytes()))
        .unwrap_or_else(|e| panic!("{}: {e}", PathBuf::from(&list).display()));
}
