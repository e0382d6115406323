//! The binary `stuga`. Everything is in the library.

use std::process::ExitCode;

/// A warm call makes some dozens of small allocations on whichever worker serves it; docs/PERFORMANCE.md says what a
/// thread-caching allocator is worth.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    stuga_server::cli::main()
}
