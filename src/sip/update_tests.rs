//! UPDATE between two endpoints in virtual time (RFC 3311).

use super::call_flow_tests::{answer, hang_up, progress};
use super::command::{Body, Command, Session};
use super::event::Event;
use super::virtual_network::{Network, Side};

fn update(session: Session, text: &str) -> Command {
    Command::Update { session, body: Body::sdp(text) }
}

fn answer_update(session: Session) -> Command {
    Command::AnswerUpdate { session, body: Body::sdp("answer") }
}

#[test]
fn update_answered_both_ways() {
    let (mut net, call, called) = Network::answered();
    for (from, own, to, other) in
        [(Side::A, call, Side::B, called), (Side::B, called, Side::A, call)]
    {
        net.command(from, update(own, "hold"));
        net.run_ms(100);
        let events = net.take(to);
        assert!(matches!(&events[..], [Event::Update { body, .. }] if *body == Body::sdp("hold")));
        net.command(to, answer_update(other));
        net.run_ms(100);
        let events = net.take(from);
        assert!(matches!(&events[..], [Event::UpdateDone { answer, .. }]
            if answer.status == 200 && answer.body == Some(Body::sdp("answer"))));
    }
    assert_eq!((net.count("A ACK"), net.count("B ACK")), (1, 0), "UPDATE has no ACK");
    net.command(Side::B, hang_up(called));
    net.ends_empty();
}

#[test]
fn update_before_the_answer_moves_early_media() {
    let mut net = Network::new(1);
    let call = net.call_requiring("100rel");
    net.run_ms(100);
    let called = net.called();
    // The offer of the INVITE has no answer yet: an offer of the caller is too early.
    net.command(Side::B, progress(called, 180));
    net.run_ms(100);
    net.command(Side::B, progress(called, 183));
    net.run_ms(100);
    net.expect(Side::A, &["180", "183"]);
    net.command(Side::A, update(call, "elsewhere"));
    net.run_ms(100);
    let events = net.take(Side::B);
    assert!(matches!(&events[..], [Event::Incoming(_), Event::Update { .. }]), "{events:?}");
    net.command(Side::B, answer_update(called));
    net.run_ms(100);
    net.expect(Side::A, &["update 200"]);
    net.command(Side::B, update(called, "moved"));
    net.run_ms(100);
    let events = net.take(Side::A);
    assert!(matches!(&events[..], [Event::Update { fork, .. }] if !fork.is_empty()));
    net.command(Side::A, answer_update(call));
    net.run_ms(100);
    net.expect(Side::B, &["update 200"]);
    net.command(Side::B, answer(called));
    net.run_ms(100);
    net.expect(Side::A, &["answered"]);
    net.command(Side::A, hang_up(call));
    net.ends_empty();
}

#[test]
fn an_update_before_the_first_answer_gets_500() {
    let mut net = Network::new(1);
    let call = net.call();
    net.run_ms(100);
    let called = net.called();
    net.command(Side::B, progress(called, 180));
    net.run_ms(100);
    net.command(Side::A, update(call, "elsewhere"));
    net.run_ms(100);
    net.expect(Side::A, &["180", "update 500"]);
    net.expect(Side::B, &["incoming"]);
    net.command(Side::B, answer(called));
    net.run_ms(100);
    net.expect(Side::A, &["answered"]);
    net.command(Side::A, hang_up(call));
    net.ends_empty();
}

#[test]
fn an_update_refused_leaves_the_session_and_one_during_a_reinvite_gets_491() {
    let (mut net, call, called) = Network::answered();
    net.command(Side::A, update(call, "video"));
    net.run_ms(100);
    net.expect(Side::B, &["update"]);
    let headers = Vec::new();
    net.command(Side::B, Command::RejectUpdate { session: called, status: 488, headers });
    net.run_ms(100);
    net.expect(Side::A, &["update 488"]);
    net.command(Side::A, Command::Reinvite { session: call, body: Some(Body::sdp("again")) });
    net.run_ms(20);
    net.command(Side::B, update(called, "hold"));
    net.run_ms(100);
    net.expect(Side::B, &["reinvite", "update 491"]);
    net.command(Side::B, answer(called));
    net.run_ms(100);
    net.expect(Side::A, &["reinvite 200"]);
    net.expect(Side::B, &["acked"]);
    net.command(Side::A, hang_up(call));
    net.ends_empty();
}

#[test]
fn an_update_that_its_owner_never_answers_dies_with_its_transaction() {
    let (mut net, call, called) = Network::answered();
    net.command(Side::A, update(call, "hold"));
    net.run_ms(33_000);
    net.expect(Side::B, &["update", "ended ByPeer"]);
    net.expect(Side::A, &["update 408", "ended Lost"]);
    assert!(!net.command(Side::B, answer_update(called)));
    net.ends_empty();
}
