//! Whatever packets come: presses start once, end once and in order, and nothing panics.

use std::time::Duration;

use proptest::prelude::*;

use super::{DecoderInput, ReceivedEvent, Rfc4733Decoder};
use crate::base::epoch;
use crate::dtmf::{Arbiter, DigitEvent, Output, Phase};

#[derive(Debug, Clone)]
struct Packet {
    gap_ms: u64,
    payload_type: u8,
    ssrc: u32,
    seq: u16,
    timestamp: u32,
    marker: bool,
    payload: Vec<u8>,
}

fn packet() -> impl Strategy<Value = Packet> {
    let timestamp = prop_oneof![0u32..2000, 65_000u32..67_000, any::<u32>()];
    let block = (0u8..18, any::<bool>(), prop_oneof![0u16..2000, any::<u16>()])
        .prop_map(|(event, end, ticks)| (event, if end { 0x8A } else { 0x0A }, ticks));
    let payload = prop::collection::vec(block, 0..4).prop_map(|blocks| {
        let bytes = |(event, flags, ticks): &(u8, u8, u16)| {
            [*event, *flags, (*ticks >> 8) as u8, *ticks as u8]
        };
        blocks.iter().flat_map(bytes).collect::<Vec<u8>>()
    });
    let payload = prop_oneof![4 => payload, 1 => prop::collection::vec(any::<u8>(), 0..9)];
    let numbers = (0u64..250, 100u8..104, 0u32..6, prop_oneof![0u16..40, any::<u16>()], timestamp);
    (numbers, any::<bool>(), payload).prop_map(
        |((gap_ms, payload_type, ssrc, seq, timestamp), marker, payload)| Packet {
            gap_ms,
            payload_type,
            ssrc,
            seq,
            timestamp,
            marker,
            payload,
        },
    )
}

/// Checks one more step and remembers which presses are down.
fn check(down: &mut Vec<DigitEvent>, event: DigitEvent) -> Result<(), TestCaseError> {
    let place = down.iter().position(|d| d.id == event.id);
    match (event.phase, place) {
        (Phase::Start, None) => down.push(event),
        (Phase::Update, Some(at)) => prop_assert_eq!(down[at].digit, event.digit),
        (Phase::End(_), Some(at)) => {
            prop_assert_eq!(down[at].digit, event.digit);
            down.remove(at);
        }
        (phase, _) => prop_assert!(false, "{phase:?} out of order"),
    }
    Ok(())
}

proptest! {
    #[test]
    fn presses_start_once_and_end_once(packets in prop::collection::vec(packet(), 1..60)) {
        let mut decoder = Rfc4733Decoder::new(&[(101, 8_000), (102, 48_000)]);
        let mut arbiter = Arbiter::new();
        let (mut down, mut merged) = (Vec::new(), Vec::new());
        let mut now = epoch();
        for packet in &packets {
            now += Duration::from_millis(packet.gap_ms);
            let received = ReceivedEvent {
                payload_type: packet.payload_type,
                ssrc: packet.ssrc,
                seq: packet.seq,
                timestamp: packet.timestamp,
                marker: packet.marker,
                payload: &packet.payload,
            };
            let _ = decoder.handle_input(now, DecoderInput::Packet(received));
            while let Output::Digit(event) = decoder.poll_output() {
                arbiter.handle_input(now, event);
                check(&mut down, event)?;
            }
            while let Output::Digit(event) = arbiter.poll_output() {
                check(&mut merged, event)?;
            }
        }
        now += Duration::from_secs(1);
        let _ = decoder.handle_input(now, DecoderInput::Timeout);
        loop {
            match decoder.poll_output() {
                Output::Digit(event) => {
                    arbiter.handle_input(now, event);
                    check(&mut down, event)?;
                }
                Output::Timeout(at) => {
                    prop_assert_eq!(at, None);
                    break;
                }
            }
        }
        while let Output::Digit(event) = arbiter.poll_output() {
            check(&mut merged, event)?;
        }
        prop_assert!(down.is_empty() && merged.is_empty());
    }
}
