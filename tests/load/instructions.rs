//! Instructions of a call, by callgrind: the library's own tests of the hot path, of a release build.

use std::process::Command;

use super::render::Table;

/// Seconds of a call that those tests count.
const SECONDS: f64 = 10.0;
/// Seconds of the whole test, where a function of the bridge is counted.
const WITH_WARM_UP: f64 = 12.0;

pub fn run() {
    let tests = tests();
    let count = |test: &str, function: &str, seconds: f64| {
        instructions(&tests, test, function) as f64 / seconds / 1e6
    };
    let bridge = count("the_bridge_is_counted", "*counted_bridge*", SECONDS);
    let codecs = count("the_codecs_are_counted", "*counted_codecs*", SECONDS);
    // Without telephone events on the trunk: tones are listened for, and made.
    let toned = "the_bridge_with_tones_is_counted";
    let with_tones = count(toned, "*counted_bridge*", SECONDS);
    let detector = count(toned, "*InbandDetector*handle_input*", WITH_WARM_UP);
    let senders = count(toned, "*DigitsOut*interval*", WITH_WARM_UP);
    let recorded = count("the_recorded_bridge_is_counted", "*counted_bridge*", SECONDS);
    let mut table = Table::new("instructions", &["what", "million instructions a call and second"]);
    for (what, millions) in [
        ("the bridge, both directions", bridge),
        ("libopus and G.711", codecs),
        ("the bridge, tones instead of events toward the trunk", with_tones),
        ("of it the detector of tones", detector),
        ("of it the senders of digits", senders),
        ("the bridge of a call that is recorded", recorded),
    ] {
        table.row(&[what.to_owned(), format!("{millions:.3}")]);
    }
    table.row(&["the bridge / libopus and G.711".to_owned(), format!("{:.3}", bridge / codecs)]);
    let share = (detector + senders) / with_tones * 100.0;
    table.row(&[
        "detector and senders of the bridge with tones".to_owned(),
        format!("{share:.2} %"),
    ]);
    table.keep();
    assert!(share <= 2.0, "digits take {share:.2} % of a call");
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
        .arg(format!("--toggle-collect={function}"))
        .arg(tests)
        .args(["--exact", "--ignored", &format!("media::bridge_tests::hot_path::{test}")])
        .output()
        .expect("valgrind is installed (make bench-instructions installs it)");
    let text = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}");
    let count = text.lines().find_map(|line| line.split("Collected :").nth(1));
    let count = count.expect("callgrind says what it collected").trim().parse().unwrap();
    assert!(count > 0, "no function of {test} is {function}: was it inlined?");
    count
}
