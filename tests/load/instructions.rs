//! Instructions of a call, by callgrind: the library's own tests of the hot path, of a release build.

use std::process::Command;

use super::render::Table;

/// Seconds of a call that those tests count.
const SECONDS: f64 = 10.0;

pub fn run() {
    let tests = tests();
    let bridge = instructions(&tests, "the_bridge_is_counted", "counted_bridge");
    let codecs = instructions(&tests, "the_codecs_are_counted", "counted_codecs");
    let mut table = Table::new("instructions", &["what", "million instructions a call and second"]);
    for (what, count) in [("the bridge, both directions", bridge), ("libopus and G.711", codecs)] {
        table.row(&[what.to_owned(), format!("{:.2}", count as f64 / SECONDS / 1e6)]);
    }
    table.row(&["ratio".to_owned(), format!("{:.3}", bridge as f64 / codecs as f64)]);
    table.keep();
}

/// The program of the library's tests.
fn tests() -> String {
    let output = Command::new(env!("CARGO"))
        .args(["test", "--release", "--lib", "--no-run", "--message-format=json"])
        .output()
        .expect("cargo runs");
    let text = String::from_utf8_lossy(&output.stdout);
    let messages = text.lines().filter_map(|line| serde_json::from_str(line).ok());
    let mut programs = messages.filter_map(|message: serde_json::Value| {
        let is_test = message["profile"]["test"] == true;
        is_test.then(|| message["executable"].as_str().map(str::to_owned)).flatten()
    });
    programs.next_back().expect("cargo builds the tests")
}

/// What callgrind counts in a function of a test.
fn instructions(tests: &str, test: &str, function: &str) -> u64 {
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null", "--collect-atstart=no"])
        .arg(format!("--toggle-collect=*{function}*"))
        .arg(tests)
        .args(["--exact", "--ignored", &format!("media::bridge_tests::hot_path::{test}")])
        .output()
        .expect("valgrind is installed (make bench-instructions installs it)");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let count = text.lines().find_map(|line| line.split("Collected :").nth(1));
    count.expect("callgrind says what it collected").trim().parse().unwrap()
}
