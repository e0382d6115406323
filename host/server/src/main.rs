//! The binary `stuga`. Everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    stuga_server::cli::main()
}
