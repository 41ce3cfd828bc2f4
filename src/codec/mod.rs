//! Audio codecs and signals: G.711, Opus, resampling, concealment, tones. PCM is mono, 16 bits,
//! 8000 Hz ([`SAMPLE_RATE`]) unless a name says otherwise.
//!
//! Every `out` buffer is cleared and refilled, so that one buffer serves a call for life.

mod comfort;
mod decoder;
mod encoder;
mod g711;
mod level;
mod measure;
mod opus;
mod plc;
mod prompt;
mod resample;
mod ringback;
mod tone;

pub use comfort::ComfortNoise;
pub use decoder::Decoder;
pub use encoder::{Encoded, Encoder, OpusEncoder};
pub use level::{FULL_SCALE_SINE_DBM0, dbm0_of_rms, peak_of_sine, rms_of_dbm0};
pub use measure::{dominant_frequency, goertzel_dbm0, level_dbm0};
pub use opus::{Discontinuous, OpusSettings, is_discontinuous, packet_samples};
pub use plc::Concealer;
pub use prompt::{PromptError, read_wav};
pub use resample::{DriftCorrector, ResampleError, resample};
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
    /// Opus (RFC 6716, RFC 7587).
    Opus,
}

impl Codec {
    /// The rate of its RTP timestamps in Hz (RFC 3551 table 4, RFC 7587 section 4.1).
    pub const fn clock_rate(self) -> u32 {
        match self {
            Codec::Pcmu | Codec::Pcma => 8000,
            Codec::Opus => 48_000,
        }
    }

    /// Length of a payload in units of [`Codec::clock_rate`]; `None` when the payload is not of
    /// this codec.
    pub fn duration(self, payload: &[u8]) -> Option<u32> {
        match self {
            Codec::Pcmu | Codec::Pcma => (!payload.is_empty()).then_some(payload.len() as u32),
            // Six units of its clock a sample.
            Codec::Opus => packet_samples(payload).map(|samples| samples as u32 * 6),
        }
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
