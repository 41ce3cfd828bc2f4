//! Comfort noise that travels: the payload of RFC 3389, what is measured for it and what is made of it.
//! A byte of level, then the reflection coefficients of an all-pole filter, so that the noise has the
//! colour of the room and not only its level.

use super::level::{dbm0_of_rms, rms_of_dbm0};

/// The background of a talker as its payload says it (RFC 3389 3).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NoiseDescription {
    /// 0 to 127 dB below the overload of the system (dBov).
    level: u8,
    /// Reflection coefficients, above -1 and below 1; the first `order` count.
    reflection: [f64; MOST_ORDER],
    order: usize,
}

/// Coefficients that are heeded; what a payload has beyond them is finer than anybody hears.
const MOST_ORDER: usize = 12;
/// Coefficients of our own descriptions.
const OWN_ORDER: usize = 6;
/// RFC 3389 3.1: the square wave that just fills the coder is 0 dBov and 6.18 dBm0.
const OVERLOAD_DBM0: f64 = 6.18;
/// A filter closer than this to the edge rings like a bell.
const SHARPEST: f64 = 0.97;
/// Louder than this is nobody's background, whatever a peer says: no alarm in the listener's ear.
const LOUDEST_DBM0: f64 = -30.0;

impl NoiseDescription {
    /// Reads a payload; `None` for one without a level.
    pub fn parse(payload: &[u8]) -> Option<NoiseDescription> {
        let (level, indices) = payload.split_first()?;
        let mut reflection = [0.0; MOST_ORDER];
        let order = indices.len().min(MOST_ORDER);
        for (value, index) in reflection.iter_mut().zip(indices) {
            // RFC 3389 3.2; 255 is reserved and would be no filter.
            let own = 258.0 * (f64::from((*index).min(254)) - 127.0) / 32_768.0;
            *value = own.clamp(-SHARPEST, SHARPEST);
        }
        // The first bit is always 0.
        Some(NoiseDescription { level: level & 0x7F, reflection, order })
    }

    /// Writes the payload over what `out` held.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.clear();
        out.push(self.level);
        out.extend(self.reflection[..self.order].iter().map(|k| {
            let index = (k * 32_768.0 / 258.0).round() + 127.0;
            index.clamp(0.0, 254.0) as u8
        }));
    }

    /// Its level in dBm0.
    pub fn dbm0(&self) -> f64 {
        OVERLOAD_DBM0 - f64::from(self.level)
    }
}

/// Noise as described, at 8 kHz.
#[derive(Debug, Clone)]
pub struct NoiseSource {
    /// Of the filter, `y = gain * x - sum(a * y)`.
    coefficients: [f64; MOST_ORDER],
    order: usize,
    /// Root mean square of what goes into the filter, in 16-bit units.
    gain: f64,
    past: [f64; MOST_ORDER],
    state: u32,
}

impl NoiseSource {
    /// Silence until something is described.
    pub fn new() -> NoiseSource {
        NoiseSource {
            coefficients: [0.0; MOST_ORDER],
            order: 0,
            gain: 0.0,
            past: [0.0; MOST_ORDER],
            state: SEED,
        }
    }

    /// The noise is like this from now on.
    pub fn describe(&mut self, noise: &NoiseDescription) {
        let mut a = [0.0; MOST_ORDER];
        let mut left = 1.0;
        for (m, k) in noise.reflection[..noise.order].iter().enumerate() {
            // The step-up recursion: each coefficient makes a filter of one order more.
            let before = a;
            for i in 0..m {
                a[i] += k * before[m - 1 - i];
            }
            a[m] = *k;
            left *= 1.0 - k * k;
        }
        (self.coefficients, self.order) = (a, noise.order);
        // What the filter adds to the power is taken from its input.
        self.gain = rms_of_dbm0(noise.dbm0().min(LOUDEST_DBM0)) * f64::sqrt(left);
    }

    /// Noise over what `pcm` held.
    pub fn fill(&mut self, pcm: &mut [i16]) {
        for sample in pcm {
            self.state = self.state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            // Uniform in -1 to 1, its root mean square 1/sqrt(3).
            let white = f64::from(self.state as i32) / f64::from(i32::MAX) * f64::sqrt(3.0);
            let fed: f64 = self.coefficients[..self.order]
                .iter()
                .zip(&self.past)
                .map(|(a, past)| a * past)
                .sum();
            let value = white * self.gain - fed;
            self.past.rotate_right(1);
            self.past[0] = value;
            *sample = value.round() as i16;
        }
    }
}

impl Default for NoiseSource {
    fn default() -> NoiseSource {
        NoiseSource::new()
    }
}

/// Measures the pauses of a stream, for a description of them.
#[derive(Debug, Clone, Default)]
pub struct NoiseMeter {
    /// Smoothed autocorrelation, by lag.
    correlation: [f64; OWN_ORDER + 1],
    order: usize,
    heard: bool,
}

impl NoiseMeter {
    /// One that has heard nothing.
    pub fn new() -> NoiseMeter {
        NoiseMeter::default()
    }

    /// Hears a frame of a pause. Of one at 16 kHz only the level counts: the colour of this payload
    /// is that of 8 kHz.
    pub fn hear(&mut self, pcm: &[i16]) {
        let order = if pcm.len() > super::FRAME { 0 } else { OWN_ORDER };
        if order != self.order {
            *self = NoiseMeter { order, ..NoiseMeter::new() };
        }
        let weight = if std::mem::replace(&mut self.heard, true) { NEW } else { 1.0 };
        for (lag, value) in self.correlation[..=order].iter_mut().enumerate() {
            let pairs = pcm.iter().zip(pcm.iter().skip(lag));
            let sum: f64 = pairs.map(|(a, b)| f64::from(*a) * f64::from(*b)).sum();
            *value += (sum / pcm.len().max(1) as f64 - *value) * weight;
        }
    }

    /// The pauses so far.
    pub fn description(&self) -> NoiseDescription {
        let r = &self.correlation;
        let below = (OVERLOAD_DBM0 - dbm0_of_rms(r[0].max(0.0).sqrt())).round();
        let level = below.clamp(0.0, 127.0) as u8;
        let mut reflection = [0.0; MOST_ORDER];
        // Levinson-Durbin. A trace of white noise keeps the filter of near silence tame.
        let mut error = r[0] * 1.001 + 1.0;
        let mut a = [0.0; OWN_ORDER];
        for m in 0..self.order {
            let fed: f64 = (0..m).map(|i| a[i] * r[m - i]).sum();
            let k = (-(r[m + 1] + fed) / error).clamp(-SHARPEST, SHARPEST);
            let before = a;
            for i in 0..m {
                a[i] += k * before[m - 1 - i];
            }
            a[m] = k;
            error *= 1.0 - k * k;
            reflection[m] = k;
        }
        NoiseDescription { level, reflection, order: self.order }
    }
}

/// Weight of a new frame.
const NEW: f64 = 0.2;
const SEED: u32 = 0x1d87_2b41;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{FRAME, level_dbm0};

    fn made(description: &NoiseDescription) -> Vec<i16> {
        let mut source = NoiseSource::new();
        source.describe(description);
        let mut pcm = vec![0; 16_000];
        source.fill(&mut pcm);
        pcm
    }

    /// Likeness of neighbours: 1 is dull, -1 is sharp, 0 is white.
    fn colour(pcm: &[i16]) -> f64 {
        let product = |lag: usize| -> f64 {
            pcm.iter().zip(&pcm[lag..]).map(|(a, b)| f64::from(*a) * f64::from(*b)).sum()
        };
        product(1) / product(0)
    }

    /// RFC 3389 3.1: the level; 3.2: `k = 258 (N - 127) / 32768`, of which the first is the
    /// neighbours' likeness with its sign turned.
    #[test]
    fn payloads_are_read_by_the_rules_of_the_rfc() {
        let rows: [(&[u8], f64, f64); 6] = [
            (&[40], -33.82, 0.0),
            (&[64], -57.82, 0.0),
            (&[0x80 | 50], -43.82, 0.0),
            (&[45, 63], -38.82, 0.504),
            (&[45, 190], -38.82, -0.496),
            (&[50, 63, 127, 127, 127], -43.82, 0.504),
        ];
        for (payload, dbm0, likeness) in rows {
            let description = NoiseDescription::parse(payload).unwrap();
            let pcm = made(&description);
            assert!((description.dbm0() - dbm0).abs() < 0.01, "{payload:?}");
            assert!((level_dbm0(&pcm) - dbm0).abs() < 0.5, "{payload:?}: {}", level_dbm0(&pcm));
            assert!((colour(&pcm) - likeness).abs() < 0.03, "{payload:?}: {}", colour(&pcm));
        }
        assert_eq!(NoiseDescription::parse(&[]), None);
        assert!(level_dbm0(&made(&NoiseDescription::parse(&[127]).unwrap())) < -95.0);
    }

    #[test]
    fn what_a_peer_says_is_never_louder_than_a_background_and_never_rings() {
        for payload in [vec![0], vec![0; 40], vec![1; 13], vec![10, 255, 255, 254, 0, 255]] {
            let pcm = made(&NoiseDescription::parse(&payload).unwrap());
            let level = level_dbm0(&pcm);
            assert!((-60.0..-27.0).contains(&level), "{payload:?}: {level}");
        }
    }

    #[test]
    fn what_was_measured_sounds_like_what_was_heard() {
        for payload in [&[55u8][..], &[50, 40], &[60, 30, 150, 120, 110, 130, 127]] {
            let room = made(&NoiseDescription::parse(payload).unwrap());
            let mut meter = NoiseMeter::new();
            room.chunks_exact(FRAME).for_each(|frame| meter.hear(frame));
            let mut bytes = vec![9; 3];
            meter.description().write(&mut bytes);
            assert_eq!(bytes.len(), 1 + OWN_ORDER);
            let again = made(&NoiseDescription::parse(&bytes).unwrap());
            assert!((level_dbm0(&again) - level_dbm0(&room)).abs() < 1.5, "{payload:?}");
            assert!((colour(&again) - colour(&room)).abs() < 0.1, "{payload:?}");
        }
        let mut wide = NoiseMeter::new();
        wide.hear(&[20; 2 * FRAME]);
        let mut bytes = vec![];
        wide.description().write(&mut bytes);
        assert_eq!(bytes.len(), 1, "only a level");
        NoiseMeter::new().description().write(&mut bytes);
        assert_eq!(bytes[0], 106, "nothing was heard: -100 dBm0");
    }
}
