//! What digits cost: the detector and the senders of a leg beside the codecs of a transcoded call.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crosspoint::codec::{Codec, Decoder, Encoder, FRAME, read_wav};
use crosspoint::dtmf::{
    EncoderConfig, EncoderInput, EncoderOutput, InbandDetector, InbandEncoder, Mode,
    Rfc4733Encoder, ToneGuard, parse_tones,
};

const MS: fn(u64) -> Duration = Duration::from_millis;

/// `cargo test --release --test digit_cost -- --ignored --nocapture`
#[test]
#[ignore = "figures of an optimised build"]
fn detector_and_senders_take_at_most_2_percent_of_a_transcoded_call() {
    // The best of several rounds of ten seconds: what others do on the machine only adds.
    let best = |mut round: Box<dyn FnMut()>| {
        (0..15)
            .map(|_| {
                let start = Instant::now();
                round();
                start.elapsed()
            })
            .min()
            .unwrap()
    };
    // Speech, as calls carry it: what a coder of speech spends on steady tones is less.
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/ivr/prompts/menu.wav");
    let speech = read_wav(&std::fs::read(file).unwrap()).unwrap();
    let frames: Vec<[i16; FRAME]> =
        speech.as_chunks().0.iter().copied().cycle().take(500).collect();

    // Both ways of a call between Opus and G.711.
    let mut opus = Encoder::new(Codec::Opus).unwrap();
    let mut law = Encoder::new(Codec::Pcmu).unwrap();
    let (mut from_opus, mut from_law) =
        (Decoder::new(Codec::Opus).unwrap(), Decoder::new(Codec::Pcmu).unwrap());
    let sound = frames.clone();
    let call = best(Box::new(move || {
        let (mut payload, mut pcm, mut out) = (Vec::new(), Vec::new(), Vec::new());
        for frame in &sound {
            law.encode(frame, &mut payload).unwrap();
            from_law.decode(&payload, &mut pcm).unwrap();
            opus.encode(&pcm, &mut payload).unwrap();
            from_opus.decode(&payload, &mut pcm).unwrap();
            law.encode(&pcm, &mut out).unwrap();
            black_box(&out);
        }
    }));

    let start = Instant::now();
    let mut detector = InbandDetector::new();
    let mut sender = InbandEncoder::new(MS(50), MS(50));
    let mut events = Rfc4733Encoder::new(EncoderConfig::new(101, 8000));
    let items = parse_tones("5", MS(100), MS(80)).unwrap();
    let mut sound = frames.clone();
    let digits = best(Box::new(move || {
        for (n, frame) in sound.iter_mut().enumerate() {
            let now = start + MS(20 * n as u64);
            detector.handle_input(now, frame);
            black_box(detector.poll_output());
            // A digit every ten seconds, as a listener of menus presses.
            if n == 0 {
                let send = EncoderInput::Send { source: Mode::Client, items: &items };
                sender.handle_input(now, send).unwrap();
                let send = EncoderInput::Send { source: Mode::Client, items: &items };
                events.handle_input(now, send).unwrap();
            }
            let timestamp = (n * FRAME) as u32;
            events.handle_input(now, EncoderInput::Tick { timestamp }).unwrap();
            while let output @ (EncoderOutput::Packet(_) | EncoderOutput::Sent(_)) =
                events.poll_output()
            {
                black_box(output);
            }
            black_box(sender.fill(now, frame));
            let _ = sender.take_receipts().count();
        }
    }));
    // Beside them where the sound goes on to another trunk, to a menu or to a recording.
    let (mut tone_guard, mut sound) = (ToneGuard::new(), frames);
    let guard = best(Box::new(move || {
        sound.iter_mut().for_each(|frame| tone_guard.pass(black_box(frame)));
    }));
    println!(
        "the guard of sound that goes on: {:.2} % more",
        guard.as_secs_f64() * 100.0 / call.as_secs_f64()
    );
    let share = digits.as_secs_f64() / (call + digits).as_secs_f64();
    println!("codecs {call:?}, digits {digits:?} for 10 s of a call: {:.2} %", share * 100.0);
    assert!(share <= 0.02, "{:.2} %", share * 100.0);
}
