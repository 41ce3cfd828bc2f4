//! The commands of the binary: what they are called, what they take, how they exit.
//!
//! Exit 0 = fine, 1 = findings (a failed check, a mistake in a file), 2 = unusable (no such file, a
//! port that is taken).

mod arguments;
mod ask;
mod call;
mod demo;
mod doctor;
mod files;
mod http;
mod ivr;
mod ivr_listen;
mod notify;
#[cfg(test)]
mod page_tests;
mod selftest;
mod serve;
mod token;
mod trunk;

use std::process::ExitCode;

use clap::Parser;

use arguments::{Cli, Command, IvrCommand};

/// Runs the command that the process was started with.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let output = cli.output;
    match cli.command {
        Command::Demo(demo) => blocking(demo::run(demo)),
        Command::Serve(serve) => blocking(serve::run(serve)),
        Command::Doctor(arguments) => blocking(doctor::run(arguments, output)),
        Command::Selftest(selftest) => blocking(selftest::run(selftest, output)),
        Command::Config(command) => files::config(&command, output),
        Command::Dialplan(command) => files::dialplan(&command, output),
        Command::Trunk(command) => blocking(trunk::run(command, output)),
        Command::Call(command) => blocking(call::run(command, output)),
        Command::Token(command) => token::run(&command, output),
        Command::Ivr(IvrCommand::Run(arguments)) => blocking(ivr::run(arguments, output)),
        Command::Ivr(IvrCommand::Record(arguments)) => blocking(ivr_listen::record(arguments)),
        Command::Ivr(IvrCommand::Crawl(arguments)) => blocking(ivr_listen::crawl(arguments)),
    }
}

/// Why a command ends without having done its work: one line, and exit 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unusable(String);

impl Unusable {
    fn new(words: impl std::fmt::Display) -> Unusable {
        Unusable(words.to_string())
    }
}

/// Runs a command on a runtime of its own.
fn blocking(command: impl Future<Output = Result<ExitCode, Unusable>>) -> ExitCode {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
    let outcome = match runtime {
        Ok(runtime) => {
            let outcome = runtime.block_on(command);
            // Nothing is left to do; a task that hangs does not keep the process.
            runtime.shutdown_background();
            outcome
        }
        Err(error) => Err(Unusable::new(format_args!("no threads: {error}"))),
    };
    outcome.unwrap_or_else(|error| unusable(&error))
}

fn unusable(error: &Unusable) -> ExitCode {
    eprintln!("crosspoint: {error}");
    ExitCode::from(2)
}
