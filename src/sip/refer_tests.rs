//! REFER, its NOTIFYs and Replaces between two endpoints in virtual time (RFC 3515, RFC 3891).

use super::call_flow_tests::{hang_up, words};
use super::command::{Body, Command, ReferTarget, RequestKey, Session};
use super::event::Event;
use super::header::{ReferTo, ReferredBy, Replaces, TypedHeader};
use super::virtual_network::{Network, Side};

fn refer(session: Session, to: &str) -> Command {
    Command::Refer {
        session,
        request: RequestKey(5),
        target: Box::new(ReferTarget::Uri(ReferTo::parse(to).unwrap())),
        referred_by: Some(Box::new(ReferredBy::parse("<sip:alice@example.org>").unwrap())),
    }
}

fn tell(session: Session, status: u16) -> Command {
    Command::TellRefer { session, status, phrase: None }
}

#[test]
fn refer_accepted_and_told_to_its_end() {
    let (mut net, call, called) = Network::answered();
    net.command(Side::A, refer(call, "<sip:+4940555@example.net>"));
    net.run_ms(100);
    let events = net.take(Side::B);
    let [Event::Refer { refer: asked, .. }] = &events[..] else { panic!("{events:?}") };
    assert_eq!(asked.refer_to.0.uri.user(), Some("+4940555"));
    assert_eq!(asked.referred_by.as_ref().unwrap().0.uri.user(), Some("alice"));
    net.command(Side::B, Command::AcceptRefer { session: called });
    net.run_ms(100);
    net.expect(Side::A, &["done 202", "refer 100"]);
    // One at a time.
    assert!(net.command(Side::A, refer(call, "<sip:1@example.net>")));
    net.expect(Side::A, &["done 503"]);
    for status in [180, 200] {
        net.command(Side::B, tell(called, status));
        net.run_ms(100);
        net.expect(Side::A, &[&format!("refer {status}")]);
    }
    let notify = net.texts.iter().rev().find(|text| text.starts_with("NOTIFY")).unwrap();
    assert!(
        notify.contains("\r\nSubscription-State: terminated;reason=noresource\r\n"),
        "{notify}"
    );
    assert!(notify.contains("\r\nEvent: refer;id="), "{notify}");
    assert!(notify.ends_with("SIP/2.0 200 OK\r\n"), "{notify}");
    assert!(!net.command(Side::B, tell(called, 200)), "it is over");
    net.command(Side::A, hang_up(call));
    net.ends_empty();
}

#[test]
fn refer_refused_and_again() {
    let (mut net, call, called) = Network::answered();
    for status in [603, 403] {
        net.command(Side::A, refer(call, "<sip:+4940555@example.net>"));
        net.run_ms(100);
        net.expect(Side::B, &["refer"]);
        let headers = Vec::new();
        net.command(Side::B, Command::RejectRefer { session: called, status, headers });
        net.run_ms(100);
        net.expect(Side::A, &[&format!("done {status}")]);
    }
    net.command(Side::A, hang_up(call));
    net.ends_empty();
}

#[test]
fn a_refer_that_nobody_finishes_ends_by_itself() {
    let (mut net, call, called) = Network::answered();
    net.command(Side::A, refer(call, "<sip:+4940555@example.net>"));
    net.run_ms(100);
    net.command(Side::B, Command::AcceptRefer { session: called });
    net.run_ms(250_000);
    net.expect(Side::A, &["done 202", "refer 100", "refer 408"]);
    net.command(Side::A, hang_up(call));
    net.run_ms(100);
    net.expect(Side::B, &["refer", "ended ByPeer"]);
    net.ends_empty();
}

/// A request of B within the dialog, as text.
fn within(net: &Network, method: &str, cseq: u32, lines: &str, body: &str) -> String {
    let ack = net.texts.iter().rev().find(|text| text.starts_with("ACK")).unwrap();
    let line = |name: &str| ack.lines().find(|line| line.starts_with(name)).unwrap().to_owned();
    format!(
        "{method} sip:a@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{method}{cseq}\r\n\
         {}\r\n{}\r\n{}\r\nCSeq: {cseq} {method}\r\nMax-Forwards: 70\r\n{lines}\
         Content-Length: {}\r\n\r\n{body}",
        line("To").replacen("To", "From", 1),
        line("From").replacen("From", "To", 1),
        line("Call-ID"),
        body.len(),
    )
}

#[test]
fn what_is_no_refer_and_no_notify_is_refused() {
    let (mut net, call, _) = Network::answered();
    let sipfrag = "Content-Type: message/sipfrag\r\nEvent: refer\r\n\
                   Subscription-State: active;expires=60\r\n";
    let table = [
        ("REFER", "", "", "400"),
        ("REFER", "Refer-To: <sip:1@h>, <sip:2@h>\r\n", "", "400"),
        ("REFER", "Refer-To: sip:1@h?Replaces=x\r\n", "", "400"),
        ("REFER", "Refer-To: <sip:1@h?Replaces=x>\r\n", "", "400"),
        ("NOTIFY", sipfrag, "SIP/2.0 200 OK\r\n", "481"),
        ("NOTIFY", "Event: presence\r\nSubscription-State: active\r\n", "", "489"),
        ("SUBSCRIBE", "Event: refer\r\n", "", "405"),
    ];
    for (n, (method, lines, body, status)) in (70_000..).zip(table) {
        let text = within(&net, method, n, lines, body);
        net.inject(Side::A, "192.0.2.2:5060", text.as_bytes());
        assert_eq!(net.sent.last(), Some(&format!("A {status}")), "{method} {lines}");
    }
    net.expect(Side::A, &[]);
    // Of ours it is taken; an opaque scheme is the owner's to refuse.
    net.command(Side::A, refer(call, "<sip:+4940555@example.net>"));
    net.run_ms(10);
    let text = within(&net, "NOTIFY", 80_000, sipfrag, "SIP/2.0 180 Ringing\r\n");
    net.inject(Side::A, "192.0.2.2:5060", text.as_bytes());
    net.expect(Side::A, &["refer 180"]);
    let text = within(&net, "REFER", 80_001, "Refer-To: <mailto:x@h>\r\n", "");
    net.inject(Side::A, "192.0.2.2:5060", text.as_bytes());
    net.expect(Side::A, &["refer"]);
}

#[test]
fn an_invite_that_replaces_names_the_session() {
    let (mut net, call, called) = Network::answered();
    let ack = net.texts.iter().rev().find(|text| text.starts_with("ACK")).unwrap().clone();
    let tag = |name: &str| {
        let line = ack.lines().find(|line| line.starts_with(name)).unwrap();
        line.split(";tag=").nth(1).unwrap().to_owned()
    };
    let id = ack.lines().find_map(|line| line.strip_prefix("Call-ID: ")).unwrap().to_owned();
    let replaces = |to_tag: String, from_tag: String| Replaces {
        call_id: id.clone(),
        to_tag,
        from_tag,
        early_only: false,
    };
    let mut ask = |replaces: Replaces| {
        let mut invite = net.made_invite(Some(Body::sdp("offer")));
        invite.replaces = Some(replaces);
        net.command(Side::A, Command::Invite(Box::new(invite)));
        net.run_ms(100);
        let events = net.take(Side::B);
        let found = match &events[..] {
            [Event::Incoming(incoming)] => incoming.replaces,
            [] => None,
            other => panic!("{other:?}"),
        };
        (found, words(&net.take(Side::A)))
    };
    let (found, told) = ask(replaces(tag("To"), tag("From")));
    assert_eq!((found, told), (Some(called), vec![]), "the dialog as B sees it");
    for (to, from) in [("x".to_owned(), tag("From")), (tag("To"), "x".to_owned())] {
        let (found, told) = ask(replaces(to, from));
        assert_eq!((found, told), (None, vec!["rejected 481".to_owned()]));
    }
    let early = Replaces { early_only: true, ..replaces(tag("To"), tag("From")) };
    assert_eq!(ask(early), (None, vec!["rejected 481".to_owned()]));
    net.command(Side::A, hang_up(call));
}
