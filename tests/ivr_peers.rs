//! Tests of a menu that is a real program's of somebody else.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;

use crosspoint::codec::{Codec, Encoder, read_wav};
use support::menus::{examples, ivr};
use support::process::Process;
use support::{TempDir, free_port};

/// Recordings as A-law, for programs that send files as they are.
fn alaw(dir: &TempDir) {
    for name in ["menu", "about", "goodbye"] {
        let pcm = prompt(name);
        let mut encoder = Encoder::new(Codec::Pcma).unwrap();
        let mut payload = Vec::new();
        encoder.encode(&pcm[..pcm.len() / 160 * 160], &mut payload).unwrap();
        fs::write(dir.join(&format!("{name}.alaw")), payload).unwrap();
    }
}

fn prompt(name: &str) -> Vec<i16> {
    read_wav(&fs::read(examples().join(format!("prompts/{name}.wav"))).unwrap()).unwrap()
}

/// Runs one scenario, a case after the other; says whether all passed and what was printed.
fn run(dir: &TempDir, scenario: &str) -> (bool, String) {
    let file = dir.join("scenario.yaml");
    fs::write(&file, scenario).unwrap();
    let file = file.display().to_string();
    let output = ivr(&["run", &file, "--parallel", "1", "--retries", "2"]);
    let words = [output.stdout, output.stderr].concat();
    (output.status.success(), String::from_utf8_lossy(&words).into_owned())
}

/// The steps through the menu of `tests/sipp/uas_menu.xml`.
fn walk(target: &str, mode: &str) -> String {
    format!(
        "version: 1\nname: third party\ntarget: \"{target}\"\ndtmf: {{ mode: {mode} }}\n\
         prompts: {}/prompts\nsteps:\n  - expect:\n      sip: {{ status: 200, within: 5s }}\n      \
         prompt: {{ file: menu.wav, within: 3s }}\n  - press: \"3\"\n    expect: {{ prompt: {{ file: \
         about.wav, within: 3s }} }}\n  - press: \"#\"\n    expect: {{ prompt: {{ file: goodbye.wav, \
         within: 3s }}, end: {{ by: remote, within: 5s }} }}\n",
        examples().display()
    )
}

#[test]
fn a_menu_that_sipp_plays_is_walked_by_info_over_udp_and_tcp() {
    let dir = TempDir::new("menu");
    alaw(&dir);
    let scenario = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/sipp/uas_menu.xml");
    for (transport, suffix) in [("u1", ""), ("t1", ";transport=tcp")] {
        let port = free_port();
        let mut sipp = Command::new("sipp");
        sipp.current_dir(dir.path()).arg("-sf").arg(&scenario).args(["-t", transport]);
        sipp.args(["-i", "127.0.0.1", "-mi", "127.0.0.1", "-p", &port.to_string()]);
        sipp.args(["-nostdin", "-timeout", "90"]);
        let sipp = Process::start("sipp", &mut sipp);
        let target = format!("sip:menu@127.0.0.1:{port}{suffix}");
        let (passed, words) = run(&dir, &walk(&target, "info"));
        assert!(passed, "{transport}: {words}{}", sipp.output());
    }
}
