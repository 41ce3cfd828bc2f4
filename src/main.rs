//! The `crosspoint` command.

use std::process::ExitCode;

fn main() -> ExitCode {
    crosspoint::cli::run()
}
