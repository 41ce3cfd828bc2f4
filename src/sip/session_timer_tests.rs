//! Session timers between two endpoints in virtual time (RFC 4028).

use std::time::Duration;

use super::call_flow_tests::{answer, hang_up};
use super::command::{Body, Session, Transport};
use super::endpoint::{Endpoint, EndpointConfig, Input, Listener, SessionTimer};
use super::virtual_network::{Network, Side, address};

fn timer(interval: u64, shortest: u64) -> EndpointConfig {
    let session_timer = SessionTimer {
        interval: Duration::from_secs(interval),
        shortest: Duration::from_secs(shortest),
    };
    EndpointConfig { session_timer, ..EndpointConfig::default() }
}

/// An answered call with this interval asked for on both sides.
fn answered(config: EndpointConfig) -> (Network, Session, Session) {
    let mut net = Network::with(1, Transport::Udp, config);
    let call = net.call();
    net.run_ms(100);
    let called = net.called();
    net.command(Side::B, answer(called));
    net.run_ms(100);
    net.expect(Side::A, &["answered"]);
    net.expect(Side::B, &["incoming", "acked"]);
    (net, call, called)
}

fn header<'a>(text: &'a str, name: &str) -> Vec<&'a str> {
    text.lines().filter_map(|line| line.strip_prefix(name)?.strip_prefix(": ")).collect()
}

#[test]
fn the_caller_refreshes_by_update_at_half_the_interval() {
    let (mut net, call, _) = answered(timer(120, 90));
    let ok = net.texts.iter().find(|text| text.starts_with("SIP/2.0 200")).unwrap().clone();
    assert_eq!(header(&ok, "Session-Expires"), ["120;refresher=uac"]);
    assert_eq!(header(&ok, "Require"), ["timer"]);
    net.run(Duration::from_secs(59));
    assert_eq!(net.count("A UPDATE"), 0);
    net.run(Duration::from_secs(2));
    assert_eq!(net.count("A UPDATE"), 1);
    let update = net.texts.iter().find(|text| text.starts_with("UPDATE")).unwrap();
    assert_eq!(header(update, "Session-Expires"), ["120;refresher=uac"]);
    assert!(header(update, "Content-Type").is_empty(), "no offer");
    net.run(Duration::from_secs(600));
    assert_eq!(net.count("A UPDATE"), 11);
    net.expect(Side::A, &[]);
    net.expect(Side::B, &[]);
    net.command(Side::A, hang_up(call));
    net.ends_empty();
}

#[test]
fn without_update_the_refresh_is_a_reinvite_with_what_holds() {
    let (mut net, call, called) = answered(timer(120, 90));
    // A peer whose Allow does not name UPDATE.
    let bare = net.texts.iter().rev().find(|text| text.starts_with("ACK")).unwrap().clone();
    let line = |name: &str| bare.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    let swap = |text: String, from: &str, to: &str| text.replacen(from, to, 1);
    let request = format!(
        "UPDATE sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKother\r\n\
         {}\r\n{}\r\n{}\r\nCSeq: 99999 UPDATE\r\nAllow: INVITE, ACK, BYE\r\nSupported: timer\r\n\
         Session-Expires: 120;refresher=uas\r\nContact: <sip:b@192.0.2.2>\r\nMax-Forwards: 70\r\n\
         Content-Length: 0\r\n\r\n",
        swap(line("To"), "To", "From"),
        swap(line("From"), "From", "To"),
        line("Call-ID"),
    );
    net.inject(Side::A, "192.0.2.2:5060", request.as_bytes());
    assert_eq!(net.sent.last().map(String::as_str), Some("A 200"));
    assert_eq!(header(net.texts.last().unwrap(), "Session-Expires"), ["120;refresher=uas"]);
    net.run(Duration::from_secs(61));
    assert_eq!((net.count("A UPDATE"), net.count("A INVITE")), (0, 2));
    net.expect(Side::B, &["reinvite"]);
    let invite = net.texts.iter().rev().find(|text| text.starts_with("INVITE")).unwrap();
    assert!(invite.ends_with("\r\n\r\noffer"), "{invite}");
    net.command(Side::B, answer(called));
    net.run_ms(100);
    net.expect(Side::A, &["reinvite 200"]);
    net.command(Side::A, hang_up(call));
    net.ends_empty();
}

#[test]
fn nobody_refreshes_and_the_session_expires_on_both_sides() {
    let (mut net, _, _) = answered(timer(120, 90));
    net.faults.loss = 100;
    // 120 s less 32 s.
    net.run(Duration::from_secs(87));
    net.expect(Side::B, &[]);
    net.run(Duration::from_secs(2));
    net.expect(Side::B, &["ended Expired"]);
    let bye = net.texts.iter().find(|text| text.starts_with("BYE")).unwrap();
    assert_eq!(header(bye, "Reason"), ["SIP;cause=408;text=\"Session expired\""]);
    // A's refresh has no answer yet, and its time is over, too.
    net.expect(Side::A, &["ended Expired"]);
    net.ends_empty();
}

#[test]
fn an_interval_too_small_gets_422_and_is_asked_again_once() {
    let mut net = Network::with(1, Transport::Udp, timer(100, 90));
    let local = Listener {
        transport: Transport::Udp,
        local: address(Side::B),
        advertised: address(Side::B),
    };
    let accept = vec!["192.0.2.0/24".parse().unwrap()];
    net.b = Endpoint::new(EndpointConfig { accept, ..timer(1800, 300) }, vec![local], [9; 32]);
    let call = net.call();
    net.run_ms(100);
    assert_eq!(&net.sent[..4], ["A INVITE", "B 422", "A ACK", "A INVITE"]);
    let refused = &net.texts[1];
    assert_eq!(header(refused, "Min-SE"), ["300"]);
    assert_eq!(header(&net.texts[3], "Session-Expires"), ["300"]);
    assert_eq!(header(&net.texts[3], "Min-SE"), ["300"]);
    let called = net.called();
    net.command(Side::B, answer(called));
    net.run_ms(100);
    net.expect(Side::A, &["answered"]);
    net.command(Side::A, hang_up(call));
    net.ends_empty();
    // A peer that says 422 for ever is asked twice.
    let mut net = Network::with(2, Transport::Udp, timer(100, 90));
    net.faults.loss = 100;
    net.call_with(Some(Body::sdp("offer")), None);
    for _ in 0..3 {
        let invite =
            net.texts.iter().rev().find(|text| text.starts_with("INVITE")).unwrap().clone();
        let lines = invite.lines().filter(|line| {
            ["Via", "From", "To", "Call-ID", "CSeq"].iter().any(|own| line.starts_with(own))
        });
        let lines: Vec<&str> = lines.collect();
        let answer = format!(
            "SIP/2.0 422 Too small\r\n{}\r\nMin-SE: 9000\r\nContent-Length: 0\r\n\r\n",
            lines
                .join("\r\n")
                .replace("To: <sip:+4930123@example.net>", "To: <sip:+4930123@example.net>;tag=x")
        );
        net.inject(Side::A, "192.0.2.2:5060", answer.as_bytes());
    }
    assert_eq!(net.count("A INVITE"), 2);
    net.expect(Side::A, &["rejected 422"]);
}

#[test]
fn a_peer_without_the_extension_has_no_timer() {
    let (mut net, call, _) = answered(timer(120, 90));
    let ack = net.texts.iter().rev().find(|text| text.starts_with("ACK")).unwrap().clone();
    let line = |name: &str| ack.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    // Its re-INVITE says nothing of timers: what was agreed ends (RFC 4028 7.4).
    let request = format!(
        "UPDATE sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bKnone\r\n\
         {}\r\n{}\r\n{}\r\nCSeq: 99999 UPDATE\r\nContact: <sip:b@192.0.2.2>\r\nMax-Forwards: 70\r\n\
         Content-Length: 0\r\n\r\n",
        line("To").replacen("To", "From", 1),
        line("From").replacen("From", "To", 1),
        line("Call-ID"),
    );
    net.inject(Side::A, "192.0.2.2:5060", request.as_bytes());
    net.run(Duration::from_secs(100));
    assert_eq!(net.count("A UPDATE"), 0);
    net.b.handle_input(net.now, Input::Timeout).unwrap();
    net.expect(Side::A, &[]);
    net.command(Side::A, hang_up(call));
}
