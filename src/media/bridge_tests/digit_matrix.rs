//! The conversion matrix of digits, every cell through the whole bridge: from each way in to each way
//! out all sixteen keys arrive once, in order, in the mode that the plan says, at their length.

use super::lab::*;
use super::phone::Heard;
use crate::dtmf::parse_tones;

const KEYS: &str = "0123456789*#ABCD";
const WAYS_OUT: [(DtmfMode, Mode); 3] = [
    (DtmfMode::Rfc4733, Mode::Rfc4733),
    (DtmfMode::Info, Mode::Info),
    (DtmfMode::Inband, Mode::Inband),
];

fn lab(codec: BrowserCodec, wish: DtmfMode, formats: &str) -> Lab {
    let mut lab = Lab::with(codec, wish, formats);
    lab.bridge.connect(lab.now);
    lab.hush();
    lab.idle(ms(200));
    lab
}

/// Every key once, in this mode, of about this length. A tone is measured in steps of 8 ms.
fn assert_keys(heard: &[Heard], mode: Mode, length: u64, cell: &str) {
    let keys: String = heard.iter().map(|h| h.1).collect();
    assert_eq!(keys, KEYS, "{cell}");
    let spread = if mode == Mode::Inband { 16 } else { 0 };
    for (by, key, ms) in heard {
        assert!(*by == mode && ms.abs_diff(length) <= spread, "{cell}: {key} by {by:?}, {ms} ms");
    }
}

fn assert_receipts(lab: &Lab, source: Mode, mode: Mode, cell: &str) {
    let receipts = lab.receipts();
    assert_eq!(receipts.len(), 16, "{cell}");
    for receipt in receipts {
        assert_eq!((receipt.source, receipt.mode), (source, mode), "{cell}");
        assert_eq!(receipt.source_duration, Some(ms(100)), "{cell}");
        let (clock, copies, status) = match mode {
            Mode::Rfc4733 => (8_000, 3, None),
            Mode::Info => (0, 0, Some(200)),
            Mode::Inband | Mode::Client => (0, 0, None),
        };
        let has = (receipt.clock_rate, receipt.end_copies, receipt.info_status);
        assert_eq!(has, (clock, copies, status), "{cell}");
    }
}

#[test]
fn from_the_pages_events_at_48k_and_8k_to_a_trunk() {
    for codec in [BrowserCodec::Opus, BrowserCodec::Pcmu] {
        for (wish, mode) in WAYS_OUT {
            let cell = format!("{codec:?} to {wish}");
            let mut lab = lab(codec, wish, "0 101");
            for key in KEYS.chars() {
                lab.page_event(key, 100);
                lab.idle(ms(80));
            }
            lab.idle(ms(1500));
            assert_keys(&lab.phone.heard, mode, 100, &cell);
            assert_receipts(&lab, Mode::Rfc4733, mode, &cell);
        }
    }
}

#[test]
fn from_the_pages_messages_to_a_trunk() {
    for (wish, mode) in WAYS_OUT {
        let cell = format!("dtmf.send to {wish}");
        let mut sent = lab(BrowserCodec::Opus, wish, "0 101");
        let items = parse_tones(KEYS, ms(100), ms(80)).unwrap();
        sent.bridge.send_digits(sent.now, LegSide::Trunk, &items);
        sent.drain();
        sent.idle(ms(5000));
        assert_keys(&sent.phone.heard, mode, 100, &cell);
        assert_receipts(&sent, Mode::Client, mode, &cell);

        let cell = format!("dtmf.press to {wish}");
        let mut pressed = lab(BrowserCodec::Pcmu, wish, "0 101");
        for key in KEYS.chars() {
            pressed.page_press(key, 100);
            pressed.idle(ms(100));
        }
        pressed.idle(ms(500));
        assert_keys(&pressed.phone.heard, mode, 100, &cell);
        assert_receipts(&pressed, Mode::Client, mode, &cell);
    }
}

#[test]
fn from_a_trunk_in_every_mode_to_the_page() {
    for mode in [Mode::Rfc4733, Mode::Info, Mode::Inband] {
        let formats = if mode == Mode::Inband { "0" } else { "0 101" };
        let mut lab = lab(BrowserCodec::Opus, DtmfMode::Auto, formats);
        for key in KEYS.chars() {
            lab.trunk_presses(mode, key, 100);
            lab.idle(ms(100));
        }
        lab.idle(ms(500));
        assert_keys(&lab.told(LegSide::Trunk), mode, 100, &format!("{mode:?} to the page"));
        assert!(lab.phone.heard.is_empty(), "nothing goes back to where it came from");
    }
}

/// What the caller says between its keys.
const SPEECH: f64 = 440.0;

/// From trunk to trunk as a call does: the caller's packets into the one bridge, sound and digits through
/// the pipe, packets of the other bridge to the callee. The caller speaks all the while, but for its keys.
fn trunk_to_trunk(source: Mode, wish: DtmfMode, formats: &str, dbm0: f64) -> Lab {
    let of_caller = if source == Mode::Inband { "0" } else { "0 101" };
    let mut lab = Lab::trunk_to_trunk((DtmfMode::Auto, of_caller), (wish, formats));
    lab.key_dbm0 = dbm0;
    lab.trunk_tone = sine(SPEECH);
    lab.onward.as_mut().unwrap().hush();
    lab.idle(ms(800));
    for key in KEYS.chars() {
        lab.trunk_presses(source, key, 100);
        lab.idle(ms(100));
    }
    lab.idle(ms(1500));
    lab
}

/// All that the callee heard.
fn far_pcm(lab: &Lab) -> Vec<i16> {
    let far = lab.far();
    far.trunk_pcm(far.trunk.iter().filter(|p| p.payload_type == 0).count())
}

#[test]
fn from_a_trunk_in_every_mode_to_another_trunk_in_every_mode_with_its_sound() {
    for source in [Mode::Rfc4733, Mode::Info, Mode::Inband] {
        for (wish, mode) in WAYS_OUT {
            let cell = format!("{source:?} to {wish}");
            let lab = trunk_to_trunk(source, wish, "0 101", -10.0);
            // Whatever else the callee heard, a tone beside an event for one, would be among them.
            let spread = [source, mode].iter().filter(|mode| **mode == Mode::Inband).count() as u64;
            let heard = &lab.far().phone.heard;
            let keys: String = heard.iter().map(|h| h.1).collect();
            assert_eq!(keys, KEYS, "{cell}: {heard:?}");
            for (by, key, ms) in heard {
                let near = ms.abs_diff(100) <= 16 * spread;
                assert!(*by == mode && near, "{cell}: {key} by {by:?}, {ms} ms");
            }
            assert!(lab.phone.heard.is_empty(), "{cell}: nothing goes back");
            // Before the keys, and again after them.
            let pcm = far_pcm(&lab);
            assert_tone(&pcm[SEARCHED..2 * SEARCHED], SPEECH, &cell);
            assert_tone(&pcm[pcm.len() - SEARCHED..], SPEECH, &cell);
        }
    }
}

/// Tones that go on as tones are not passed through but made anew, once (docs/decisions/0025): whatever
/// their level and length were, they leave at the gateway's own, with nothing of the caller's beside them.
#[test]
fn tones_of_a_trunk_that_go_on_as_tones_are_made_anew() {
    for (wish, formats) in [(DtmfMode::Inband, "0 101"), (DtmfMode::Auto, "0")] {
        let lab = trunk_to_trunk(Mode::Inband, wish, formats, -22.0);
        assert_eq!(lab.far().phone.keys(), KEYS);
        let pcm = far_pcm(&lab);
        // The row of -9 dBm0 in each key, and nowhere a tone as weak as the caller's that lasts.
        let level = |part: &[i16]| {
            KEYS.chars().map(|k| super::phone::pair_level(part, k)).fold(-90.0, f64::max)
        };
        let levels: Vec<f64> = pcm.chunks_exact(80).map(level).collect();
        let made = levels.iter().filter(|level| **level > -11.0).count();
        let weak = levels.iter().filter(|level| (-27.0..-17.0).contains(*level)).count();
        assert!((16 * 7..=16 * 12).contains(&made), "{wish}: {made} steps of 10 ms");
        // At most what came before each key was recognised, and the ramps of what was made.
        assert!(weak <= 16 * 5, "{wish}: {weak} steps of 10 ms of the caller's own tones");
    }
}

/// A tone that was heard is not to be heard again: what is left of it is shorter than any receiver
/// takes for a digit.
#[test]
fn tones_of_the_trunk_are_kept_out_of_the_pages_sound() {
    for codec in [BrowserCodec::Opus, BrowserCodec::Pcmu] {
        let mut lab = lab(codec, DtmfMode::Auto, "0");
        lab.trunk_presses(Mode::Inband, '5', 400);
        lab.idle(ms(200));
        assert_eq!(lab.told(LegSide::Trunk).len(), 1);
        assert!(toned_ms(&lab, '5') <= 30, "{codec:?}: {} ms", toned_ms(&lab, '5'));
    }
}

#[test]
fn a_tone_beside_its_event_is_one_digit_and_not_heard_by_the_page() {
    for wish in [DtmfMode::Auto, DtmfMode::Inband] {
        let mut lab = lab(BrowserCodec::Pcmu, wish, "0 101");
        lab.trunk_event('5', 300, true);
        lab.idle(ms(300));
        let told = lab.told(LegSide::Trunk);
        assert_eq!(told.len(), 1, "{wish}: {told:?}");
        assert_eq!((told[0].0, told[0].1), (Mode::Rfc4733, '5'));
        assert!(toned_ms(&lab, '5') <= 10, "{wish}: {} ms", toned_ms(&lab, '5'));
    }
}

/// Milliseconds in which the page hears a key's tones, in steps of 10.
fn toned_ms(lab: &Lab, key: char) -> u64 {
    let packets = lab.page.iter().filter(|p| p.payload_type == 111).count();
    let pcm = lab.page_pcm(packets);
    let loud = |part: &&[i16]| super::phone::pair_level(part, key) > -30.0;
    10 * pcm.chunks_exact(80).filter(loud).count() as u64
}

/// Speech is muted under a tone that is made, and comes back after it.
#[test]
fn no_speech_beside_a_tone_that_is_made() {
    let mut lab = lab(BrowserCodec::Opus, DtmfMode::Inband, "0");
    lab.page_tone = sine(1000.0);
    lab.idle(ms(500));
    lab.page_event('9', 300);
    let during = lab.trunk_pcm(8);
    assert!(super::phone::pair_level(&during, '9') > -12.0);
    assert!(goertzel_dbm0(&during, 1000.0) < -40.0);
    lab.idle(ms(600));
    assert_tone(&lab.trunk_pcm(15), 1000.0, "the trunk");
    assert_eq!(lab.phone.keys(), "9");
}

/// What is heard of all keys, so long each and so far apart, after a codec and back. The tones begin so
/// many ms into a packet.
fn after(codec: Codec, length: usize, shift: usize, dbm0: f64) -> String {
    let mut sound = Vec::new();
    let silence = |ms: usize| vec![0_i16; ms * 8];
    sound.extend(silence(200 + shift));
    for key in KEYS.chars() {
        let mut tone = vec![0; length * 8];
        super::phone::pair_at(key, dbm0).fill(&mut tone);
        sound.extend(tone);
        sound.extend(silence(length));
    }
    sound.extend(silence(200));
    let (mut encoder, mut decoder) = (Encoder::new(codec).unwrap(), Decoder::new(codec).unwrap());
    let mut detector = crate::dtmf::InbandDetector::new();
    let (mut payload, mut pcm, mut heard) = (Vec::new(), Vec::new(), String::new());
    for (n, frame) in sound.chunks_exact(FRAME).enumerate() {
        encoder.encode(frame, &mut payload).unwrap();
        decoder.decode(&payload, &mut pcm).unwrap();
        detector.handle_input(epoch() + ms(20 * n as u64), &pcm);
        while let crate::dtmf::Output::Digit(event) = detector.poll_output() {
            if event.phase == Phase::Start {
                heard.push(event.digit.as_char());
            }
        }
    }
    heard
}

/// Wherever in a packet they begin and however loud they are: what a codec for speech leaves of 40 ms is
/// still a digit.
#[test]
fn tones_of_40_ms_are_digits_after_g711_of_both_laws_and_after_an_opus_round_trip() {
    for codec in [Codec::Pcmu, Codec::Pcma, Codec::Opus] {
        for length in [40, 50, 60] {
            for (shift, dbm0) in [(0, -10.0), (3, -30.0), (7, -6.0), (10, -20.0), (17, -10.0)] {
                let heard = after(codec, length, shift, dbm0);
                let case = format!("{length}/{length} ms, {shift} ms into a packet, {dbm0} dBm0");
                assert_eq!(heard, KEYS, "{codec:?} {case}");
            }
        }
    }
}
