//! What the test binaries share: where the guests are, and servers to stand before.

pub mod large;
pub mod openai;

use std::io::Write;
use std::path::PathBuf;

/// The component `name`, built by `cargo xtask guests`.
///
/// # Panics
/// When it is not there, saying what builds it.
#[allow(clippy::panic, reason = "a test without its guest must fail")]
pub fn guest(name: &str) -> Vec<u8> {
    let path = guest_path(name);
    std::fs::read(&path)
        .unwrap_or_else(|e| panic!("{}: {e}; run `cargo xtask guests` first", path.display()))
}

/// Where the component `name` lies: in `STUGA_GUESTS`, else in the workspace's target directory.
pub fn guest_path(name: &str) -> PathBuf {
    let folder = match std::env::var_os("STUGA_GUESTS") {
        Some(folder) => PathBuf::from(folder),
        None => PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../target/guests"),
    };
    folder.join(format!("{name}.wasm"))
}

/// The component `name`, or none when `cargo xtask guests` found that it cannot be built here: then `test` is noted as
/// skipped, with the reason.
///
/// # Panics
/// When it is neither there nor known to be impossible.
pub fn guest_or_skip(name: &str, test: &str) -> Option<Vec<u8>> {
    match std::fs::read_to_string(guest_path(name).with_extension("skipped")) {
        Err(_) => Some(guest(name)),
        Ok(reason) => {
            skip(test, &reason);
            None
        }
    }
}

/// Notes for `cargo xtask test` that `test` could not run here, and why.
///
/// # Panics
/// When it cannot be noted: a test that did not run must not count as passed.
#[allow(clippy::panic, reason = "a test that was not noted must fail")]
pub fn skip(test: &str, reason: &str) {
    let reason = reason.trim().replace(['\n', '\t'], " ");
    eprintln!("{test} is skipped: {reason}");
    if let Some(list) = std::env::var_os("STUGA_SKIPPED") {
        std::fs::OpenOptions::new()
            .append(true)
            .open(&list)
            .and_then(|mut list| writeln!(list, "{test}\t{reason}"))
            .unwrap_or_else(|e| panic!("{}: {e}", PathBuf::from(&list).display()));
    }
}
