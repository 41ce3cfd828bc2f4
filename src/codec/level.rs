//! The level scale: dBm0 against 16-bit PCM (ITU-T G.711 section 3).
//!
//! A sine that just fills the mu-law coder is +3.17 dBm0; its peak is 8159 of the 14-bit scale.
//! A-law's 3.14 dBm0 for its own full scale differs by 0.06 dB, which is let be.

/// Level of the largest sine mu-law carries, in dBm0.
pub const FULL_SCALE_SINE_DBM0: f64 = 3.17;

/// Peak of a sine of this level, in 16-bit units.
pub fn peak_of_sine(dbm0: f64) -> f64 {
    FULL_SCALE_PEAK * 10f64.powf((dbm0 - FULL_SCALE_SINE_DBM0) / 20.0)
}

/// Root mean square of any signal of this level, in 16-bit units.
pub fn rms_of_dbm0(dbm0: f64) -> f64 {
    peak_of_sine(dbm0) / std::f64::consts::SQRT_2
}

/// Level of a signal of this root mean square; -100 at and near nothing.
pub fn dbm0_of_rms(rms: f64) -> f64 {
    let full_scale_rms = FULL_SCALE_PEAK / std::f64::consts::SQRT_2;
    (20.0 * (rms.max(f64::MIN_POSITIVE) / full_scale_rms).log10() + FULL_SCALE_SINE_DBM0)
        .max(SILENCE_DBM0)
}

/// What digital silence measures: below the least value that can be coded.
pub(super) const SILENCE_DBM0: f64 = -100.0;

/// 8159 of 14 bits, in 16.
const FULL_SCALE_PEAK: f64 = 8159.0 * 4.0;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_convert_both_ways() {
        assert!((peak_of_sine(3.17) - 32636.0).abs() < 0.1);
        for dbm0 in [-60.0, -16.0, 0.0, 3.0] {
            assert!((dbm0_of_rms(rms_of_dbm0(dbm0)) - dbm0).abs() < 1e-9);
        }
        assert_eq!(dbm0_of_rms(0.0), -100.0);
    }
}
