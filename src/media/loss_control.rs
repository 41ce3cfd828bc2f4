//! What is done about loss that the other end reports (RFC 3550 6.4): in-band FEC on, with bits for it,
//! and off again when the network has been clean for a while.
//!
//! ```text
//! reports   0 %   2 %   6 %   0 %   0 %   0 %
//! FEC for   -     2 %   6 %   3 %   2 %   -
//! ```
//!
//! FEC costs a fifth of a call's CPU, and below about 20 kbit/s no packet has room for it.

/// The control of one encoder.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct LossControl {
    /// Smoothed, in percent.
    loss: f32,
    /// Clean reports in a row.
    clean: u32,
}

/// What the encoder is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Course {
    /// FEC for this loss in percent; 0 is none.
    pub(super) expected_loss: u8,
    /// Bits a second.
    pub(super) bit_rate: u32,
}

/// Reports without loss before FEC is off: 6 s at one every 2 s.
const CLEAN_REPORTS: u32 = 3;
/// More than that is a network that is full: more bits would make it worse.
const CONGESTED: f32 = 20.0;

impl LossControl {
    /// Takes a report: the share lost, 0 to 1. `bit_rate` is that without loss.
    pub(super) fn on_report(&mut self, loss: f32, bit_rate: u32) -> Course {
        let percent = (loss * 100.0).clamp(0.0, 100.0);
        self.clean = if percent < 0.5 { self.clean + 1 } else { 0 };
        // Up at once, down by half.
        self.loss = percent.max((self.loss + percent) / 2.0);
        if self.clean >= CLEAN_REPORTS {
            self.loss = 0.0;
        }
        let expected_loss = if self.loss < 0.5 { 0 } else { self.loss.ceil() as u8 };
        let more = expected_loss > 0 && self.loss <= CONGESTED;
        Course { expected_loss, bit_rate: if more { bit_rate + bit_rate / 4 } else { bit_rate } }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fec_follows_the_reports_up_at_once_and_off_after_three_clean_ones() {
        let mut control = LossControl::default();
        let rows = [
            (0.0, 0, 24_000),
            (0.02, 2, 30_000),
            (0.06, 6, 30_000),
            (0.0, 3, 30_000),
            (0.0, 2, 30_000),
            (0.0, 0, 24_000),
            (0.004, 0, 24_000),
            (0.35, 35, 24_000),
        ];
        for (loss, expected_loss, bit_rate) in rows {
            assert_eq!(
                control.on_report(loss, 24_000),
                Course { expected_loss, bit_rate },
                "{loss}"
            );
        }
    }
}
