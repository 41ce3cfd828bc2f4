//! Opus at 8 or 16 kHz mono both ways (RFC 6716, RFC 7587): the only file that names audiopus.
//!
//! libopus takes and gives 8 kHz directly whatever band the other side uses, so nothing is
//! resampled between a browser and G.711.

use std::fmt;

use audiopus::coder::{Decoder as RawDecoder, Encoder as RawEncoder};
use audiopus::packet::Packet;
use audiopus::{Application, Bitrate, Channels, SampleRate};

use super::{CodecError, Encoded, Rate, SAMPLE_RATE};

/// What an encoder does; all but the rate and DTX can change during a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpusSettings {
    /// Of the PCM that goes in.
    pub rate: Rate,
    /// In bit/s, 6000 to 64000. 24000 is transparent for narrowband and leaves room for FEC.
    pub bit_rate: u32,
    /// 0 to 10: CPU against quality. Complexity 0 never carries FEC.
    pub complexity: u8,
    /// In-band FEC for this expected packet loss in percent; 0 switches FEC off, since an encoder
    /// that expects no loss writes none and only pays for it.
    pub expected_loss_percent: u8,
    /// Whether silence is sent as almost nothing.
    pub discontinuous: Discontinuous,
}

/// Discontinuous transmission (RFC 6716 section 2.1.9).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discontinuous {
    /// Every frame is sent.
    Off,
    /// Frames of silence come out as [`Encoded::Nothing`].
    On,
}

impl Default for OpusSettings {
    /// The gateway's defaults: 24 kbit/s, complexity 5, no FEC until loss is reported, no DTX.
    fn default() -> OpusSettings {
        OpusSettings {
            rate: Rate::Narrow,
            bit_rate: 24_000,
            complexity: 5,
            expected_loss_percent: 0,
            discontinuous: Discontinuous::Off,
        }
    }
}

/// Samples at 8 kHz a packet decodes to, at most 960 (120 ms); `None` when it is not Opus.
pub fn packet_samples(payload: &[u8]) -> Option<usize> {
    let packet = Packet::try_from(payload).ok()?;
    audiopus::packet::nb_samples(packet, SampleRate::Hz8000).ok().filter(|n| (1..=MAX).contains(n))
}

/// Whether a payload stands for silence of discontinuous transmission: at most a header and one
/// byte (RFC 7587 section 3.1.3 and libopus, which says such frames need not be sent).
pub fn is_discontinuous(payload: &[u8]) -> bool {
    payload.len() <= 2
}

/// An encoder of one stream.
pub(super) struct Encoder {
    raw: RawEncoder,
    settings: OpusSettings,
}

impl Encoder {
    pub(super) fn new(settings: OpusSettings) -> Result<Encoder, CodecError> {
        let mut raw = RawEncoder::new(raw_rate(settings.rate), Channels::Mono, Application::Voip)
            .map_err(|_| CodecError::Setup)?;
        raw.set_dtx(settings.discontinuous == Discontinuous::On).map_err(|_| CodecError::Setup)?;
        let mut encoder = Encoder { raw, settings };
        encoder.set_bit_rate(settings.bit_rate)?;
        encoder.set_complexity(settings.complexity)?;
        encoder.set_expected_loss(settings.expected_loss_percent)?;
        Ok(encoder)
    }

    pub(super) fn settings(&self) -> OpusSettings {
        self.settings
    }

    pub(super) fn set_bit_rate(&mut self, bit_rate: u32) -> Result<(), CodecError> {
        let bit_rate = bit_rate.clamp(6000, 64_000);
        let raw = Bitrate::BitsPerSecond(bit_rate as i32);
        self.raw.set_bitrate(raw).map_err(|_| CodecError::Setup)?;
        self.settings.bit_rate = bit_rate;
        Ok(())
    }

    pub(super) fn set_complexity(&mut self, complexity: u8) -> Result<(), CodecError> {
        let complexity = complexity.min(10);
        self.raw.set_complexity(complexity).map_err(|_| CodecError::Setup)?;
        self.settings.complexity = complexity;
        Ok(())
    }

    pub(super) fn set_expected_loss(&mut self, percent: u8) -> Result<(), CodecError> {
        let percent = percent.min(100);
        self.raw.set_inband_fec(percent > 0).map_err(|_| CodecError::Setup)?;
        self.raw.set_packet_loss_perc(percent).map_err(|_| CodecError::Setup)?;
        self.settings.expected_loss_percent = percent;
        Ok(())
    }

    pub(super) fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) -> Result<Encoded, CodecError> {
        out.resize(MAX_PAYLOAD, 0);
        let written = self.raw.encode(pcm, out);
        out.truncate(*written.as_ref().unwrap_or(&0));
        match written {
            Ok(_) if self.settings.discontinuous == Discontinuous::On && is_discontinuous(out) => {
                out.clear();
                Ok(Encoded::Nothing)
            }
            Ok(_) => Ok(Encoded::Frame),
            Err(_) => Err(CodecError::FrameLength),
        }
    }
}

/// A decoder of one stream.
pub(super) struct Decoder {
    raw: RawDecoder,
    rate: Rate,
}

impl Decoder {
    pub(super) fn new(rate: Rate) -> Result<Decoder, CodecError> {
        let raw = RawDecoder::new(raw_rate(rate), Channels::Mono).map_err(|_| CodecError::Setup)?;
        Ok(Decoder { raw, rate })
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    pub(super) fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Result<(), CodecError> {
        out.clear();
        // Also refuses what libopus would read beyond: its length table needs no header to lie.
        let samples = packet_samples(payload).ok_or(CodecError::Payload)?;
        self.run(Some(payload), samples * self.rate.factor(), Forward::No, out)
    }

    /// Fills exactly the lost length from the packet after it (RFC 6716 section 2.1.7); where
    /// that packet carries no FEC, libopus conceals.
    pub(super) fn decode_fec(
        &mut self,
        next: &[u8],
        lost: usize,
        out: &mut Vec<i16>,
    ) -> Result<(), CodecError> {
        out.clear();
        packet_samples(next).ok_or(CodecError::Payload)?;
        self.run(Some(next), self.granule(lost), Forward::Yes, out)?;
        out.resize(lost, 0);
        Ok(())
    }

    pub(super) fn conceal(&mut self, lost: usize, out: &mut Vec<i16>) -> Result<(), CodecError> {
        out.clear();
        self.run(None, self.granule(lost), Forward::No, out)?;
        out.resize(lost, 0);
        Ok(())
    }

    /// libopus conceals whole multiples of 2.5 ms, at most 120 ms at a time.
    fn granule(&self, samples: usize) -> usize {
        let (least, most) = (GRANULE * self.rate.factor(), MAX * self.rate.factor());
        samples.next_multiple_of(least).clamp(least, most)
    }

    fn run(
        &mut self,
        payload: Option<&[u8]>,
        samples: usize,
        forward: Forward,
        out: &mut Vec<i16>,
    ) -> Result<(), CodecError> {
        out.resize(samples, 0);
        let packet = match payload.map(Packet::try_from) {
            Some(packet) => Some(packet.map_err(|_| CodecError::Payload)?),
            None => None,
        };
        let signals = out.as_mut_slice().try_into().map_err(|_| CodecError::FrameLength)?;
        match self.raw.decode(packet, signals, matches!(forward, Forward::Yes)) {
            Ok(written) => {
                out.truncate(written);
                Ok(())
            }
            Err(_) => {
                out.clear();
                Err(CodecError::Payload)
            }
        }
    }
}

impl fmt::Debug for Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("opus::Encoder").field("settings", &self.settings).finish()
    }
}

impl fmt::Debug for Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("opus::Decoder")
    }
}

#[derive(Clone, Copy)]
enum Forward {
    Yes,
    No,
}

fn raw_rate(rate: Rate) -> SampleRate {
    match rate {
        Rate::Narrow => SampleRate::Hz8000,
        Rate::Wide => SampleRate::Hz16000,
    }
}

const GRANULE: usize = SAMPLE_RATE as usize / 400;
/// 120 ms.
const MAX: usize = SAMPLE_RATE as usize * 12 / 100;
/// Largest frame of one packet (RFC 6716 section 3.4 R5), never reached at these rates.
const MAX_PAYLOAD: usize = 1275;
