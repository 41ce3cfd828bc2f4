//! Chromium with the web phone against the real binary: the demo's lines, and real phones behind a
//! trunk. Sound is measured, digits are compared, the shown reason of an end is read.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::TempDir;
use support::browser::Browser;
use support::gateway::Gateway;
use support::http;
use support::phones::{Baresip, Sipp};
use support::plan::{PHONE, PHONE_AND_PAGE};
use support::sound::{best_level, write_tone};

#[test]
fn the_demo_is_heard_in_chromium() {
    let gateway = Gateway::demo();
    let dir = TempDir::new("demo-browser");
    let microphone = dir.join("microphone.wav");
    write_tone(&microphone, 48_000, 620.0, -20.0, 20.0);
    let steps = json!([
        {"do": "hint", "to": "600"},
        {"do": "active"},
        {"do": "connected"},
        {"do": "hear", "hz": 620},
        {"do": "tones", "tones": "0123456789*#ABCD"},
        {"do": "received", "digits": "0123456789*#ABCD"},
        {"do": "hangup"},
        {"do": "ended"},
        {"do": "hint", "to": "602"},
        {"do": "active"},
        {"do": "hear", "hz": 1004},
        {"do": "hangup"},
        {"do": "ended"},
        {"do": "hint", "to": "605"},
        {"do": "ended"},
        {"do": "hint", "to": "604"},
        {"do": "state", "name": "ringing"},
        {"do": "hangup"},
        {"do": "ended"},
        {"do": "hint", "to": "606"},
        {"do": "state", "name": "early-media"},
        {"do": "ended"},
        {"do": "dial", "to": "999999"},
        {"do": "ended"},
        {"do": "hint", "to": "607"},
        {"do": "active"},
        {"do": "ended"},
        {"do": "answer"},
        {"do": "active"},
        {"do": "connected"},
        {"do": "wait", "seconds": 1},
        {"do": "hangup"},
        {"do": "ended"},
    ]);
    let saw = Browser::start(&gateway.base, None, microphone.to_str().unwrap(), steps).finish();

    // Chromium's fake microphone plays the file at its own loudness; what counts is that the echo is
    // the tone and not a trace of it.
    assert!(level(&saw[3]) > -45.0, "echo {:?}", saw[3]);
    assert_eq!(saw[4], "rtp", "the digits went by the real RTCDTMFSender");
    let keys = "0123456789*#ABCD";
    assert_eq!([&saw[5]["digits"], &saw[5]["shown"]], [keys, keys]);
    assert_end(&saw[7], "hangup", "local", "", "You hung up.");
    // 1004 Hz at -16 dBm0 is 19.17 dB below full scale.
    assert!((level(&saw[10]) + 19.17).abs() < 1.5, "tone line {:?}", saw[10]);
    assert_end(&saw[14], "busy", "remote", "486", "The line is busy.");
    assert!(saw[14]["detail"].as_str().unwrap().contains("486 Busy Here"), "{}", saw[14]);
    assert_end(&saw[18], "cancelled", "local", "", "");
    assert_end(&saw[21], "unreachable", "remote", "480", "");
    assert_end(&saw[23], "blocked-by-dialplan", "gateway", "403", "");
    assert_end(&saw[26], "hangup", "remote", "", "The other side hung up.");
    assert!(!saw[27]["caller"].as_str().unwrap().is_empty());
    assert_end(&saw[32], "hangup", "local", "", "You hung up.");
}

#[test]
fn a_page_talks_with_baresip() {
    let phone = Baresip::start(880.0, -20.0);
    let gateway = Gateway::serve(phone.port, PHONE_AND_PAGE);
    let dir = TempDir::new("baresip-browser");
    let microphone = dir.join("microphone.wav");
    write_tone(&microphone, 48_000, 620.0, -20.0, 20.0);
    let steps = json!([
        {"do": "dial", "to": "700"},
        {"do": "active"},
        {"do": "hear", "hz": 880},
        {"do": "tones", "tones": "159D", "duration": 200},
        {"do": "wait", "seconds": 2},
        {"do": "hangup"},
        {"do": "ended"},
    ]);
    let token = gateway.token();
    let saw =
        Browser::start(&gateway.base, Some(&token), microphone.to_str().unwrap(), steps).finish();
    // -20 dBm0 is 23.17 dB below full scale.
    assert!((level(&saw[2]) + 23.17).abs() < 1.5, "{:?}", saw[2]);
    assert_end(&saw[6], "hangup", "local", "", "You hung up.");
    let heard = phone.recording();
    assert!(best_level(&heard, 620.0) > -45.0, "baresip heard {} dBm0", best_level(&heard, 620.0));
    assert!(best_level(&heard, 620.0) - best_level(&heard, 990.0) > 15.0, "and little else");
    let presses = "159D".chars().flat_map(|key| [(key, false), (key, true)]);
    assert_eq!(phone.telephone_events(), presses.collect::<Vec<_>>(), "{}", phone.process.output());
}

/// A rule that names a law: the page, too, speaks it, and what it says is passed as it comes.
#[test]
fn a_route_with_one_codec_passes_it_from_end_to_end() {
    let phone = Baresip::start(880.0, -20.0);
    let gateway = Gateway::serve(phone.port, &format!("{PHONE}codec = \"pcmu\"\n"));
    let steps = json!([
        {"do": "dial", "to": "700"},
        {"do": "active"},
        {"do": "hear", "hz": 880},
        {"do": "stats"},
        {"do": "hangup"},
        {"do": "ended"},
    ]);
    let saw = Browser::start(&gateway.base, Some(&gateway.token()), "", steps).finish();
    assert_eq!(saw[3]["codec"], "PCMU", "{}", saw[3]);
    let record = &http::records(&gateway.base)[0];
    assert_eq!(record["codec"], "PCMU", "{record:#}");
    assert!(record["trace"].to_string().contains("codec pcmu"), "{record:#}");
    assert_eq!(saw[5]["code"], "hangup", "{}", saw[5]);
}

#[test]
fn a_page_calls_sipp_which_presses_a_key_and_hangs_up() {
    let phone = Sipp::answer("answer-then-bye.xml");
    // A scenario of sipp takes an OPTIONS for its call.
    let gateway = Gateway::serve_trunk(phone.port, PHONE_AND_PAGE, "options_interval = \"0s\"");
    let steps = json!([
        {"do": "dial", "to": "701"},
        {"do": "active"},
        {"do": "received", "digits": "7"},
        {"do": "ended"},
    ]);
    let token = gateway.token();
    let saw = Browser::start(&gateway.base, Some(&token), "", steps).finish();
    assert_eq!([&saw[2]["digits"], &saw[2]["shown"]], ["7", "7"]);
    assert_end(&saw[3], "hangup", "remote", "", "The other side hung up.");
}

#[test]
fn a_page_without_a_microphone_says_so() {
    let gateway = Gateway::serve(support::free_port(), PHONE_AND_PAGE);
    let steps = json!([{"do": "dial", "to": "700"}, {"do": "notice"}]);
    let token = gateway.token();
    let saw = Browser::start(&gateway.base, Some(&token), "none", steps).finish();
    let title = saw[1]["title"].as_str().unwrap();
    assert!(title.contains("microphone"), "{title}");
}

#[test]
fn sigterm_hangs_up_and_exits_0() {
    let phone = Baresip::start(880.0, -20.0);
    let mut gateway = Gateway::serve(phone.port, PHONE_AND_PAGE);
    let steps = json!([
        {"do": "dial", "to": "700"},
        {"do": "active"},
        {"do": "hear", "hz": 880},
        {"do": "ended"},
    ]);
    let token = gateway.token();
    let mut browser = Browser::start(&gateway.base, Some(&token), "", steps);
    browser.has_done("hear");
    phone.process.line_with("incoming rtp", Duration::from_secs(10));
    // The first lets the call go on, the second does not.
    gateway.process.signal("TERM");
    gateway.process.line_with("\"draining\"", Duration::from_secs(10));
    gateway.process.signal("TERM");
    assert!(gateway.process.wait(Duration::from_secs(30)).success());
    // The BYE has come; baresip says "terminated" only of calls longer than a second.
    phone.process.line_with("session closed", Duration::from_secs(10));
    let saw = browser.finish();
    assert_end(&saw[3], "server-shutdown", "gateway", "", "The gateway is being stopped.");
}

fn level(measured: &Value) -> f64 {
    measured["dbfs"].as_f64().unwrap()
}

fn assert_end(end: &Value, code: &str, by: &str, sip: &str, message: &str) {
    assert_eq!(end["code"], code, "{end}");
    assert_eq!(end["by"], by, "{end}");
    assert_eq!(end["sip"], sip, "{end}");
    assert!(end["message"].as_str().unwrap().contains(message), "{end}");
}
