//! Malformed and hostile input against the real binary, while somebody is on the telephone: a clear
//! error for the sender or silence, nothing left behind, and a call that does not notice.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream, UdpSocket};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crosspoint::selftest::{Page, Peer};
use serde_json::{Value, json};
use support::bystander::{Bystander, LOOPBACK, foreign_sound, refusal};
use support::http;
use support::raw_phone::packet;
use support::sip_wire::{SipSocket, header, status};
use support::socket::Socket;
use tokio_tungstenite::tungstenite::Message;

#[tokio::test(flavor = "multi_thread")]
async fn malformed_sip_by_udp_is_refused_or_dropped() {
    let bystander = Bystander::start().await;
    let trunk = SipSocket::new("127.0.0.1", bystander.gateway.sip_udp.unwrap());
    let whole = || String::from_utf8(trunk.request("OPTIONS", "x", None)).unwrap();
    let table: Vec<(&str, String, &[u16])> = vec![
        ("no CSeq", without(&whole(), "CSeq"), &[400]),
        ("no Call-ID", without(&whole(), "Call-ID"), &[400]),
        ("no From", without(&whole(), "From"), &[400]),
        ("no To", without(&whole(), "To"), &[400]),
        ("CSeq of another method", whole().replace("1 OPTIONS", "1 INVITE"), &[400]),
        ("version", whole().replacen("SIP/2.0\r\n", "SIP/7.0\r\n", 1), &[505]),
        ("control byte in a name", extra(&whole(), "X\u{1}: 1"), &[400]),
        ("control byte in a value", extra(&whole(), "X: a\u{0}b"), &[400]),
        ("no colon", extra(&whole(), "nonsense"), &[400]),
        ("longer than the datagram", whole().replace("Length: 0", "Length: 9"), &[400]),
        ("negative length", whole().replace("Length: 0", "Length: -1"), &[400]),
        ("hexadecimal length", whole().replace("Length: 0", "Length: 0x10"), &[400]),
        ("unknown scheme", whole().replacen("sip:x@", "wais:x@", 1), &[400, 416]),
        ("a method of 700 letters", whole().replace("OPTIONS", &"M".repeat(700)), &[400, 405]),
        ("5,000 headers", extra(&whole(), &vec!["A: b"; 5000].join("\r\n")), &[400, 513]),
        ("a header of 9 KiB", extra(&whole(), &format!("A: {}", "b".repeat(9216))), &[400, 513]),
    ];
    for (what, bytes, allowed) in &table {
        trunk.send(bytes);
        let answers = trunk.answers();
        assert_eq!(answers.len(), 1, "{what}: {answers:?}");
        assert!(allowed.contains(&status(&answers[0])), "{what}: {}", answers[0]);
    }
    let silent = [
        "no Via".to_owned(),
        without(&whole(), "Via"),
        "\r\n\r\n".to_owned(),
        "\0".repeat(2000),
        whole().replacen("OPTIONS sip:x@127.0.0.1 SIP/2.0", "SIP/2.0 200 OK", 1),
    ];
    for bytes in silent {
        trunk.send(&bytes);
        assert_eq!(trunk.answers(), Vec::<String>::new(), "{bytes:?}");
    }
    // The corpus answers to the addresses in its Via headers; what counts is that nobody minds.
    for (_, bytes) in corpus() {
        trunk.send(&bytes);
        assert_eq!(trunk.answers(), Vec::<String>::new());
    }
    bystander.hears().await;
    bystander.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_sip_by_tcp_is_refused_or_closed() {
    let bystander = Bystander::start().await;
    let gateway = bystander.gateway.sip_tcp.unwrap();
    let mut answered = 0;
    for (name, bytes) in corpus() {
        let mut stream = TcpStream::connect(gateway).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
        let _ = stream.write_all(&bytes);
        let _ = stream.shutdown(Shutdown::Write);
        let mut answer = Vec::new();
        // A reset is an end, too.
        let _ = stream.read_to_end(&mut answer);
        let text = String::from_utf8_lossy(&answer);
        for response in text.split("SIP/2.0 ").skip(1) {
            let status: u16 = response[..3].parse().unwrap();
            answered += 1;
            assert!(status == 100 || status == 200 || status >= 400, "{name}: {text}");
            let of_invite = header(&text, "CSeq").ends_with("INVITE");
            assert!(!(of_invite && status == 200), "{name} was taken as a call: {text}");
        }
    }
    println!("{answered} responses to the corpus");
    bystander.hears().await;
    bystander.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn malformed_sdp_is_refused_before_a_page_rings() {
    let mut bystander = Bystander::start().await;
    let trunk = SipSocket::new("127.0.0.1", bystander.gateway.sip_udp.unwrap());
    let offer = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
                 m=audio 4000 RTP/AVP 0\r\n";
    let many_lines = format!("{offer}{}", "m=audio 4000 RTP/AVP 0\r\n".repeat(40));
    let long = format!("{offer}{}", "a=x:y\r\n".repeat(4000));
    let table: Vec<(&str, Vec<u8>, &str, &[u16])> = vec![
        ("empty words", b"hello".to_vec(), SDP, &[400, 488]),
        ("nothing but v=", b"v=0\r\n".to_vec(), SDP, &[400, 488]),
        ("not UTF-8", [offer.as_bytes(), b"s=\xff\xfe\r\n"].concat(), SDP, &[400, 488]),
        ("a port of 99999", offer.replace("4000", "99999").into(), SDP, &[400, 488]),
        ("payload type 300", offer.replace("AVP 0", "AVP 300").into(), SDP, &[400, 488]),
        ("no codec of ours", offer.replace("AVP 0", "AVP 3 4").into(), SDP, &[488]),
        ("video only", offer.replace("m=audio", "m=video").into(), SDP, &[488]),
        ("41 streams", many_lines.into(), SDP, &[400, 488]),
        ("over 16 KiB", long.into(), SDP, &[400, 413, 488]),
        (
            "a multicast address",
            offer.replace("127.0.0.1\r\nt", "224.0.0.1\r\nt").into(),
            SDP,
            &[488],
        ),
        ("another kind", b"<xml/>".to_vec(), "application/xml", &[415]),
        ("multipart", b"--b\r\n\r\n".to_vec(), "multipart/mixed;boundary=b", &[415]),
    ];
    for (what, body, kind, allowed) in &table {
        // The trunk takes 10 calls a second: what is refused at the door is none of them.
        let invite = trunk.request("INVITE", "+493023125600", Some((kind, body)));
        trunk.send(&invite);
        let id = header(&String::from_utf8_lossy(&invite), "Call-ID").to_owned();
        let answer = trunk.final_answer(&id);
        assert!(allowed.contains(&status(&answer)), "{what}: {answer}");
        if allowed == &[415] {
            assert_eq!(header(&answer, "Accept"), SDP, "{answer}");
        }
    }
    let rang = bystander
        .page
        .event(Duration::from_millis(1), "a call", |event| event.text("type") == "call.incoming");
    assert!(rang.await.is_err(), "a page rang for a call without sound");
    bystander.hears().await;
    bystander.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_that_breaks_the_protocol_is_told_or_closed() {
    let bystander = Bystander::start().await;
    let (base, token) = (&bystander.gateway.base, bystander.gateway.token());
    let deep = format!("{{\"id\":9,\"type\":\"ping\",\"x\":{}", "[".repeat(100_000));
    let deep_whole =
        format!("{{\"id\":9,\"type\":\"ping\",\"x\":{}{}}}", "[".repeat(40), "]".repeat(40));
    let large = format!("{{\"id\":9,\"type\":\"ping\",\"x\":\"{}\"}}", "y".repeat(70_000));
    let closing: Vec<(&str, Message)> = vec![
        ("no JSON", Message::text("{\"id\": 9, \"type\"")),
        ("no object", Message::text("[1, 2, 3]")),
        ("no id", Message::text("{\"type\":\"ping\"}")),
        ("an id that is no number", Message::text("{\"id\":\"9\",\"type\":\"ping\"}")),
        ("no type", Message::text("{\"id\":9}")),
        ("binary", Message::binary(vec![1, 2, 3])),
        ("100,000 deep", Message::text(deep.get(..60_000).unwrap())),
        ("41 deep", Message::text(deep_whole)),
        ("over 64 KiB", Message::text(large)),
    ];
    for (what, message) in closing {
        let mut socket = Socket::signed_in(base, &token).await;
        socket.send(message).await;
        assert_eq!(socket.close_code().await, 4400, "{what}");
    }
    let mut socket = Socket::signed_in(base, &token).await;
    let told = [
        (json!({"id": 2, "type": "call.fax"}), "protocol/"),
        (json!({"id": 3, "type": "call.start"}), "protocol/bad-message"),
        (json!({"id": 4, "type": "call.hangup", "call": "call_nonsense"}), "protocol/bad-message"),
        (json!({"id": 5, "type": "dtmf.send", "call": 7, "tones": 8}), "protocol/bad-message"),
        (json!({"id": 6, "type": "hello", "token": token}), "signal/"),
    ];
    for (request, code) in told {
        let reply = socket.ask(request.clone()).await;
        let got = reply["error"]["code"].as_str().unwrap_or_default();
        assert!(got.starts_with(code), "{request}: {reply}");
        assert!(!reply["error"]["message"].as_str().unwrap().is_empty(), "{reply}");
    }
    assert_eq!(socket.ask(json!({"id": 7, "type": "ping"})).await["ok"], true);
    for n in 100..170 {
        socket.push(&format!("{{\"id\":{n},\"type\":\"ping\"}}")).await;
    }
    assert_eq!(socket.close_code().await, 4429);

    let mut foreign = Socket::connect(base, "http://evil.example").await;
    assert_eq!(foreign.close_code().await, 4403);
    let mut nameless = Socket::connect(base, base).await;
    nameless.push("{\"id\":1,\"type\":\"ping\"}").await;
    assert_eq!(nameless.close_code().await, 4401);
    let mut forged = Socket::connect(base, base).await;
    forged.push(&format!("{{\"id\":1,\"type\":\"hello\",\"token\":\"{token}x\"}}")).await;
    assert_eq!(forged.close_code().await, 4401);
    let begun = Instant::now();
    let mut silent = Socket::connect(base, base).await;
    assert_eq!(silent.close_code().await, 4401);
    let waited = begun.elapsed().as_secs_f64();
    assert!((4.5..8.0).contains(&waited), "closed after {waited} s");
    bystander.hears().await;
    bystander.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rtp_from_elsewhere_is_counted_and_never_heard() {
    let bystander = Bystander::start().await;
    let base = &bystander.gateway.base;
    let stranger = UdpSocket::bind("127.0.0.2:0").unwrap();
    let neighbour = UdpSocket::bind("127.0.0.1:0").unwrap();
    let loud = foreign_sound();
    let (rtp, rtcp) = (bystander.dialog.rtp, bystander.dialog.rtp.port() + 1);
    for n in 0..2_000_u16 {
        let time = u32::from(n) * 160;
        let datagrams = [
            packet(0xBAD, n, time, 0, &loud),
            packet(0x5EED_0001, n, time, 0, &loud),
            packet(0xBAD, n, time, 77, &loud),
            vec![0x80; usize::from(n % 1500)],
            vec![],
        ];
        let datagram = &datagrams[usize::from(n) % datagrams.len()];
        for socket in [&stranger, &neighbour] {
            socket.send_to(datagram, rtp).unwrap();
            socket.send_to(datagram, (rtp.ip(), rtcp)).unwrap();
        }
        if n % 200 == 0 {
            // A socket's buffer holds some hundred packets: leave the phone's own a place in it.
            bystander.hears().await;
        }
    }
    // The right address with a second stream in the same port.
    for n in 0..50_u16 {
        bystander.phone.rtp.send_to(&packet(0xBAD, n, 0, 0, &loud), rtp).unwrap();
    }
    bystander.hears().await;
    let deadline = Instant::now() + Duration::from_secs(15);
    let mut step = tokio::time::interval(Duration::from_millis(50));
    for reason in ["rtp-foreign", "rtp-malformed"] {
        let name = format!("crosspoint_drops_total{{reason=\"{reason}\"}}");
        while http::metric(base, &name) == 0.0 {
            assert!(Instant::now() < deadline, "{reason} is not counted");
            step.tick().await;
        }
    }
    for socket in [&stranger, &neighbour] {
        socket.set_nonblocking(true).unwrap();
        assert!(socket.recv_from(&mut [0; 2000]).is_err(), "the attacker was sent something");
    }
    bystander.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_number_is_404_and_the_trace_stays_in_the_log() {
    let bystander = Bystander::start().await;
    let trunk = SipSocket::new("127.0.0.1", bystander.gateway.sip_udp.unwrap());
    let invite = trunk.request("INVITE", "+493023125699", None);
    trunk.send(&invite);
    let id = header(&String::from_utf8_lossy(&invite), "Call-ID").to_owned();
    let answer = trunk.final_answer(&id);
    assert_eq!(status(&answer), 404, "{answer}");
    for word in ["to the page", "rule", "skip", "deny", "+493023125600", "user:web"] {
        assert!(!answer.contains(word), "{word:?} is in {answer}");
    }
    // The answer may be here before the log's line is.
    let routed = bystander.gateway.process.line_with("no rule takes", Duration::from_secs(10));
    assert!(routed.contains("to the page") && routed.contains("*699"), "{routed}");
    assert!(!routed.contains("3125699"), "{routed}");
    bystander.hears().await;
    bystander.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn strangers_get_no_answer_and_leave_no_state() {
    let bystander = Bystander::start().await;
    let gateway = bystander.gateway.sip_udp.unwrap();
    let stranger = SipSocket::new("127.0.0.2", gateway);
    let trunk = SipSocket::new("127.0.0.1", gateway);
    let transactions = "crosspoint_sip_transactions{state=\"server\"}";
    trunk.answers();
    let before = http::metric(&bystander.gateway.base, transactions);
    for method in METHODS {
        for user in ["+493023125600", "700", "web"] {
            stranger.send(stranger.request(method, user, None));
        }
    }
    stranger.send("INVITE sip:x SIP/2.0\r\n\r\n");
    assert_eq!(trunk.answers(), Vec::<String>::new());
    assert!(stranger.is_silent(), "a stranger was answered");
    // The two probes of the trunk are all that is new.
    let after = http::metric(&bystander.gateway.base, transactions);
    assert!(after <= before + 2.0, "{before} -> {after}");
    assert_eq!(http::calls(&bystander.gateway.base).len(), 1);
    let mut stream = TcpStream::connect(bystander.gateway.sip_tcp.unwrap()).unwrap();
    let _ = stream.write_all(&trunk.request("OPTIONS", "x", None));
    bystander.hears().await;
    bystander.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_dialled_reaches_no_trunk() {
    let bystander = Bystander::start().await;
    let base = &bystander.gateway.base;
    let page = Page::connect(base, &bystander.gateway.token()).await.unwrap();
    let peer = Peer::start(LOOPBACK).await.unwrap();
    let sdp = peer.offer().await.unwrap();
    let before = bystander.phone.invites.load(std::sync::atomic::Ordering::SeqCst);
    let ten_kilobytes = "1".repeat(10_240);
    let dialled = [
        "",
        " ",
        "100&SIP/x",
        "+1@evil",
        "700@evil.example",
        "700;phone-context=x",
        "700?Subject=x",
        "700\r\nRoute: <sip:evil>",
        "700\n",
        "700\0",
        "sip:700@127.0.0.1",
        "tel:700",
        "7\u{660}0",
        "\u{ff17}\u{ff10}\u{ff10}",
        "%37%30%30",
        "seven",
        "7,00",
        "700#\u{202e}",
        &ten_kilobytes,
    ];
    for to in dialled {
        let call = crosspoint::base::CallId::from_parts(1, to.len() as u128 + 7);
        let request =
            json!({"type": "call.start", "call": call, "to": to, "metadata": {}, "sdp": sdp});
        let refused = refusal(&page, &request).await;
        assert!(refused.contains("(\"call/invalid-number\")"), "{to:?}: {refused}");
    }
    let after = bystander.phone.invites.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!((before, after), (1, 1));
    assert_eq!(http::calls(base).len(), 1);
    bystander.hears().await;
    bystander.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_offer_of_a_page_that_is_no_sdp_is_refused_and_nothing_is_left() {
    let bystander = Bystander::start().await;
    let page = Page::connect(&bystander.gateway.base, &bystander.gateway.token()).await.unwrap();
    let huge = "a".repeat(20_000);
    for (n, sdp) in ["", "v=0", "hello", "v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\n", &huge]
        .into_iter()
        .enumerate()
    {
        let call = crosspoint::base::CallId::from_parts(2, n as u128);
        let request: Value =
            json!({"type": "call.start", "call": call, "to": "700", "metadata": {}, "sdp": sdp});
        let refused = refusal(&page, &request).await;
        assert!(refused.contains("media/"), "{sdp:?}: {refused}");
    }
    bystander.hears().await;
    bystander.ends_clean().await;
}

/// Every message of the corpus.
fn corpus() -> Vec<(String, Vec<u8>)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/data/sip");
    let mut files: Vec<PathBuf> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() > 60, "{} messages", files.len());
    let name = |file: &PathBuf| file.file_name().unwrap().to_string_lossy().into_owned();
    files.iter().map(|file| (name(file), fs::read(file).unwrap())).collect()
}

/// A message without a header.
fn without(message: &str, name: &str) -> String {
    let lines = message.split("\r\n");
    let kept: Vec<&str> = lines.filter(|line| !line.starts_with(&format!("{name}:"))).collect();
    kept.join("\r\n")
}

/// A message with further lines in its head.
fn extra(message: &str, lines: &str) -> String {
    message.replacen("Max-Forwards", &format!("{lines}\r\nMax-Forwards"), 1)
}

const SDP: &str = "application/sdp";
const METHODS: [&str; 14] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "OPTIONS",
    "REGISTER",
    "PRACK",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "INFO",
    "REFER",
    "MESSAGE",
    "UPDATE",
];
