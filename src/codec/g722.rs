//! G.722 at 64 kbit/s (ITU-T G.722): two bands of sub-band ADPCM, 6 bits for the lower, 2 for the
//! upper. Names of blocks and tables are those of the recommendation.
//!
//! PCM is 16 kHz, or 8 kHz: the lower band alone is a signal of 8 kHz, so toward a leg that hears
//! no more the filter bank and the upper band are left out. One byte is two samples of 16 kHz, one
//! of 8 kHz.

use super::Rate;

/// An encoder of one stream.
#[derive(Debug, Clone)]
pub(super) struct Encoder {
    rate: Rate,
    bank: FilterBank,
    low: Band,
    high: Band,
}

impl Encoder {
    pub(super) fn new(rate: Rate) -> Encoder {
        Encoder { rate, bank: FilterBank::new(), low: Band::LOW, high: Band::HIGH }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Appends the bytes of `pcm`; of 16 kHz an odd last sample is left out.
    pub(super) fn encode(&mut self, pcm: &[i16], out: &mut Vec<u8>) {
        match self.rate {
            Rate::Narrow => out.extend(pcm.iter().map(|sample| {
                // Silence above 4 kHz is the upper band's least step up.
                (HIGH_SILENCE << 6) | self.low.code_low(i32::from(*sample) >> 1)
            })),
            Rate::Wide => out.extend(pcm.chunks_exact(2).map(|pair| {
                let (low, high) = self.bank.split(i32::from(pair[0]), i32::from(pair[1]));
                (self.high.code_high(high) << 6) | self.low.code_low(low)
            })),
        }
    }
}

/// A decoder of one stream.
#[derive(Debug, Clone)]
pub(super) struct Decoder {
    rate: Rate,
    bank: FilterBank,
    low: Band,
    high: Band,
}

impl Decoder {
    pub(super) fn new(rate: Rate) -> Decoder {
        Decoder { rate, bank: FilterBank::new(), low: Band::LOW, high: Band::HIGH }
    }

    pub(super) fn rate(&self) -> Rate {
        self.rate
    }

    /// Appends the samples of `payload`.
    pub(super) fn decode(&mut self, payload: &[u8], out: &mut Vec<i16>) {
        for code in payload {
            let low = self.low.decode_low(code & 0x3f);
            match self.rate {
                Rate::Narrow => out.push((low << 1) as i16),
                Rate::Wide => {
                    let high = self.high.decode_high(code >> 6);
                    out.extend(self.bank.join(low, high));
                }
            }
        }
    }
}

/// The quadrature mirror filters (clauses 3.1 and 4.4): 24 taps either way.
#[derive(Debug, Clone)]
struct FilterBank {
    line: [i32; 24],
}

impl FilterBank {
    fn new() -> FilterBank {
        FilterBank { line: [0; 24] }
    }

    /// Two samples of 16 kHz to one of each band, 15 bits.
    fn split(&mut self, first: i32, second: i32) -> (i32, i32) {
        let (a, b) = self.filter(first, second);
        // 13 bits for the gain of both filters, one for 15 bits instead of 16.
        ((b + a) >> 14, (b - a) >> 14)
    }

    /// One sample of each band to two of 16 kHz.
    fn join(&mut self, low: i32, high: i32) -> [i16; 2] {
        let (a, b) = self.filter(low + high, low - high);
        [saturate(b >> 11) as i16, saturate(a >> 11) as i16]
    }

    /// Takes two values and gives the sums over the older and the newer of each pair.
    fn filter(&mut self, first: i32, second: i32) -> (i32, i32) {
        self.line.copy_within(2.., 0);
        self.line[22] = first;
        self.line[23] = second;
        let (mut a, mut b) = (0, 0);
        for (i, pair) in self.line.chunks_exact(2).enumerate() {
            a += pair[0] * QMF[i];
            b += pair[1] * QMF[11 - i];
        }
        (a, b)
    }
}

/// One band's adaptive quantiser and predictor; the same in both directions (clauses 3.5 and 3.6).
#[derive(Debug, Clone)]
struct Band {
    /// `NB`: the logarithm of the scale factor.
    log_scale: i32,
    /// `DET`: the scale factor.
    scale: i32,
    /// `S`: the predicted value, of the poles and the zeros; `SZ`: of the zeros alone.
    predicted: i32,
    zeros_part: i32,
    /// `A1`, `A2` and `B1` to `B6`.
    poles: [i32; 2],
    zeros: [i32; 6],
    /// The last two partly reconstructed values `P`, reconstructed values `R`, and the last six
    /// quantised differences `D`, newest first.
    partial: [i32; 2],
    rebuilt: [i32; 2],
    differences: [i32; 6],
}

impl Band {
    const LOW: Band = Band::with_scale(32);
    const HIGH: Band = Band::with_scale(8);

    const fn with_scale(scale: i32) -> Band {
        Band {
            log_scale: 0,
            scale,
            predicted: 0,
            zeros_part: 0,
            poles: [0; 2],
            zeros: [0; 6],
            partial: [0; 2],
            rebuilt: [0; 2],
            differences: [0; 6],
        }
    }

    /// `SUBTRA`, `QUANTL` and what follows from the code: 6 bits.
    fn code_low(&mut self, sample: i32) -> u8 {
        let error = saturate(sample - self.predicted);
        let size = if error >= 0 { error } else { -(error + 1) };
        let level = 1 + Q6[1..].partition_point(|q| size >= (q * self.scale) >> 12);
        let code = if error < 0 { negative_code(level) } else { 62 - level as u8 };
        self.adapt_low(code);
        code
    }

    /// `INVQBL`, `RECONS` and what follows from the code: a sample of 15 bits.
    fn decode_low(&mut self, code: u8) -> i32 {
        let difference = (self.scale * QM6[usize::from(code)]) >> 15;
        let sample = (self.predicted + difference).clamp(-16384, 16383);
        self.adapt_low(code);
        sample
    }

    /// `QUANTH`: 2 bits.
    fn code_high(&mut self, sample: i32) -> u8 {
        let error = saturate(sample - self.predicted);
        let size = if error >= 0 { error } else { -(error + 1) };
        let large = size >= (Q2 * self.scale) >> 12;
        let code = match (error < 0, large) {
            (true, true) => 0,
            (true, false) => 1,
            (false, true) => 2,
            (false, false) => 3,
        };
        self.adapt_high(code);
        code
    }

    fn decode_high(&mut self, code: u8) -> i32 {
        let difference = (self.scale * QM2[usize::from(code)]) >> 15;
        let sample = (self.predicted + difference).clamp(-16384, 16383);
        self.adapt_high(code);
        sample
    }

    /// `INVQAL`, `LOGSCL`, `SCALEL`: only the upper four bits of the code drive the adaptation.
    fn adapt_low(&mut self, code: u8) {
        let coarse = usize::from(code >> 2);
        let difference = (self.scale * QM4[coarse]) >> 15;
        self.log_scale = (((self.log_scale * 127) >> 7) + WL[coarse]).clamp(0, 18_432);
        self.scale = linear(self.log_scale, 8);
        self.predict(difference);
    }

    /// `INVQAH`, `LOGSCH`, `SCALEH`.
    fn adapt_high(&mut self, code: u8) {
        let difference = (self.scale * QM2[usize::from(code)]) >> 15;
        self.log_scale = (((self.log_scale * 127) >> 7) + WH[usize::from(code)]).clamp(0, 22_528);
        self.scale = linear(self.log_scale, 10);
        self.predict(difference);
    }

    /// Block 4: the predictor learns from the quantised difference and predicts the next value.
    fn predict(&mut self, difference: i32) {
        let rebuilt = saturate(self.predicted + difference);
        let partial = saturate(self.zeros_part + difference);
        let same = |a: i32, b: i32| (a < 0) == (b < 0);

        // UPPOL2.
        let slope = saturate(self.poles[0] << 2);
        let slope = if same(partial, self.partial[0]) { (-slope).min(32_767) } else { slope };
        let step = if same(partial, self.partial[1]) { 128 } else { -128 };
        let second =
            (step + (slope >> 7) + ((self.poles[1] * 32_512) >> 15)).clamp(-12_288, 12_288);
        // UPPOL1.
        let step = if same(partial, self.partial[0]) { 192 } else { -192 };
        let limit = saturate(15_360 - second);
        let first = saturate(step + ((self.poles[0] * 32_640) >> 15)).clamp(-limit, limit);
        self.poles = [first, second];

        // UPZERO.
        let step = if difference == 0 { 0 } else { 128 };
        for (zero, before) in self.zeros.iter_mut().zip(self.differences) {
            let step = if same(before, difference) { step } else { -step };
            *zero = saturate(step + ((*zero * 32_640) >> 15));
        }

        // DELAYA.
        self.differences.copy_within(..5, 1);
        self.differences[0] = difference;
        self.rebuilt = [rebuilt, self.rebuilt[0]];
        self.partial = [partial, self.partial[0]];

        // FILTEP, FILTEZ, PREDIC.
        let poles: i32 = self
            .poles
            .iter()
            .zip(self.rebuilt)
            .map(|(pole, value)| (pole * saturate(value + value)) >> 15)
            .sum();
        let zeros: i32 = self
            .zeros
            .iter()
            .zip(self.differences)
            .map(|(zero, value)| (zero * saturate(value + value)) >> 15)
            .sum();
        self.zeros_part = saturate(zeros);
        self.predicted = saturate(saturate(poles) + self.zeros_part);
    }
}

/// The code of a negative difference: 63 and 62 for the two least, then 31 down to 4.
fn negative_code(level: usize) -> u8 {
    match level {
        1 => 63,
        2 => 62,
        level => 34 - level as u8,
    }
}

/// `SCALEL`, `SCALEH`: from the logarithm to the scale factor.
fn linear(log_scale: i32, shift: i32) -> i32 {
    let mantissa = ILB[((log_scale >> 6) & 31) as usize];
    let exponent = shift - (log_scale >> 11);
    let scale = if exponent < 0 { mantissa << -exponent } else { mantissa >> exponent };
    scale << 2
}

fn saturate(value: i32) -> i32 {
    value.clamp(-32_768, 32_767)
}

/// The positive small step of the upper band.
const HIGH_SILENCE: u8 = 3;
/// Table 6: decision levels of the upper band.
const Q2: i32 = 564;

/// Half of the filters' 24 coefficients, which are symmetrical (table 11).
const QMF: [i32; 12] = [3, -11, 12, 32, -210, 951, 3876, -805, 362, -156, 53, -11];

/// Decision levels of the lower band (table 5); the first is never asked for.
const Q6: [i32; 30] = [
    0, 35, 72, 110, 150, 190, 233, 276, 323, 370, 422, 473, 530, 587, 650, 714, 786, 858, 940,
    1023, 1121, 1219, 1339, 1458, 1612, 1765, 1980, 2195, 2557, 2919,
];

/// Output of the lower band's inverse quantiser of 4 bits, by code.
const QM4: [i32; 16] = [
    0, -20456, -12896, -8968, -6288, -4240, -2584, -1200, 20456, 12896, 8968, 6288, 4240, 2584,
    1200, 0,
];

/// The same of 6 bits; the first four codes are not sent.
const QM6: [i32; 64] = [
    -136, -136, -136, -136, -24808, -21904, -19008, -16704, -14984, -13512, -12280, -11192, -10232,
    -9360, -8576, -7856, -7192, -6576, -6000, -5456, -4944, -4464, -4008, -3576, -3168, -2776,
    -2400, -2032, -1688, -1360, -1040, -728, 24808, 21904, 19008, 16704, 14984, 13512, 12280,
    11192, 10232, 9360, 8576, 7856, 7192, 6576, 6000, 5456, 4944, 4464, 4008, 3576, 3168, 2776,
    2400, 2032, 1688, 1360, 1040, 728, 432, 136, -432, -136,
];

/// Output of the upper band's inverse quantiser, by code.
const QM2: [i32; 4] = [-7408, -1616, 7408, 1616];

/// Multipliers of the lower band's logarithm, by code of 4 bits.
const WL: [i32; 16] =
    [-60, 3042, 1198, 538, 334, 172, 58, -30, 3042, 1198, 538, 334, 172, 58, -30, -60];

/// Multipliers of the upper band's logarithm, by code.
const WH: [i32; 4] = [798, -214, 798, -214];

/// Antilogarithms (table 13).
const ILB: [i32; 32] = [
    2048, 2093, 2139, 2186, 2233, 2282, 2332, 2383, 2435, 2489, 2543, 2599, 2656, 2714, 2774, 2834,
    2896, 2960, 3025, 3091, 3158, 3228, 3298, 3371, 3444, 3520, 3597, 3676, 3756, 3838, 3922, 4008,
];

#[cfg(test)]
mod tests {
    use super::*;

    /// 16 kHz: a sweep, a loud step, noise, silence; made by an integer recipe.
    fn signal() -> Vec<i16> {
        let mut state = 12_345u32;
        (0..32_000u32)
            .map(|n| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                let noise = (state >> 16) as i32 - 32_768;
                match n / 4000 {
                    0 | 4 => noise / 8,
                    1 => (n as i32 * n as i32 / 700 % 16_000) - 8000,
                    2 => [9000, -9000][(n / 8 % 2) as usize],
                    3 | 7 => 0,
                    5 => noise / 3,
                    _ => noise / 400,
                }
            })
            .map(|sample| sample as i16)
            .collect()
    }

    /// FNV-1a, so that the vector fits a line.
    fn print(bytes: impl Iterator<Item = u8>) -> u64 {
        bytes.fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    fn pcm_print(pcm: &[i16]) -> u64 {
        print(pcm.iter().flat_map(|s| s.to_le_bytes()))
    }

    #[test]
    fn codes_and_samples_are_those_of_another_implementation() {
        // What libspandsp 0.0.6 makes of the same signal; the recommendation is exact to the bit.
        let pcm = signal();
        assert_eq!(pcm_print(&pcm), SIGNAL, "the signal itself");
        let mut codes = vec![];
        Encoder::new(Rate::Wide).encode(&pcm, &mut codes);
        assert_eq!((codes.len(), &codes[..16]), (16_000, &FIRST_CODES[..]));
        assert_eq!(print(codes.iter().copied()), CODES);
        let mut decoded = vec![];
        Decoder::new(Rate::Wide).decode(&codes, &mut decoded);
        assert_eq!((decoded.len(), pcm_print(&decoded)), (32_000, DECODED));
    }

    #[test]
    fn any_bytes_are_sound_and_full_scale_is_limited_not_wrapped() {
        let wild: Vec<u8> =
            (0..65_536u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        for rate in [Rate::Narrow, Rate::Wide] {
            let mut pcm = vec![];
            Decoder::new(rate).decode(&wild, &mut pcm);
            assert_eq!(pcm.len(), wild.len() * rate.frame() / 160);
            // A square wave beyond what the coder holds keeps its sign.
            let square: Vec<i16> = (0..8000).map(|n| [32_767, -32_768][n / 40 % 2]).collect();
            let mut codes = vec![];
            Encoder::new(rate).encode(&square, &mut codes);
            pcm.clear();
            Decoder::new(rate).decode(&codes, &mut pcm);
            let middle = |n: usize| pcm[pcm.len() / 8000 * 7000 + n * 40 + 30];
            assert!(i32::from(middle(0)) * i32::from(middle(1)) < 0, "{rate:?}");
        }
    }

    #[test]
    fn eight_kilohertz_are_the_lower_band() {
        // 1 kHz at -10 dBm0, in at 16 and out at 8 kHz, and the other way round.
        let sine = |hz: u32| -> Vec<i16> {
            (0..hz)
                .map(|n| {
                    let phase = std::f64::consts::TAU * 1000.0 * f64::from(n) / f64::from(hz);
                    (7000.0 * phase.sin()) as i16
                })
                .collect()
        };
        for (from, to) in [(Rate::Wide, Rate::Narrow), (Rate::Narrow, Rate::Wide)] {
            let (mut codes, mut pcm) = (vec![], vec![]);
            Encoder::new(from).encode(&sine(from.hz()), &mut codes);
            Decoder::new(to).decode(&codes, &mut pcm);
            assert_eq!((codes.len(), pcm.len()), (8000, to.hz() as usize));
            let settled = &pcm[pcm.len() / 2..];
            let power: f64 = settled.iter().map(|s| f64::from(*s).powi(2)).sum();
            let peak = (2.0 * power / settled.len() as f64).sqrt();
            assert!((peak / 7000.0 - 1.0).abs() < 0.05, "{from:?} to {to:?}: {peak}");
        }
    }

    const SIGNAL: u64 = 0x6420_2213_eb71_dd00;
    const FIRST_CODES: [u8; 16] = [
        0x37, 0x8b, 0x21, 0x86, 0x22, 0x84, 0x08, 0x29, 0x13, 0xb1, 0x9d, 0x30, 0x1c, 0xb9, 0xb1,
        0x25,
    ];
    const CODES: u64 = 0xbd1e_b360_232c_2dd0;
    const DECODED: u64 = 0x7b6a_d70b_e2cc_092c;
}
