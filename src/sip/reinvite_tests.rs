//! Re-INVITEs between two endpoints in virtual time (RFC 3261 14).

use super::call_flow_tests::{answer, hang_up, reject};
use super::command::{Body, Command};
use super::event::Event;
use super::virtual_network::{Network, Side};

#[test]
fn reinvite_answered_both_ways() {
    let (mut net, call, called) = Network::answered();
    let pairs = [(Side::A, call, Side::B, called), (Side::B, called, Side::A, call)];
    for (from, own, to, other) in pairs {
        let body = Some(Body::sdp("hold"));
        assert!(net.command(from, Command::Reinvite { session: own, body: body.clone() }));
        net.run_ms(100);
        let events = net.take(to);
        assert!(matches!(&events[..], [Event::Reinvite { body: got, .. }] if *got == body));
        net.command(to, answer(other));
        net.run_ms(100);
        net.expect(from, &["reinvite 200"]);
        net.expect(to, &["acked"]);
    }
    net.command(Side::B, hang_up(called));
    net.ends_empty();
}

#[test]
fn reinvite_glare_491_on_both_sides_and_the_callee_is_first_again() {
    let (mut net, call, called) = Network::answered();
    let hold = |session| Command::Reinvite { session, body: Some(Body::sdp("hold")) };
    for (side, session) in [(Side::A, call), (Side::B, called)] {
        net.command(side, hold(session));
    }
    net.run_ms(100);
    net.expect(Side::A, &["reinvite 491"]);
    net.expect(Side::B, &["reinvite 491"]);
    // RFC 3261 14.1: 0 to 2 s for B, 2.1 to 4 s for A, which made the Call-ID.
    net.run_ms(1_950);
    net.expect(Side::A, &[]);
    net.expect(Side::B, &["reoffer"]);
    net.command(Side::B, hold(called));
    net.run_ms(100);
    net.expect(Side::A, &["reinvite"]);
    net.command(Side::A, answer(call));
    net.run_ms(2_000);
    net.expect(Side::B, &["reinvite 200"]);
    net.expect(Side::A, &["acked", "reoffer"]);
    net.command(Side::A, hold(call));
    net.run_ms(100);
    net.expect(Side::B, &["reinvite"]);
    // While the peer's offer is open an own one waits.
    net.command(Side::B, hold(called));
    net.expect(Side::B, &["reinvite 491"]);
    net.command(Side::B, answer(called));
    net.run_ms(2_100);
    net.expect(Side::B, &["acked", "reoffer"]);
    net.expect(Side::A, &["reinvite 200"]);
    net.command(Side::A, hang_up(call));
    net.run_ms(100);
    net.expect(Side::B, &["ended ByPeer"]);
    net.ends_empty();
}

#[test]
fn too_many_reinvites_of_the_peer_get_500_until_time_has_passed() {
    let (mut net, call, called) = Network::answered();
    let again = || Command::Reinvite { session: call, body: Some(Body::sdp("again")) };
    for n in 0..14 {
        net.command(Side::A, again());
        net.run_ms(50);
        // Ten at once, and one more for the second that has passed.
        let taken = n < 11;
        net.expect(Side::B, if taken { &["reinvite"] } else { &[] });
        if taken {
            net.command(Side::B, answer(called));
            net.run_ms(50);
            net.expect(Side::B, &["acked"]);
        }
        net.expect(Side::A, if taken { &["reinvite 200"] } else { &["reinvite 500"] });
    }
    net.run_ms(1_500);
    net.command(Side::A, again());
    net.run_ms(50);
    net.expect(Side::B, &["reinvite"]);
}

#[test]
fn reinvite_refused_leaves_the_session() {
    let (mut net, call, called) = Network::answered();
    net.command(Side::A, Command::Reinvite { session: call, body: Some(Body::sdp("video")) });
    net.run_ms(100);
    net.command(Side::B, reject(called, 488));
    net.run_ms(100);
    net.expect(Side::A, &["reinvite 488"]);
    net.command(Side::B, hang_up(called));
    net.run_ms(100);
    net.expect(Side::A, &["ended ByPeer"]);
    net.ends_empty();
}
