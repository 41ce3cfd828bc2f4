//! How long digits toward a trunk are.

use std::time::Duration;

/// Lengths of digits toward a trunk, each a setting of its own (`docs/dtmf.md`). What one has to be for
/// the far side to hear it differs from peer to peer: 50 ms of tone and of pause are enough for all
/// that keep to ITU-T Q.24; some menus want more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DigitPacing {
    /// Shortest tone sent, 40 to 1000 ms.
    pub min_tone: Duration,
    /// Shortest pause between two tones, 30 to 1000 ms.
    pub min_gap: Duration,
    /// A tone that comes without a length, 40 to 6000 ms.
    pub tone: Duration,
    /// The pause after it, 30 to 6000 ms.
    pub gap: Duration,
}

impl Default for DigitPacing {
    fn default() -> Self {
        let ms = Duration::from_millis;
        Self { min_tone: ms(50), min_gap: ms(50), tone: ms(100), gap: ms(80) }
    }
}
