//! Where requests within a dialog go and may come from (RFC 3261 12.2.1.1, RFC 3263,
//! docs/decisions/0024), in virtual time. The caller is 192.0.2.1; peers are whom a message says.

use super::call_flow_tests::hang_up;
use super::command::{Body, Command, Session};
use super::endpoint::{Endpoint, EndpointConfig, Listener};
use super::virtual_network::{Network, Side, address};

const PEER: &str = "192.0.2.2:5060";

/// A call of A whose INVITE is on the wire, and nobody else than what a test says.
fn calling() -> (Network, Session) {
    let mut net = Network::new(1);
    let session = net.call();
    net.run_ms(1);
    (net, session)
}

/// A response to the last INVITE of A.
fn response(net: &Network, status: &str, headers: &str) -> String {
    let invite = net.texts.iter().rev().find(|text| text.starts_with("INVITE")).unwrap();
    let of = |name: &str| invite.split("\r\n").find(|line| line.starts_with(name)).unwrap();
    format!(
        "SIP/2.0 {status}\r\n{}\r\n{}\r\n{};tag=peer\r\n{}\r\n{}\r\n{headers}\
         Content-Type: application/sdp\r\nContent-Length: 6\r\n\r\nanswer",
        of("Via:"),
        of("From:"),
        of("To:"),
        of("Call-ID:"),
        of("CSeq:"),
    )
}

fn answered(net: &mut Network, headers: &str) {
    let text = response(net, "200 OK", headers);
    net.inject(Side::A, PEER, text.as_bytes());
}

/// Where the last message of A of this method went, and whether it says so itself.
fn went(net: &Network, method: &str) -> (String, String) {
    let (to, text) =
        net.to.iter().zip(&net.texts).rev().find(|(_, t)| t.starts_with(method)).unwrap();
    (to.to_string(), text.split("\r\n").next().unwrap().to_owned())
}

#[test]
fn a_contact_elsewhere_gets_ack_and_bye() {
    let (mut net, session) = calling();
    answered(&mut net, "Contact: <sip:b@198.51.100.9:5070>\r\n");
    let expected = |method: &str| {
        ("198.51.100.9:5070".to_owned(), format!("{method} sip:b@198.51.100.9:5070 SIP/2.0"))
    };
    assert_eq!(went(&net, "ACK"), expected("ACK"));
    net.command(Side::A, hang_up(session));
    assert_eq!(went(&net, "BYE"), expected("BYE"));
}

#[test]
fn the_first_route_gets_them_where_there_is_one() {
    let (mut net, _) = calling();
    answered(
        &mut net,
        "Record-Route: <sip:198.51.100.2;lr>, <sip:198.51.100.1;lr>\r\nContact: <sip:b@10.0.0.1>\r\n",
    );
    let (to, line) = went(&net, "ACK");
    assert_eq!((to.as_str(), line.as_str()), ("198.51.100.1:5060", "ACK sip:b@10.0.0.1 SIP/2.0"));
}

/// A peer on the internet says nothing of our own network: that Contact is behind its NAT.
#[test]
fn a_contact_nearer_than_its_peer_is_not_gone_to() {
    for near in ["127.0.0.1", "10.0.0.1", "192.168.1.1", "169.254.169.254", "0.0.0.0", "224.0.0.1"]
    {
        let (mut net, _) = calling();
        answered(&mut net, &format!("Contact: <sip:b@{near}:5070>\r\n"));
        let (to, line) = went(&net, "ACK");
        assert_eq!(to, PEER, "{near}");
        assert_eq!(line, format!("ACK sip:b@{near}:5070 SIP/2.0"), "the remote target stays");
    }
}

#[test]
fn a_named_route_is_located_before_the_answer_counts() {
    let (mut net, session) = calling();
    let route = "Record-Route: <sip:SBC7.carrier.example;lr>\r\nContact: <sip:b@10.0.0.1>\r\n";
    answered(&mut net, route);
    answered(&mut net, route);
    assert_eq!(net.count("A ACK"), 0);
    net.expect(Side::A, &[]);
    let hosts: Vec<&str> = net.wanted.iter().map(|(_, own)| own.host.as_str()).collect();
    assert_eq!(hosts, ["sbc7.carrier.example"], "asked once");
    net.located(Side::A, &["198.51.100.7:5080", "198.51.100.8:5080"]);
    net.expect(Side::A, &["answered"]);
    assert_eq!(went(&net, "ACK").0, "198.51.100.7:5080");
    assert_eq!(net.count("A ACK"), 2, "one for each 200");
    net.command(Side::A, hang_up(session));
    assert_eq!(went(&net, "BYE").0, "198.51.100.7:5080");
}

#[test]
fn of_several_addresses_the_one_of_the_invite_is_kept() {
    let (mut net, _) = calling();
    answered(&mut net, "Contact: <sip:b@sbc.example:5060>\r\n");
    net.located(Side::A, &["198.51.100.7:5060", PEER]);
    assert_eq!(went(&net, "ACK").0, PEER);
}

#[test]
fn a_name_that_is_not_found_leaves_the_way_of_the_invite() {
    let (mut net, _) = calling();
    answered(&mut net, "Contact: <sip:b@pbx.local>\r\n");
    net.located(Side::A, &[]);
    net.expect(Side::A, &["answered"]);
    assert_eq!(went(&net, "ACK").0, PEER);
    // Names that lead into our own network are no better than their addresses.
    let (mut net, _) = calling();
    answered(&mut net, "Contact: <sip:b@rebinding.example>\r\n");
    net.located(Side::A, &["127.0.0.1:5060"]);
    assert_eq!(went(&net, "ACK").0, PEER);
}

/// 18x and 200 arrive while the DNS is asked: they are taken in their order.
#[test]
fn what_comes_after_a_response_that_waits_waits_too() {
    let (mut net, _) = calling();
    let contact = "Contact: <sip:b@sbc.example>\r\n";
    let ringing = response(&net, "180 Ringing", contact);
    net.inject(Side::A, PEER, ringing.as_bytes());
    answered(&mut net, "Contact: <sip:b@198.51.100.9>\r\n");
    net.expect(Side::A, &[]);
    net.located(Side::A, &["198.51.100.7:5060"]);
    net.expect(Side::A, &["180", "answered"]);
    assert_eq!(went(&net, "ACK").0, "198.51.100.9:5060");
}

/// A call to B whose INVITE comes from `from`; answered.
fn called(config: EndpointConfig, contact: &str) -> (Network, Session, String) {
    let mut net = Network::new(1);
    let local = Listener {
        transport: super::Transport::Udp,
        local: address(Side::B),
        advertised: address(Side::B),
    };
    net.b = Endpoint::new(config, vec![local], [2; 32]);
    let text = format!(
        "INVITE sip:1@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 203.0.113.1;branch=z9hG4bKin\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@x>;tag=peer\r\nTo: <sip:1@192.0.2.2>\r\nCall-ID: in\r\n\
         CSeq: 1 INVITE\r\nContact: <{contact}>\r\nContent-Type: application/sdp\r\n\
         Content-Length: 5\r\n\r\noffer"
    );
    net.inject(Side::B, "203.0.113.1:5060", text.as_bytes());
    let session = net.called();
    net.command(
        Side::B,
        Command::Answer { session, headers: Vec::new(), body: Some(Body::sdp("a")) },
    );
    let ok = net.texts.iter().rev().find(|text| text.starts_with("SIP/2.0 200")).unwrap();
    let to = ok.split("\r\n").find(|line| line.starts_with("To:")).unwrap().to_owned();
    net.take(Side::B);
    (net, session, to)
}

fn within(net: &mut Network, source: &str, to: &str, method: &str, cseq: u32) {
    let text = format!(
        "{method} sip:192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP {source};branch=z9hG4bK{method}{cseq}\r\n\
         Max-Forwards: 70\r\nFrom: <sip:a@x>;tag=peer\r\n{to}\r\nCall-ID: in\r\n\
         CSeq: {cseq} {method}\r\nContent-Length: 0\r\n\r\n"
    );
    net.inject(Side::B, source, text.as_bytes());
}

fn trunk() -> EndpointConfig {
    let networks = |texts: &[&str]| -> Vec<crate::base::Network> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    };
    let own = networks(&["203.0.113.1", "203.0.113.16/28"]);
    let other = networks(&["198.51.100.0/24"]);
    let accept = own.iter().chain(&other).copied().collect();
    EndpointConfig { accept, peers: vec![own, other], ..EndpointConfig::default() }
}

#[test]
fn another_node_of_the_same_trunk_goes_on_with_the_call() {
    let (mut net, _, to) = called(trunk(), "sip:a@203.0.113.1");
    within(&mut net, "203.0.113.1:5060", &to, "ACK", 1);
    net.expect(Side::B, &["acked"]);
    within(&mut net, "203.0.113.20:5060", &to, "OPTIONS", 2);
    assert_eq!(net.count("B 200"), 2);
    within(&mut net, "203.0.113.21:5060", &to, "BYE", 3);
    net.expect(Side::B, &["ended ByPeer"]);
}

#[test]
fn another_trunk_and_a_stranger_do_not() {
    let (mut net, _, to) = called(trunk(), "sip:a@203.0.113.1");
    within(&mut net, "203.0.113.1:5060", &to, "ACK", 1);
    net.take(Side::B);
    for source in ["198.51.100.1:5060", "192.0.2.99:5060"] {
        within(&mut net, source, &to, "BYE", 2);
        net.expect(Side::B, &[]);
        assert_eq!(net.count("B 481"), 0, "{source}");
    }
    within(&mut net, "203.0.113.1:5060", &to, "BYE", 2);
    net.expect(Side::B, &["ended ByPeer"]);
}

#[test]
fn where_a_callers_contact_is_may_end_the_call() {
    let (mut net, session, to) = called(trunk(), "sip:a@node9.carrier.example");
    within(&mut net, "203.0.113.1:5060", &to, "ACK", 1);
    net.take(Side::B);
    within(&mut net, "203.0.113.99:5060", &to, "OPTIONS", 2);
    assert_eq!(net.count("B 200"), 1, "not known yet");
    net.located(Side::B, &["203.0.113.99:5070"]);
    within(&mut net, "203.0.113.99:5060", &to, "OPTIONS", 3);
    assert_eq!(net.count("B 200"), 2);
    net.command(Side::B, hang_up(session));
    assert_eq!(went(&net, "BYE").0, "203.0.113.99:5070");
}
