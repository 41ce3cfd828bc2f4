//! Rows of the attack table against the real binary: forged requests within a dialog, lengths and
//! framing, slow peers, and a power cut in the middle of an answered call.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream, UdpSocket};
use std::time::{Duration, Instant};

use crosspoint::selftest::Page;
use support::bystander::{Bystander, PLAN, place};
use support::gateway::Gateway;
use support::http;
use support::raw_phone::{Dialog, Manner, RawPhone};
use support::sip_wire::{SipSocket, header, request, status};

#[tokio::test(flavor = "multi_thread")]
async fn forged_requests_within_a_dialog_change_nothing() {
    let bystander = Bystander::start().await;
    let gateway = bystander.gateway.sip_udp.unwrap();
    let trunk = SipSocket::new("127.0.0.1", gateway);
    let stranger = SipSocket::new("127.0.0.2", gateway);
    let right = &bystander.dialog;
    let wrong = |old: &str| old.replace("tag=", "tag=x");
    let forged = [
        ("the gateway's tag", Dialog { gateway: wrong(&right.gateway), ..right.clone() }),
        ("the phone's tag", Dialog { phone: wrong(&right.phone), ..right.clone() }),
        ("the Call-ID", Dialog { call_id: "other".to_owned(), ..right.clone() }),
    ];
    for method in ["BYE", "INVITE", "INFO", "UPDATE", "CANCEL", "ACK", "NOTIFY"] {
        for (what, dialog) in &forged {
            trunk.send(within(dialog, method, 7));
            let answers = trunk.answers();
            let statuses: Vec<u16> = answers.iter().map(|answer| status(answer)).collect();
            let fine = statuses.iter().all(|status| matches!(status, 405 | 481));
            assert!(fine && statuses.len() <= 1, "{method} with a wrong {what}: {answers:?}");
        }
        stranger.send(within(right, method, 7));
        assert_eq!(trunk.answers(), Vec::<String>::new(), "{method}");
        assert!(stranger.is_silent(), "{method} with the right tags from elsewhere was answered");
    }
    // A challenge to a request that we never sent, and one from elsewhere (CVE-2021-41158).
    for socket in [&trunk, &stranger] {
        let challenge = format!(
            "SIP/2.0 407 -\r\nVia: SIP/2.0/UDP {gateway};branch=z9hG4bKx\r\nFrom: {}\r\nTo: {}\r\n\
             Call-ID: {}\r\nCSeq: 2 BYE\r\nProxy-Authenticate: Digest realm=\"x\", nonce=\"y\"\r\n\
             Content-Length: 0\r\n\r\n",
            right.gateway, right.phone, right.call_id
        );
        socket.send(challenge);
    }
    assert_eq!(trunk.answers(), Vec::<String>::new());
    bystander.hears().await;
    bystander.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_old_cseq_is_no_bye() {
    let bystander = Bystander::start().await;
    let trunk = SipSocket::new("127.0.0.1", bystander.gateway.sip_udp.unwrap());
    // The phone has sent nothing yet: its first request fixes the count (RFC 3261 12.2.2).
    trunk.send(within(&bystander.dialog, "INFO", 100));
    let first = trunk.answers();
    assert_eq!(first.len(), 1, "{first:?}");
    trunk.send(within(&bystander.dialog, "BYE", 99));
    let answers = trunk.answers();
    assert_eq!(answers.iter().map(|a| status(a)).collect::<Vec<_>>(), [500], "{answers:?}");
    bystander.hears().await;
    bystander.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lengths_that_lie_close_the_stream_and_nothing_else() {
    let bystander = Bystander::start().await;
    let gateway = bystander.gateway.sip_tcp.unwrap();
    let honest = text("OPTIONS", gateway);
    let length = |value: &str| honest.replace("Content-Length: 0", value);
    let broken = [
        length("Content-Length: 2147483648"),
        length("Content-Length: 99999999999999999999"),
        length("Content-Length: -1"),
        length("Content-Length: 0x10"),
        length("Content-Length: 0\r\nContent-Length: 4"),
        length("Content-Length:"),
        length("X: y"),
        length(&format!("{}\r\nContent-Length: 0", vec!["A: b"; 20_000].join("\r\n"))),
        "x".repeat(70_000),
    ];
    for bytes in broken {
        let mut stream = connect(gateway);
        let begun = Instant::now();
        let _ = stream.write_all(bytes.as_bytes());
        let mut answer = Vec::new();
        // A reset, where the gateway closed with our bytes unread, is an end, too.
        let _ = stream.read_to_end(&mut answer);
        let answer = String::from_utf8_lossy(&answer);
        let shown = bytes.get(..300).unwrap_or(&bytes);
        assert!(answer.is_empty() || matches!(status(&answer), 400 | 513), "{shown}: {answer}");
        assert!(begun.elapsed() < Duration::from_secs(5), "{shown}: not closed");
    }
    bystander.hears().await;
    bystander.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_message_cut_at_any_byte_is_the_same_message() {
    let bystander = Bystander::start().await;
    let gateway = bystander.gateway.sip_tcp.unwrap();
    let mut cuts = 0;
    for (method, expected) in [("OPTIONS", 200), ("BYE", 481), ("REGISTER", 405)] {
        let mut stream = connect(gateway);
        for cut in 1..text(method, gateway).len() {
            let message = text(method, gateway);
            let (first, rest) = message.split_at(cut.min(message.len() - 1));
            stream.write_all(first.as_bytes()).unwrap();
            stream.write_all(rest.as_bytes()).unwrap();
            let answer = one_message(&mut stream);
            assert_eq!(status(&answer), expected, "{method} cut at {cut}: {answer}");
            assert_eq!(header(&answer, "Call-ID"), header(&message, "Call-ID"), "cut at {cut}");
            cuts += 1;
        }
    }
    println!("{cuts} cuts");
    bystander.hears().await;
    bystander.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_and_idle_peers_are_closed_at_ten_seconds() {
    let bystander = Bystander::start().await;
    let sip = bystander.gateway.sip_tcp.unwrap();
    let web: SocketAddr = bystander.gateway.base.strip_prefix("http://").unwrap().parse().unwrap();
    let begun = Instant::now();
    let peers = [
        (sip, "", "an idle peer of SIP"),
        (sip, "OPTIONS sip:x@127.0.0.1 SI", "half a request of SIP"),
        (web, "", "an idle peer of HTTP"),
        (web, "GET / HT", "half a request of HTTP"),
    ];
    let mut waiting = Vec::new();
    for (address, bytes, what) in peers {
        let mut stream = connect(address);
        stream.set_read_timeout(Some(Duration::from_secs(20))).unwrap();
        stream.write_all(bytes.as_bytes()).unwrap();
        waiting.push(tokio::task::spawn_blocking(move || {
            let mut answer = Vec::new();
            let ended = stream.read_to_end(&mut answer);
            (what, ended.is_ok(), begun.elapsed().as_secs_f64())
        }));
    }
    // Meanwhile somebody comes in as fast as ever.
    let at = Instant::now();
    Page::connect(&bystander.gateway.base, &bystander.gateway.token()).await.unwrap();
    println!("signed in after {} ms", at.elapsed().as_millis());
    for peer in waiting {
        let (what, closed, seconds) = peer.await.unwrap();
        assert!(closed && (9.0..14.0).contains(&seconds), "{what}: {seconds} s");
    }
    bystander.hears().await;
    bystander.ends_clean().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answered_call_has_a_record_after_a_power_cut() {
    power_cuts(5).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "minutes long; for the nightly run"]
async fn an_answered_call_has_a_record_after_two_hundred_power_cuts() {
    power_cuts(200).await;
}

/// Each time at the first moment at which the page knows that it was answered.
async fn power_cuts(rounds: usize) {
    let phone = RawPhone::start(Manner::Answers);
    let mut gateway = Gateway::serve(phone.port, PLAN);
    let token = gateway.token();
    let mut placed = Vec::new();
    for round in 0..rounds {
        let mut page = Page::connect(&gateway.base, &token).await.unwrap();
        let call = place(&page, "700").await;
        call.state(&mut page, "active").await.unwrap();
        placed.push(call.id.clone());
        gateway = gateway.kill_and_start_again();
        phone.forget();
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut step = tokio::time::interval(Duration::from_millis(20));
        loop {
            step.tick().await;
            let record = http::get(&gateway.base, &format!("/v1/cdrs?limit={}", rounds + 1), &[]);
            let records = record.json()["items"].as_array().unwrap().clone();
            let answered = |id: &String| {
                let of = records.iter().filter(|record| record["id"] == id.as_str());
                of.filter(|record| record["answered_at"].is_string()).count()
            };
            if placed.iter().all(|id| answered(id) == 1) {
                assert_eq!(records.len(), placed.len(), "each once");
                break;
            }
            assert!(Instant::now() < deadline, "round {round}: {placed:?} are not in {records:?}");
        }
    }
}

/// A request of the phone within a dialog.
fn within(dialog: &Dialog, method: &str, cseq: u32) -> String {
    let own = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    format!(
        "{method} sip:crosspoint@127.0.0.1 SIP/2.0\r\n\
         Via: SIP/2.0/UDP {own};rport;branch=z9hG4bK-{method}-{cseq}-{}\r\n\
         Max-Forwards: 70\r\nFrom: {}\r\nTo: {}\r\nCall-ID: {}\r\nCSeq: {cseq} {method}\r\n\
         Contact: <sip:phone@{own}>\r\nContent-Length: 0\r\n\r\n",
        own.port(),
        dialog.phone,
        dialog.gateway,
        dialog.call_id
    )
}

fn text(method: &str, own: SocketAddr) -> String {
    String::from_utf8(request(method, "x", own, "TCP", None)).unwrap()
}

fn connect(address: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(address).unwrap();
    stream.set_nodelay(true).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(10))).unwrap();
    stream
}

/// Reads one response without a body.
fn one_message(stream: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    let mut buffer = [0; 4096];
    while !bytes.ends_with(b"\r\n\r\n") {
        let length = stream.read(&mut buffer).unwrap();
        assert!(length > 0, "closed after {}", String::from_utf8_lossy(&bytes));
        bytes.extend_from_slice(&buffer[..length]);
    }
    String::from_utf8(bytes).unwrap()
}
