//! Reliable provisional responses (RFC 3262) in virtual time; names are the transitions they show.

use super::call_flow_tests::{answer, hang_up, progress, reject, words};
use super::event::Event;
use super::virtual_network::{Network, Side};

/// A call of A that requires 100rel, with B's session.
fn required() -> (Network, super::Session, super::Session) {
    let mut net = Network::new(1);
    let call = net.call_requiring("100rel");
    net.run_ms(50);
    let called = net.called();
    net.take(Side::B);
    (net, call, called)
}

fn texts<'a>(net: &'a Network, start: &str) -> Vec<&'a String> {
    net.texts.iter().filter(|text| text.starts_with(start)).collect()
}

#[test]
fn ringing_180_prack_answered() {
    let (mut net, call, called) = required();
    net.command(Side::B, progress(called, 180));
    net.run_ms(2_000);
    net.command(Side::B, answer(called));
    net.run_ms(100);
    net.expect(Side::A, &["180", "answered"]);
    net.expect(Side::B, &["acked"]);
    let expected = ["A INVITE", "B 180", "A PRACK", "B 200", "B 200", "A ACK"];
    assert_eq!(net.sent, expected);
    let ringing = texts(&net, "SIP/2.0 180")[0];
    let header = |name: &str| ringing.split("\r\n").find_map(|line| line.strip_prefix(name));
    assert_eq!(header("Require: "), Some("100rel"));
    let (rseq, cseq) = (header("RSeq: ").unwrap(), header("CSeq: ").unwrap());
    let rack = format!("\r\nRAck: {rseq} {cseq}\r\n");
    assert!(texts(&net, "PRACK")[0].contains(&rack), "{rack}");
    net.command(Side::A, hang_up(call));
    net.ends_empty();
}

#[test]
fn ringing_without_require_nothing_is_reliable() {
    let mut net = Network::new(1);
    net.call();
    net.run_ms(50);
    let called = net.called();
    net.command(Side::B, progress(called, 180));
    net.run_ms(5_000);
    assert!(texts(&net, "INVITE")[0].contains("\r\nSupported: 100rel, timer,"));
    assert!(!texts(&net, "SIP/2.0 180")[0].contains("RSeq"));
    assert_eq!((net.count("A PRACK"), net.count("B 180")), (0, 1));
}

#[test]
fn ringing_180_lost_is_sent_again_until_prack() {
    let (mut net, _, called) = required();
    net.lose = vec!["B 180", "B 180", "A PRACK"];
    net.command(Side::B, progress(called, 180));
    // At 0, 0.5 and 1.5 s; the PRACK again after 0.5 s.
    net.run_ms(10_000);
    assert_eq!((net.count("B 180"), net.count("A PRACK")), (3, 2));
    net.expect(Side::A, &["180"]);
    net.expect(Side::B, &[]);
}

#[test]
fn ringing_183_with_answer_holds_the_200_until_prack() {
    let (mut net, _, called) = required();
    net.lose = vec!["A PRACK"];
    net.command(Side::B, progress(called, 183));
    net.command(Side::B, answer(called));
    net.run_ms(300);
    net.expect(Side::A, &["183"]);
    net.run_ms(1_000);
    net.expect(Side::A, &["answered"]);
    net.expect(Side::B, &["acked"]);
    // The offer was answered by the 183: the 200 carries no second answer.
    let answered = texts(&net, "SIP/2.0 200");
    let last = answered.iter().find(|text| text.contains(" INVITE\r\n")).unwrap();
    assert!(last.ends_with("Content-Length: 0\r\n\r\n"), "{last}");
}

#[test]
fn ringing_183_then_180_wait_for_each_other() {
    let (mut net, _, called) = required();
    net.command(Side::B, progress(called, 180));
    net.command(Side::B, progress(called, 183));
    assert_eq!(net.sent, ["A INVITE", "B 180"]);
    net.run_ms(200);
    assert_eq!(net.sent[2..], ["A PRACK", "B 200", "B 183", "A PRACK", "B 200"]);
    net.expect(Side::A, &["180", "183"]);
}

#[test]
fn ringing_180_unacknowledged_486_at_once() {
    let (mut net, _, called) = required();
    net.lose = vec!["A PRACK"; 20];
    net.command(Side::B, progress(called, 180));
    net.run_ms(100);
    net.command(Side::B, reject(called, 486));
    net.run_ms(100);
    net.expect(Side::A, &["180", "rejected 486"]);
    net.ends_empty();
    assert_eq!(net.count("B 180"), 1);
}

#[test]
fn ringing_no_prack_for_32_s_500_ended() {
    let (mut net, _, called) = required();
    net.lose = vec!["A PRACK"; 100];
    net.command(Side::B, progress(called, 180));
    net.run_ms(31_900);
    net.expect(Side::B, &[]);
    net.run_ms(200);
    net.expect(Side::B, &["ended NoPrack"]);
    assert_eq!(words(&net.take(Side::A)), ["180", "rejected 500"]);
    // T1 doubling without an upper bound: 0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5 s.
    assert_eq!(net.count("B 180"), 7);
    net.ends_empty();
}

#[test]
fn ringing_cancelled_while_180_is_unacknowledged() {
    let (mut net, call, called) = required();
    net.lose = vec!["A PRACK"; 100];
    net.command(Side::B, progress(called, 180));
    net.run_ms(100);
    net.command(Side::A, hang_up(call));
    net.run_ms(200);
    net.expect(Side::A, &["180", "rejected 487"]);
    net.expect(Side::B, &["cancelled"]);
    net.ends_empty();
    assert_eq!(net.count("B 180"), 1);
}

#[test]
fn a_prack_of_another_response_gets_481() {
    let (mut net, _, called) = required();
    net.lose = vec!["A PRACK"];
    net.command(Side::B, progress(called, 180));
    net.run_ms(20);
    let prack = texts(&net, "PRACK")[0].clone();
    let start = prack.find("RAck: ").unwrap() + "RAck: ".len();
    let wrong = format!("{}9{}", &prack[..start], &prack[start..]).replace("z9hG4bK", "z9hG4bKx");
    net.inject(Side::B, "192.0.2.1:5060", wrong.as_bytes());
    assert_eq!(net.count("B 481"), 1);
    net.run_ms(600);
    net.expect(Side::A, &["180"]);
    assert_eq!(net.count("B 180"), 2);
}

#[test]
fn responses_that_repeat_or_overtake_are_not_processed() {
    let (mut net, _, called) = required();
    net.command(Side::B, progress(called, 180));
    net.run_ms(200);
    net.expect(Side::A, &["180"]);
    let ringing = texts(&net, "SIP/2.0 180")[0].clone();
    let pracks = net.count("A PRACK");
    net.inject(Side::A, "192.0.2.2:5060", ringing.as_bytes());
    let at = ringing.find("RSeq: ").unwrap() + "RSeq: ".len();
    let gap = format!("{}7{}", &ringing[..at], &ringing[at..]);
    net.inject(Side::A, "192.0.2.2:5060", gap.as_bytes());
    net.expect(Side::A, &[]);
    assert_eq!(net.count("A PRACK"), pracks);
}

#[test]
fn an_invite_without_offer_gets_no_18x_and_is_answered() {
    let mut net = Network::new(1);
    let call = net.call_without_offer_requiring("100rel");
    net.run_ms(50);
    let called = net.called();
    net.command(Side::B, progress(called, 180));
    net.run_ms(300);
    net.command(Side::B, answer(called));
    net.run_ms(100);
    assert_eq!(net.sent, ["A INVITE", "B 100", "B 200"]);
    let events = net.take(Side::A);
    assert!(matches!(&events[..], [Event::Answered { .. }]), "{events:?}");
    net.command(Side::A, hang_up(call));
    net.ends_empty();
}
