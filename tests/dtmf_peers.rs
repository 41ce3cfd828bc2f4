//! Digits between real parts: Chromium and Firefox on one side, phones that are not ours on the other.
//! What the far side says it received is compared key by key, and in length where it says that.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};
use support::browser::{Browser, Engine};
use support::gateway::Gateway;
use support::page_wire::{PageEvent, PageWire};
use support::phones::{Baresip, Linphone, Sipp};
use support::plan::PHONE;
use support::sound::keys_by_multimon;
use support::wire::{Press, Wire, read_capture};
use support::{TempDir, sound};

const ALL: &str = "0123456789*#ABCD";
/// After so long without any packet of a browser a key counts as released.
const LET_GO_MS: u32 = 950;
/// The keys a page presses on the wire phone, and for how long, in ms.
type Presses = &'static [(&'static str, u32)];

/// On every run: all keys at the short lengths, and each key at one of the long ones.
const EVERY_RUN: Presses = &[(ALL, 40), (ALL, 100), ("1D*", 1370), ("5#", 3000)];
/// All keys at all lengths, a call each: the machine has to keep up for 25 s, not for 80.
const WHOLE: [Presses; 6] = [
    &[(ALL, 40)],
    &[(ALL, 100)],
    &[("01234567", 1370)],
    &[("89*#ABCD", 1370)],
    &[("01234567", 3000)],
    &[("89*#ABCD", 3000)],
];

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

/// Whether a run says anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Run {
    Valid,
    /// The machine did not let the gateway run for 100 ms, so that its tones have holes, or not the
    /// browser: no sound came between two of its events, which is what tells their lengths, or nothing at
    /// all for a second, so that its key counts as released.
    Starved,
}

fn a_browser_presses_keys(engine: Engine, way: Way, presses: Presses) {
    let valid = (0..3).any(|_| attempt(engine, way, presses) == Run::Valid);
    assert!(valid, "the machine has too much else to do");
}

/// One cell: a browser presses keys, baresip and a wire phone behind sipp receive them.
fn attempt(engine: Engine, way: Way, presses: Presses) -> Run {
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
    let gateway = Gateway::serve_trunk(
        phone.port,
        &format!("{}{SECOND}", PHONE.replace("7XX", "700")),
        &trunks,
    );
    let token = gateway.token();
    let mut steps = vec![
        json!({"do": "dial", "to": "700"}),
        json!({"do": "active"}),
        json!({"do": "connected"}),
        json!({"do": "tones", "tones": ALL, "duration": 100, "gap": 100}),
        json!({"do": "delivered", "count": ALL.len()}),
        json!({"do": "wait", "seconds": 1}),
        json!({"do": "hangup"}),
        json!({"do": "ended"}),
        json!({"do": "dial", "to": "701"}),
        json!({"do": "active"}),
        json!({"do": "connected"}),
    ];
    for (keys, ms) in presses {
        steps.push(json!({"do": "tones", "tones": keys, "duration": ms, "gap": 100}));
    }
    steps.push(json!({"do": "wait", "seconds": 3}));
    steps.push(json!({"do": "hangup"}));
    steps.push(json!({"do": "ended"}));
    let capture = PageWire::start();
    // A tone that never pauses: with silence to send, a browser may send nothing for a while, and its
    // timestamps would not show where an event ended.
    let voice = TempDir::new("voice");
    let microphone = voice.join("voice.wav");
    sound::write_tone(&microphone, 48_000, 430.0, -20.0, 30.0);
    let microphone = microphone.display().to_string();
    let saw =
        Browser::start_in(engine, &gateway.base, Some(&token), &microphone, steps.into()).finish();
    assert_eq!(saw[3], "rtp", "the keys went by the browser's own RTCDTMFSender");
    assert_shown(&saw[4], way);

    let keys = presses.iter().flat_map(|(keys, ms)| keys.chars().map(|key| (key, *ms)));
    let mut sent = capture.events(engine, &gateway.process.udp_ports());
    assert_eq!(sent.len(), 2, "two calls with events");
    let wanted: Vec<Wanted> =
        keys.zip(sent.remove(1)).map(|((key, asked), sent)| Wanted { key, asked, sent }).collect();
    if wanted.len() < presses.iter().map(|(keys, _)| keys.len()).sum() {
        println!("{presses:?}: no sound between two of the browser's events");
        return Run::Starved;
    }
    if wanted.iter().any(|wanted| wanted.sent.stall_ms >= LET_GO_MS) {
        println!("{presses:?}: the browser sent nothing for a second in one of its events");
        return Run::Starved;
    }
    match way {
        Way::Rfc4733 => {
            let presses = ALL.chars().flat_map(|key| [(key, false), (key, true)]);
            assert_eq!(phone.telephone_events(), presses.collect::<Vec<_>>());
            compare(&wire.telephone_events(101), &wanted, Way::Rfc4733);
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
            compare(&presses, &wanted, Way::Info);
            assert_eq!(wire.telephone_events(101), []);
            assert_eq!(phone.telephone_events(), []);
        }
        Way::Inband if wire.has_holes() => {
            println!("{presses:?}: the gateway did not run for 100 ms");
            return Run::Starved;
        }
        Way::Inband => {
            let dir = TempDir::new("inband");
            assert_eq!(
                keys_by_multimon(dir.path(), &phone.recording()),
                ALL,
                "baresip's recording"
            );
            let pcm = wire.sound();
            let keys: String = wanted.iter().map(|wanted| wanted.key).collect();
            assert_eq!(keys_by_multimon(dir.path(), &pcm), keys, "the wire's sound");
            compare(&sound::tones(&pcm), &wanted, Way::Inband);
            assert_eq!(wire.telephone_events(101), []);
            assert_eq!(sipp.infos(), []);
        }
    }
    Run::Valid
}

/// The web phone has lit up each key when it was delivered, and says how and how long it was.
fn assert_shown(shown: &Value, way: Way) {
    let mode = match way {
        Way::Rfc4733 => "rfc4733",
        Way::Info => "sip-info",
        Way::Inband => "inband",
    };
    let shown = shown.as_array().unwrap();
    let keys: String = shown.iter().map(|digit| digit[0].as_str().unwrap()).collect();
    assert_eq!(keys, ALL, "what the page shows as delivered");
    for digit in shown {
        let whole = digit[1] == mode && digit[2].as_u64().is_some_and(|ms| ms >= 50);
        assert!(whole, "{digit}: not delivered as {mode}");
    }
}

/// A key: what the page asked for, and what the browser put on the wire.
struct Wanted {
    key: char,
    asked: u32,
    sent: PageEvent,
}

impl Wanted {
    /// The lengths that are right on the far side, which is compared with what the browser sent: how
    /// that compares with what the page asked for is the browser's affair. The trunk's least tone is
    /// 50 ms.
    fn lengths(&self, way: Way) -> std::ops::RangeInclusive<u32> {
        let PageEvent { ms, on_the_wire_ms, stall_ms } = self.sent;
        // Chromium ends a tone whose last step crosses 0xFFFF ticks of 48 kHz twice, at 1365 ms and at
        // its length: the first end is as good.
        let ms_or_first_end = if (1365..=1385).contains(&ms) { 1365 } else { ms };
        match way {
            // To the tick of 8 kHz, rounded down to ms; a tick for each update while the browser
            // stalls.
            Way::Rfc4733 => ms_or_first_end.max(50) - 1..=ms.max(50) + 1 + stall_ms / 160,
            Way::Info => ms_or_first_end - 1..=ms,
            // Sound cannot wait for a browser that stalls: its tone lasts as long as its packets took,
            // an interval of the browser and one of the trunk. Measured to 2.5 ms at both edges.
            Way::Inband => ms_or_first_end.max(50) - 5..=ms.max(50).max(on_the_wire_ms + 40) + 25,
        }
    }
}

/// Key by key and in length.
fn compare(got: &[Press], wanted: &[Wanted], way: Way) {
    for (n, press) in got.iter().enumerate() {
        let of = wanted.get(n).map(|w| (w.asked, w.sent));
        println!("{way:?} {n}: {} {} ms, asked and sent {of:?}", press.key, press.ms);
    }
    let keys: String = got.iter().map(|press| press.key).collect();
    let asked: String = wanted.iter().map(|wanted| wanted.key).collect();
    assert_eq!(keys, asked, "{way:?}");
    for (press, wanted) in got.iter().zip(wanted) {
        let (key, ms, lengths) = (wanted.key, press.ms, wanted.lengths(way));
        assert!(lengths.contains(&ms), "{way:?}: {key} of {ms} ms is not in {lengths:?}");
        assert!(wanted.sent.ms + 20 >= wanted.asked, "the browser cut {key}: {:?}", wanted.sent);
    }
}

/// One test a cell of the table: a browser, and how keys go to the phones.
macro_rules! cells {
    ($($name:ident, $whole:ident: $engine:ident to $way:ident;)*) => {$(
        #[test]
        fn $name() {
            a_browser_presses_keys(Engine::$engine, Way::$way, EVERY_RUN);
        }

        #[test]
        #[ignore = "two minutes of long tones: make test-long"]
        fn $whole() {
            WHOLE.iter().for_each(|part| a_browser_presses_keys(Engine::$engine, Way::$way, part));
        }
    )*};
}

cells! {
    chromium_to_rfc4733, chromium_to_rfc4733_whole: Chromium to Rfc4733;
    firefox_to_rfc4733, firefox_to_rfc4733_whole: Firefox to Rfc4733;
    chromium_to_info, chromium_to_info_whole: Chromium to Info;
    firefox_to_info, firefox_to_info_whole: Firefox to Info;
    chromium_to_inband, chromium_to_inband_whole: Chromium to Inband;
    firefox_to_inband, firefox_to_inband_whole: Firefox to Inband;
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

/// What the page got: these keys, each once, and how long each was in ms.
fn heard(saw: &[Value], keys: &str) -> Vec<u64> {
    assert_eq!([&saw[5]["digits"], &saw[5]["shown"]], [keys, keys], "and none came twice");
    let lengths = saw[5]["lengths"].as_array().unwrap();
    println!("{keys}: {lengths:?} ms");
    assert_eq!(lengths.len(), keys.len(), "each has an end");
    lengths.iter().map(|ms| ms.as_u64().unwrap()).collect()
}

#[test]
fn baresip_presses_keys() {
    let phone = Baresip::start(880.0, -20.0);
    let gateway = Gateway::serve_trunk(phone.port, PHONE, "dtmf = \"rfc4733\"\n");
    let keys = "0123456789*#";
    let capture = PageWire::start();
    let mut page = a_page_hears(&gateway, "0123456789*#ABCD");
    page.has_done("connected");
    let ports = gateway.process.udp_ports();
    for key in keys.chars() {
        phone.press(key);
        std::thread::park_timeout(Duration::from_millis(150));
        phone.release();
        std::thread::park_timeout(Duration::from_millis(100));
    }
    // As keys its a to d are commands; a command sends them as codes.
    phone.send_code("ABCD");
    let lengths = heard(&page.finish(), ALL);
    // It counts a key in packets of 20 ms at its own pace, which a busy machine changes.
    assert_eq!(lengths, capture.plain_events(101, &ports));
    support::interop::record("baresip", "telephone events");
}

#[test]
fn linphonec_presses_keys_by_info() {
    let phone = Linphone::start();
    let gateway = Gateway::serve_trunk(phone.port, PHONE, "");
    let keys = "0123456789*#";
    let mut page = a_page_hears(&gateway, keys);
    page.has_done("connected");
    phone.press(keys);
    // The `Duration` that it writes into each INFO.
    assert_eq!(heard(&page.finish(), keys), [250; 12]);
    support::interop::record("linphonec", "SIP INFO");
}

/// sipp's own captures of telephone events: no duration in the first packet, three ends with one
/// sequence number, and numbers that jump back and forth from key to key.
#[test]
fn the_captures_of_sipp_are_one_key_each() {
    let wire = Wire::start(false);
    let sipp = Sipp::listen(wire.port);
    let gateway = Gateway::serve_trunk(sipp.port, PHONE, "options_interval = \"0s\"");
    let keys = "550912378465*#";
    let mut page = a_page_hears(&gateway, keys);
    page.has_done("connected");
    wire.connected();
    let mut sent = Vec::new();
    for key in keys.chars() {
        let name = match key {
            '*' => "star".to_owned(),
            '#' => "pound".to_owned(),
            digit => digit.to_string(),
        };
        let capture = read_capture(&format!("/usr/share/sip-tester/dtmf_2833_{name}.pcap"));
        assert_eq!(capture[0].1[1] & 0x7f, 101, "the payload type that sipp's SDP names");
        let (last, end) = capture.last().unwrap();
        // The duration field, in ticks of 8 kHz.
        sent.push(u64::from(u16::from_be_bytes([end[14], end[15]])) / 8);
        let length = *last;
        wire.send(capture);
        std::thread::park_timeout(length + Duration::from_millis(300));
    }
    assert_eq!(heard(&page.finish(), keys), sent);
    support::interop::record("sipp", "telephone events");
}
