//! The two rates PCM has here: 8 kHz on every telephone call, 16 kHz where both legs can.

/// Samples a second of PCM.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Rate {
    /// 8000 Hz: the telephone network.
    #[default]
    Narrow,
    /// 16000 Hz: G.722 and Opus on both legs.
    Wide,
}

impl Rate {
    /// In Hz.
    pub const fn hz(self) -> u32 {
        8000 * self.factor() as u32
    }

    /// Samples of the gateway's frame of 20 ms.
    pub const fn frame(self) -> usize {
        160 * self.factor()
    }

    /// The rate of a frame of 20 ms with so many samples.
    pub const fn of_frame(samples: usize) -> Rate {
        if samples > Rate::Narrow.frame() { Rate::Wide } else { Rate::Narrow }
    }

    /// Samples that stand for one of 8 kHz: 1 or 2.
    pub const fn factor(self) -> usize {
        match self {
            Rate::Narrow => 1,
            Rate::Wide => 2,
        }
    }
}
