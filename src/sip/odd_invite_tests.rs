//! INVITEs as carriers send them and textbooks do not: merged, compressed, of several parts.

use super::call_flow_tests::reject;
use super::event::Event;
use super::virtual_network::{Network, Side};

/// An INVITE from elsewhere, by this branch.
fn invite(net: &mut Network, branch: &str, cseq: u32, rest: &str) {
    let text = format!(
        "INVITE sip:1@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK{branch}\r\n\
         Max-Forwards: 7\r\nFrom: <sip:a@x>;tag=f\r\nTo: <sip:1@192.0.2.2>\r\nCall-ID: odd\r\n\
         CSeq: {cseq} INVITE\r\nContact: <sip:a@192.0.2.9>\r\n{rest}"
    );
    net.inject(Side::B, "192.0.2.9:5060", text.as_bytes());
}

const OFFER: &str = "Content-Type: application/sdp\r\nContent-Length: 5\r\n\r\noffer";

#[test]
fn the_second_branch_of_a_forked_invite_gets_482() {
    let mut net = Network::new(1);
    invite(&mut net, "first", 1, OFFER);
    invite(&mut net, "second", 1, OFFER);
    let called = net.called();
    net.expect(Side::B, &["incoming"]);
    assert_eq!(net.count("B 482"), 1, "RFC 3261 8.2.2.2: {:?}", net.sent);
    // Another try of the same caller is no merged request.
    net.command(Side::B, reject(called, 486));
    net.take(Side::B);
    invite(&mut net, "third", 2, OFFER);
    net.expect(Side::B, &["incoming"]);
    assert_eq!(net.count("B 482"), 1);
}

#[test]
fn a_compressed_body_gets_415_with_what_is_taken() {
    let mut net = Network::new(1);
    invite(&mut net, "gzip", 1, &format!("Content-Encoding: gzip\r\n{OFFER}"));
    net.expect(Side::B, &[]);
    let refusal = net.texts.last().unwrap();
    assert!(refusal.starts_with("SIP/2.0 415 "), "{refusal}");
    assert!(refusal.contains("\r\nAccept-Encoding: identity\r\n"), "{refusal}");
    assert!(refusal.contains("\r\nReason: Q.850;"), "{refusal}");
    invite(&mut net, "identity", 2, &format!("Content-Encoding: identity\r\n{OFFER}"));
    net.expect(Side::B, &["incoming"]);
}

#[test]
fn of_several_parts_the_description_is_the_offer() {
    let mut net = Network::new(1);
    let body = "--b\r\nContent-Type: application/isup\r\n\r\n\u{1}\r\n--b\r\n\
                Content-Type: application/sdp\r\n\r\nv=0\r\n--b--\r\n";
    let head = "Content-Type: multipart/mixed;boundary=b\r\n";
    invite(&mut net, "mixed", 1, &format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()));
    let events = net.take(Side::B);
    let [Event::Incoming(incoming)] = &events[..] else { panic!("{events:?}") };
    let body = incoming.body.as_ref().unwrap();
    assert!(body.is("application/sdp"));
    assert_eq!((body.bytes.as_slice(), incoming.max_forwards), (&b"v=0"[..], 7));
}
