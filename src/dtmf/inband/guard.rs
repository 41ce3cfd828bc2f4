//! Keeps a leg's tones out of the sound that goes on from it. A digit that is heard goes on another way;
//! what is left of its tone in the sound would be a second one to whoever listens for tones.
//!
//! The detector hears packets as they come and knows a tone late where some are lost; the guard looks at
//! what is about to go out, what conceals a loss in it, and needs but one window to keep it back:
//!
//! ```text
//! sound   speech |.....tone|tone......|tone......|tone..    |speech
//! sent    speech |.....tone|          |          |          |          |       |speech
//! ```

use super::analysis::Analysis;

/// Keeps tones out of the sound of one leg.
#[derive(Debug)]
pub struct ToneGuard {
    analysis: Analysis,
    /// Frames to be kept back still.
    held: u32,
    narrow: [i16; FRAME],
}

impl ToneGuard {
    /// A guard that has heard nothing.
    pub fn new() -> ToneGuard {
        ToneGuard { analysis: Analysis::new(), held: 0, narrow: [0; FRAME] }
    }

    /// Takes the next 20 ms at 8 or 16 kHz and makes silence of them where they are, or just may be, part
    /// of a digit's tone.
    pub fn pass(&mut self, frame: &mut [i16]) {
        if let Ok(narrow) = <[i16; FRAME]>::try_from(&*frame) {
            self.narrow = narrow;
        } else {
            let (pairs, _) = frame.as_chunks();
            for (sample, [one, other]) in self.narrow.iter_mut().zip(pairs) {
                *sample = i16::midpoint(*one, *other);
            }
        }
        for part in self.narrow.chunks(HOP) {
            self.analysis.slide(part);
            if self.analysis.hit().is_some() {
                self.held = HELD;
            }
        }
        if self.held > 0 {
            self.held -= 1;
            frame.fill(0);
        }
    }
}

impl Default for ToneGuard {
    fn default() -> ToneGuard {
        ToneGuard::new()
    }
}

/// Samples of 20 ms.
const FRAME: usize = 160;
/// Samples from window to window: the last one of a frame ends with it.
const HOP: usize = 80;
/// Frames that are kept back from a hit on. What a loss has torn looks like no tone.
const HELD: u32 = 4;

#[cfg(test)]
#[path = "guard_tests.rs"]
mod tests;
