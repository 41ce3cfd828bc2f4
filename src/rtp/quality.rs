//! A call's quality from what the network did: the E-model of ITU-T G.107 with its default
//! values, reduced to what a gateway can know, and the mean opinion score of annex B.

use std::time::Duration;

/// How a codec sounds and how it takes loss (ITU-T G.113 appendix I).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CodecQuality {
    /// Equipment impairment factor `Ie` without loss.
    pub impairment: f64,
    /// Packet-loss robustness factor `Bpl`, in percent.
    pub loss_robustness: f64,
}

impl CodecQuality {
    /// G.711 with packet-loss concealment: `Ie` 0, `Bpl` 25.1 (ITU-T G.113 table I.3).
    pub const G711: CodecQuality = CodecQuality { impairment: 0.0, loss_robustness: 25.1 };
    /// Opus narrowband with in-band FEC. G.113 has no entry for it; `Ie` as that of a good
    /// low-rate coder, robustness as G.711's with concealment, which FEC does not fall below.
    pub const OPUS_NARROWBAND: CodecQuality =
        CodecQuality { impairment: 5.0, loss_robustness: 25.1 };
}

/// What the path did to a stream.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PathQuality {
    /// Mouth to ear, one way, playout buffer included.
    pub one_way_delay: Duration,
    /// Share of packets that were not played, 0.0 to 1.0.
    pub loss: f64,
    /// Mean length of a loss burst against that of random loss (`BurstR`); 1.0 is random.
    pub burst_ratio: f64,
}

/// A rating on both usual scales.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Quality {
    /// Transmission rating `R`, 0 to 100; below 60 nearly all users are dissatisfied.
    pub r: f64,
    /// Estimated conversational mean opinion score, 1.0 to 4.5.
    pub mos: f64,
}

impl Quality {
    /// The rating of a codec over a path (ITU-T G.107 equation 7-1 with `A` = 0).
    pub fn estimate(codec: CodecQuality, path: PathQuality) -> Quality {
        let loss_percent = path.loss.clamp(0.0, 1.0) * 100.0;
        // Equation 7-29.
        let effective = codec.impairment
            + (95.0 - codec.impairment) * loss_percent
                / (loss_percent / path.burst_ratio.max(1.0) + codec.loss_robustness);
        let r = (DEFAULT_R - delay_impairment(path.one_way_delay) - effective).clamp(0.0, 100.0);
        Quality { r, mos: mos(r) }
    }
}

/// `Idd` of equation 7-27, for echo-free paths: nothing below 100 ms.
fn delay_impairment(delay: Duration) -> f64 {
    let ms = delay.as_secs_f64() * 1e3;
    if ms <= 100.0 {
        return 0.0;
    }
    let x = (ms / 100.0).log2();
    25.0 * ((1.0 + x.powi(6)).powf(1.0 / 6.0) - 3.0 * (1.0 + (x / 3.0).powi(6)).powf(1.0 / 6.0)
        + 2.0)
}

/// Annex B of G.107.
fn mos(r: f64) -> f64 {
    if r <= 0.0 {
        1.0
    } else if r >= 100.0 {
        4.5
    } else {
        (1.0 + 0.035 * r + r * (r - 60.0) * (100.0 - r) * 7e-6).max(1.0)
    }
}

/// `R` with every parameter of G.107 table 3 at its default.
const DEFAULT_R: f64 = 93.2;

#[cfg(test)]
mod tests {
    use super::*;

    fn path(delay_ms: u64, loss: f64) -> PathQuality {
        PathQuality { one_way_delay: Duration::from_millis(delay_ms), loss, burst_ratio: 1.0 }
    }

    #[test]
    fn known_points_of_g107() {
        // (delay, loss, R, MOS): default path; 400 ms; 1 and 5 % loss of G.711 with concealment.
        let cases = [
            (0, 0.0, 93.2, 4.41),
            (100, 0.0, 93.2, 4.41),
            (400, 0.0, 69.2, 3.56),
            (0, 0.01, 89.56, 4.34),
            (0, 0.05, 77.42, 3.92),
            (0, 1.0, 17.3, 1.18),
        ];
        for (delay, loss, r, score) in cases {
            let q = Quality::estimate(CodecQuality::G711, path(delay, loss));
            assert!((q.r - r).abs() < 0.7, "{delay} ms, loss {loss}: R {}", q.r);
            assert!((q.mos - score).abs() < 0.05, "{delay} ms, loss {loss}: MOS {}", q.mos);
        }
    }

    #[test]
    fn bursts_are_worse_than_random_loss_and_nonsense_is_clamped() {
        let random = Quality::estimate(CodecQuality::G711, path(0, 0.05));
        let bursts = Quality::estimate(
            CodecQuality::G711,
            PathQuality { burst_ratio: 3.0, ..path(0, 0.05) },
        );
        assert!(bursts.r < random.r);
        let all = Quality::estimate(CodecQuality::OPUS_NARROWBAND, path(5000, 7.0));
        assert!((0.0..=100.0).contains(&all.r) && (1.0..=4.5).contains(&all.mos));
    }
}
