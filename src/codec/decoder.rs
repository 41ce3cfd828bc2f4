//! One direction of one leg: payloads to PCM, and PCM for what did not come.

use super::{Codec, CodecError, ComfortNoise, Concealer, FRAME, Rate, g711, g722, opus};

/// A decoder of one stream, with concealment that becomes comfort noise after 60 ms.
#[derive(Debug)]
pub struct Decoder {
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    /// G.711, L16.
    Stateless {
        codec: Codec,
        concealer: Box<Concealer>,
    },
    G722 {
        raw: Box<g722::Decoder>,
        concealer: Box<Concealer>,
    },
    Opus {
        raw: opus::Decoder,
        noise: ComfortNoise,
        concealed: usize,
    },
}

impl Decoder {
    /// A decoder of a codec, to 8 kHz.
    ///
    /// # Errors
    /// [`CodecError::Setup`] when libopus has no memory.
    pub fn new(codec: Codec) -> Result<Decoder, CodecError> {
        Decoder::at(codec, Rate::Narrow)
    }

    /// The same to PCM of this rate. G.711 and L16 only have 8 kHz.
    ///
    /// # Errors
    /// [`CodecError::Setup`] when libopus has no memory, or for a rate the codec does not have.
    pub fn at(codec: Codec, rate: Rate) -> Result<Decoder, CodecError> {
        let concealer = || Box::new(Concealer::at(rate));
        let kind = match codec {
            Codec::Opus => Kind::Opus {
                raw: opus::Decoder::new(rate)?,
                noise: ComfortNoise::new(),
                concealed: 0,
            },
            Codec::G722 => {
                Kind::G722 { raw: Box::new(g722::Decoder::new(rate)), concealer: concealer() }
            }
            _ if rate == Rate::Wide => return Err(CodecError::Setup),
            Codec::Pcmu | Codec::Pcma | Codec::L16 => {
                Kind::Stateless { codec, concealer: concealer() }
            }
        };
        Ok(Decoder { kind })
    }

    /// What it decodes.
    pub fn codec(&self) -> Codec {
        match &self.kind {
            Kind::Stateless { codec, .. } => *codec,
            Kind::G722 { .. } => Codec::G722,
            Kind::Opus { .. } => Codec::Opus,
        }
    }

    /// The rate of the PCM it gives.
    pub fn rate(&self) -> Rate {
        match &self.kind {
            Kind::Stateless { .. } => Rate::Narrow,
            Kind::G722 { raw, .. } => raw.rate(),
            Kind::Opus { raw, .. } => raw.rate(),
        }
    }

    /// Decodes a payload over what `out` held.
    ///
    /// # Errors
    /// [`CodecError::Payload`]: conceal it as if it were lost. `out` is then empty.
    pub fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) -> Result<(), CodecError> {
        out.clear();
        match &mut self.kind {
            Kind::Stateless { codec, concealer } => {
                codec.duration(payload).ok_or(CodecError::Payload)?;
                match codec {
                    Codec::Pcma => out.extend(payload.iter().map(|b| g711::from_alaw(*b))),
                    Codec::L16 => out
                        .extend(payload.chunks_exact(2).map(|b| i16::from_be_bytes([b[0], b[1]]))),
                    _ => out.extend(payload.iter().map(|b| g711::from_ulaw(*b))),
                }
                concealer.good(out);
            }
            Kind::G722 { raw, concealer } => {
                if payload.is_empty() {
                    return Err(CodecError::Payload);
                }
                raw.decode(payload, out);
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
            Kind::Stateless { .. } | Kind::G722 { .. } => {
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
            Kind::Stateless { concealer, .. } | Kind::G722 { concealer, .. } => {
                out.resize(lost, 0);
                concealer.conceal(out);
            }
            Kind::Opus { raw, noise, concealed } => {
                // libopus fades by itself; the last 20 of the 60 ms go over to noise.
                // It refuses nothing here; silence would be the honest answer if it did.
                if raw.conceal(lost, out).is_err() {
                    out.resize(lost, 0);
                }
                let frame = FRAME * raw.rate().factor();
                for sample in out.iter_mut() {
                    let fade = concealed.saturating_sub(2 * frame) as f64 / frame as f64;
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
            Kind::Stateless { concealer, .. } | Kind::G722 { concealer, .. } => {
                concealer.comfort_noise(out);
            }
            Kind::Opus { noise, .. } => noise.fill(out),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::codec::{
        Discontinuous, Encoded, Encoder, OpusSettings, Tone, Tones, dominant_frequency,
        goertzel_dbm0, is_discontinuous, level_dbm0,
    };

    const CODECS: [Codec; 5] = [Codec::Pcmu, Codec::Pcma, Codec::G722, Codec::L16, Codec::Opus];

    fn test_tone() -> Tones {
        Tones::new(&[Tone { frequency: 1004.0, dbm0: -16.0 }])
    }

    fn payloads(encoder: &mut Encoder, tones: &mut Tones, frames: usize) -> Vec<Vec<u8>> {
        let mut pcm = [0; FRAME];
        (0..frames)
            .map(|_| {
                let mut out = vec![];
                tones.fill(&mut pcm);
                encoder.encode(&pcm, &mut out).unwrap();
                out
            })
            .collect()
    }

    #[test]
    fn a_tone_keeps_level_and_pitch_through_each_codec() {
        let tolerances = [0.1, 0.1, 0.1, 0.01, 1.0];
        for (codec, tolerance) in CODECS.into_iter().zip(tolerances) {
            let mut encoder = Encoder::new(codec).unwrap();
            let mut decoder = Decoder::new(codec).unwrap();
            let (mut pcm, mut all) = (vec![], vec![]);
            for payload in payloads(&mut encoder, &mut test_tone(), 100) {
                assert_eq!(codec.duration(&payload), Some(codec.clock_rate() / 50));
                decoder.decode(&payload, &mut pcm).unwrap();
                assert_eq!(pcm.len(), FRAME);
                all.extend_from_slice(&pcm);
            }
            let settled = &all[FRAME * 20..];
            let level = level_dbm0(settled);
            assert!((level + 16.0).abs() <= tolerance, "{codec:?}: {level}");
            assert!((goertzel_dbm0(settled, 1004.0) + 16.0).abs() <= tolerance, "{codec:?}");
            assert!((dominant_frequency(settled).unwrap() - 1004.0).abs() < 1.0, "{codec:?}");
        }
    }

    #[test]
    fn wideband_keeps_a_tone_above_4_khz_and_only_codecs_that_have_it_take_it() {
        // As 16 kHz: 3 kHz at the 8 kHz scale of the generator is 6 kHz.
        let mut tones = Tones::new(&[Tone { frequency: 3000.0, dbm0: -16.0 }]);
        for codec in [Codec::G722, Codec::Opus] {
            let mut encoder = Encoder::at(codec, Rate::Wide).unwrap();
            let mut decoder = Decoder::at(codec, Rate::Wide).unwrap();
            assert_eq!((encoder.rate(), decoder.rate()), (Rate::Wide, Rate::Wide));
            let (mut payload, mut pcm, mut all) = (vec![], vec![], vec![]);
            let mut frame = [0; Rate::Wide.frame()];
            for _ in 0..50 {
                tones.fill(&mut frame);
                encoder.encode(&frame, &mut payload).unwrap();
                assert_eq!(codec.duration(&payload), Some(codec.clock_rate() / 50));
                decoder.decode(&payload, &mut pcm).unwrap();
                assert_eq!(pcm.len(), frame.len());
                all.extend_from_slice(&pcm);
            }
            decoder.conceal(Rate::Wide.frame(), &mut pcm);
            assert_eq!(pcm.len(), Rate::Wide.frame());
            let level = goertzel_dbm0(&all[all.len() / 2..], 3000.0);
            assert!((level + 16.0).abs() < 1.0, "{codec:?}: {level}");
        }
        assert!(Encoder::at(Codec::Pcmu, Rate::Wide).is_err());
        assert!(Decoder::at(Codec::L16, Rate::Wide).is_err());
    }

    #[test]
    fn opus_fec_fills_exactly_the_lost_length_and_better_than_concealment() {
        // A tone that changes in the lost frame: only FEC can know.
        let settings = OpusSettings { expected_loss_percent: 20, ..OpusSettings::default() };
        let mut encoder = Encoder::opus(settings).unwrap();
        let mut before = payloads(&mut encoder, &mut test_tone(), 50);
        let mut changed = Tones::new(&[Tone { frequency: 400.0, dbm0: -10.0 }]);
        let after = payloads(&mut encoder, &mut changed, 10);
        before.extend_from_slice(&after[..3]);
        let mut decoder = Decoder::new(Codec::Opus).unwrap();
        let mut pcm = vec![];
        for payload in &before[..50] {
            decoder.decode(payload, &mut pcm).unwrap();
        }
        let mut blind = Decoder::new(Codec::Opus).unwrap();
        for payload in &before[..50] {
            blind.decode(payload, &mut pcm).unwrap();
        }
        decoder.decode_fec(&after[1], FRAME, &mut pcm).unwrap();
        assert_eq!(pcm.len(), FRAME);
        let with_fec = goertzel_dbm0(&pcm[40..], 400.0);
        blind.conceal(FRAME, &mut pcm);
        assert_eq!(pcm.len(), FRAME);
        let without = goertzel_dbm0(&pcm[40..], 400.0);
        assert!(with_fec > -16.0 && with_fec > without + 6.0, "{with_fec} and {without}");
        decoder.decode(&after[1], &mut pcm).unwrap();
        assert_eq!(pcm.len(), FRAME);
    }

    #[test]
    fn a_long_gap_becomes_comfort_noise_in_every_codec() {
        for codec in CODECS {
            let mut encoder = Encoder::new(codec).unwrap();
            let mut decoder = Decoder::new(codec).unwrap();
            let mut pcm = vec![];
            for payload in payloads(&mut encoder, &mut test_tone(), 30) {
                decoder.decode(&payload, &mut pcm).unwrap();
            }
            let mut levels = vec![];
            for _ in 0..6 {
                decoder.conceal(FRAME, &mut pcm);
                levels.push(level_dbm0(&pcm));
            }
            assert!(levels[0] > -22.0, "{codec:?} {levels:?}");
            assert!(levels[4] < -43.0 && levels[4] > -80.0, "{codec:?} {levels:?}");
            decoder.comfort_noise(FRAME, &mut pcm);
            assert!(level_dbm0(&pcm) < -43.0 && level_dbm0(&pcm) > -80.0, "{codec:?}");
        }
    }

    #[test]
    fn dtx_sends_nothing_in_silence_and_marks_itself() {
        let settings = OpusSettings { discontinuous: Discontinuous::On, ..OpusSettings::default() };
        let mut encoder = Encoder::opus(settings).unwrap();
        let mut out = vec![];
        let nothing = (0..100)
            .filter(|_| encoder.encode(&[0; FRAME], &mut out).unwrap() == Encoded::Nothing)
            .count();
        assert!(nothing > 50, "{nothing} of 100");
        assert!(is_discontinuous(&[0xf8]) && !is_discontinuous(&[0xf8, 0xff, 0xfe]));
    }

    #[test]
    fn settings_change_during_a_call() {
        let mut encoder = Encoder::new(Codec::Opus).unwrap();
        encoder.set_complexity(99).unwrap();
        encoder.set_expected_loss(15).unwrap();
        let settings = encoder.opus_settings().unwrap();
        assert_eq!((settings.complexity, settings.expected_loss_percent), (10, 15));
        assert_eq!(encoder.encode(&[0; 100], &mut vec![]), Err(CodecError::FrameLength));
        assert_eq!(Encoder::new(Codec::Pcmu).unwrap().opus_settings(), None);
    }

    #[test]
    fn empty_payloads_are_refused_by_every_codec() {
        for codec in CODECS {
            let mut pcm = vec![1];
            let refused = Decoder::new(codec).unwrap().decode(&[], &mut pcm);
            assert_eq!((refused, pcm.len()), (Err(CodecError::Payload), 0), "{codec:?}");
            assert_eq!(codec.duration(&[]), None);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(200))]
        #[test]
        fn no_payload_makes_opus_panic_or_exceed_120_ms(
            payload in proptest::collection::vec(any::<u8>(), 0..200), lost in 1usize..2000
        ) {
            let mut decoder = Decoder::new(Codec::Opus).unwrap();
            let mut pcm = vec![];
            if decoder.decode(&payload, &mut pcm).is_ok() {
                prop_assert!(pcm.len() <= 960);
            }
            if decoder.decode_fec(&payload, lost, &mut pcm).is_ok() {
                prop_assert_eq!(pcm.len(), lost);
            }
            decoder.conceal(lost, &mut pcm);
            prop_assert_eq!(pcm.len(), lost);
        }
    }
}
