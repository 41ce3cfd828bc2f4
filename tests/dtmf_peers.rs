//! Digits between real parts: Chromium and Firefox on one side, phones that are not ours on the other.
//! What the far side says it received is compared key by key, and in length where it says that.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use support::browser::{Browser, Engine};
use support::gateway::Gateway;
use support::phones::{Baresip, Linphone, Sipp};
use support::sound::keys_by_multimon;
use support::wire::{Press, Wire, read_capture};
use support::{TempDir, sound};

const ALL: &str = "0123456789*#ABCD";
/// The keys a page presses on the wire phone, and for how long, in ms.
const PRESSES: &[(&str, u32)] = &[(ALL, 40), (ALL, 100), ("1D*", 1370), ("5#", 3000)];

const PLAN: &str = r#"
version = 1
emergency = "not-provided"
[defaults]
timezone = "Europe/Berlin"
country = "DE"
[caller_id.web]
number = "+493012345670"
[group.all]
users = ["web"]
caller_id = ["web"]
[[outbound]]
name = "the phone"
to = ["700"]
route = ["phone"]
"#;

/// Added to it where there is a second phone.
const SECOND: &str = r#"
[[outbound]]
name = "the wire"
to = ["701"]
route = ["wire"]
"#;

/// How digits go to the phones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Rfc4733,
    Info,
    Inband,
}

impl Way {
    fn word(self) -> &'static str {
        match self {
            Way::Rfc4733 => "rfc4733",
            Way::Info => "info",
            Way::Inband => "inband",
        }
    }
}

/// One cell: a browser presses keys, baresip and a wire phone behind sipp receive them.
fn a_browser_presses_keys(engine: Engine, way: Way) {
    // Two browsers at once keep a small machine from pressing keys in time.
    static ONE: Mutex<()> = Mutex::new(());
    let _one = ONE.lock().unwrap_or_else(PoisonError::into_inner);
    let phone = Baresip::start(880.0, -20.0);
    let wire = Wire::start(true);
    let mut sipp = Sipp::listen(wire.port);
    let trunks = format!(
        "dtmf = \"{way}\"\n[trunk.wire]\ntarget = \"sip:127.0.0.1:{}\"\n\
         accept_from = [\"127.0.0.1/32\"]\ncodecs = [\"pcmu\"]\noptions_interval = \"0s\"\n\
         dtmf = \"{way}\"",
        sipp.port,
        way = way.word()
    );
    let gateway = Gateway::serve_trunk(phone.port, &format!("{PLAN}{SECOND}"), &trunks);
    let token = gateway.token();
    let mut steps = vec![
        json!({"do": "dial", "to": "700"}),
        json!({"do": "active"}),
        json!({"do": "connected"}),
        json!({"do": "tones", "tones": ALL, "duration": 100, "gap": 100}),
        json!({"do": "wait", "seconds": 2}),
        json!({"do": "hangup"}),
        json!({"do": "ended"}),
        json!({"do": "dial", "to": "701"}),
        json!({"do": "active"}),
        json!({"do": "connected"}),
    ];
    for (keys, ms) in PRESSES {
        steps.push(json!({"do": "tones", "tones": keys, "duration": ms, "gap": 100}));
    }
    steps.push(json!({"do": "wait", "seconds": 3}));
    steps.push(json!({"do": "hangup"}));
    steps.push(json!({"do": "ended"}));
    let saw = Browser::start_in(engine, &gateway.base, Some(&token), "", steps.into()).finish();
    assert_eq!(saw[3], "rtp", "the keys went by the browser's own RTCDTMFSender");

    let wanted: Vec<(char, u32)> =
        PRESSES.iter().flat_map(|(keys, ms)| keys.chars().map(|key| (key, *ms))).collect();
    match way {
        Way::Rfc4733 => {
            let presses = ALL.chars().flat_map(|key| [(key, false), (key, true)]);
            assert_eq!(phone.telephone_events(), presses.collect::<Vec<_>>());
            compare(engine, &wire.telephone_events(101), &wanted, "on the wire");
            assert_eq!(sipp.infos(), []);
            assert_eq!(phone.infos(), []);
        }
        Way::Info => {
            let keys: String = phone.infos().iter().map(|(key, _)| key).collect();
            assert_eq!(keys, ALL, "baresip's INFO");
            let infos = sipp.infos();
            assert!(infos.iter().all(|(kind, ..)| kind == "application/dtmf-relay"), "{infos:?}");
            let presses: Vec<Press> =
                infos.iter().map(|(_, key, ms)| Press { key: *key, ms: *ms }).collect();
            compare(engine, &presses, &wanted, "in sipp's INFO");
            assert_eq!(wire.telephone_events(101), []);
            assert_eq!(phone.telephone_events(), []);
        }
        Way::Inband => {
            let dir = TempDir::new("inband");
            assert_eq!(
                keys_by_multimon(dir.path(), &phone.recording()),
                ALL,
                "baresip's recording"
            );
            let pcm = wire.sound();
            let keys: String = wanted.iter().map(|(key, _)| key).collect();
            assert_eq!(keys_by_multimon(dir.path(), &pcm), keys, "the wire's sound");
            compare(engine, &sound::tones(&pcm), &wanted, "measured on the wire");
            assert_eq!(wire.telephone_events(101), []);
            assert_eq!(sipp.infos(), []);
        }
    }
}

/// How long a browser that was asked for `ms` really presses, and how much longer it may be (its
/// packets are 20 ms apart). The trunk's least tone is 50 ms. Firefox counts 120 ms in every packet.
fn length(engine: Engine, ms: u32) -> (u32, u32) {
    match engine {
        Engine::Chromium => (ms.max(50), 60),
        Engine::Firefox => (ms.div_ceil(120) * 120, 0),
    }
}

/// Key by key and in length.
fn compare(engine: Engine, got: &[Press], wanted: &[(char, u32)], place: &str) {
    for (n, press) in got.iter().enumerate() {
        println!("{place} {n}: {} {} ms, asked {:?}", press.key, press.ms, wanted.get(n));
    }
    let keys: String = got.iter().map(|press| press.key).collect();
    let asked: String = wanted.iter().map(|(key, _)| key).collect();
    assert_eq!(keys, asked, "{place}");
    for (press, (key, ms)) in got.iter().zip(wanted) {
        let (least, more) = length(engine, *ms);
        assert!(
            (least - 10..=least + 10 + more).contains(&press.ms),
            "{place}: {key} for {} ms, not {ms}",
            press.ms
        );
    }
}

/// One test a cell of the table: a browser, and how keys go to the phones.
macro_rules! cells {
    ($($(#[$switch:meta])* $name:ident: $engine:ident to $way:ident;)*) => {$(
        #[test]
        $(#[$switch])*
        fn $name() {
            a_browser_presses_keys(Engine::$engine, Way::$way);
        }
    )*};
}

cells! {
    #[ignore = "lengths of real browsers need a machine with nothing else to do: make test-long"]
    chromium_to_rfc4733: Chromium to Rfc4733;
    #[ignore = "lengths of real browsers need a machine with nothing else to do: make test-long"]
    firefox_to_rfc4733: Firefox to Rfc4733;
    #[ignore = "lengths of real browsers need a machine with nothing else to do: make test-long"]
    chromium_to_info: Chromium to Info;
    #[ignore = "lengths of real browsers need a machine with nothing else to do: make test-long"]
    firefox_to_info: Firefox to Info;
    #[ignore = "lengths of real browsers need a machine with nothing else to do: make test-long"]
    chromium_to_inband: Chromium to Inband;
    #[ignore = "lengths of real browsers need a machine with nothing else to do: make test-long"]
    firefox_to_inband: Firefox to Inband;
}

/// A page that calls the phone and reports what keys came from there.
fn a_page_hears(gateway: &Gateway, keys: &str) -> Browser {
    let steps = json!([
        {"do": "dial", "to": "700"},
        {"do": "active"},
        {"do": "connected"},
        {"do": "received", "digits": keys},
        {"do": "wait", "seconds": 1},
        {"do": "received", "digits": keys},
        {"do": "hangup"},
        {"do": "ended"},
    ]);
    Browser::start(&gateway.base, Some(&gateway.token()), "", steps)
}

fn assert_heard(saw: &[Value], keys: &str) {
    assert_eq!(saw[5], json!({"digits": keys, "shown": keys}), "and none came twice");
}

#[test]
fn baresip_presses_keys() {
    let phone = Baresip::start(880.0, -20.0);
    let gateway = Gateway::serve_trunk(phone.port, PLAN, "dtmf = \"rfc4733\"\n");
    // Its a to d are commands.
    let keys = "0123456789*#";
    let mut page = a_page_hears(&gateway, keys);
    page.has_done("connected");
    for key in keys.chars() {
        phone.press(key);
        std::thread::park_timeout(Duration::from_millis(150));
        phone.release();
        std::thread::park_timeout(Duration::from_millis(100));
    }
    assert_heard(&page.finish(), keys);
}

#[test]
fn linphonec_presses_keys_by_info() {
    let phone = Linphone::start();
    let gateway = Gateway::serve_trunk(phone.port, PLAN, "");
    let keys = "0123456789*#";
    let mut page = a_page_hears(&gateway, keys);
    page.has_done("connected");
    phone.press(keys);
    assert_heard(&page.finish(), keys);
}

/// sipp's own captures of telephone events: no duration in the first packet, three ends with one
/// sequence number, and numbers that jump back and forth from key to key.
#[test]
fn the_captures_of_sipp_are_one_key_each() {
    let wire = Wire::start(false);
    let sipp = Sipp::listen(wire.port);
    let gateway = Gateway::serve_trunk(sipp.port, PLAN, "options_interval = \"0s\"");
    let keys = "550912378465*#";
    let mut page = a_page_hears(&gateway, keys);
    page.has_done("connected");
    wire.connected();
    for key in keys.chars() {
        let name = match key {
            '*' => "star".to_owned(),
            '#' => "pound".to_owned(),
            digit => digit.to_string(),
        };
        let capture = read_capture(&format!("/usr/share/sip-tester/dtmf_2833_{name}.pcap"));
        assert_eq!(capture[0].1[1] & 0x7f, 101, "the payload type that sipp's SDP names");
        let last = capture.last().unwrap().0;
        wire.send(capture);
        std::thread::park_timeout(last + Duration::from_millis(300));
    }
    assert_heard(&page.finish(), keys);
}
