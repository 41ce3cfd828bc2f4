//! Tones as files, and measuring what came back.

use std::f64::consts::TAU;
use std::path::Path;
use std::process::Command;

use super::wire::Press;

/// Writes `seconds` of a sine as 16-bit mono.
pub fn write_tone(path: &Path, rate: u32, hz: f64, dbm0: f64, seconds: f64) {
    write_tone_in(1, path, rate, hz, dbm0, seconds);
}

/// The same in so many channels.
pub fn write_tone_in(channels: u16, path: &Path, rate: u32, hz: f64, dbm0: f64, seconds: f64) {
    let spec = hound::WavSpec {
        channels,
        sample_rate: rate,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let peak = 32767.0 * 10_f64.powf((dbm0 - 3.17) / 20.0);
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for i in 0..(seconds * f64::from(rate)) as u64 {
        let angle = TAU * hz * i as f64 / f64::from(rate);
        for _ in 0..channels {
            writer.write_sample((angle.sin() * peak) as i16).unwrap();
        }
    }
    writer.finalize().unwrap();
}

/// A sine and after it white noise of -58 dBm0, each for so many seconds, as 16-bit mono at 8 kHz.
pub fn write_tone_and_noise(path: &Path, hz: f64, dbm0: f64, seconds: f64, noise: f64) {
    write_tone(path, 8_000, hz, dbm0, seconds);
    let mut writer = hound::WavWriter::append(path).unwrap();
    let mut state = 1_u32;
    for _ in 0..(noise * 8_000.0) as u64 {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        writer.write_sample((state >> 16) as i16 / 640).unwrap();
    }
    writer.finalize().unwrap();
}

/// The keys that multimon-ng, a decoder that is not ours, finds in sound at 8 kHz.
pub fn keys_by_multimon(dir: &Path, pcm: &[i16]) -> String {
    // It takes 22.05 kHz and nothing else; a line between two samples is good enough for tones.
    let octets: Vec<u8> = (0..pcm.len().saturating_sub(1) * 441 / 160)
        .flat_map(|i| {
            let at = i as f64 * 160.0 / 441.0;
            let (left, right) = (f64::from(pcm[at as usize]), f64::from(pcm[at as usize + 1]));
            ((left + (right - left) * at.fract()) as i16).to_le_bytes()
        })
        .collect();
    let file = dir.join("multimon.raw");
    std::fs::write(&file, octets).unwrap();
    let output = Command::new("multimon-ng")
        .args(["-q", "-t", "raw", "-a", "DTMF"])
        .arg(file)
        .output()
        .unwrap_or_else(|e| panic!("multimon-ng does not start: {e} (make test installs it)"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.lines().filter_map(|line| line.trim().strip_prefix("DTMF: ")).collect()
}

/// The keys whose two tones are in the sound, with their lengths: a row and a column of -16 dBm0 or
/// more each over half of a sliding window.
pub fn tones(pcm: &[i16]) -> Vec<Press> {
    const ROWS: [f64; 4] = [697.0, 770.0, 852.0, 941.0];
    const COLUMNS: [f64; 4] = [1209.0, 1336.0, 1477.0, 1633.0];
    const KEYS: [[char; 4]; 4] =
        [['1', '2', '3', 'A'], ['4', '5', '6', 'B'], ['7', '8', '9', 'C'], ['*', '0', '#', 'D']];
    // Rows are 73 Hz apart: 30 ms tell them apart.
    const WINDOW: usize = 240;
    const STEP: usize = 20;
    let strongest = |block: &[i16], tones: &[f64; 4]| {
        let levels = tones.map(|hz| level(block, hz));
        let best = (0..4).max_by(|a, b| levels[*a].total_cmp(&levels[*b])).unwrap();
        (best, levels[best])
    };
    let mut presses: Vec<(char, usize)> = Vec::new();
    let mut last = None;
    for block in pcm.windows(WINDOW).step_by(STEP) {
        let ((row, low), (column, high)) = (strongest(block, &ROWS), strongest(block, &COLUMNS));
        // Half of the window full is half of the amplitude: 6 dB below the tone.
        let key = (low > -16.0 && high > -16.0).then(|| KEYS[row][column]);
        match (key, presses.last_mut()) {
            (Some(key), Some((same, steps))) if last == Some(key) && *same == key => *steps += 1,
            (Some(key), _) => presses.push((key, 1)),
            (None, _) => {}
        }
        last = key;
    }
    presses.into_iter().map(|(key, steps)| Press { key, ms: (steps * STEP / 8) as u32 }).collect()
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

/// The level in dBm0 of a component at `hz` over all of `pcm`.
pub fn level(pcm: &[i16], hz: f64) -> f64 {
    let (re, im) = pcm.iter().enumerate().fold((0.0, 0.0), |(re, im), (i, s)| {
        let angle = TAU * hz * i as f64 / 8000.0;
        (re + f64::from(*s) * angle.cos(), im + f64::from(*s) * angle.sin())
    });
    let peak = 2.0 * re.hypot(im) / pcm.len() as f64;
    20.0 * (peak.max(0.1) / 32767.0).log10() + 3.17
}

/// The longest time in ms between two moments at which a tone of `hz` is heard at -40 dBm0 or more.
pub fn longest_gap(pcm: &[i16], hz: f64) -> f64 {
    const STEP: usize = 80;
    let heard: Vec<usize> = pcm
        .chunks_exact(STEP)
        .enumerate()
        .filter(|(_, block)| level(block, hz) > -40.0)
        .map(|(n, _)| n)
        .collect();
    assert!(!heard.is_empty(), "{hz} Hz is not heard at all");
    let longest = heard.windows(2).map(|two| two[1] - two[0] - 1).max().unwrap_or(0);
    longest as f64 * STEP as f64 / 8.0
}
