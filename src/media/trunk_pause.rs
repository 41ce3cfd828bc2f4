//! The page's pauses toward a trunk that has agreed on comfort noise (RFC 3389): in their place goes,
//! now and then, a description of the noise in them.
//!
//! ```text
//! page   talk talk | 240 ms of hangover | silence ...           400 ms later         | talk
//! sent   sound ... | sound              | described, nothing ... described, nothing  | sound, marked
//! ```
//!
//! What counts is what would be sent: a page that says itself that it is silent (Opus DTX), one whose
//! packets are lost, and the noise of a hold are pauses as well.

use crate::codec::{ActivityDetector, NoiseMeter};

/// What to do with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    /// Send its sound.
    Sound,
    /// Describe the noise.
    Description,
    /// Send nothing.
    Nothing,
}

/// The pauses of one stream.
#[derive(Debug, Default)]
pub(super) struct TrunkPauses {
    detector: ActivityDetector,
    meter: NoiseMeter,
    /// Frames since the last one of talk.
    silent: u32,
}

/// 400 ms: often enough for a firewall and for a listener to follow the room, a fiftieth of the sound.
const REFRESH: u32 = 20;

impl TrunkPauses {
    /// What to do with this frame.
    pub(super) fn sending(&mut self, pcm: &[i16]) -> Sending {
        if self.detector.is_talk(pcm) {
            self.silent = 0;
            return Sending::Sound;
        }
        self.meter.hear(pcm);
        let due = self.silent.is_multiple_of(REFRESH);
        self.silent = self.silent.wrapping_add(1);
        if due { Sending::Description } else { Sending::Nothing }
    }

    /// Writes the payload of the noise over what `out` held.
    pub(super) fn describe(&self, out: &mut Vec<u8>) {
        self.meter.description().write(out);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::FRAME;

    #[test]
    fn a_pause_is_described_at_its_start_and_now_and_then() {
        let mut pauses = TrunkPauses::default();
        let loud: [i16; FRAME] = std::array::from_fn(|n| if n % 16 < 8 { 3000 } else { -3000 });
        assert_eq!(pauses.sending(&loud), Sending::Sound);
        let sent: Vec<Sending> = (0..60).map(|_| pauses.sending(&[0; FRAME])).collect();
        let first = sent.iter().position(|s| *s != Sending::Sound).unwrap();
        assert!((8..14).contains(&first), "{first} frames of hangover");
        for (n, sending) in sent[first..].iter().enumerate() {
            let due = if n % 20 == 0 { Sending::Description } else { Sending::Nothing };
            assert_eq!(*sending, due, "frame {n} of the pause");
        }
        assert_eq!(pauses.sending(&loud), Sending::Sound, "at once");
    }
}
