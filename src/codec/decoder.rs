//! One direction of one leg: payloads to PCM, and PCM for what did not come.

use super::{Codec, CodecError, ComfortNoise, Concealer, FRAME, g711, opus};

/// A decoder of one stream, with concealment that becomes comfort noise after 60 ms.
#[derive(Debug)]
pub struct Decoder {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    G711 { law: fn(u8) -> i16, codec: Codec, concealer: Concealer },
    Opus { raw: opus::Decoder, noise: ComfortNoise, concealed: usize },
}

impl Decoder {
    /// A decoder of a codec.
    ///
    /// # Errors
    /// [`CodecError::Setup`] when libopus has no memory.
    pub fn new(codec: Codec) -> Result<Decoder, CodecError> {
        let g711 = |law| Kind::G711 { law, codec, concealer: Concealer::new() };
        let kind = match codec {
            Codec::Pcmu => g711(g711::from_ulaw),
            Codec::Pcma => g711(g711::from_alaw),
            Codec::Opus => {
                Kind::Opus { raw: opus::Decoder::new()?, noise: ComfortNoise::new(), concealed: 0 }
            }
        };
        Ok(Decoder { kind })
    }

    /// What it decodes.
    pub fn codec(&self) -> Codec {
        match &self.kind {
            Kind::G711 { codec, .. } => *codec,
            Kind::Opus { .. } => Codec::Opus,
        }
    }

    /// Decodes a payload over what `out` held.
    ///
    /// # Errors
    /// [`CodecError::Payload`]: conceal it as if it were lost. `out` is then empty.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Result<(), CodecError> {
        out.clear();
        match &mut self.kind {
            Kind::G711 { law, concealer, .. } => {
                if payload.is_empty() {
                    return Err(CodecError::Payload);
                }
                out.extend(payload.iter().map(|b| law(*b)));
                concealer.good(out);
            }
            Kind::Opus { raw, noise, concealed } => {
                raw.decode(payload, out)?;
                *concealed = 0;
                noise.observe(out);
            }
        }
        Ok(())
    }

    /// Fills `lost` samples from the packet after them, over what `out` held; conceals where that
    /// packet has nothing about them. The packet itself is decoded afterwards as usual.
    ///
    /// # Errors
    /// [`CodecError::Payload`] when `next` is not of this codec; `out` is then empty.
    pub fn decode_fec(
        &mut self,
        next: &[u8],
        lost: usize,
        out: &mut Vec<i16>,
    ) -> Result<(), CodecError> {
        match &mut self.kind {
            Kind::G711 { .. } => {
                self.conceal(lost, out);
                Ok(())
            }
            Kind::Opus { raw, .. } => raw.decode_fec(next, lost, out),
        }
    }

    /// Fills `lost` samples of which nothing is known, over what `out` held.
    pub fn conceal(&mut self, lost: usize, out: &mut Vec<i16>) {
        out.clear();
        match &mut self.kind {
            Kind::G711 { concealer, .. } => {
                out.resize(lost, 0);
                concealer.conceal(out);
            }
            Kind::Opus { raw, noise, concealed } => {
                // libopus refuses nothing here; silence would be the honest answer if it did.
                if raw.conceal(lost, out).is_err() {
                    out.resize(lost, 0);
                }
                for sample in out.iter_mut() {
                    let fade = concealed.saturating_sub(OPUS_FADE_START) as f64 / FRAME as f64;
                    let kept = f64::from(*sample) * (1.0 - fade.min(1.0));
                    let noise = f64::from(noise.next_sample()) * fade.min(1.0);
                    *sample = (kept + noise).round() as i16;
                    *concealed = concealed.saturating_add(1);
                }
            }
        }
    }

    /// Noise of the talker's background, over what `out` held: for pauses the talker does not
    /// send.
    pub fn comfort_noise(&mut self, samples: usize, out: &mut Vec<i16>) {
        out.clear();
        out.resize(samples, 0);
        match &mut self.kind {
            Kind::G711 { concealer, .. } => concealer.comfort_noise(out),
            Kind::Opus { noise, .. } => noise.fill(out),
        }
    }
}

/// libopus fades by itself; the last 20 of the 60 ms go over to noise.
const OPUS_FADE_START: usize = 2 * FRAME;
