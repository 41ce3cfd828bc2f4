//! The sound of trunks over the wire: pauses as comfort noise, packets of different lengths either way,
//! and how soon an answer takes effect.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;
use std::time::{Duration, Instant};

use crosspoint::selftest::{Page, Source};
use serde_json::json;
use support::bystander::{PLAN, place};
use support::gateway::Gateway;
use support::interop;
use support::kamailio::{Kamailio, Ways};
use support::page_wire::PageWire;
use support::phones::{Baresip, By, Linphone, Media, Sipp};
use support::process::run;
use support::raw_phone::{Manner, RawPhone, packet};
use support::sipp_script::{Script, sdp};
use support::talk::{LIMIT, Talk, Way};
use support::wire::{Heard, Wire};

/// A page in a call through a trunk with these settings.
async fn talk(way: Way, port: u16, settings: &str) -> Talk {
    let kamailio = (way == Way::Proxy).then(|| Kamailio::proxy(port, Ways::default()));
    let password = match kamailio {
        Some(_) => "username = \"acct\"\npassword = \"secret\"\n",
        None => "",
    };
    let port = kamailio.as_ref().map_or(port, |own| own.port);
    let settings = format!("options_interval = \"0s\"\n{password}{settings}");
    let gateway = Gateway::serve_trunk(port, PLAN, &settings);
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let call = place(&page, "700").await;
    call.state(&mut page, "active").await.unwrap();
    call.peer.connected(LIMIT).await.expect("ICE and DTLS");
    Talk { gateway, page, call, kamailio }
}

/// Waits until the phone has heard what is wanted.
async fn heard(wire: &Wire, what: &str, is: impl Fn(&[Heard]) -> bool) -> Vec<Heard> {
    let deadline = Instant::now() + LIMIT;
    let mut step = tokio::time::interval(Duration::from_millis(20));
    loop {
        step.tick().await;
        let all = wire.heard();
        if is(&all) {
            return all;
        }
        assert!(Instant::now() < deadline, "the phone never heard {what}");
    }
}

/// sipp agrees on comfort noise (RFC 3389); what its side sends and gets is read octet by octet.
#[tokio::test]
async fn pauses_of_both_sides_travel_as_comfort_noise() {
    for way in [Way::Direct, Way::Proxy] {
        let wire = Wire::start(false);
        let formats = "a=rtpmap:0 PCMU/8000\na=rtpmap:13 CN/8000\na=sendrecv\n";
        let script = Script::callee()
            .answer("200 OK", "", Some(&sdp(1, &wire.port.to_string(), "0 13", formats)))
            .ack();
        let mut sipp = Sipp::script(&script.until_bye());
        let mut talk =
            talk(way, sipp.port, "codecs = [\"pcmu\"]\ncomfort_noise = \"offer\"\n").await;
        assert!(sipp.messages().contains("RTP/AVP 0 13 101"), "{}", sipp.messages());

        // The page is silent, then talks.
        let noise = |p: &Heard| p.payload_type() == 13;
        let all = heard(&wire, "noise", |all| all.iter().filter(|p| noise(p)).count() >= 3).await;
        let first = all.iter().position(noise).unwrap();
        assert!(all[first].payload().len() > 1 && !all[first].marker(), "level and colour");
        assert!(all[first].payload()[0] > 60, "a page of digital silence");
        talk.call.peer.play(Source::tone(620.0, -20.0)).await.unwrap();
        let sound_again =
            |all: &[Heard]| all[first..].iter().any(|p| p.payload_type() == 0 && p.marker());
        heard(&wire, "a talk spurt", sound_again).await;

        // The trunk talks, pauses with one description, and talks.
        talk.call.peer.heard.lock().unwrap().clear();
        let mut train = Vec::new();
        for n in 0..150_u16 {
            let at = Duration::from_millis(20 * u64::from(n));
            let timestamp = u32::from(n) * 160;
            match n {
                0..50 => train.push((at, packet(9, n, timestamp, 0, &milliwatt()))),
                // 50 dB below overload.
                50 => train.push((at, packet(9, n, timestamp, 13, &[50]))),
                51..100 => {}
                _ => train.push((at, packet(9, n - 49, timestamp, 0, &milliwatt()))),
            }
        }
        wire.send(train);
        let deadline = Instant::now() + LIMIT;
        let mut step = tokio::time::interval(Duration::from_millis(20));
        // Two seconds are the tone; the pause is noise and then, by itself, Opus DTX.
        while talk.call.peer.heard.lock().unwrap().seconds() < 2.15 {
            step.tick().await;
            assert!(Instant::now() < deadline, "no noise in the pause");
        }
        talk.hang_up().await;
        sipp.is_content();
        interop::record(way.peer(), "comfort noise");
    }
}

/// Packets of the trunk so far, at each of the gateway's statistics.
fn received(gateway: &Gateway) -> Vec<u32> {
    let output = gateway.process.output();
    let lines = output.lines().filter(|line| line.contains("media statistics"));
    let trunks = lines.filter_map(|line| line.split_once("\"trunk\":\""));
    let counts = trunks.filter_map(|(_, trunk)| trunk.split_once("received: "));
    counts.filter_map(|(_, rest)| rest.split(',').next()?.parse().ok()).collect()
}

/// linphonec describes its pauses, and takes ours for what they are.
#[tokio::test(flavor = "multi_thread")]
async fn linphone_speaks_comfort_noise() {
    let settings = "[misc]\nuse_cn=1\n[sound]\nuse_cn=1";
    let phone = Linphone::start_with("700", By::Udp, Media::Plain, None, settings);
    let mut talk =
        talk(Way::Direct, phone.port, "codecs = [\"pcmu\"]\ncomfort_noise = \"offer\"\n").await;
    phone.play(880.0, 1.0);
    talk.hears(880.0).await;
    phone.says("CN packet received, given to MSGenericPlc");
    // A pause that is sent as sound would be 250 packets in the five seconds between two of these.
    let deadline = Instant::now() + LIMIT;
    let mut step = tokio::time::interval(Duration::from_millis(100));
    let [before, after] = loop {
        step.tick().await;
        if let [.., before, after] = received(&talk.gateway)[..] {
            break [before, after];
        }
        assert!(Instant::now() < deadline, "no statistics");
    };
    let pause = after - before;
    assert!((1..125).contains(&pause), "{pause} packets in five seconds of pause");
    talk.hang_up().await;
    interop::record("linphonec", "comfort noise");
}

/// Either side sends packets of the length that the other asks for (RFC 3264 5.1).
#[tokio::test]
async fn packets_are_as_long_as_the_other_side_asks() {
    for (ptime, octets) in [(10, 80), (20, 160), (30, 240), (40, 320), (60, 480)] {
        let wire = Wire::start(true);
        let lines = format!("a=rtpmap:0 PCMU/8000\na=ptime:{ptime}\n");
        let script = Script::callee()
            .answer("200 OK", "", Some(&sdp(1, &wire.port.to_string(), "0", &lines)))
            .ack();
        let mut sipp = Sipp::script(&script.until_bye());
        let mut talk = talk(Way::Direct, sipp.port, "codecs = [\"pcmu\"]\n").await;
        talk.call.peer.heard.lock().unwrap().clear();
        let all = heard(&wire, "sound", |all| all.len() >= 30).await;
        for pair in all[10..30].windows(2) {
            assert_eq!(pair[1].payload().len(), octets, "{ptime} ms");
            let step = pair[1].timestamp().wrapping_sub(pair[0].timestamp()) as usize;
            assert!(step.is_multiple_of(80) && step >= octets, "{ptime} ms: {step}");
        }
        // What the phone sends in packets of 20 ms goes on meanwhile.
        let deadline = Instant::now() + LIMIT;
        let mut step = tokio::time::interval(Duration::from_millis(20));
        while talk.call.peer.heard.lock().unwrap().seconds() < 0.2 {
            step.tick().await;
            assert!(Instant::now() < deadline, "the page hears nothing");
        }
        talk.hang_up().await;
        sipp.is_content();
    }
    interop::record("sipp", "packets of 10 to 60 ms");
}

/// linphonec sends packets of each length, and asks for them.
#[tokio::test(flavor = "multi_thread")]
async fn linphone_speaks_in_packets_of_its_own_length() {
    for ptime in [10, 40, 60] {
        let settings = format!("[rtp]\nupload_ptime={ptime}\ndownload_ptime={ptime}");
        let phone = Linphone::start_with("700", By::Udp, Media::Plain, None, &settings);
        let mut talk = talk(Way::Direct, phone.port, "codecs = [\"pcmu\"]\n").await;
        phone.play(880.0, 10.0);
        talk.hears(880.0).await;
        let path = format!("/v1/calls/{}/signalling", talk.call.id);
        let said = support::http::get(&talk.gateway.base, &path, &[]).json().to_string();
        assert!(said.contains(&format!("a=ptime:{ptime}")), "{said}");
        talk.hang_up().await;
    }
    interop::record("linphonec", "packets of 10 to 60 ms");
}

/// How long after its answer a re-INVITE's new address gets sound. `--ignored`: it is a length in ms.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement"]
async fn a_new_address_gets_sound_within_100_ms_of_the_answer() {
    let mut worst = Duration::ZERO;
    let phone = RawPhone::start(Manner::AnswersMute);
    let mut talk = talk(Way::Direct, phone.port, "codecs = [\"pcmu\"]\n").await;
    let dialog = phone.dialog();
    let own = phone.sip.local_addr().unwrap();
    let to = talk.gateway.sip_udp.unwrap();
    assert_eq!(to.ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    // As many as are taken at once.
    for n in 0..10_u32 {
        let wire = Wire::start(true);
        let body = format!(
            "v=0\r\no=- 1 {} IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
             m=audio {} RTP/AVP 0\r\n",
            n + 2,
            wire.port
        );
        let invite = format!(
            "INVITE sip:{to} SIP/2.0\r\nVia: SIP/2.0/UDP {own};branch=z9hG4bKre{n}\r\n\
             From: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {} INVITE\r\nMax-Forwards: 70\r\n\
             Contact: <sip:phone@{own}>\r\nContent-Type: application/sdp\r\n\
             Content-Length: {}\r\n\r\n{body}",
            dialog.phone,
            dialog.gateway,
            dialog.call_id,
            n + 10,
            body.len()
        );
        phone.sip.send_to(invite.as_bytes(), to).unwrap();
        // Its first packet cannot be before the answer, which the phone's own thread takes: the time
        // from the question on is measured, which is longer.
        let asked = Instant::now();
        let all = heard(&wire, "sound at the new address", |all| !all.is_empty()).await;
        worst = worst.max(all[0].at.saturating_duration_since(asked));
        let ack = invite
            .replacen("INVITE sip", "ACK sip", 1)
            .replace(" INVITE\r\n", " ACK\r\n")
            .replace(&format!("re{n}"), &format!("ack{n}"));
        let ack = format!("{}\r\n\r\n", ack.split("Content-Type").next().unwrap().trim_end());
        phone.sip.send_to(ack.as_bytes(), to).unwrap();
    }
    println!("from a re-INVITE to the first packet at its address: {worst:?} at most of 10");
    assert!(worst < Duration::from_millis(100), "{worst:?}");
    talk.hang_up().await;
}

fn milliwatt() -> Vec<u8> {
    [0x1e, 0x0b, 0x0b, 0x1e, 0x9e, 0x8b, 0x8b, 0x9e].repeat(20)
}

/// What passes between gateway and trunk as Wireshark reads it: SIP that fits the RFCs' grammar, one stream
/// of sound each way without a hole, telephone events that end three times.
#[tokio::test]
async fn tshark_finds_nothing_wrong_with_a_call() {
    let phone = Baresip::start(880.0, -20.0);
    let mut capture = PageWire::start();
    let mut call = talk(Way::Direct, phone.port, "dtmf = \"rfc4733\"\n").await;
    call.hears(880.0).await;
    for key in ["1", "#"] {
        let id = call.call.id.clone();
        let tones =
            json!({"type": "dtmf.send", "call": id, "tones": key, "duration": 120, "gap": 80});
        call.page.ask(tones).await.unwrap();
        call.event("dtmf.sent").await;
    }
    call.ask("call.hold").await;
    call.held().await;
    call.trunk_knows(1).await;
    call.hang_up().await;
    phone.process.line_with("session closed", LIMIT);
    let sip = call.gateway.sip_udp.unwrap().port();
    let file = capture.end_with_bye(sip);
    let read = |filter: &str, fields: &[&str]| -> Vec<Vec<String>> {
        let mut command = Command::new("tshark");
        command.arg("-r").arg(&file).args(["-d", &format!("udp.port=={sip},sip"), "-Y", filter]);
        command.args(["-T", "fields"]);
        fields.iter().for_each(|field| {
            command.args(["-e", field]);
        });
        let read = run(&mut command);
        assert_eq!(read.code, Some(0), "{}", read.stderr);
        let row = |line: &str| line.split('\t').map(str::to_owned).collect();
        read.stdout.lines().map(row).collect()
    };
    let own = format!("udp.port=={sip}");
    let said: Vec<String> = read(&format!("sip && {own}"), &["sip.CSeq.method"]).concat();
    for method in ["INVITE", "ACK", "BYE"] {
        assert!(said.iter().any(|own| own == method), "{method}: {said:?}");
    }
    // 0x00600000 and above are warnings and errors of the dissectors.
    let wrong = format!("{own} && (_ws.malformed || _ws.expert.severity >= 0x00600000)");
    let wrong = read(&wrong, &["frame.number", "_ws.expert.message", "sip.Request-Line"]);
    assert!(wrong.is_empty(), "{wrong:#?}");
    // The descriptions name the streams: Wireshark finds them by itself.
    let from = read(&format!("sdp && {own} && udp.srcport=={sip}"), &["sdp.media.port"]).concat();
    let port = from.first().expect("our description").clone();
    let sent = read(
        &format!("rtp && udp.srcport=={port}"),
        &["rtp.ssrc", "rtp.seq", "rtp.version", "rtp.p_type"],
    );
    assert!(sent.len() > 20, "{sent:?}");
    for pair in sent.windows(2) {
        assert_eq!((&pair[0][0], &pair[0][2]), (&pair[1][0], &pair[1][2]), "one source");
        let [before, after] = [&pair[0][1], &pair[1][1]].map(|n| n.parse::<u16>().unwrap());
        assert_eq!(before.wrapping_add(1), after, "no hole in the numbers");
    }
    let events = read(
        &format!("rtpevent && udp.srcport=={port}"),
        &["rtpevent.event_id", "rtpevent.end_of_event", "rtpevent.duration"],
    );
    for (key, name) in [("1", "1"), ("11", "#")] {
        let of: Vec<_> = events.iter().filter(|event| event[0] == key).collect();
        let ended: Vec<_> = of.iter().filter(|e| matches!(e[1].as_str(), "1" | "True")).collect();
        assert_eq!(ended.len(), 3, "{name}: RFC 4733 2.5.1.4: {events:?}");
        assert!(ended.iter().all(|e| e[2] == ended[0][2]), "{name}: {events:?}");
        assert_eq!(ended[0][2], "960", "{name}: 120 ms");
    }
    let malformed = read(&format!("_ws.malformed && udp.port=={port}"), &["frame.number"]);
    assert!(malformed.is_empty(), "{malformed:?}");
}
