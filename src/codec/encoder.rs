//! One direction of one leg: PCM to payloads.

use super::{Codec, CodecError, OpusSettings, g711, opus};

/// An encoder of one stream.
#[derive(Debug)]
pub enum Encoder {
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// Opus; made by [`Encoder::opus`].
    Opus(OpusEncoder),
}

/// The state of an Opus encoder; boxed by libopus, so small here.
#[derive(Debug)]
pub struct OpusEncoder(opus::Encoder);

/// What came of a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoded {
    /// A payload to send.
    Frame,
    /// Silence that need not be sent; the next frame that is starts a talk spurt.
    Nothing,
}

impl Encoder {
    /// An encoder of a codec with default settings.
    ///
    /// # Errors
    /// [`CodecError::Setup`] when libopus has no memory.
    pub fn new(codec: Codec) -> Result<Encoder, CodecError> {
        match codec {
            Codec::Pcmu => Ok(Encoder::Pcmu),
            Codec::Pcma => Ok(Encoder::Pcma),
            Codec::Opus => Encoder::opus(OpusSettings::default()),
        }
    }

    /// An Opus encoder.
    ///
    /// # Errors
    /// [`CodecError::Setup`] when libopus has no memory.
    pub fn opus(settings: OpusSettings) -> Result<Encoder, CodecError> {
        opus::Encoder::new(settings).map(|e| Encoder::Opus(OpusEncoder(e)))
    }

    /// What it encodes to.
    pub fn codec(&self) -> Codec {
        match self {
            Encoder::Pcmu => Codec::Pcmu,
            Encoder::Pcma => Codec::Pcma,
            Encoder::Opus(_) => Codec::Opus,
        }
    }

    /// Encodes one frame over what `out` held. Opus takes 20, 40, 80, 160, 320 or 480 samples.
    ///
    /// # Errors
    /// [`CodecError::FrameLength`] for another length; `out` is then empty.
    pub fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) -> Result<Encoded, CodecError> {
        out.clear();
        match self {
            Encoder::Pcmu => out.extend(pcm.iter().map(|s| g711::to_ulaw(*s))),
            Encoder::Pcma => out.extend(pcm.iter().map(|s| g711::to_alaw(*s))),
            Encoder::Opus(encoder) => return encoder.0.encode(pcm, out),
        }
        Ok(Encoded::Frame)
    }

    /// Tells an Opus encoder the loss its listener reports, in percent: FEC above 0, none at 0.
    /// G.711 has nothing to change.
    ///
    /// # Errors
    /// [`CodecError::Setup`] when libopus refuses.
    pub fn set_expected_loss(&mut self, percent: u8) -> Result<(), CodecError> {
        match self {
            Encoder::Pcmu | Encoder::Pcma => Ok(()),
            Encoder::Opus(encoder) => encoder.0.set_expected_loss(percent),
        }
    }

    /// Changes an Opus encoder's complexity, 0 to 10. G.711 has nothing to change.
    ///
    /// # Errors
    /// [`CodecError::Setup`] when libopus refuses.
    pub fn set_complexity(&mut self, complexity: u8) -> Result<(), CodecError> {
        match self {
            Encoder::Pcmu | Encoder::Pcma => Ok(()),
            Encoder::Opus(encoder) => encoder.0.set_complexity(complexity),
        }
    }

    /// The settings of an Opus encoder as they are now; `None` for G.711.
    pub fn opus_settings(&self) -> Option<OpusSettings> {
        match self {
            Encoder::Pcmu | Encoder::Pcma => None,
            Encoder::Opus(encoder) => Some(encoder.0.settings()),
        }
    }
}
