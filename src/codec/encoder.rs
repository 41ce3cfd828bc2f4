//! One direction of one leg: PCM to payloads.

use super::{Codec, CodecError, OpusSettings, Rate, g711, g722, opus};

/// An encoder of one stream.
#[derive(Debug)]
pub enum Encoder {
    /// G.711 mu-law.
    Pcmu,
    /// G.711 A-law.
    Pcma,
    /// G.722; made by [`Encoder::at`].
    G722(G722Encoder),
    /// Linear PCM.
    L16,
    /// Opus; made by [`Encoder::opus`].
    Opus(OpusEncoder),
}

/// The state of a G.722 encoder.
#[derive(Debug)]
pub struct G722Encoder(Box<g722::Encoder>);

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
    /// An encoder of a codec with default settings, at 8 kHz.
    ///
    /// # Errors
    /// [`CodecError::Setup`] when libopus has no memory.
    pub fn new(codec: Codec) -> Result<Encoder, CodecError> {
        Encoder::at(codec, Rate::Narrow)
    }

    /// The same that takes PCM of this rate. G.711 and L16 only have 8 kHz.
    ///
    /// # Errors
    /// [`CodecError::Setup`] when libopus has no memory, or for a rate the codec does not have.
    pub fn at(codec: Codec, rate: Rate) -> Result<Encoder, CodecError> {
        match codec {
            Codec::G722 => Ok(Encoder::G722(G722Encoder(Box::new(g722::Encoder::new(rate))))),
            Codec::Opus => Encoder::opus(OpusSettings { rate, ..OpusSettings::default() }),
            _ if rate == Rate::Wide => Err(CodecError::Setup),
            Codec::Pcmu => Ok(Encoder::Pcmu),
            Codec::Pcma => Ok(Encoder::Pcma),
            Codec::L16 => Ok(Encoder::L16),
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
            Encoder::G722(_) => Codec::G722,
            Encoder::L16 => Codec::L16,
            Encoder::Opus(_) => Codec::Opus,
        }
    }

    /// The rate of the PCM it takes.
    pub fn rate(&self) -> Rate {
        match self {
            Encoder::Pcmu | Encoder::Pcma | Encoder::L16 => Rate::Narrow,
            Encoder::G722(encoder) => encoder.0.rate(),
            Encoder::Opus(encoder) => encoder.0.settings().rate,
        }
    }

    /// Encodes one frame over what `out` held. Opus takes 2.5, 5, 10, 20, 40 or 60 ms.
    ///
    /// # Errors
    /// [`CodecError::FrameLength`] for another length; `out` is then empty.
    pub fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) -> Result<Encoded, CodecError> {
        out.clear();
        match self {
            Encoder::Pcmu => out.extend(pcm.iter().map(|s| g711::to_ulaw(*s))),
            Encoder::Pcma => out.extend(pcm.iter().map(|s| g711::to_alaw(*s))),
            Encoder::G722(encoder) => encoder.0.encode(pcm, out),
            Encoder::L16 => out.extend(pcm.iter().flat_map(|s| s.to_be_bytes())),
            Encoder::Opus(encoder) => return encoder.0.encode(pcm, out),
        }
        Ok(Encoded::Frame)
    }

    /// Tells an Opus encoder the loss its listener reports, in percent: FEC above 0, none at 0.
    /// The others have nothing to change.
    ///
    /// # Errors
    /// [`CodecError::Setup`] when libopus refuses.
    pub fn set_expected_loss(&mut self, percent: u8) -> Result<(), CodecError> {
        match self {
            Encoder::Pcmu | Encoder::Pcma | Encoder::G722(_) | Encoder::L16 => Ok(()),
            Encoder::Opus(encoder) => encoder.0.set_expected_loss(percent),
        }
    }

    /// Changes an Opus encoder's bit rate in bit/s, 6000 to 64000. The others have one rate.
    ///
    /// # Errors
    /// [`CodecError::Setup`] when libopus refuses.
    pub fn set_bit_rate(&mut self, bit_rate: u32) -> Result<(), CodecError> {
        match self {
            Encoder::Pcmu | Encoder::Pcma | Encoder::G722(_) | Encoder::L16 => Ok(()),
            Encoder::Opus(encoder) => encoder.0.set_bit_rate(bit_rate),
        }
    }

    /// Changes an Opus encoder's complexity, 0 to 10. The others have nothing to change.
    ///
    /// # Errors
    /// [`CodecError::Setup`] when libopus refuses.
    pub fn set_complexity(&mut self, complexity: u8) -> Result<(), CodecError> {
        match self {
            Encoder::Pcmu | Encoder::Pcma | Encoder::G722(_) | Encoder::L16 => Ok(()),
            Encoder::Opus(encoder) => encoder.0.set_complexity(complexity),
        }
    }

    /// The settings of an Opus encoder as they are now; `None` for the others.
    pub fn opus_settings(&self) -> Option<OpusSettings> {
        match self {
            Encoder::Pcmu | Encoder::Pcma | Encoder::G722(_) | Encoder::L16 => None,
            Encoder::Opus(encoder) => Some(encoder.0.settings()),
        }
    }
}
