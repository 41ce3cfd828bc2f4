//! One INVITE over several destinations (RFC 3263 4.3) in virtual time; nobody lives at 192.0.2.9.

use super::call_flow_tests::{answer, hang_up, progress, reject};
use super::event::Event;
use super::virtual_network::{Network, Side};

const DEAD: &str = "192.0.2.9:5060";
const B: &str = "192.0.2.2:5060";

#[test]
fn calling_silence_next_destination_answered() {
    let mut net = Network::new(1);
    let call = net.call_by(&[DEAD, B]);
    net.run_ms(3_990);
    assert_eq!(net.count("A INVITE"), 4);
    net.expect(Side::A, &[]);
    net.run_ms(200);
    let called = net.called();
    net.command(Side::B, answer(called));
    net.run_ms(100);
    net.expect(Side::B, &["incoming", "acked"]);
    net.expect(Side::A, &["next", "answered"]);
    // The same request in a new transaction: only the branch differs.
    let lines = |text: &String| -> Vec<String> {
        let other = |line: &&str| !line.starts_with("Via:");
        text.split("\r\n").filter(other).map(str::to_owned).collect()
    };
    let invites: Vec<&String> = net.texts.iter().filter(|t| t.starts_with("INVITE")).collect();
    assert_eq!(lines(invites[0]), lines(invites[4]));
    assert_ne!(invites[0], invites[4]);
    net.command(Side::A, hang_up(call));
    net.ends_empty();
}

#[test]
fn calling_503_next_destination_at_once() {
    let mut net = Network::new(1);
    net.call_by(&[B, B]);
    net.run_ms(20);
    let first = net.called();
    net.command(Side::B, reject(first, 503));
    net.run_ms(50);
    let second = net.called();
    assert_ne!(first, second);
    net.command(Side::B, answer(second));
    net.run_ms(50);
    net.expect(Side::A, &["next", "answered"]);
}

#[test]
fn calling_486_is_the_callees_word_rejected() {
    let mut net = Network::new(1);
    net.call_by(&[B, B]);
    net.run_ms(20);
    let called = net.called();
    net.command(Side::B, reject(called, 486));
    net.run_ms(50);
    net.expect(Side::A, &["rejected 486"]);
    net.ends_empty();
}

#[test]
fn calling_all_silent_rejected_408_after_timer_b_of_the_last() {
    let mut net = Network::new(1);
    net.call_by(&[DEAD, "192.0.2.10:5060", "192.0.2.11:5060"]);
    net.run_ms(4_000 + 4_000 + 31_900);
    net.expect(Side::A, &["next", "next"]);
    net.run_ms(200);
    net.expect(Side::A, &["rejected 408"]);
    net.ends_empty();
}

#[test]
fn calling_180_then_silence_stays() {
    let mut net = Network::new(1);
    let call = net.call_by(&[B, DEAD]);
    net.run_ms(20);
    let called = net.called();
    net.command(Side::B, progress(called, 180));
    net.run_ms(60_000);
    net.expect(Side::A, &["180"]);
    net.command(Side::A, hang_up(call));
    net.run_ms(100);
    net.expect(Side::A, &["rejected 487"]);
    net.ends_empty();
}

#[test]
fn cancelling_silence_is_tried_nowhere_else() {
    let mut net = Network::new(1);
    let call = net.call_by(&[DEAD, B]);
    net.run_ms(1_000);
    net.command(Side::A, hang_up(call));
    net.run_ms(33_000);
    net.expect(Side::A, &["rejected 408"]);
    net.expect(Side::B, &[]);
    net.ends_empty();
}

#[test]
fn late_200_of_a_destination_given_up_is_acknowledged_and_ended() {
    let mut net = Network::new(1);
    net.call_by(&[DEAD, B]);
    let invite = net.texts[0].clone();
    net.run_ms(4_100);
    let called = net.called();
    let header =
        |name: &str| invite.split("\r\n").find(|line| line.starts_with(name)).unwrap().to_owned();
    let late = format!(
        "SIP/2.0 200 OK\r\n{}\r\n{}\r\n{};tag=late\r\n{}\r\n{}\r\n\
         Contact: <sip:x@{DEAD}>\r\nContent-Length: 0\r\n\r\n",
        header("Via:"),
        header("From:"),
        header("To:"),
        header("Call-ID:"),
        header("CSeq:"),
    );
    net.inject(Side::A, DEAD, late.as_bytes());
    assert_eq!((net.count("A ACK"), net.count("A BYE")), (1, 1));
    net.inject(Side::A, DEAD, late.as_bytes());
    assert_eq!((net.count("A ACK"), net.count("A BYE")), (2, 1));
    // From where nothing was sent, it means nothing.
    let other = late.replace("tag=late", "tag=other");
    net.inject(Side::A, "192.0.2.77:5060", other.as_bytes());
    assert_eq!((net.count("A ACK"), net.count("A BYE")), (2, 1));
    net.command(Side::B, answer(called));
    net.run_ms(100);
    let events = net.take(Side::A);
    assert!(matches!(events.last(), Some(Event::Answered { .. })), "{events:?}");
}
