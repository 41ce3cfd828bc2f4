//! Digits through the bridge: once, at their length, both ways.

use super::lab::*;

/// Chromium at 48 kHz: start, updates, three ends, no sound meanwhile.
fn page_presses(lab: &mut Lab, key: char, length_ms: u32) {
    let start = lab.page_timestamp;
    let event = digit(key).event();
    let steps = length_ms / 20;
    for n in 1..=steps {
        let duration = (n * 960).min(0xFFFF) as u16;
        let [high, low] = duration.to_be_bytes();
        let packet = lab.page_packet(110, start, n == 1, &[event, 10, high, low]);
        lab.input(Input::BrowserRtp(&packet));
        lab.wait(ms(20));
    }
    let [high, low] = ((steps * 960).min(0xFFFF) as u16).to_be_bytes();
    for _ in 0..3 {
        let packet = lab.page_packet(110, start, false, &[event, 0x8A, high, low]);
        lab.input(Input::BrowserRtp(&packet));
    }
    lab.page_timestamp = start.wrapping_add(steps * 960);
}

/// RFC 4733 both ways: one digit in is one digit out, of the same length, on the trunk's own clock.
#[test]
fn a_digit_of_the_page_reaches_the_trunk_once_and_at_its_length() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    lab.talk(50);
    let before = lab.trunk.len();
    page_presses(&mut lab, '5', 120);
    lab.talk(30);
    let sent = &lab.trunk[before..];
    let events: Vec<_> = sent.iter().filter(|p| p.payload_type == 101).collect();
    let durations: Vec<u16> =
        events.iter().map(|p| u16::from_be_bytes([p.payload[2], p.payload[3]])).collect();
    assert_eq!(durations, [160, 320, 480, 640, 800, 960, 960, 960, 960]);
    let ends = events.iter().filter(|p| p.payload[1] & 0x80 != 0).count();
    assert_eq!(ends, 3);
    assert!(events.iter().all(|p| p.payload[0] == 5 && p.timestamp == events[0].timestamp));
    assert!(events[0].marker && events[1..].iter().all(|p| !p.marker));
    // One row of numbers for sound and events, no sound while the tone is on (section 2).
    assert!(sent.windows(2).all(|p| p[1].seq == p[0].seq.wrapping_add(1)));
    // The end is known one interval after it: the tone covers that one too.
    let tone = events[0].timestamp..events[0].timestamp.wrapping_add(7 * 160);
    let during = sent.iter().filter(|p| p.payload_type == 0 && tone.contains(&p.timestamp)).count();
    assert_eq!(during, 0);
    let next = sent.iter().find(|p| p.payload_type == 0 && p.timestamp == tone.end).unwrap();
    assert!(next.marker, "the sound that follows is a talk spurt");
    let heard = lab.digits(LegSide::Browser);
    assert_eq!(heard.first().map(|e| (e.digit, e.phase)), Some((digit('5'), Phase::Start)));
    let end = heard.last().unwrap();
    assert_eq!((end.phase, end.duration), (Phase::End(EndReason::Released), ms(120)));
    let receipts: Vec<_> = lab
        .events
        .iter()
        .filter_map(|e| match e {
            MediaEvent::DigitSent { to: LegSide::Trunk, receipt } => Some(receipt),
            _ => None,
        })
        .collect();
    assert_eq!(receipts.len(), 1);
    assert_eq!((receipts[0].tone, receipts[0].source), (ms(120), Mode::Rfc4733));
    assert!(receipts[0].delay <= ms(20), "{:?}", receipts[0].delay);
    // And the sound goes on as if nothing had been.
    assert_tone(&lab.trunk_pcm(15), 1000.0, "the trunk");
}

#[test]
fn a_digit_of_the_trunk_is_told_once_and_leaves_no_gap_to_the_page() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    lab.talk(20);
    let before = lab.page.len();
    let start = lab.trunk_timestamp;
    for (n, end) in [(1_u16, 0), (2, 0), (3, 0), (4, 0), (5, 0x80), (5, 0x80), (5, 0x80)] {
        let [high, low] = (n * 160).to_be_bytes();
        let datagram = lab.trunk_packet(101, start, n == 1, &[7, end | 10, high, low]);
        lab.trunk_sends(TRUNK, &datagram);
        if end == 0 {
            lab.wait(ms(20));
        }
    }
    lab.wait(ms(20));
    lab.trunk_timestamp = start.wrapping_add(800);
    lab.talk(10);
    let heard = lab.digits(LegSide::Trunk);
    assert_eq!(heard.iter().filter(|e| e.phase == Phase::Start).count(), 1);
    let end = heard.last().unwrap();
    assert_eq!(
        (end.digit, end.phase, end.duration),
        (digit('7'), Phase::End(EndReason::Released), ms(100))
    );
    let (last, next) = (&lab.page[before - 1], &lab.page[before]);
    assert_eq!((next.seq, next.marker, next.payload_type), (last.seq + 1, true, 111));
    assert_eq!(next.timestamp.wrapping_sub(last.timestamp), 960 + 4_800);
    assert!(lab.digits(LegSide::Browser).is_empty());
}

#[test]
fn the_gateways_own_digits_go_either_way() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    lab.talk(10);
    let item = |key| ToneItem::Digit { digit: digit(key), duration: ms(100), gap: ms(80) };
    lab.bridge.send_digits(lab.now, LegSide::Trunk, &[item('1'), item('2')]);
    lab.bridge.send_digits(lab.now, LegSide::Browser, &[item('#')]);
    lab.talk(40);
    let ends = |payload: &[u8]| payload[1] & 0x80 != 0;
    let trunk: Vec<u8> = lab
        .trunk
        .iter()
        .filter(|p| p.payload_type == 101 && ends(&p.payload))
        .map(|p| p.payload[0])
        .collect();
    assert_eq!(trunk, [1, 1, 1, 2, 2, 2]);
    let page: Vec<_> = lab.page.iter().filter(|p| p.payload_type == 110).collect();
    let duration = |p: &ToPage| u16::from_be_bytes([p.payload[2], p.payload[3]]);
    assert_eq!(
        page.iter().filter(|p| ends(&p.payload)).map(|p| duration(p)).collect::<Vec<_>>(),
        [4800; 3]
    );
    assert!(lab.page.windows(2).all(|p| p[1].seq == p[0].seq + 1));
}

/// The shortest tone and gap are the trunk's own.
#[test]
fn a_trunk_has_lengths_of_its_own() {
    let pacing = DigitPacing { min_tone: ms(120), min_gap: ms(200), ..DigitPacing::default() };
    let mut lab = Lab::toward(BrowserCodec::Opus, TrunkMedia { pacing, ..TrunkMedia::default() });
    lab.bridge.trunk_accept(lab.now, &answer(address(TRUNK), "0 101")).unwrap();
    lab.drain();
    lab.bridge.connect(lab.now);
    lab.talk(10);
    let item = |key| ToneItem::Digit { digit: digit(key), duration: ms(40), gap: ms(30) };
    lab.bridge.send_digits(lab.now, LegSide::Trunk, &[item('1'), item('2')]);
    lab.talk(40);
    let events: Vec<_> = lab.trunk.iter().filter(|p| p.payload_type == 101).collect();
    let ended = |p: &&&ToTrunk| p.payload[1] & 0x80 != 0;
    let ends: Vec<_> = events.iter().filter(ended).collect();
    let lengths = ends.iter().map(|p| u16::from_be_bytes([p.payload[2], p.payload[3]]));
    assert_eq!(lengths.collect::<Vec<_>>(), [960; 6]);
    let apart = ends[3].timestamp.wrapping_sub(ends[0].timestamp);
    assert!((960 + 1600..=960 + 1600 + 160).contains(&apart), "{apart} ticks from start to start");
}

/// One key as event, as INFO and as the page's JSON is one digit (docs on DTMF, section 1).
#[test]
fn a_digit_reported_another_way_is_the_same_digit() {
    let mut lab = Lab::connected(BrowserCodec::Opus);
    lab.talk(10);
    let start = lab.trunk_timestamp;
    let datagram = lab.trunk_packet(101, start, true, &[3, 10, 0, 160]);
    lab.trunk_sends(TRUNK, &datagram);
    let info = DigitEvent {
        id: DigitId(900),
        digit: digit('3'),
        mode: Mode::Info,
        started_at: lab.now,
        duration: ms(100),
        phase: Phase::Start,
        wrong_clock: false,
    };
    lab.bridge.report_digit(lab.now, LegSide::Trunk, info);
    lab.wait(ms(300));
    let starts = lab.digits(LegSide::Trunk).iter().filter(|e| e.phase == Phase::Start).count();
    assert_eq!(starts, 1);
    lab.bridge.press(lab.now, LegSide::Trunk, digit('9'));
    lab.wait(ms(200));
    lab.bridge.release(lab.now, LegSide::Trunk);
    lab.wait(ms(200));
    let client = lab.digits(LegSide::Browser);
    assert_eq!(
        client.last().map(|e| (e.digit, e.mode, e.duration)),
        Some((digit('9'), Mode::Client, ms(200)))
    );
    assert!(lab.trunk.iter().any(|p| p.payload_type == 101 && p.payload[0] == 9));
}
