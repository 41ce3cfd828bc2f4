//! Call flows between two endpoints in virtual time; names are the transitions they show.

use super::command::{Body, Command, Credentials, ExtraHeader, RequestKey, Session, Transport};
use super::endpoint::{Admission, EndpointConfig, Input};
use super::event::{End, Event, OfferIn, Origin};
use super::header::Reason;
use super::virtual_network::{Network, Side, address};
use crate::base::Secret;

pub(super) fn progress(session: Session, status: u16) -> Command {
    let (phrase, headers) = (None, Vec::new());
    let body = (status == 183).then(|| Body::sdp("early"));
    Command::Progress { session, status, phrase, headers, body }
}

pub(super) fn answer(session: Session) -> Command {
    Command::Answer { session, headers: Vec::new(), body: Some(Body::sdp("answer")) }
}

pub(super) fn reject(session: Session, status: u16) -> Command {
    Command::Reject { session, status, phrase: None, headers: Vec::new() }
}

pub(super) fn hang_up(session: Session) -> Command {
    Command::HangUp { session, reasons: vec![Reason::q850(16, "")] }
}

/// One word an event.
pub(super) fn words(events: &[Event]) -> Vec<String> {
    events
        .iter()
        .map(|event| match event {
            Event::Incoming(_) => "incoming".to_owned(),
            Event::Provisional { answer, .. } => format!("{}", answer.status),
            Event::Answered { .. } => "answered".to_owned(),
            Event::Rejected { answer, .. } => format!("rejected {}", answer.status),
            Event::Acked { .. } => "acked".to_owned(),
            Event::Cancelled { .. } => "cancelled".to_owned(),
            Event::Reinvite { .. } => "reinvite".to_owned(),
            Event::ReinviteDone { answer, .. } => format!("reinvite {}", answer.status),
            Event::Ended { end, .. } => format!("ended {end:?}"),
            Event::NextDestination { .. } => "next".to_owned(),
            Event::Reoffer { .. } => "reoffer".to_owned(),
            Event::Update { .. } => "update".to_owned(),
            Event::UpdateDone { answer, .. } => format!("update {}", answer.status),
            Event::Refer { .. } => "refer".to_owned(),
            Event::ReferProgress { status, .. } => format!("refer {status}"),
            Event::Info { .. } => "info".to_owned(),
            Event::FlowLost { .. } => "flow lost".to_owned(),
            Event::RequestDone { answer, .. } => format!("done {}", answer.status),
        })
        .collect()
}

impl Network {
    pub(super) fn expect(&mut self, side: Side, expected: &[&str]) {
        let events = self.take(side);
        assert_eq!(words(&events), expected, "{side:?}; sent: {:?}", self.sent);
    }

    /// An answered call, events taken.
    pub(super) fn answered() -> (Network, Session, Session) {
        let mut net = Network::new(1);
        let call = net.call();
        net.run_ms(100);
        let called = net.called();
        net.command(Side::B, answer(called));
        net.run_ms(100);
        net.expect(Side::A, &["answered"]);
        net.expect(Side::B, &["incoming", "acked"]);
        (net, call, called)
    }

    /// Everything ends, within the time that the timers need.
    pub(super) fn ends_empty(&mut self) {
        let took = self.run_out().expect("timers come to an end");
        assert!(self.is_empty(), "{:?} {:?}", self.a.counts(), self.b.counts());
        assert!(took.as_secs() <= 70, "{took:?}");
    }
}

#[test]
fn calling_180_answered_bye_by_caller() {
    let mut net = Network::new(1);
    let call = net.call();
    net.run_ms(300);
    let called = net.called();
    net.command(Side::B, progress(called, 180));
    net.run_ms(2000);
    net.command(Side::B, answer(called));
    net.run_ms(2000);
    net.expect(Side::A, &["180", "answered"]);
    net.expect(Side::B, &["incoming", "acked"]);
    net.command(Side::A, hang_up(call));
    net.run_ms(100);
    net.expect(Side::A, &["ended ByUs"]);
    let ended = net.take(Side::B);
    assert!(matches!(&ended[..], [Event::Ended { end: End::ByPeer, reasons, .. }]
        if reasons[0].as_q850() == Some(16)));
    let expected = ["A INVITE", "B 100", "B 180", "B 200", "A ACK", "A BYE", "B 200"];
    assert_eq!(net.sent, expected);
    net.ends_empty();
}

#[test]
fn answered_bye_by_callee() {
    let (mut net, _, called) = Network::answered();
    net.command(Side::B, hang_up(called));
    net.run_ms(100);
    net.expect(Side::A, &["ended ByPeer"]);
    net.expect(Side::B, &["ended ByUs"]);
    net.ends_empty();
}

#[test]
fn answered_bye_by_both_at_once() {
    let (mut net, call, called) = Network::answered();
    net.command(Side::A, hang_up(call));
    net.command(Side::B, hang_up(called));
    net.run_ms(100);
    net.expect(Side::A, &["ended ByUs"]);
    net.expect(Side::B, &["ended ByUs"]);
    assert_eq!((net.count("A 200"), net.count("B 200")), (1, 2));
    net.ends_empty();
}

#[test]
fn calling_486_with_reason_and_retry_after() {
    let mut net = Network::new(1);
    net.call();
    net.run_ms(100);
    let session = net.called();
    let headers = ["Retry-After: 9", "Reason: Q.850;cause=17", "Warning: 399 gw \"busy\""]
        .iter()
        .filter_map(|line| line.split_once(": "))
        .filter_map(|(name, value)| ExtraHeader::new(name, value))
        .collect();
    let phrase = Some("Busy At Home".to_owned());
    net.command(Side::B, Command::Reject { session, status: 486, phrase, headers });
    net.run_ms(100);
    let events = net.take(Side::A);
    let [Event::Rejected { answer, origin: Origin::Peer, .. }] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!((answer.status, answer.phrase.as_str()), (486, "Busy At Home"));
    assert_eq!(answer.retry_after, Some(9));
    assert_eq!(answer.reasons[0].as_q850(), Some(17));
    net.expect(Side::B, &["incoming", "ended ByUs"]);
    net.ends_empty();
    assert_eq!(net.count("A ACK"), 1);
}

#[test]
fn early_183_then_486() {
    let mut net = Network::new(1);
    net.call();
    net.run_ms(100);
    let called = net.called();
    net.command(Side::B, progress(called, 183));
    net.run_ms(1000);
    net.command(Side::B, reject(called, 486));
    net.run_ms(100);
    let events = net.take(Side::A);
    assert_eq!(words(&events), ["183", "rejected 486"]);
    assert!(matches!(&events[0], Event::Provisional { answer, .. }
        if answer.body == Some(Body::sdp("early")) && !answer.fork.is_empty()));
    net.ends_empty();
}

#[test]
fn calling_cancel_while_ringing_487() {
    let mut net = Network::new(1);
    let call = net.call();
    net.run_ms(100);
    let called = net.called();
    net.command(Side::B, progress(called, 180));
    net.run_ms(100);
    net.command(Side::A, hang_up(call));
    net.run_ms(100);
    net.expect(Side::A, &["180", "rejected 487"]);
    let events = net.take(Side::B);
    assert!(matches!(&events[1], Event::Cancelled { reasons, .. }
        if reasons[0].as_q850() == Some(16)));
    assert!(!net.command(Side::B, answer(called)), "the session is over");
    net.ends_empty();
}

#[test]
fn calling_cancel_waits_for_the_first_provisional_response() {
    let mut net = Network::new(1);
    let call = net.call();
    net.command(Side::A, hang_up(call));
    net.run_ms(100);
    assert_eq!(net.count("A CANCEL"), 0, "nothing was heard of the peer");
    net.run_ms(200);
    assert_eq!(net.count("A CANCEL"), 1, "100 came after 200 ms");
    net.expect(Side::A, &["rejected 487"]);
    net.expect(Side::B, &["incoming", "cancelled"]);
    net.ends_empty();
}

#[test]
fn cancelling_200_crossing_ack_bye() {
    let mut net = Network::new(1);
    let call = net.call();
    net.run_ms(100);
    let called = net.called();
    net.command(Side::B, progress(called, 180));
    net.run_ms(100);
    net.command(Side::B, answer(called));
    net.command(Side::A, hang_up(call));
    net.run_ms(100);
    net.expect(Side::A, &["180", "ended ByUs"]);
    net.expect(Side::B, &["incoming", "acked", "ended ByPeer"]);
    assert_eq!((net.count("A ACK"), net.count("A BYE")), (1, 1));
    net.ends_empty();
}

#[test]
fn answered_200_lost_repeated_at_500_ms() {
    let mut net = Network::new(1);
    net.call();
    net.run_ms(100);
    let called = net.called();
    net.lose = vec!["B 200", "B 200"];
    net.command(Side::B, answer(called));
    net.run_ms(1400);
    net.expect(Side::A, &[]);
    net.run_ms(200);
    net.expect(Side::A, &["answered"]);
    assert_eq!(net.count("B 200"), 3);
    net.run_ms(60_000);
    assert_eq!(net.count("B 200"), 3, "the ACK stops it");
}

#[test]
fn answered_ack_lost_acked_again_for_each_200() {
    let mut net = Network::new(1);
    let call = net.call();
    net.run_ms(100);
    let called = net.called();
    net.lose = vec!["A ACK", "A ACK"];
    net.command(Side::B, answer(called));
    net.run_ms(3000);
    net.expect(Side::A, &["answered"]);
    net.expect(Side::B, &["incoming", "acked"]);
    assert_eq!((net.count("B 200"), net.count("A ACK")), (3, 3));
    net.command(Side::A, hang_up(call));
    net.ends_empty();
}

#[test]
fn answered_no_ack_at_all_bye_after_32_s() {
    let mut net = Network::new(1);
    net.call();
    net.run_ms(100);
    let called = net.called();
    net.lose = vec!["A ACK"; 20];
    net.command(Side::B, answer(called));
    net.run_ms(31_990);
    net.expect(Side::B, &["incoming"]);
    net.run_ms(20);
    net.expect(Side::B, &["ended NoAck"]);
    net.run_ms(20);
    net.expect(Side::A, &["answered", "ended ByPeer"]);
    // RFC 3261 13.3.1.4: T1 doubling up to T2: 0, 0.5, 1.5, 3.5, 7.5, 11.5 ... 31.5 s; and one for BYE.
    assert_eq!(net.count("B 200"), 11);
    net.ends_empty();
}

#[test]
fn hang_up_by_the_callee_waits_for_the_ack() {
    let mut net = Network::new(1);
    net.call();
    net.run_ms(100);
    let called = net.called();
    net.lose = vec!["A ACK"];
    net.command(Side::B, answer(called));
    net.command(Side::B, hang_up(called));
    net.run_ms(100);
    assert_eq!(net.count("B BYE"), 0, "RFC 3261 15: not before the ACK");
    net.run_ms(1000);
    net.expect(Side::A, &["answered", "ended ByPeer"]);
    net.expect(Side::B, &["incoming", "ended ByUs"]);
    net.ends_empty();
}

#[test]
fn invite_without_offer_answered_by_ack() {
    let mut net = Network::new(1);
    let session = net.call_with(None, None);
    net.run_ms(100);
    let called = net.called();
    net.lose = vec!["A ACK"];
    let body = Some(Body::sdp("offer of B"));
    net.command(Side::B, Command::Answer { session: called, headers: Vec::new(), body });
    net.run_ms(100);
    let events = net.take(Side::A);
    assert!(matches!(&events[..], [Event::Answered { answer, offer: OfferIn::Response, .. }]
        if answer.body == Some(Body::sdp("offer of B"))));
    assert_eq!(net.count("A ACK"), 0, "the owner owes it");
    net.command(Side::A, Command::Ack { session, body: Some(Body::sdp("answer of A")) });
    net.run_ms(2000);
    let events = net.take(Side::B);
    assert!(matches!(&events[..], [Event::Incoming(incoming), Event::Acked { body, .. }]
        if incoming.body.is_none() && *body == Some(Body::sdp("answer of A"))));
    net.command(Side::A, hang_up(session));
    net.ends_empty();
}

#[test]
fn info_with_an_unknown_body_gets_415_and_a_known_one_200() {
    let (mut net, call, _) = Network::answered();
    for (content_type, outcome, events) in
        [("application/dtmf-relay", "done 200", &["info"][..]), ("text/x-unknown", "done 415", &[])]
    {
        let body = Body { content_type: content_type.to_owned(), bytes: b"Signal=1".to_vec() };
        net.command(Side::A, Command::Info { session: call, request: RequestKey(1), body });
        net.run_ms(100);
        net.expect(Side::A, &[outcome]);
        net.expect(Side::B, events);
    }
    net.command(Side::A, hang_up(call));
    net.ends_empty();
}

#[test]
fn peer_gone_info_times_out_ended_lost() {
    let (mut net, call, _) = Network::answered();
    net.faults.loss = 100;
    let body = Body { content_type: "application/dtmf".to_owned(), bytes: b"1".to_vec() };
    net.command(Side::A, Command::Info { session: call, request: RequestKey(1), body });
    net.run_ms(32_100);
    net.expect(Side::A, &["done 408", "ended Lost"]);
}

#[test]
fn calling_nobody_there_408_after_32_s() {
    let mut net = Network::new(1);
    net.faults.loss = 100;
    net.call();
    net.run_ms(31_999);
    net.expect(Side::A, &[]);
    net.run_ms(1);
    net.expect(Side::A, &["rejected 408"]);
    net.ends_empty();
}

#[test]
fn ringing_forever_ends_by_timer_c() {
    let mut net = Network::new(1);
    net.call();
    net.run_ms(100);
    let called = net.called();
    net.command(Side::B, progress(called, 180));
    net.run_ms(100);
    net.faults.loss = 100;
    net.run_ms(181_000);
    net.expect(Side::A, &["180", "rejected 408"]);
    net.run_ms(180_000);
    net.expect(Side::B, &["incoming", "ended NotAnswered"]);
    net.ends_empty();
}

#[test]
fn options_answered_by_the_endpoint() {
    let mut net = Network::new(1);
    let options = |request| {
        Command::Options(Box::new(super::Options {
            request,
            target: super::Uri::parse("sip:192.0.2.2").unwrap(),
            destination: super::Destination::udp(address(Side::B)),
            from: super::NameAddr::new(super::Uri::parse("sip:gw@example.org").unwrap()),
            credentials: None,
        }))
    };
    net.command(Side::A, options(RequestKey(3)));
    net.run_ms(100);
    let events = net.take(Side::A);
    assert!(matches!(&events[..], [Event::RequestDone { request: RequestKey(3), answer, .. }]
        if answer.allow.contains(&super::Method::Invite)));
    net.expect(Side::B, &[]);
    net.ends_empty();
}

#[test]
fn full_503_with_retry_after_and_no_state() {
    let mut net = Network::new(1);
    net.b.handle_input(net.now, Input::Admission(Admission::Closed)).unwrap();
    net.call();
    net.run_ms(100);
    let events = net.take(Side::A);
    let [Event::Rejected { answer, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(answer.status, 503);
    assert!(answer.retry_after.is_some_and(|seconds| (5..=30).contains(&seconds)));
    assert!(net.b.counts().is_zero());
    net.expect(Side::B, &[]);
}

#[test]
fn forged_requests_change_nothing() {
    let (mut net, call, _) = Network::answered();
    let invite = net.texts.iter().find(|text| text.starts_with("INVITE")).unwrap().clone();
    let ok = net.texts.iter().find(|text| text.starts_with("SIP/2.0 200")).unwrap().clone();
    let line = |text: &str, name: &str| {
        text.lines().find(|line| line.starts_with(name)).unwrap().to_owned()
    };
    let bye = |from: &str, to: &str, cseq: u32, branch: &str| {
        let call_id = line(&invite, "Call-ID");
        format!(
            "BYE sip:b@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK{branch}\r\n\
             {from}\r\n{to}\r\n{call_id}\r\nCSeq: {cseq} BYE\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
        )
    };
    let (from, to) = (line(&invite, "From"), line(&ok, "To"));
    let sent = net.sent.len();
    // From an address that is not accepted: not a word. From an accepted one that is not the leg's: nor.
    for source in ["198.51.100.7:5060", "192.0.2.77:5060"] {
        net.inject(Side::B, source, bye(&from, &to, 99_999, "x1").as_bytes());
        assert_eq!(net.sent.len(), sent, "{source}");
    }
    // From the leg's own address with a wrong tag of either side: 481. With an old number: 500.
    for (from, to, cseq, branch, status) in [
        (&from, &"To: <sip:b@h>;tag=wrong".to_owned(), 99_999, "x2", "B 481"),
        (&"From: <sip:a@h>;tag=wrong".to_owned(), &to, 99_999, "x3", "B 481"),
        (&from, &to, 0, "x4", "B 500"),
    ] {
        net.inject(Side::B, "192.0.2.1:5060", bye(from, to, cseq, branch).as_bytes());
        assert_eq!(net.sent.last().map(String::as_str), Some(status));
    }
    net.expect(Side::B, &[]);
    assert_eq!(net.b.counts().sessions, 1);
    net.command(Side::A, hang_up(call));
    net.run_ms(100);
    net.expect(Side::B, &["ended ByPeer"]);
    net.ends_empty();
}

#[test]
fn unknown_sources_get_no_answer_and_no_state() {
    let mut net = Network::new(1);
    for method in ["INVITE", "OPTIONS", "REGISTER", "BYE", "CANCEL", "ACK", "FOO", "SUBSCRIBE"] {
        let text = format!(
            "{method} sip:1@192.0.2.2 SIP/2.0\r\nVia: SIP/2.0/UDP 198.51.100.7;branch=z9hG4bK{method}\r\n\
             From: <sip:a@h>;tag=1\r\nTo: <sip:b@h>\r\nCall-ID: {method}\r\nCSeq: 1 {method}\r\n\
             Contact: <sip:a@198.51.100.7>\r\nContent-Length: 0\r\n\r\n"
        );
        net.inject(Side::B, "198.51.100.7:5060", text.as_bytes());
    }
    net.inject(Side::B, "198.51.100.7:5060", b"rubbish");
    assert!(net.sent.is_empty());
    assert!(net.is_empty());
    net.expect(Side::B, &[]);
}

#[test]
fn a_late_200_of_another_fork_gets_ack_and_bye() {
    let (mut net, call, _) = Network::answered();
    let ok = net.texts.iter().find(|text| text.starts_with("SIP/2.0 200")).unwrap().clone();
    let tag = ok.lines().find_map(|line| line.strip_prefix("To: ")?.split(";tag=").nth(1)).unwrap();
    let other = ok.replace(tag, "other-fork");
    net.inject(Side::A, "192.0.2.2:5060", other.as_bytes());
    net.inject(Side::A, "192.0.2.2:5060", other.as_bytes());
    let texts = &net.texts[net.texts.len() - 3..];
    for (text, method) in texts.iter().zip(["ACK", "BYE", "ACK"]) {
        assert!(text.starts_with(method) && text.contains("tag=other-fork"), "{text}");
    }
    net.run_ms(1000);
    net.expect(Side::A, &[]);
    net.command(Side::A, hang_up(call));
    net.ends_empty();
}

/// A proxy's challenge to the INVITE that B was sent, from `source`.
fn challenge(net: &mut Network, source: &str, status: u16, nonce: &str) {
    let invite = net.texts.iter().rev().find(|text| text.starts_with("INVITE")).unwrap().clone();
    let mut head: Vec<String> = invite
        .lines()
        .filter(|line| ["Via", "From", "Call-ID", "CSeq"].iter().any(|own| line.starts_with(own)))
        .map(str::to_owned)
        .collect();
    let name = if status == 401 { "WWW-Authenticate" } else { "Proxy-Authenticate" };
    head.insert(0, format!("SIP/2.0 {status} Who"));
    head.push("To: <sip:+4930123@example.net>;tag=proxy".to_owned());
    head.push(format!(
        "{name}: Digest realm=\"trunk\", nonce=\"{nonce}\", qop=\"auth\", stale=true"
    ));
    head.push("Content-Length: 0\r\n\r\n".to_owned());
    net.inject(Side::A, source, head.join("\r\n").as_bytes());
}

#[test]
fn calling_401_407_authorized_at_most_twice() {
    for status in [401, 407] {
        let mut net = Network::new(1);
        net.faults.loss = 100;
        let credentials = Credentials {
            username: "alice".to_owned(),
            password: Secret::new("open".to_owned()),
            realm: Some("trunk".to_owned()),
        };
        net.call_with(Some(Body::sdp("offer")), Some(credentials));
        // From elsewhere: no credentials leave, nothing happens.
        challenge(&mut net, "192.0.2.77:5060", status, "n0");
        assert_eq!(net.sent, ["A INVITE"]);
        for (nonce, invites) in [("n1", 2), ("n2", 3), ("n3", 3)] {
            challenge(&mut net, "192.0.2.2:5060", status, nonce);
            assert_eq!(net.count("A INVITE"), invites, "{nonce}");
        }
        assert_eq!(net.count("A ACK"), 3);
        let header = if status == 401 { "\r\nAuthorization:" } else { "\r\nProxy-Authorization:" };
        let invites: Vec<&String> =
            net.texts.iter().filter(|text| text.starts_with("INVITE")).collect();
        assert!(!invites[0].contains(header));
        assert!(invites[1].contains(header) && invites[1].contains("n1"));
        assert!(invites[2].contains(header) && invites[2].contains("n2"));
        let words = words(&net.take(Side::A));
        assert_eq!(words, [format!("rejected {status}")]);
        net.ends_empty();
    }
}

#[test]
fn without_credentials_a_challenge_is_a_refusal() {
    let mut net = Network::new(1);
    net.faults.loss = 100;
    net.call();
    challenge(&mut net, "192.0.2.2:5060", 407, "n1");
    net.expect(Side::A, &["rejected 407"]);
    net.ends_empty();
}

/// RFC 6026 8.4 keeps the transaction of an answered INVITE for 32 s: its session is over and takes
/// no place from a new one.
#[test]
fn a_session_that_is_over_takes_no_place() {
    let config = EndpointConfig { max_sessions: 1, ..EndpointConfig::default() };
    let mut net = Network::with(1, Transport::Udp, config);
    for _ in 0..3 {
        let call = net.call();
        net.run_ms(100);
        let called = net.called();
        net.command(Side::B, answer(called));
        net.run_ms(100);
        net.expect(Side::A, &["answered"]);
        net.command(Side::A, hang_up(call));
        net.run_ms(100);
        net.expect(Side::A, &["ended ByUs"]);
    }
    assert_eq!(net.a.counts().sessions, 3);
    net.call();
    net.run_ms(100);
    let call = net.call();
    net.expect(Side::A, &["rejected 503"]);
    assert_ne!(net.called(), call);
}
