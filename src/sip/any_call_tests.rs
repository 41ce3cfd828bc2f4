//! Calls with random commands on a seeded bad network: whatever happens, each side is told one end and
//! nothing stays alive.

use super::call_flow_tests::{answer, hang_up, progress, reject, words};
use super::command::{Body, Command, ReferTarget, RequestKey, Transport};
use super::endpoint::EndpointConfig;
use super::event::Event;
use super::header::{ReferTo, TypedHeader};
use super::virtual_network::{Faults, Network, Side};

/// One random life of a call on a bad network, to its end; what it did is told by the seed.
fn any_call(seed: u64, transport: Transport) -> Vec<String> {
    let mut net = Network::with(seed, transport, EndpointConfig::default());
    net.faults = match transport {
        Transport::Udp => Faults {
            loss: net.random_below(40),
            duplication: net.random_below(30),
            jitter_ms: net.random_below(1500),
        },
        Transport::Tcp | Transport::Tls => Faults::default(),
    };
    let call = net.call_with(Some(Body::sdp("offer")).filter(|_| !seed.is_multiple_of(4)), None);
    let mut called = None;
    let mut ends = [Vec::new(), Vec::new()];
    for _ in 0..40 {
        let pause = u64::from(net.random_below(if seed.is_multiple_of(5) { 5000 } else { 1500 }));
        net.run_ms(pause);
        for (index, side) in [(0, Side::A), (1, Side::B)] {
            for event in net.take(side) {
                match event {
                    Event::Incoming(incoming) => {
                        assert_eq!(called.replace(incoming.session), None, "one call, seed {seed}");
                    }
                    Event::Rejected { .. } | Event::Cancelled { .. } | Event::Ended { .. } => {
                        ends[index].push(words(&[event]));
                    }
                    _ => {}
                }
            }
        }
        let (side, own) = match (net.random_below(2), called) {
            (0, Some(called)) => (Side::B, called),
            _ => (Side::A, call),
        };
        let body = Body { content_type: "application/dtmf".to_owned(), bytes: b"1".to_vec() };
        let command = match net.random_below(26) {
            20 => Command::Update { session: own, body: Body::sdp("moved") },
            21 | 22 => Command::AnswerUpdate { session: own, body: Body::sdp("answer") },
            23 => Command::Refer {
                session: own,
                request: RequestKey(2),
                target: Box::new(ReferTarget::Uri(ReferTo::parse("<sip:1@h>").unwrap())),
                referred_by: None,
            },
            24 => Command::AcceptRefer { session: own },
            25 => Command::TellRefer { session: own, status: 200, phrase: None },
            0 | 1 => progress(own, 180),
            2 | 3 => progress(own, 183),
            4..=8 => answer(own),
            9 => reject(own, 486),
            10 => hang_up(own),
            11 | 12 => Command::Reinvite { session: own, body: Some(Body::sdp("again")) },
            13 => Command::Reinvite { session: own, body: None },
            14..=16 => Command::Info { session: own, request: RequestKey(1), body },
            _ => Command::Ack { session: own, body: Some(Body::sdp("answer")) },
        };
        net.command(side, command);
    }
    net.command(Side::A, hang_up(call));
    if let Some(called) = called {
        net.command(Side::B, hang_up(called));
    }
    net.run_out().unwrap_or_else(|| panic!("timers go on, seed {seed}"));
    for (index, side) in [(0, Side::A), (1, Side::B)] {
        for event in net.take(side) {
            if let Event::Incoming(incoming) = &event {
                called = Some(incoming.session);
            }
            let end = matches!(
                event,
                Event::Rejected { .. } | Event::Cancelled { .. } | Event::Ended { .. }
            );
            ends[index].extend(end.then(|| words(&[event])));
        }
    }
    assert!(net.is_empty(), "seed {seed}: {:?} {:?}", net.a.counts(), net.b.counts());
    assert_eq!(ends[0].len(), 1, "seed {seed}: A ends once: {ends:?} {:?}", net.sent);
    assert_eq!(ends[1].len(), usize::from(called.is_some()), "seed {seed}: B ends once: {ends:?}");
    ends.concat().concat()
}

#[test]
fn whatever_the_network_does_no_state_is_left() {
    let udp = (0..400).map(|seed| any_call(seed, Transport::Udp));
    let tcp = (0..100).map(|seed| any_call(seed, Transport::Tcp));
    let ends: std::collections::BTreeSet<String> = udp.chain(tcp).flatten().collect();
    // The seeds reach every kind of end.
    for end in [
        "rejected 408",
        "rejected 486",
        "rejected 487",
        "cancelled",
        "ended ByUs",
        "ended ByPeer",
        "ended NoAck",
        "ended Lost",
    ] {
        assert!(ends.contains(end), "{end} in {ends:?}");
    }
}
