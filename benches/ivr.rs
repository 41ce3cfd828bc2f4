//! 200 scenarios of 30 s call time in loopback, one after the other on one core: how many virtual
//! seconds a second. `cargo bench --bench ivr`; fails where it takes 5 s or more.

#![allow(clippy::unwrap_used, reason = "a benchmark says what is wrong by stopping")]

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use crosspoint::caller::Disk;
use crosspoint::config::load_plan;
use crosspoint::dialplan::Known;
use crosspoint::ivr::{Case, Folder, Format, Loopback, Script, read};

const SCENARIO: &str = r##"
version: 1
name: thirty seconds
target: "did:+493012345670"
at: "2026-11-23T22:00+01:00"
via: loopback
prompts: prompts/
steps:
  - expect: { sip: { status: 200, within: 1s } }
  - expect: { prompt: { file: menu.wav, within: 1s }, silence: { max: 1500ms } }
  - press: "3"
    expect: { prompt: { file: about.wav, within: 1s } }
  - press: "*"
    expect: { prompt: { file: menu.wav, within: 1s } }
  - wait: 3s
  - hangup: true
"##;

fn main() {
    // `cargo test --benches` only sees that it builds.
    if std::env::args().any(|argument| argument == "--test") {
        return;
    }
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("examples/ivr");
    let file = folder.join("night-plan.toml");
    let (plan, _) = load_plan(&fs::read_to_string(&file).unwrap(), &file, &Known::default());
    let plan = plan.unwrap();
    let disk = Disk::of(&file);
    let (script, faults) = Script::of(&plan, &|name| disk.read(name));
    assert!(faults.is_empty(), "{faults:?}");
    let now = "2026-11-23T21:00:00Z".parse().unwrap();
    let loopback = Loopback { plan: Arc::new(plan), script: Arc::new(script), now };
    let (scenario, library) = read(SCENARIO, "bench.yaml", Format::Yaml, &disk).unwrap();
    let case = Case::of(&Arc::new(scenario), &Arc::new(library)).remove(0);
    let start = Instant::now();
    let mut call = 0.0;
    for _ in 0..200 {
        let result = loopback.run(case.clone(), start);
        assert_eq!(result.words(), None);
        call += result.call.as_secs_f64();
    }
    let took = start.elapsed().as_secs_f64();
    println!(
        "200 scenarios of {:.1} s: {took:.2} s, {:.0} virtual seconds a second",
        call / 200.0,
        call / took
    );
    assert!(took < 5.0 || call / took > 6000.0 / 5.0, "slower than promised");
}
