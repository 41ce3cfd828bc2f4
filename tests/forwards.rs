//! A number in a flow: a call that a trunk brings goes on to another trunk, with its sound and its digits,
//! in every mode on either side. Phones that are not ours call and are called.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::f64::consts::TAU;
use std::time::{Duration, Instant};

use support::gateway::Gateway;
use support::phones::{Baresip, Linphone, Sipp};
use support::sipp_script::{Script, plain};
use support::wire::{Press, Wire};
use support::{TempDir, free_port, http, sound};

/// The keys that both phones have.
const KEYS: &str = "0123456789*#";

const PLAN: &str = r#"
version = 1
emergency = "not-provided"
[defaults]
timezone = "Europe/Berlin"
country = "DE"
caller_id = "office"
[caller_id.office]
number = "+493012345670"
[group.all]
users = ["web"]
caller_id = ["office"]
[[inbound]]
name = "on to a mobile"
did = ["+493012345670"]
flow = ["user:web", "number:+4915112345678"]
[[inbound]]
name = "the second number"
did = ["+493012345671"]
flow = ["number:+4915112345679", "number:+4915112345678"]
[[outbound]]
name = "gone"
to = ["+4915112345679"]
route = ["gone"]
[[outbound]]
name = "mobile"
to = ["+4915112345678"]
route = ["wire"]
"#;

/// What the far phone got: its keys by the mode that its trunk wants, and none by another.
struct Far {
    wire: Wire,
    sipp: Sipp,
    dtmf: &'static str,
}

impl Far {
    fn start(dtmf: &'static str) -> Far {
        let wire = Wire::start(true);
        let sipp = Sipp::listen(wire.port);
        Far { wire, sipp, dtmf }
    }

    fn gateway(&self, caller: u16, of_caller: &str) -> Gateway {
        let trunks = format!(
            "{of_caller}\n[trunk.wire]\ntarget = \"sip:127.0.0.1:{}\"\naccept_from = \
             [\"127.0.0.9/32\"]\ncodecs = [\"pcmu\"]\noptions_interval = \"0s\"\ndtmf = \"{}\"\n\
             [trunk.gone]\ntarget = \"sip:127.0.0.1:{};transport=tcp\"\naccept_from = \
             [\"127.0.0.8/32\"]\noptions_interval = \"0s\"\n",
            self.sipp.port,
            self.dtmf,
            free_port()
        );
        Gateway::serve_trunk(caller, PLAN, &trunks)
    }

    fn presses(&mut self) -> Vec<Press> {
        let events = self.wire.telephone_events(101);
        let infos: Vec<Press> =
            self.sipp.infos().iter().map(|(_, key, ms)| Press { key: *key, ms: *ms }).collect();
        let pcm = self.wire.sound();
        let tones = sound::keys_by_multimon(TempDir::new("far").path(), &pcm);
        let tones = tones.chars().zip(sound::tones(&pcm));
        let tones: Vec<Press> = tones.map(|(key, tone)| Press { key, ms: tone.ms }).collect();
        let (got, others) = match self.dtmf {
            "rfc4733" => (events, [infos, tones]),
            "info" => (infos, [events, tones]),
            _ => (tones, [events, infos]),
        };
        assert_eq!(others, [vec![], vec![]], "by one mode only");
        got
    }
}

impl Far {
    /// Waits until so many keys have come, at most a minute.
    fn got(&self, count: usize) {
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let got = match self.dtmf {
                "rfc4733" => return self.wire.event_ended(101, count),
                "info" => self.sipp.messages().matches("Signal=").count(),
                _ => sound::tones(&self.wire.sound()).len(),
            };
            if got >= count || Instant::now() > deadline {
                return;
            }
            std::thread::park_timeout(Duration::from_millis(500));
        }
    }
}

fn keys(presses: &[Press]) -> String {
    presses.iter().map(|press| press.key).collect()
}

fn call(phone: &Baresip, gateway: &Gateway, number: &str) {
    phone.dial(&format!("sip:{number}@127.0.0.1:{}", gateway.sip_udp.unwrap().port()));
    phone.process.line_with("Call established", Duration::from_secs(30));
}

/// How near to the length of its press a key's length must be.
#[derive(Clone, Copy, PartialEq)]
enum Lengths {
    /// A busy machine holds phones and gateway up for longer than a key is down.
    Rough,
    /// In ms, where the machine has nothing else to do.
    Within(u32),
}

impl Lengths {
    /// What came in this mode, of keys pressed for so many ms.
    fn check(self, way: &str, far: &Far, presses: &[Press], pressed: &[u32]) {
        println!("{way}: {presses:?} of {pressed:?}");
        for (press, ms) in presses.iter().zip(pressed) {
            let (shorter, longer) = match self {
                Lengths::Within(near) => (near, near),
                // Intervals that the machine did not let the gateway have are missing in a tone.
                Lengths::Rough if far.dtmf == "inband" && far.wire.has_holes() => (ms - 20, 2_000),
                Lengths::Rough => (ms / 2, 2_000),
            };
            let near = press.ms + shorter >= *ms && press.ms <= ms + longer;
            assert!(near, "{way}: {} for {} ms, not {ms}: {presses:?}", press.key, press.ms);
        }
    }
}

const MODES: [&str; 3] = ["rfc4733", "info", "inband"];

/// One source to all three destinations, at once: they mostly wait.
fn to_every_mode(case: fn(&'static str, Lengths), lengths: Lengths) {
    std::thread::scope(|scope| {
        let cases = MODES.map(|dtmf| scope.spawn(move || case(dtmf, lengths)));
        cases.into_iter().for_each(|case| case.join().unwrap());
    });
}

/// baresip holds keys through its web page and sends four more at once.
fn events_go_on_as(dtmf: &'static str, lengths: Lengths) {
    let phone = Baresip::start(880.0, -20.0);
    let mut far = Far::start(dtmf);
    let gateway = far.gateway(phone.port, "");
    call(&phone, &gateway, "+493012345670");
    far.wire.connected();
    let mut pressed = Vec::new();
    for key in KEYS.chars() {
        let from = Instant::now();
        phone.press(key);
        std::thread::park_timeout(Duration::from_millis(150));
        phone.release();
        pressed.push(from.elapsed().as_millis() as u32);
        std::thread::park_timeout(Duration::from_millis(150));
    }
    phone.send_code("ABCD");
    far.got(16);
    // One too many would come now.
    std::thread::park_timeout(Duration::from_secs(1));
    phone.command("hangup", "");
    http::no_call_is_on(&gateway.base);
    let presses = far.presses();
    assert_eq!(keys(&presses), format!("{KEYS}ABCD"), "events as {dtmf}");
    lengths.check(&format!("events as {dtmf}"), &far, &presses, &pressed);
    // In pieces of 200 ms: a machine that stalls makes the tone's phase jump, and half a second with such a
    // jump in its middle adds up to nothing.
    let pcm = far.wire.sound();
    let levels = pcm.chunks_exact(1_600).map(|piece| sound::level(piece, 880.0));
    let (level, gap) = (levels.fold(-99.0, f64::max), sound::longest_gap(&pcm, 880.0));
    println!("{dtmf}: {level:.1} dBm0, longest gap {gap:.0} ms");
    // -20 dBm0, less what a buffer that catches up after a stall takes from a tone's purity.
    assert!((-26.0..=-19.0).contains(&level), "the caller's sound: {level}");
    let records = http::records(&gateway.base);
    assert_eq!(records.len(), 2, "{records:?}");
    assert!(records.iter().all(|record| record["cause"] == "hangup"), "{records:?}");
}

/// linphonec says 250 ms in each INFO.
fn infos_go_on_as(dtmf: &'static str, lengths: Lengths) {
    let phone = Linphone::start();
    let mut far = Far::start(dtmf);
    let gateway = far.gateway(phone.port, "");
    let sip = gateway.sip_udp.unwrap().port();
    phone.command(&format!("call sip:+493012345670@127.0.0.1:{sip}"));
    phone.says("connected");
    far.wire.connected();
    phone.press(KEYS);
    far.got(KEYS.len());
    phone.command("terminate");
    http::no_call_is_on(&gateway.base);
    let presses = far.presses();
    assert_eq!(keys(&presses), KEYS, "INFO as {dtmf}");
    lengths.check(&format!("INFO as {dtmf}"), &far, &presses, &[250; 12]);
    // What is no sound is as long as the INFO says, however late it comes.
    let exact = dtmf == "inband" || presses.iter().all(|press| press.ms == 250);
    assert!(exact, "INFO as {dtmf}: {presses:?}");
}

/// A caller whose keys are sound: on the other trunk they are events or INFO and no sound, or tones made
/// anew.
fn tones_go_on_as(dtmf: &'static str, lengths: Lengths) {
    let phone = Baresip::start(880.0, -20.0);
    write_keys(&phone.sound_file(), "0123456789*#ABCD");
    let mut far = Far::start(dtmf);
    let gateway = far.gateway(phone.port, "dtmf = \"inband\"");
    call(&phone, &gateway, "+493012345670");
    far.got(16);
    std::thread::park_timeout(Duration::from_secs(1));
    phone.command("hangup", "");
    http::no_call_is_on(&gateway.base);
    let presses = far.presses();
    assert_eq!(keys(&presses), "0123456789*#ABCD", "tones as {dtmf}");
    lengths.check(&format!("tones as {dtmf}"), &far, &presses, &[100; 16]);
}

#[test]
fn events_of_the_caller_reach_the_callee_in_every_mode() {
    to_every_mode(events_go_on_as, Lengths::Rough);
}

#[test]
fn infos_of_the_caller_reach_the_callee_in_every_mode() {
    to_every_mode(infos_go_on_as, Lengths::Rough);
}

#[test]
fn tones_of_the_caller_reach_the_callee_in_every_mode() {
    to_every_mode(tones_go_on_as, Lengths::Rough);
}

/// All nine, one after the other, each key as long as it was pressed: what is counted to the packet, what
/// is sound to the steps of a detector.
#[test]
#[ignore = "wants a machine that has nothing else to do"]
fn lengths_are_kept_from_trunk_to_trunk() {
    for dtmf in MODES {
        // baresip counts from its next packet on, and a web page takes its time.
        events_go_on_as(dtmf, Lengths::Within(45));
        infos_go_on_as(dtmf, Lengths::Within(if dtmf == "inband" { 20 } else { 0 }));
        tones_go_on_as(dtmf, Lengths::Within(30));
    }
}

/// The first number cannot be reached: the flow goes on.
#[test]
fn the_next_number_is_tried_where_one_fails() {
    let phone = Baresip::start(880.0, -20.0);
    let far = Far::start("rfc4733");
    let gateway = far.gateway(phone.port, "");
    call(&phone, &gateway, "+493012345671");
    far.wire.connected();
    phone.command("hangup", "");
    http::no_call_is_on(&gateway.base);
    let records = http::records(&gateway.base);
    assert_eq!(records.len(), 3, "the call, and one to each number: {records:?}");
}

/// Two trunks that send each other's calls back to the gateway: each time the call may go through one server
/// less (RFC 7332), and at the last one it is refused. The trunks are the gateway itself.
#[test]
fn a_loop_through_two_trunks_ends() {
    let plan = PLAN.replace(
        "flow = [\"user:web\", \"number:+4915112345678\"]",
        "flow = [\"number:+4915112345678\"]",
    ) + "[[inbound]]\nname = \"and back\"\ndid = [\"+4915112345678\"]\n\
           flow = [\"number:+493012345670\"]\n\
           [[outbound]]\nname = \"back\"\nto = [\"+493012345670\"]\nroute = [\"back\"]\n";
    let port = free_port();
    let trunks = ["wire", "back", "gone"].map(|name| {
        format!(
            "[trunk.{name}]\ntarget = \"sip:127.0.0.1:{port}\"\noptions_interval = \"0s\"\n\
             channels = 100\ncps = 100\n"
        )
    });
    let trunks = format!("channels = 100\ncps = 100\n{}", trunks.concat());
    let listen = format!("listen = [\"udp:127.0.0.1:{port}\"]\n");
    let target = format!("sip:127.0.0.1:{}", free_port());
    let gateway = Gateway::serve_with(&target, &plan, &listen, &trunks);
    let script = Script::caller("+493012345670", "", &plain(1)).refused(503);
    let mut sipp = Sipp::calling(
        &script.replace("Max-Forwards: 70", "Max-Forwards: 4"),
        &format!("127.0.0.1:{port}"),
    );
    sipp.is_content();
    http::no_call_is_on(&gateway.base);
    // With 4, 3, 2 and 1 left it came in and went on; with none it was not taken.
    let deadline = Instant::now() + Duration::from_secs(20);
    while http::records(&gateway.base).len() != 2 * 4 {
        assert!(Instant::now() < deadline, "{:?}", http::records(&gateway.base));
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

/// Six seconds of silence, then each key for 100 ms with 100 ms of pause, as 16-bit mono at 8 kHz.
fn write_keys(path: &std::path::Path, keys: &str) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    let silence = |writer: &mut hound::WavWriter<_>, samples: usize| {
        for _ in 0..samples {
            writer.write_sample(0_i16).unwrap();
        }
    };
    silence(&mut writer, 6 * 8000);
    for key in keys.chars() {
        let at = "123A456B789C*0#D".find(key).unwrap();
        let row = [697.0, 770.0, 852.0, 941.0][at / 4];
        let column = [1209.0, 1336.0, 1477.0, 1633.0][at % 4];
        for n in 0..800 {
            let t = f64::from(n) / 8000.0;
            let sample = 4000.0 * ((TAU * row * t).sin() + (TAU * column * t).sin());
            writer.write_sample(sample as i16).unwrap();
        }
        silence(&mut writer, 800);
    }
    silence(&mut writer, 60 * 8000);
    writer.finalize().unwrap();
}
