//! The sender on a virtual clock with a tick every 20 ms: what is on the wire, and what a receiver
//! of our own makes of it.

use std::time::Duration;

use super::{
    DecoderInput, EncoderConfig, EncoderError, EncoderInput, EncoderOutput, EventBlock,
    EventPacket, ReceivedEvent, Rfc4733Decoder, Rfc4733Encoder,
};
use crate::base::{Digit, epoch};
use crate::dtmf::{
    DigitEvent, DigitId, EndReason, Mode, Output, Phase, Receipt, ToneItem, parse_tones,
};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// A stream that ticks every 20 ms from timestamp `base`.
struct Stream {
    encoder: Rfc4733Encoder,
    rate: u32,
    base: u32,
    ticks: u64,
    sent: Vec<(u64, EventPacket)>,
    receipts: Vec<Receipt>,
}

impl Stream {
    fn new(rate: u32, base: u32) -> Stream {
        let encoder = Rfc4733Encoder::new(EncoderConfig::new(101, rate));
        Stream { encoder, rate, base, ticks: 0, sent: Vec::new(), receipts: Vec::new() }
    }

    fn now_ms(&self) -> u64 {
        self.ticks * 20
    }

    fn input(&mut self, input: EncoderInput<'_>) -> Result<(), EncoderError> {
        self.encoder.handle_input(epoch() + MS(self.now_ms()), input)
    }

    fn send(&mut self, tones: &str, ms: u64, gap: u64) {
        let items = parse_tones(tones, MS(ms), MS(gap)).unwrap();
        self.input(EncoderInput::Send { source: Mode::Client, items: &items }).unwrap();
    }

    fn live(&mut self, id: u64, key: char, phase: Phase, ms: u64) {
        let event = DigitEvent {
            id: DigitId(id),
            digit: Digit::from_char(key).unwrap(),
            mode: Mode::Rfc4733,
            started_at: epoch(),
            duration: MS(ms),
            phase,
            wrong_clock: false,
        };
        self.input(EncoderInput::Digit(event)).unwrap();
    }

    fn run(&mut self, ms: u64) {
        for _ in 0..ms / 20 {
            let at = self.now_ms();
            let timestamp = self.base.wrapping_add((at * u64::from(self.rate) / 1000) as u32);
            self.input(EncoderInput::Tick { timestamp }).unwrap();
            loop {
                match self.encoder.poll_output() {
                    EncoderOutput::Packet(packet) => self.sent.push((at, packet)),
                    EncoderOutput::Sent(receipt) => self.receipts.push(receipt),
                    EncoderOutput::Timeout => break,
                }
            }
            self.ticks += 1;
        }
    }

    /// What a receiver of the same clock hears: key and whole length.
    fn heard(&self) -> Vec<(char, u64)> {
        let mut decoder = Rfc4733Decoder::new(&[(101, self.rate)]);
        let mut digits = Vec::new();
        for (i, (at, packet)) in self.sent.iter().enumerate() {
            let received = ReceivedEvent {
                payload_type: 101,
                ssrc: 1,
                seq: i as u16,
                timestamp: packet.timestamp,
                marker: packet.marker,
                payload: &packet.payload,
            };
            let now = epoch() + MS(*at);
            decoder.handle_input(now, DecoderInput::Packet(received)).unwrap();
            while let Output::Digit(event) = decoder.poll_output() {
                if let Phase::End(reason) = event.phase {
                    assert_eq!(reason, EndReason::Released);
                    digits.push((event.digit.as_char(), event.duration.as_millis() as u64));
                }
            }
        }
        digits
    }

    fn wire(&self) -> Vec<(u64, bool, u32, bool, u16)> {
        let row = |(at, p): &(u64, EventPacket)| {
            let block = EventBlock::from_bytes(p.payload);
            (*at, p.marker, p.timestamp, block.end, block.duration)
        };
        self.sent.iter().map(row).collect()
    }
}

const END: Phase = Phase::End(EndReason::Released);

#[test]
fn a_digit_of_100_ms_is_five_packets_and_two_end_copies() {
    let mut stream = Stream::new(8_000, 1000);
    stream.send("5", 100, 80);
    stream.run(400);
    #[rustfmt::skip]
    let expected = [
        (0, true, 1000, false, 160),
        (20, false, 1000, false, 320),
        (40, false, 1000, false, 480),
        (60, false, 1000, false, 640),
        (80, false, 1000, true, 800),
        (100, false, 1000, true, 800),
        (120, false, 1000, true, 800),
    ];
    assert_eq!(stream.wire(), expected);
    assert_eq!(stream.sent[0].1.payload, [5, 10, 0, 160]);
    let receipt = stream.receipts[0];
    assert_eq!((receipt.packets, receipt.end_copies, receipt.tone), (7, 3, MS(100)));
    assert_eq!(receipt.source_duration, Some(MS(100)));
    assert!(stream.encoder.is_idle());
}

#[test]
fn the_tone_is_on_in_each_interval_it_fills_and_no_longer() {
    let mut stream = Stream::new(8_000, 0);
    stream.send("5", 50, 80);
    let on: Vec<bool> = (0..5)
        .map(|_| {
            stream.run(20);
            stream.encoder.is_on()
        })
        .collect();
    assert_eq!(on, [true, true, true, false, false]);
}

#[test]
fn the_gap_is_kept_and_counted() {
    let mut stream = Stream::new(8_000, u32::MAX - 100);
    stream.send("12", 100, 80);
    stream.run(600);
    assert_eq!(stream.heard(), [('1', 100), ('2', 100)]);
    assert_eq!(stream.wire()[7].0, 180);
    let gaps: Vec<Duration> = stream.receipts.iter().map(|r| r.gap).collect();
    assert_eq!(gaps, [MS(0), MS(80)]);
}

#[test]
fn a_live_digit_starts_at_once_and_ends_at_its_own_length() {
    let mut stream = Stream::new(48_000, 0);
    stream.live(0, '#', Phase::Start, 0);
    stream.run(120);
    assert!(stream.encoder.is_on());
    stream.live(0, '#', END, 130);
    stream.run(200);
    assert_eq!(stream.wire()[0], (0, true, 0, false, 960));
    assert_eq!(stream.heard(), [('#', 130)]);
    assert_eq!(stream.receipts[0].delay, MS(0));
}

#[test]
fn a_live_digit_that_ended_shorter_than_what_is_sent_never_shrinks() {
    let mut stream = Stream::new(8_000, 0);
    stream.live(0, '1', Phase::Start, 0);
    stream.live(0, '1', Phase::Update, 200);
    stream.run(200);
    stream.live(0, '1', END, 90);
    stream.run(200);
    assert_eq!(stream.heard(), [('1', 200)]);
    assert_eq!(stream.receipts[0].source_duration, Some(MS(90)));
}

#[test]
fn short_digits_are_stretched_to_the_minimum_tone() {
    let mut stream = Stream::new(8_000, 0);
    stream.live(0, '1', Phase::Start, 0);
    stream.live(0, '1', END, 20);
    stream.run(300);
    assert_eq!(stream.heard(), [('1', 50)]);
}

#[test]
fn v25_20_digits_in_one_second() {
    let mut stream = Stream::new(8_000, 0);
    let keys: Vec<char> = "0123456789*#ABCD0123".chars().collect();
    for (i, key) in keys.iter().enumerate() {
        stream.live(i as u64, *key, Phase::Start, 0);
        stream.run(20);
        stream.live(i as u64, *key, END, 25);
        // 20 of 50 ms each: two ticks for one, three for the other.
        stream.run(if i % 2 == 0 { 20 } else { 40 });
    }
    assert_eq!(stream.now_ms(), 1000);
    stream.run(2000);
    let expected: Vec<_> = keys.iter().map(|k| (*k, 50)).collect();
    assert_eq!(stream.heard(), expected);
    assert!(stream.receipts.iter().skip(1).all(|r| r.gap >= MS(50)));
}

#[test]
fn an_event_longer_than_0xffff_ticks_is_split() {
    for (rate, ms) in [(48_000, 1365), (48_000, 1366), (48_000, 6000), (8_000, 20_000)] {
        let mut stream = Stream::new(rate, 7);
        stream.live(0, 'A', Phase::Start, 0);
        stream.live(0, 'A', END, ms);
        stream.run(ms + 200);
        assert_eq!(stream.heard(), [('A', ms)], "{rate} {ms}");
        assert_eq!(stream.wire().iter().filter(|row| row.1).count(), 1, "one marker");
    }
    let mut stream = Stream::new(48_000, 7);
    stream.send("A", 1400, 80);
    stream.run(1600);
    let full = stream.wire().iter().filter(|row| row.4 == 0xFFFF && !row.3).count();
    assert_eq!(full, 3);
    assert_eq!(stream.wire().last().unwrap().2, 7 + 0xFFFF);
}

#[test]
fn a_comma_is_two_seconds() {
    let mut stream = Stream::new(8_000, 0);
    stream.send("1,2", 100, 70);
    stream.run(3000);
    let starts: Vec<u64> = stream.wire().iter().filter(|r| r.1).map(|r| r.0).collect();
    // The gap of 70 ms ends between two ticks, so the pause starts at 180.
    assert_eq!(starts, [0, 2180]);
}

#[test]
fn cancel_forgets_the_queue_and_ends_the_tone_properly() {
    let mut stream = Stream::new(8_000, 0);
    stream.send("123", 1000, 80);
    stream.run(200);
    stream.input(EncoderInput::Cancel).unwrap();
    stream.run(2000);
    assert_eq!(stream.heard(), [('1', 200)]);
    assert_eq!(stream.receipts[0].source_duration, None);
    assert_eq!(stream.receipts[0].end_copies, 3);
}

#[test]
fn a_key_that_is_never_released_is_let_go_after_a_minute() {
    let mut stream = Stream::new(8_000, 0);
    stream.live(0, '1', Phase::Start, 0);
    stream.run(70_000);
    assert_eq!(stream.heard(), [('1', 60_000)]);
}

#[test]
fn v28_a_re_invite_changes_the_payload_type_of_what_is_sent_next() {
    let mut stream = Stream::new(8_000, 0);
    stream.send("1", 100, 80);
    stream.run(40);
    stream.input(EncoderInput::PayloadType(96)).unwrap();
    stream.run(20);
    let types: Vec<u8> = stream.sent.iter().map(|(_, p)| p.payload_type).collect();
    assert_eq!(types, [101, 101, 96]);
}

#[test]
fn the_queue_has_a_bound() {
    let mut stream = Stream::new(8_000, 0);
    let items = [ToneItem::Pause(MS(10)); 256];
    let mut send = || stream.input(EncoderInput::Send { source: Mode::Client, items: &items });
    assert_eq!((send(), send()), (Ok(()), Ok(())));
    assert_eq!(send(), Err(EncoderError::QueueFull));
}

#[test]
fn a_stream_that_begins_anew_on_another_timestamp_base_loses_no_time() {
    let mut stream = Stream::new(8_000, 0);
    stream.send("12", 100, 80);
    stream.run(100);
    stream.base = 3_000_000_000;
    stream.run(400);
    let starts: Vec<u64> = stream.wire().iter().filter(|r| r.1).map(|r| r.0).collect();
    assert_eq!(starts, [0, 180]);
}

/// A receiver misses no update and is told of no tick that the source takes back.
#[test]
fn a_source_that_stalls_is_followed_and_not_overtaken() {
    let mut stream = Stream::new(8_000, 0);
    stream.live(0, '5', Phase::Start, 20);
    stream.run(20);
    for counted in [40, 60] {
        stream.live(0, '5', Phase::Update, counted);
        stream.run(20);
    }
    stream.run(80);
    stream.live(0, '5', Phase::Update, 80);
    stream.live(0, '5', END, 100);
    stream.run(100);
    let durations: Vec<u16> = stream.wire().iter().map(|packet| packet.4).collect();
    assert_eq!(durations, [160, 320, 480, 481, 482, 483, 484, 800, 800, 800]);
    assert_eq!(stream.heard(), [('5', 100)]);
}
