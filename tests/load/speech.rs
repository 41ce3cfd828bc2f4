//! Speech to send: synthesised once by espeak-ng, kept in `target/load`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crosspoint::codec::{
    Discontinuous, Encoded, Encoder, FRAME, OpusSettings, Rate, level_dbm0, read_wav, rms_of_dbm0,
};

/// Two voices that read phonetically balanced sentences (the Harvard sentences, IEEE 1969).
const VOICES: [(&str, &str); 2] = [
    (
        "en-us",
        "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background. \
         It's easy to tell the depth of a well.",
    ),
    (
        "en-us+f3",
        "These days a chicken leg is a rare dish. Rice is often served in round bowls. \
         The juice of lemons makes fine punch.",
    ),
];

/// ITU-T P.56's usual level of speech in tests, about -26 dBov.
const LEVEL_DBM0: f64 = -20.0;

pub fn folder() -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/load");
    fs::create_dir_all(&folder).unwrap();
    folder
}

/// About 8 s of a voice at 8 kHz, whole frames.
pub fn voice(number: usize) -> Vec<i16> {
    let (voice, text) = VOICES[number % VOICES.len()];
    let path = folder().join(format!("voice-{}.wav", number % VOICES.len()));
    if !path.exists() {
        let done = Command::new("espeak-ng")
            .args(["-v", voice, "-s", "150", "-w"])
            .arg(&path)
            .arg(text)
            .status()
            .expect("espeak-ng is installed");
        assert!(done.success(), "espeak-ng: {done}");
    }
    let mut pcm = read_wav(&fs::read(&path).unwrap()).unwrap();
    let gain = rms_of_dbm0(LEVEL_DBM0) / rms_of_dbm0(level_dbm0(&pcm));
    for sample in &mut pcm {
        *sample = (f64::from(*sample) * gain).round().clamp(-32_768.0, 32_767.0) as i16;
    }
    pcm.truncate(pcm.len() / FRAME * FRAME);
    pcm
}

/// Speech with the pauses of a conversation (ITU-T P.59: talk spurts of 1.0 s and pauses of 1.6 s on
/// average, about 40 % of the time), in a room with noise of this level in dBm0.
pub fn conversation(seed: u32, seconds: usize, room: f64) -> Vec<i16> {
    let voice = voice(seed as usize);
    let mut state = seed.wrapping_mul(2_654_435_761) | 1;
    let mut random = move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        f64::from(state >> 8) / f64::from(1 << 24)
    };
    let mut pcm = Vec::new();
    let (mut talking, mut at) = (seed.is_multiple_of(2), 0);
    while pcm.len() < seconds * 8000 {
        let mean = if talking { 1.004 } else { 1.587 };
        let length = ((-(1.0 - random()).ln() * mean).clamp(0.2, 5.0) * 8000.0) as usize;
        for _ in 0..length {
            let noise = (random() - 0.5) * 2.0 * 3f64.sqrt() * rms_of_dbm0(room);
            let sound = if talking { f64::from(voice[at % voice.len()]) } else { 0.0 };
            at += usize::from(talking);
            pcm.push((sound + noise) as i16);
        }
        talking = !talking;
    }
    pcm.truncate(seconds * 8000);
    pcm
}

/// A room that is not quite silent, and one that is: beneath the least step of G.711.
pub const ROOM_DBM0: f64 = -62.0;
pub const STUDIO_DBM0: f64 = -90.0;

/// What is sent in each frame; `None` where nothing is.
pub type Payloads = Vec<Option<Vec<u8>>>;

/// How a page codes.
#[derive(Clone, Copy, PartialEq)]
pub struct Coding {
    pub fec_for_loss: u8,
    pub silence: Discontinuous,
}

/// As a page sends it: Opus at 30 kbit/s.
pub fn opus(pcm: &[i16], coding: Coding) -> Payloads {
    let settings = OpusSettings {
        rate: Rate::Narrow,
        bit_rate: 30_000,
        complexity: 9,
        expected_loss_percent: coding.fec_for_loss,
        discontinuous: coding.silence,
    };
    let mut encoder = Encoder::opus(settings).unwrap();
    let (mut before, mut payload) = (Encoded::Frame, Vec::new());
    pcm.chunks_exact(FRAME)
        .map(|frame| {
            let encoded = encoder.encode(frame, &mut payload).unwrap();
            // As browsers do it, the first frame of a pause is sent, with nothing in it.
            let first = encoded == Encoded::Nothing && before == Encoded::Frame;
            before = encoded;
            match encoded {
                Encoded::Frame => Some(payload.clone()),
                Encoded::Nothing => first.then(|| vec![0x08]),
            }
        })
        .collect()
}

/// As a trunk sends it.
pub fn pcmu(pcm: &[i16]) -> Payloads {
    let mut payload = Vec::new();
    pcm.chunks_exact(FRAME)
        .map(|frame| {
            Encoder::Pcmu.encode(frame, &mut payload).unwrap();
            Some(payload.clone())
        })
        .collect()
}

/// Writes 8 kHz, 16 bits, mono.
pub fn write_wav(path: &Path, pcm: &[i16]) {
    let spec = hound::WavSpec {
        channels: 1,
        sample_rate: 8000,
        bits_per_sample: 16,
        sample_format: hound::SampleFormat::Int,
    };
    let mut writer = hound::WavWriter::create(path, spec).unwrap();
    for sample in pcm {
        writer.write_sample(*sample).unwrap();
    }
    writer.finalize().unwrap();
}
