//! The receiver's vectors: what senders do and networks do to it. Each test has its number in the
//! list of vectors that every build runs, and its words. Times in milliseconds on a virtual clock.

use std::time::Duration;

use super::{DecodeError, DecoderInput, EventBlock, ReceivedEvent, Rfc4733Decoder};
use crate::base::{Digit, epoch};
use crate::dtmf::{DigitEvent, EndReason, Output, Phase};

const KHZ8: u8 = 101;
const KHZ48: u8 = 110;
const KHZ16: u8 = 105;
const KHZ32: u8 = 106;
const RELEASED: EndReason = EndReason::Released;

/// A packet and when it arrives.
#[derive(Debug, Clone)]
struct Packet {
    at: u64,
    pt: u8,
    seq: u16,
    timestamp: u32,
    marker: bool,
    blocks: Vec<EventBlock>,
}

/// A press of `ms` as RFC 4733 wants it: updates every 20 ms from `at`, three ends 20 ms apart.
fn press(key: char, at: u64, ms: u64, pt: u8, seq: u16, timestamp: u32) -> Vec<Packet> {
    let per_ms = u64::from(rate(pt)) / 1000;
    let mut packets: Vec<Packet> = Vec::new();
    let (mut base, mut now) = (0, 0);
    let mut push = |at: u64, base: u64, duration: u64, end: bool| {
        let count = packets.len();
        packets.push(Packet {
            at,
            pt,
            seq: seq.wrapping_add(count as u16),
            timestamp: timestamp.wrapping_add(base as u32),
            marker: count == 0,
            blocks: vec![block(key, end, duration as u16)],
        });
    };
    loop {
        now += 20;
        let total = now.min(ms) * per_ms;
        while total - base > 0xFFFF {
            push(at + now - 20, base, 0xFFFF, false);
            base += 0xFFFF;
        }
        push(at + now - 20, base, total - base, now >= ms);
        if now >= ms {
            push(at + now, base, total - base, true);
            push(at + now + 20, base, total - base, true);
            return packets;
        }
    }
}

/// A press as Chromium sends it: the new segment takes the packet's own time, and an end on the
/// step that crosses 0xFFFF goes out on both timestamps, each three times back-to-back.
fn chromium_press(key: char, ms: u64, pt: u8) -> Vec<Packet> {
    let per_ms = u64::from(rate(pt)) / 1000;
    let mut packets: Vec<Packet> = Vec::new();
    let (mut base, mut length, mut step) = (0, ms * per_ms, 0);
    loop {
        step += 20 * per_ms;
        let mut duration = step - base;
        let end = duration >= length;
        let mut push = |base: u64, duration: u64| {
            for _ in 0..if end { 3 } else { 1 } {
                let count = packets.len();
                packets.push(Packet {
                    at: step / per_ms,
                    pt,
                    seq: count as u16,
                    timestamp: base as u32,
                    marker: count == 0,
                    blocks: vec![block(key, end, duration as u16)],
                });
            }
        };
        if duration > 0xFFFF {
            push(base, 0xFFFF);
            base = step;
            duration -= 0xFFFF;
            length = length.saturating_sub(0xFFFF);
        }
        push(base, duration);
        if end {
            return packets;
        }
    }
}

fn rate(pt: u8) -> u32 {
    match pt {
        KHZ48 => 48_000,
        KHZ32 => 32_000,
        KHZ16 => 16_000,
        _ => 8_000,
    }
}

fn block(key: char, end: bool, duration: u16) -> EventBlock {
    EventBlock { event: Digit::from_char(key).unwrap().event(), end, volume: 10, duration }
}

fn decoder() -> Rfc4733Decoder {
    Rfc4733Decoder::new(&[(KHZ8, 8_000), (KHZ48, 48_000), (KHZ16, 16_000), (KHZ32, 32_000)])
}

/// Plays packets in the order given, the timeouts in between, and one long after.
fn play(decoder: &mut Rfc4733Decoder, packets: &[Packet]) -> Vec<DigitEvent> {
    let mut events = Vec::new();
    let mut now = epoch();
    for packet in packets {
        now = now.max(epoch() + Duration::from_millis(packet.at));
        drain(decoder, &mut events, Some(now));
        let payload: Vec<u8> = packet.blocks.iter().flat_map(|b| b.to_bytes()).collect();
        let received = ReceivedEvent {
            payload_type: packet.pt,
            ssrc: 0x1234,
            seq: packet.seq,
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload: &payload,
        };
        decoder.handle_input(now, DecoderInput::Packet(received)).unwrap();
    }
    drain(decoder, &mut events, None);
    events
}

/// Takes all outputs, and the timeouts that are due before `until`.
fn drain(
    decoder: &mut Rfc4733Decoder,
    events: &mut Vec<DigitEvent>,
    until: Option<std::time::Instant>,
) {
    loop {
        match decoder.poll_output() {
            Output::Digit(event) => events.push(event),
            Output::Timeout(Some(at)) if until.is_none_or(|until| at < until) => {
                decoder.handle_input(at, DecoderInput::Timeout).unwrap();
            }
            Output::Timeout(_) => return,
        }
    }
}

/// Key, whole length in ms and reason of each press; every press must start once and end once.
fn digits(events: &[DigitEvent]) -> Vec<(char, u64, EndReason)> {
    let mut down: Option<DigitEvent> = None;
    let mut digits = Vec::new();
    for event in events {
        match (event.phase, down) {
            (Phase::Start, None) => down = Some(*event),
            (Phase::Update, Some(start)) => assert_eq!(start.id, event.id),
            (Phase::End(reason), Some(start)) => {
                assert_eq!(start.id, event.id);
                digits.push((event.digit.as_char(), event.duration.as_millis() as u64, reason));
                down = None;
            }
            other => panic!("out of order: {other:?}"),
        }
    }
    assert!(down.is_none(), "a press without an end");
    digits
}

fn heard(packets: &[Packet]) -> Vec<(char, u64, EndReason)> {
    digits(&play(&mut decoder(), packets))
}

#[test]
fn v01_plain_100_70_ms_digits_at_48k_and_at_8k() {
    for pt in [KHZ8, KHZ48] {
        let mut packets = Vec::new();
        for (i, key) in "0123456789*#ABCD".chars().enumerate() {
            let i = i as u64;
            let timestamp = 5000 + (i * 170 * u64::from(rate(pt)) / 1000) as u32;
            packets.extend(press(
                key,
                i * 170,
                100,
                pt,
                65_500u16.wrapping_add(i as u16 * 9),
                timestamp,
            ));
        }
        let expected: Vec<_> = "0123456789*#ABCD".chars().map(|k| (k, 100, RELEASED)).collect();
        assert_eq!(heard(&packets), expected);
    }
}

#[test]
fn v01_the_start_comes_with_the_first_packet() {
    let events = play(&mut decoder(), &press('5', 1000, 100, KHZ8, 1, 1)[..1]);
    assert_eq!(events[0].phase, Phase::Start);
    assert_eq!(events[0].started_at, epoch() + Duration::from_millis(980));
}

#[test]
fn v02_first_packet_lost() {
    assert_eq!(heard(&press('5', 0, 100, KHZ8, 1, 1)[1..]), [('5', 100, RELEASED)]);
}

#[test]
fn v03_all_but_one_end_packet_lost() {
    for kept in 4..7 {
        let mut packets = press('5', 0, 100, KHZ8, 1, 1);
        let end = packets[kept].clone();
        packets.truncate(4);
        packets.push(end);
        assert_eq!(heard(&packets), [('5', 100, RELEASED)]);
    }
}

#[test]
fn v04_all_end_packets_lost() {
    let packets = press('5', 0, 100, KHZ8, 1, 1);
    let events = play(&mut decoder(), &packets[..4]);
    assert_eq!(digits(&events), [('5', 80, EndReason::TimedOut)]);
    // The next press ends the one before it at once, the same key as well as another.
    for key in ['5', '6'] {
        let mut two = packets[..4].to_vec();
        two.extend(press(key, 130, 100, KHZ8, 8, 1041));
        assert_eq!(heard(&two), [('5', 80, EndReason::NextDigit), (key, 100, RELEASED)]);
    }
}

/// A browser sends sound or an event, never both: its sound says that a key is up whose end is lost,
/// and its silence says nothing for a second.
#[test]
fn v04_all_end_packets_lost_of_a_browser() {
    for (sound_at, length, up_at) in [(Some(130), 80, 190), (None, 80, 1060)] {
        let mut decoder = Rfc4733Decoder::of_browser(&[(KHZ48, 48_000)]);
        let mut events = Vec::new();
        for packet in &press('5', 0, 100, KHZ48, 1, 1)[..4] {
            let now = epoch() + Duration::from_millis(packet.at);
            let payload = packet.blocks[0].to_bytes();
            let received = ReceivedEvent {
                payload_type: packet.pt,
                ssrc: 1,
                seq: packet.seq,
                timestamp: packet.timestamp,
                marker: packet.marker,
                payload: &payload,
            };
            decoder.handle_input(now, DecoderInput::Packet(received)).unwrap();
        }
        if let Some(at) = sound_at {
            let now = epoch() + Duration::from_millis(at);
            // An older packet of sound and another sender's say nothing.
            for (ssrc, seq) in [(1, 0), (2, 9), (1, 8)] {
                decoder.handle_input(now, DecoderInput::Sound { ssrc, seq }).unwrap();
            }
        }
        let just_before = epoch() + Duration::from_millis(up_at);
        drain(&mut decoder, &mut events, Some(just_before));
        assert!(!events.iter().any(|e| matches!(e.phase, Phase::End(_))), "{sound_at:?}");
        drain(&mut decoder, &mut events, None);
        assert_eq!(digits(&events), [('5', length, EndReason::TimedOut)]);
    }
}

#[test]
fn v05_no_marker_at_all() {
    let mut packets = press('5', 0, 100, KHZ48, 1, 1);
    packets.extend(press('5', 170, 100, KHZ48, 8, 8161));
    packets.iter_mut().for_each(|p| p.marker = false);
    assert_eq!(heard(&packets), [('5', 100, RELEASED); 2]);
}

#[test]
fn v06_marker_on_every_packet() {
    let mut packets = press('5', 0, 100, KHZ48, 1, 1);
    packets.extend(press('5', 170, 100, KHZ48, 8, 8161));
    packets.iter_mut().for_each(|p| p.marker = true);
    assert_eq!(heard(&packets), [('5', 100, RELEASED); 2]);
}

#[test]
fn v07_timestamp_used_again_for_the_next_digit_same_and_other_key() {
    for key in ['5', '6'] {
        for marker in [true, false] {
            let mut packets = press('5', 0, 100, KHZ8, 1, 1);
            packets.extend(press(key, 170, 100, KHZ8, 8, 1));
            packets.iter_mut().for_each(|p| p.marker &= marker);
            assert_eq!(heard(&packets), [('5', 100, RELEASED), (key, 100, RELEASED)]);
            // And with the ends of the first one lost.
            packets.drain(4..7);
            let lost = EndReason::TimedOut;
            assert_eq!(heard(&packets), [('5', 80, lost), (key, 100, RELEASED)]);
        }
    }
}

/// Captures played one after the other: the second one's numbers are just below the first one's.
#[test]
fn v07_numbers_that_go_back_between_two_keys() {
    for key in ['5', '6'] {
        let mut packets = press('5', 0, 140, KHZ8, 8155, 43_200);
        packets.extend(press(key, 500, 140, KHZ8, 8121, 37_120));
        packets.extend(press(key, 1000, 140, KHZ8, 8121, 37_120));
        let expected: Vec<_> = ['5', key, key].map(|key| (key, 140, RELEASED)).into();
        assert_eq!(heard(&packets), expected);
    }
}

#[test]
fn v08_timestamp_moving_within_a_press() {
    let mut packets = press('5', 0, 200, KHZ8, 1, 1);
    packets.extend(press('5', 300, 200, KHZ8, 13, 2401));
    for packet in &mut packets {
        packet.timestamp = 1 + packet.at as u32 * 8;
    }
    let keys: Vec<char> = heard(&packets).iter().map(|d| d.0).collect();
    assert_eq!(keys, ['5', '5']);
    // A sender that lets the timestamp move and keeps the duration.
    packets.iter_mut().for_each(|p| p.blocks[0].duration = 160);
    let lengths: Vec<u64> = heard(&packets).iter().map(|d| d.1).collect();
    assert_eq!(lengths, [200, 200]);
}

#[test]
fn v09_end_before_updates() {
    let mut packets = press('5', 0, 100, KHZ8, 1, 1);
    let end = packets.remove(4);
    packets.insert(1, Packet { at: 5, ..end });
    assert_eq!(heard(&packets), [('5', 100, RELEASED)]);
}

#[test]
fn v10_end_burst_again_200_ms_later() {
    let mut packets = press('5', 0, 100, KHZ8, 1, 1);
    let burst = |from: u16, at: u64, packets: &[Packet]| -> Vec<Packet> {
        let ends = packets[4..7].iter().cloned().enumerate();
        ends.map(|(i, p)| Packet { seq: from + i as u16, at: at + i as u64, ..p }).collect()
    };
    packets.extend(burst(8, 320, &packets));
    assert_eq!(heard(&packets), [('5', 100, RELEASED)]);
    // Also when another digit is on meanwhile.
    let mut packets = press('5', 0, 100, KHZ8, 1, 1);
    let second = press('6', 170, 300, KHZ8, 8, 1361);
    let late = burst(12, 231, &packets);
    packets.extend_from_slice(&second[..4]);
    packets.extend(late);
    packets.extend(second[4..].iter().cloned().map(|p| Packet { seq: p.seq + 3, ..p }));
    assert_eq!(heard(&packets), [('5', 100, RELEASED), ('6', 300, RELEASED)]);
}

#[test]
fn an_end_copy_after_a_stall_of_a_second_is_no_press() {
    for kept_back in [5, 6] {
        // With sound between the copies, as other senders have it, and without.
        for apart in [1, 2] {
            let mut packets = press('5', 0, 100, KHZ8, 1, 1);
            let ends = packets.iter_mut().skip(5).enumerate();
            ends.for_each(|(i, packet)| packet.seq = 5 + apart * (i as u16 + 1));
            packets.iter_mut().skip(kept_back).for_each(|packet| packet.at += 1000);
            packets.extend(press('5', 1300, 100, KHZ8, 12, 10_401));
            assert_eq!(heard(&packets), [('5', 100, RELEASED), ('5', 100, RELEASED)]);
        }
    }
}

#[test]
fn v11_1365_1370_1400_3000_6000_ms_at_48k() {
    for ms in [1340, 1360, 1365, 1366, 1370, 1380, 1381, 1400, 1440, 2730, 2731, 3000, 6000] {
        assert_eq!(heard(&press('5', 0, ms, KHZ48, 1, 1)), [('5', ms, RELEASED)], "{ms}");
        let chromium = heard(&chromium_press('5', ms, KHZ48));
        let [(_, length, RELEASED)] = chromium[..] else { panic!("{ms}: {chromium:?}") };
        // Its own segments lose or add less than one packet interval each.
        assert!(length.abs_diff(ms) <= 20 * (1 + ms / 1365), "{ms}: {length}");
    }
}

#[test]
fn v11_the_packets_around_a_segment_boundary_lost() {
    let packets = press('5', 0, 3000, KHZ48, 1, 1);
    let boundary = packets.iter().position(|p| p.blocks[0].duration == 0xFFFF).unwrap();
    let mut lossy = packets.clone();
    lossy.drain(boundary - 1..boundary + 2);
    assert_eq!(heard(&lossy), [('5', 3000, RELEASED)]);
}

#[test]
fn v12_9_s_and_20_s_at_8k() {
    for ms in [9_000, 20_000] {
        assert_eq!(heard(&press('5', 0, ms, KHZ8, 1, 1)), [('5', ms, RELEASED)]);
        assert_eq!(heard(&chromium_press('5', ms, KHZ8)).len(), 1);
    }
}

#[test]
fn v13_8k_durations_on_a_48k_type() {
    let mut packets = press('5', 0, 200, KHZ8, 1, 1);
    packets.iter_mut().for_each(|p| p.pt = KHZ48);
    let events = play(&mut decoder(), &packets);
    assert_eq!(digits(&events), [('5', 200, RELEASED)]);
    assert!(events.last().unwrap().wrong_clock);
}

#[test]
fn v13_48k_durations_on_an_8k_type() {
    let mut packets = press('5', 0, 200, KHZ48, 1, 1);
    packets.iter_mut().for_each(|p| p.pt = KHZ8);
    let events = play(&mut decoder(), &packets);
    assert_eq!(digits(&events), [('5', 200, RELEASED)]);
    assert!(events.last().unwrap().wrong_clock);
}

/// A browser on a busy machine: its packets stop for a while, and then come all at once.
#[test]
fn v13_a_stall_is_no_wrong_clock() {
    let mut late = press('1', 0, 40, KHZ48, 1, 1);
    late.iter_mut().skip(1).for_each(|packet| packet.at += 75);
    let mut burst = press('1', 0, 300, KHZ48, 1, 1);
    burst.iter_mut().skip(1).for_each(|packet| packet.at = 60 + packet.at / 20);
    for mut packets in [late, burst] {
        let (seq, ms) = (packets.len() as u16 + 1, if packets.len() > 6 { 300 } else { 40 });
        packets.extend(press('2', 1000, 40, KHZ48, seq, 48_001));
        let events = play(&mut decoder(), &packets);
        assert_eq!(digits(&events), [('1', ms, RELEASED), ('2', 40, RELEASED)]);
        assert!(events.iter().all(|event| !event.wrong_clock));
    }
}

/// As Firefox 153 was measured to send 1370 and then 100 ms: 1440 ms and 120 ms, told in packets of
/// 20 ms that count 120 each.
#[test]
fn v13_a_browser_that_counts_ahead_of_time() {
    let mut packets: Vec<Packet> = (1..=12u16)
        .map(|n| Packet {
            at: u64::from(n) * 20,
            pt: KHZ8,
            seq: n,
            timestamp: 1,
            marker: n == 1,
            blocks: vec![block('5', n == 12, n * 960)],
        })
        .collect();
    packets.extend((13..=15).map(|seq| Packet {
        at: 1600,
        pt: KHZ8,
        seq,
        timestamp: 71_041,
        marker: true,
        blocks: vec![block('6', true, 960)],
    }));
    let events = play(&mut Rfc4733Decoder::of_browser(&[(KHZ8, 8000)]), &packets);
    assert_eq!(digits(&events), [('5', 1440, RELEASED), ('6', 120, RELEASED)]);
    let trunk = digits(&play(&mut decoder(), &packets[..12]));
    assert_eq!(trunk, [('5', 240, RELEASED)], "elsewhere the wall clock counts");
}

#[test]
fn v14_16k_and_32k_events() {
    for pt in [KHZ16, KHZ32] {
        assert_eq!(heard(&press('D', 0, 5000, pt, 1, 1)), [('D', 5000, RELEASED)]);
    }
}

#[test]
fn v15_end_packet_only() {
    let mut packets = press('5', 0, 120, KHZ8, 1, 1)[5..].to_vec();
    assert_eq!(heard(&packets[..1]), [('5', 120, RELEASED)]);
    // Three ends, all marked, as some browsers send them.
    packets.push(Packet { seq: packets[1].seq + 1, ..packets[1].clone() });
    packets.iter_mut().for_each(|p| p.marker = true);
    assert_eq!(heard(&packets), [('5', 120, RELEASED)]);
}

#[test]
fn v16_zero_duration_start() {
    let mut packets = press('5', 20, 100, KHZ8, 2, 1);
    let start = Packet { at: 0, seq: 1, blocks: vec![block('5', false, 0)], ..packets[0].clone() };
    packets[0].marker = false;
    packets.insert(0, start);
    assert_eq!(heard(&packets), [('5', 100, RELEASED)]);
}

#[test]
fn v17_several_blocks_in_a_packet() {
    let both = vec![block('5', true, 800), block('6', true, 640)];
    let packet = |seq: u16| Packet {
        at: u64::from(seq) * 20,
        pt: KHZ8,
        seq,
        timestamp: 1,
        marker: seq == 0,
        blocks: both.clone(),
    };
    let expected = [('5', 100, RELEASED), ('6', 80, RELEASED)];
    assert_eq!(heard(&[packet(0), packet(1), packet(2)]), expected);
}

#[test]
fn v18_event_16() {
    let mut decoder = decoder();
    let mut packets = press('5', 0, 100, KHZ8, 1, 1);
    packets.iter_mut().for_each(|p| p.blocks[0].event = 16);
    assert_eq!(digits(&play(&mut decoder, &packets)), []);
    assert_eq!(decoder.counters().other_events, 7);
}

#[test]
fn v19_un_negotiated_payload_type() {
    let mut decoder = Rfc4733Decoder::new(&[(KHZ8, 8_000)]);
    assert!(decoder.takes(KHZ8) && !decoder.takes(KHZ48));
    let payload = block('5', true, 800).to_bytes();
    let error = receive(&mut decoder, KHZ48, &payload);
    assert_eq!(error, Err(DecodeError::NotNegotiated(KHZ48)));
    assert_eq!(decoder.poll_output(), Output::Timeout(None));
    assert_eq!(decoder.counters().refused, 1);
}

#[test]
fn v20_a_4_byte_opus_or_comfort_noise_packet_that_looks_like_an_event() {
    let mut decoder = Rfc4733Decoder::new(&[(KHZ8, 8_000)]);
    let looks_like_5 = block('5', false, 160).to_bytes();
    for pt in [111, 13] {
        assert!(receive(&mut decoder, pt, &looks_like_5).is_err());
    }
    assert_eq!(decoder.poll_output(), Output::Timeout(None));
    for length in [0, 1, 3, 5] {
        let payload = vec![5; length];
        assert_eq!(receive(&mut decoder, KHZ8, &payload), Err(DecodeError::Length(length)));
    }
}

#[test]
fn v28_across_a_re_invite_that_changes_the_payload_type() {
    let mut decoder = Rfc4733Decoder::new(&[(KHZ8, 8_000)]);
    let packets = press('5', 0, 200, KHZ8, 1, 1);
    let mut events = Vec::new();
    for (i, packet) in packets.iter().enumerate() {
        if i == 5 {
            decoder.set_types(&[(96, 8_000)]);
        }
        let pt = if i < 5 { KHZ8 } else { 96 };
        let now = epoch() + Duration::from_millis(packet.at);
        let payload = packet.blocks[0].to_bytes();
        let received = ReceivedEvent {
            payload_type: pt,
            ssrc: 1,
            seq: packet.seq,
            timestamp: packet.timestamp,
            marker: packet.marker,
            payload: &payload,
        };
        decoder.handle_input(now, DecoderInput::Packet(received)).unwrap();
        drain(&mut decoder, &mut events, Some(now));
    }
    assert_eq!(digits(&events), [('5', 200, RELEASED)]);
}

#[test]
fn updates_that_come_back_after_a_timeout_are_no_new_digit() {
    let mut packets = press('5', 0, 600, KHZ8, 1, 1);
    packets.drain(5..15);
    assert_eq!(heard(&packets), [('5', 100, EndReason::TimedOut)]);
}

#[test]
fn the_same_sequence_number_twice_counts_once() {
    let once = press('5', 0, 100, KHZ8, 1, 1);
    let twice: Vec<Packet> = once.iter().flat_map(|p| [p.clone(), p.clone()]).collect();
    let mut decoder = decoder();
    assert_eq!(digits(&play(&mut decoder, &twice)), [('5', 100, RELEASED)]);
    assert_eq!(decoder.counters().late, 7);
}

fn receive(decoder: &mut Rfc4733Decoder, pt: u8, payload: &[u8]) -> Result<(), DecodeError> {
    let packet =
        ReceivedEvent { payload_type: pt, ssrc: 1, seq: 1, timestamp: 1, marker: true, payload };
    decoder.handle_input(epoch(), DecoderInput::Packet(packet))
}
