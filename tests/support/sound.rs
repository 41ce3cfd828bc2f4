//! Tones as files, and measuring what came back.

use std::f64::consts::TAU;
use std::path::Path;

/// Writes `seconds` of a sine as 16-bit mono.
pub fn write_tone(path: &Path, rate: u32, hz: f64, dbm0: f64, seconds: f64) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let peak = 32767.0 * 10_f64.powf((dbm0 - 3.17) / 20.0);
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for i in 0..(seconds * f64::from(rate)) as u64 {
        let angle = TAU * hz * i as f64 / f64::from(rate);
        writer.write_sample((angle.sin() * peak) as i16).unwrap();
    }
    writer.finalize().unwrap();
}

/// All samples of a 16-bit mono file; also of one whose header was never finished.
pub fn read_wav(path: &Path) -> Vec<i16> {
    let bytes = std::fs::read(path).unwrap();
    let data = bytes.windows(4).position(|w| w == b"data").expect("no data chunk") + 8;
    bytes[data..].chunks_exact(2).map(|b| i16::from_le_bytes([b[0], b[1]])).collect()
}

/// The strongest level in dBm0 that a component at `hz` reaches in any half second.
pub fn best_level(pcm: &[i16], hz: f64) -> f64 {
    pcm.chunks_exact(4000).map(|half| level(half, hz)).fold(-99.0, f64::max)
}

fn level(pcm: &[i16], hz: f64) -> f64 {
    let (re, im) = pcm.iter().enumerate().fold((0.0, 0.0), |(re, im), (i, s)| {
        let angle = TAU * hz * i as f64 / 8000.0;
        (re + f64::from(*s) * angle.cos(), im + f64::from(*s) * angle.sin())
    });
    let peak = 2.0 * re.hypot(im) / pcm.len() as f64;
    20.0 * (peak.max(0.1) / 32767.0).log10() + 3.17
}
