//! Voice menus between real programs: a third party's menu under test, phones and a browser in the
//! gateway's menus, and callees that misbehave.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crosspoint::codec::{Codec, Encoder, dominant_frequency, level_dbm0, read_wav};
use crosspoint::ivr::{Reference, WHOLE, WINDOW, rows};
use serde_json::{Value, json};
use support::browser::Browser;
use support::gateway::Gateway;
use support::menus::{PLAN, download, examples, gateway, gateway_with, ivr};
use support::phones::{Baresip, Sipp};
use support::process::Process;
use support::raw_phone::{self, RawPhone, packet};
use support::sipp_script::{Script, plain, sdp};
use support::socket::Socket;
use support::sound::{best_level, write_tone};
use support::uas::{self, Uas};
use support::{TempDir, free_port, http};

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

/// Whether a recording is in what was heard.
fn hears(heard: &[i16], name: &str) -> bool {
    let reference = Reference::new(name, &prompt(name)).unwrap();
    reference.best(&rows(heard, 0)).is_some_and(|found| found.passes(WHOLE, WINDOW))
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

/// The steps through the menu of `tests/perl/menu.pl` and of `tests/sipp/uas_menu.xml`.
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
fn a_menu_of_net_sips_is_walked_over_udp_and_tcp_by_events_and_by_tones() {
    let dir = TempDir::new("net-sip");
    alaw(&dir);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/perl/menu.pl");
    for (transport, suffix) in [("udp", ""), ("tcp", ";transport=tcp")] {
        let port = free_port();
        let mut perl = Command::new("perl");
        perl.arg(&script).args([transport, &port.to_string()]).arg(dir.path());
        let menu = Process::start("Net::SIP", &mut perl);
        menu.line_with("listening", Duration::from_secs(20));
        let target = format!("sip:menu@127.0.0.1:{port}{suffix}");
        for mode in ["rfc4733", "inband"] {
            let (passed, words) = run(&dir, &walk(&target, mode));
            assert!(passed, "{transport} {mode}: {words}{}", menu.output());
        }
        let said = menu.output();
        let keys = |key: &str| said.lines().filter(|line| *line == format!("key {key}")).count();
        assert!(keys("3") >= 2 && keys("#") >= 2, "{said}");
    }
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

/// A phone of somebody else's leaves a message; the page hears of it, and it is there after a power cut.
#[test]
fn baresip_walks_the_gateways_menu_and_leaves_a_message_that_outlives_the_process() {
    let gateway = gateway(free_port());
    let phone = Baresip::start(880.0, -16.0);
    let sip = gateway.sip_udp.unwrap();
    let seen = Duration::from_secs(20);

    phone.dial(&format!("sip:+493023125600@{sip}"));
    gateway.process.line_with("\"message\":\"answered\"", seen);
    // It has heard the prompt for a while when it presses.
    thread::park_timeout(Duration::from_secs(1));
    phone.send_code("3");
    gateway.process.line_with("\"message\":\"digit", seen);
    thread::park_timeout(Duration::from_secs(8));
    phone.send_code("*");
    thread::park_timeout(Duration::from_secs(2));
    phone.command("hangup", "");
    let heard = phone.recording();
    assert!(hears(&heard, "about"), "the menu behind the key 3");
    http::no_call_is_on(&gateway.base);

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let token = gateway.token();
    let event = runtime.block_on(async {
        let mut page = Socket::signed_in(&gateway.base, &token).await;
        phone.dial(&format!("sip:+493023125602@{sip}"));
        // Greeting, beep, and some seconds of its tone; then a key ends it.
        let greeting = prompt("unavailable").len() as u64 / 8;
        tokio::time::sleep(Duration::from_millis(greeting + 4000)).await;
        phone.send_code("#");
        page.event("voicemail.waiting").await
    });
    assert_eq!(event["mailbox"], "reception", "{event}");
    assert_eq!(event["waiting"], 1, "{event}");
    let id = event["voicemail"].as_str().unwrap().to_owned();
    assert!(event["duration_ms"].as_u64().unwrap() > 500, "{event}");

    let gateway = gateway.kill_and_start_again();
    let listed = http::get(&gateway.base, "/v1/voicemails", &[]).json();
    assert_eq!(listed["items"][0]["id"], id.as_str(), "{listed}");
    let pcm = read_wav(&download(&gateway.base, &format!("/v1/voicemails/{id}/audio"))).unwrap();
    // While the playout buffer shrinks, sound is played 0.2 % faster: 1.8 Hz.
    let middle = &pcm[2000..pcm.len() - 4000];
    let (hz, level) = (dominant_frequency(middle).unwrap(), level_dbm0(middle));
    assert!((hz - 880.0).abs() < 2.5 && (level + 16.0).abs() < 0.5, "{hz} Hz at {level} dBm0");
}

fn level(measured: &Value) -> f64 {
    measured["dbfs"].as_f64().unwrap()
}

/// [`PLAN`] with a prompt of 6 kHz behind the key 7 and a group of pages behind the key 8.
fn wide_gateway() -> Gateway {
    let plan = PLAN.replace(
        "\"#\" = \"hangup\"",
        "\"7\" = \"menu:wide\"\n\"8\" = \"ring:desk\"\n\"#\" = \"hangup\"",
    );
    let plan = format!(
        "{plan}[menu.wide]\nprompt = \"prompts/wide.wav\"\non_fail = \"menu:top\"\n[menu.wide.press]\n\
         \"*\" = \"menu:top\"\n[ring.desk]\nusers = [\"desk\", \"web\"]\ntimeout = \"60s\"\n"
    );
    gateway_with(free_port(), &plan, |prompts| {
        write_tone(&prompts.join("wide.wav"), 16_000, 6000.0, -10.0, 8.0);
    })
}

#[test]
fn chromium_walks_the_gateways_menu_by_its_own_digits() {
    let gateway = wide_gateway();
    let dir = TempDir::new("menu-browser");
    let microphone = dir.join("microphone.wav");
    write_tone(&microphone, 48_000, 620.0, -20.0, 20.0);
    let steps = json!([
        {"do": "dial", "to": "601"},
        {"do": "active"},
        {"do": "connected"},
        {"do": "wait", "seconds": 2},
        {"do": "tones", "tones": "4"},
        {"do": "hear", "hz": 1004},
        {"do": "hangup"},
        {"do": "ended"},
        {"do": "dial", "to": "601"},
        {"do": "active"},
        {"do": "connected"},
        {"do": "tones", "tones": "7"},
        {"do": "hear", "hz": 6000},
        {"do": "tones", "tones": "*#"},
        {"do": "ended"},
    ]);
    let token = gateway.token();
    let saw =
        Browser::start(&gateway.base, Some(&token), microphone.to_str().unwrap(), steps).finish();
    // 0 dBm0 is 3.17 dB below full scale.
    assert!((level(&saw[5]) + 3.17).abs() < 1.5, "the milliwatt behind the key 4: {:?}", saw[5]);
    assert!((level(&saw[12]) + 13.17).abs() < 3.0, "the prompt of 16 kHz: {:?}", saw[12]);
    let end = &saw[14];
    assert_eq!(end["code"], "hangup", "the menu hung up: {end}");
    assert_eq!(end["by"], "remote", "{end}");
    let records = http::records(&gateway.base);
    assert_eq!(records.len(), 2, "{records:?}");
}

#[test]
fn a_phone_of_g722_hears_16_khz_of_a_menu_and_reaches_a_group_that_talks_with_it() {
    let gateway = wide_gateway();
    let seen = Duration::from_secs(20);
    let dir = TempDir::new("menu-group");
    let microphone = dir.join("microphone.wav");
    write_tone(&microphone, 48_000, 620.0, -20.0, 40.0);
    let phone = Baresip::start_with_codecs(16_000, 880.0, "g722/16000/1", 20);
    phone.dial(&format!("sip:+493023125600@{}", gateway.sip_udp.unwrap()));
    gateway.process.line_with("\"to\":\"menu:top\"", seen);
    phone.send_code("7");
    gateway.process.line_with("\"to\":\"menu:wide\"", seen);
    thread::park_timeout(Duration::from_secs(2));
    phone.command("hangup", "");
    let heard = phone.recording();
    // At 16 kHz; measured as if at 8 all frequencies are half.
    let wide = best_level(&heard, 3000.0);
    assert!((wide + 10.0).abs() < 1.5, "6 kHz at {wide} dBm0");
    http::no_call_is_on(&gateway.base);

    // Nobody is at the desk: the other one of the group takes the call.
    let steps = json!([
        {"do": "answer"},
        {"do": "active"},
        {"do": "hear", "hz": 880},
        {"do": "wait", "seconds": 1},
        {"do": "hangup"},
        {"do": "ended"},
    ]);
    let token = gateway.token();
    let mut page = Browser::start(&gateway.base, Some(&token), microphone.to_str().unwrap(), steps);
    gateway.process.line_with("page signed in", Duration::from_secs(60));
    phone.dial(&format!("sip:+493023125600@{}", gateway.sip_udp.unwrap()));
    gateway.process.line_with("\"to\":\"menu:top\"", seen);
    phone.send_code("8");
    let saw = page.finish();
    // -20 dBm0 of the phone's.
    assert!((level(&saw[2]) + 23.17).abs() < 1.5, "the phone in the browser: {:?}", saw[2]);
    assert_eq!(saw[5]["by"], "local", "{}", saw[5]);
    let heard = phone.recording();
    let talked = best_level(&heard, 310.0);
    assert!((talked + 20.0).abs() < 1.5, "the browser at {talked} dBm0 in the phone");
    let records = http::records(&gateway.base);
    let onward = records.iter().filter(|record| record["to"]["uri"] == "ring:desk");
    assert_eq!(onward.count(), 1, "{records:#?}");
}

#[test]
fn a_scenario_holds_a_phone_takes_it_back_and_transfers_it() {
    let dir = TempDir::new("hold");
    let phone = Baresip::start(880.0, -16.0);
    let other = RawPhone::start(raw_phone::Manner::Answers);
    let scenario = format!(
        "version: 1\nname: hold\ntarget: \"sip:700@127.0.0.1:{}\"\nsteps:\n  - expect: {{ sip: {{ status: 200, \
         within: 5s }} }}\n  - wait: 2s\n    expect: {{ level: {{ min: -25dBFS, max: -10dBFS }} }}\n  - name: \
         held\n    hold: true\n  - wait: 2s\n  - name: taken back\n    hold: false\n  - wait: 2s\n    expect: \
         {{ level: {{ min: -25dBFS, max: -10dBFS }} }}\n  - name: transferred\n    transfer: \
         \"sip:menu@127.0.0.1:{}\"\n  - wait: 3s\n  - hangup: true\n",
        phone.port, other.port
    );
    let (passed, words) = run(&dir, &scenario);
    assert!(passed, "{words}\n{}", phone.process.output());
    let said = phone.process.output();
    assert_eq!(said.matches("got re-INVITE").count(), 2, "{said}");
    assert_eq!(other.dialog().dialled, format!("sip:menu@127.0.0.1:{}", other.port));
}

#[test]
fn ctrl_c_hangs_up_the_calls_of_a_run() {
    let script = Script::callee().answer("200 OK", "", Some(&plain(1))).ack().until_bye();
    let mut sipp = Sipp::script(&script);
    let dir = TempDir::new("stop");
    let file = dir.join("scenario.yaml");
    let target = format!("sip:menu@127.0.0.1:{}", sipp.port);
    let scenario =
        format!("version: 1\nname: long\ntarget: \"{target}\"\nsteps:\n  - wait: 100s\n");
    fs::write(&file, scenario).unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosspoint"));
    command.args(["ivr", "run", "--retries", "3"]).arg(&file);
    let mut run = Process::start("ivr", &mut command);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(sipp.got("ACK sip:", 1));
    run.signal("INT");
    assert_eq!(run.wait(Duration::from_secs(20)).code(), Some(1), "{}", run.output());
    // It got its BYE.
    sipp.is_content();
    assert!(run.output().contains("the run was stopped"), "{}", run.output());
}

/// One step against a callee; it must fail with these words, and in its time.
fn fails(target: &str, words: &str) {
    let dir = TempDir::new("callee");
    let scenario = format!(
        "version: 1\nname: callee\ntarget: \"{target}\"\nprompts: {}/prompts\nsteps:\n  - expect: {{ \
         sip: {{ status: 200, within: 1s }} }}\n  - expect: {{ prompt: {{ file: menu.wav, within: 1s }} }}\n",
        examples().display()
    );
    let file = dir.join("scenario.yaml");
    fs::write(&file, scenario).unwrap();
    let output = ivr(&["run", &file.display().to_string(), "--output", "json"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    let case = &report["cases"][0];
    let said = case["message"].as_str().unwrap();
    assert!(said.contains(words), "{said}\n{words}");
    assert!(case["call_ms"].as_u64().unwrap() < 30_000, "{case}");
}

/// Sends packets to the phone's caller until it is told to stop: `burst` every 4 ms.
fn pour<R>(phone: &RawPhone, payload_type: u8, burst: u16, during: impl FnOnce() -> R) -> R {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            let to = phone.dialog().rtp;
            let mut seq = 0u16;
            while !stop.load(Ordering::Relaxed) {
                for _ in 0..burst {
                    let at = u32::from(seq) * 160;
                    let _ = phone.rtp.send_to(&packet(7, seq, at, payload_type, &[0x55; 160]), to);
                    seq = seq.wrapping_add(1);
                }
                thread::park_timeout(Duration::from_millis(4));
            }
        });
        let done = during();
        stop.store(true, Ordering::Relaxed);
        done
    })
}

#[test]
fn callees_that_misbehave_fail_the_step_with_what_was_seen() {
    let silent = Uas::start(uas::Manner::Silent);
    fails(&silent.target().replace("sip:", "sip:menu@"), "there was no response at all");

    let no_codec = sdp(1, "[media_port]", "18", "a=rtpmap:18 G729/8000\n");
    let script = Script::callee().answer("200 OK", "", Some(&no_codec)).ack().until_bye();
    let sipp = Sipp::script(&script);
    fails(
        &format!("sip:menu@127.0.0.1:{}", sipp.port),
        "the answer has no sound that this telephone speaks",
    );

    let phone = RawPhone::start(raw_phone::Manner::AnswersMute);
    let target = format!("sip:menu@127.0.0.1:{}", phone.port);
    pour(&phone, 18, 1, || {
        fails(&target, "none of them in the codec agreed on, but of payload type 18")
    });

    let phone = RawPhone::start(raw_phone::Manner::AnswersMute);
    let target = format!("sip:menu@127.0.0.1:{}", phone.port);
    pour(&phone, 0, 16, || fails(&target, "packets a second, 50 are usual"));
}
