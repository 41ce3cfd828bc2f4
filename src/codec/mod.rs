//! Audio codecs and signals: G.711, G.722, Opus, resampling, concealment, tones. PCM is mono,
//! 16 bits, 8000 Hz ([`SAMPLE_RATE`]) unless a name or a [`Rate`] says otherwise.
//!
//! Every `out` buffer is cleared and refilled, so that one buffer serves a call for life.

mod activity;
mod comfort;
mod decoder;
mod double;
mod drift;
mod encoder;
mod g711;
mod g722;
mod level;
mod measure;
mod noise_description;
mod opus;
mod plc;
mod prompt;
mod rate;
mod resample;
mod ringback;
mod tone;

pub use activity::ActivityDetector;
pub use comfort::ComfortNoise;
pub use decoder::Decoder;
pub use double::{Doubler, Halver};
pub use drift::DriftCorrector;
pub use encoder::{Encoded, Encoder, G722Encoder, OpusEncoder};
pub use level::{FULL_SCALE_SINE_DBM0, dbm0_of_rms, peak_of_sine, rms_of_dbm0};
pub use measure::{dominant_frequency, goertzel_dbm0, level_dbm0};
pub use noise_description::{NoiseDescription, NoiseMeter, NoiseSource};
pub use opus::{Discontinuous, OpusSettings, is_discontinuous, packet_samples};
pub use plc::Concealer;
pub use prompt::{Prompt, PromptError, read_wav};
pub use rate::Rate;
pub use resample::{ResampleError, resample};
pub use ringback::ringback;
pub use tone::{Cadence, Step, Tone, Tones};

/// Samples a second of all PCM here.
pub const SAMPLE_RATE: u32 = 8000;

/// Samples of the gateway's frame of 20 ms.
pub const FRAME: usize = 160;

/// A codec this gateway speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// G.711 mu-law (ITU-T G.711, RFC 3551 section 4.5.14).
    Pcmu,
    /// G.711 A-law (ITU-T G.711, RFC 3551 section 4.5.14).
    Pcma,
    /// G.722 at 64 kbit/s (ITU-T G.722, RFC 3551 section 4.5.2).
    G722,
    /// Linear PCM, 16 bits, 8 kHz, most significant byte first (RFC 3551 section 4.5.11): nothing is
    /// lost in it, so tests see every sample.
    L16,
    /// Opus (RFC 6716, RFC 7587).
    Opus,
}

impl Codec {
    /// The rate of its RTP timestamps in Hz (RFC 3551 table 4, RFC 7587 section 4.1). That of G.722 is
    /// half its sampling rate, by an old mistake that all keep.
    pub const fn clock_rate(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 | Codec::L16 => 8000,
            Codec::Opus => 48_000,
        }
    }

    /// Length of a payload in units of [`Codec::clock_rate`]; `None` when the payload is not of
    /// this codec.
    pub fn duration(self, payload: &[u8]) -> Option<u32> {
        match self {
            Codec::Pcmu | Codec::Pcma | Codec::G722 => {
                (!payload.is_empty()).then_some(payload.len() as u32)
            }
            Codec::L16 => {
                let whole = !payload.is_empty() && payload.len().is_multiple_of(2);
                whole.then_some(payload.len() as u32 / 2)
            }
            // Six units of its clock a sample.
            Codec::Opus => packet_samples(payload).map(|samples| samples as u32 * 6),
        }
    }

    /// Whether its sound goes beyond 4 kHz.
    pub const fn is_wide(self) -> bool {
        matches!(self, Codec::G722 | Codec::Opus)
    }

    /// Whether one payload says nothing about the next: any part of the stream can be cut out, made
    /// anew, or decoded by two.
    pub const fn is_stateless(self) -> bool {
        matches!(self, Codec::Pcmu | Codec::Pcma | Codec::L16)
    }
}

/// Why coding failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The payload is not one of this codec: the peer's fault.
    #[error("the payload is not of this codec")]
    Payload,
    /// Not a frame length of this codec (Opus: 2.5, 5, 10, 20, 40 or 60 ms): the caller's misuse.
    #[error("not a frame length of this codec")]
    FrameLength,
    /// The codec could not be set up: our fault.
    #[error("the codec could not be set up")]
    Setup,
}
