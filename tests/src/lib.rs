//! What the test binaries share: where the guests are, and servers to stand before.

pub mod openai;

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
