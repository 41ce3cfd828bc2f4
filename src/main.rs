//! The `crosspoint` command.

use std::process::ExitCode;

/// Gives the memory of a load back when it is over, which the system's allocator does not: see
/// `docs/decisions/0021-an-allocator-that-gives-memory-back.md`.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    crosspoint::cli::run()
}
