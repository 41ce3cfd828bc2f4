//! The media benchmarks: `make bench` runs them one after the other and renders their tables into
//! `docs/performance.md`.
//!
//! `cargo bench --bench load -- NAME`, of `calls`, `delay`, `quality`, `conversation`, `recording`, `instructions`. Each
//! prints its table and keeps it in `target/load/NAME.md`; `render` puts what is there into the page.
//! `floor` is the other program that `calls` measures against.

#![allow(clippy::unwrap_used, missing_docs, reason = "a benchmark says what is wrong by stopping")]

mod calls;
mod conversation;
mod delay;
mod floor;
mod gateway;
mod generator;
mod instructions;
mod lab;
mod page;
#[path = "../support/plan.rs"]
#[allow(dead_code, reason = "tests use more of it")]
mod plan;
mod process;
mod quality;
mod recording;
mod render;
mod speech;
mod srtp;
mod trunk;

use std::os::unix::process::CommandExt;
use std::process::{Command, exit};

fn main() {
    // Cargo adds `--bench` to what a bench is started with.
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["floor", calls, complexity, loss] => {
            floor::run(number(calls), number(complexity) as u8, number(loss) as u8);
        }
        ["timer"] => delay::timer(),
        ["render"] => render::run(),
        ["instructions"] => instructions::run(),
        [name @ ("calls" | "delay" | "quality" | "conversation" | "recording")] => {
            pin();
            match name {
                "calls" => calls::run(),
                "delay" => delay::run(),
                "quality" => quality::run(),
                "recording" => recording::run(),
                _ => conversation::run(),
            }
        }
        // `cargo test` and `cargo bench` without a name: nothing that takes minutes.
        [] => println!("make bench"),
        _ => {
            eprintln!(
                "load: calls, delay, quality, conversation, recording, instructions or render"
            );
            exit(2);
        }
    }
}

fn number(text: &str) -> usize {
    text.parse().expect("a number")
}

/// What generates the load has the last core, what is measured the first.
fn pin() {
    if std::env::var_os("LOAD_PINNED").is_none() {
        let own = std::env::current_exe().unwrap();
        let error = Command::new("taskset")
            .args(["-c", GENERATOR_CORE])
            .arg(own)
            .args(std::env::args_os().skip(1))
            .env("LOAD_PINNED", "1")
            .exec();
        panic!("taskset (util-linux) is needed: {error}");
    }
}

/// Of two cores.
const GENERATOR_CORE: &str = "1";
pub const MEASURED_CORE: &str = "0";
