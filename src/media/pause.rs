//! Discontinuous transmission toward a browser: what becomes of a frame while nobody talks.
//!
//! ```text
//! trunk    talk talk | 240 ms of hangover | silence ...        20 frames later      | talk
//! sent     coded ... | coded              | head, nothing ...  coded, head, nothing | coded, marked
//! ```
//!
//! The head of a packet without a frame (RFC 6716 3.2.1) tells the decoder that a pause begins, so
//! that it makes noise like the last frames instead of concealing a loss. A frame is coded now and
//! then, so that the noise stays like that of the room.

use crate::codec::ActivityDetector;

/// What to do with a frame.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sending {
    /// Code it and send it.
    Coded,
    /// Send the head of the last packet alone.
    Head,
    /// Send nothing.
    Nothing,
}

/// The pauses of one stream.
#[derive(Debug, Default)]
pub(super) struct Pauses {
    detector: ActivityDetector,
    /// Frames since the last one of talk.
    silent: u32,
    /// Frames of a pause that is known to be one, coded for the decoder to learn the noise.
    learnt: u32,
}

/// 240 ms: what a decoder learns the noise from, where no talk was before it.
const LEARNT: u32 = 12;
/// 400 ms, as libopus itself refreshes.
const REFRESH: u32 = 20;

impl Pauses {
    /// What to do with this frame.
    pub(super) fn sending(&mut self, pcm: &[i16]) -> Sending {
        if self.detector.is_talk(pcm) {
            (self.silent, self.learnt) = (0, 0);
            return Sending::Coded;
        }
        self.silence()
    }

    /// What to do with a frame of noise that was made for a pause.
    pub(super) fn noise(&mut self) -> Sending {
        if self.silent == 0 && self.learnt < LEARNT {
            self.learnt += 1;
            return Sending::Coded;
        }
        self.silence()
    }

    fn silence(&mut self) -> Sending {
        let frame = self.silent % REFRESH;
        self.silent += 1;
        match (frame, self.silent) {
            (0, 1) => Sending::Head,
            (0, _) => Sending::Coded,
            (1, 2) => Sending::Nothing,
            (1, _) => Sending::Head,
            _ => Sending::Nothing,
        }
    }

    /// Another feed: it begins with talk.
    pub(super) fn restart(&mut self) {
        *self = Self::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::FRAME;

    #[test]
    fn a_pause_begins_with_a_head_and_is_refreshed() {
        let mut pauses = Pauses::default();
        let loud: [i16; FRAME] = std::array::from_fn(|n| if n % 16 < 8 { 3000 } else { -3000 });
        assert_eq!(pauses.sending(&loud), Sending::Coded);
        let sent: Vec<Sending> = (0..60).map(|_| pauses.sending(&[0; FRAME])).collect();
        let first = sent.iter().position(|s| *s != Sending::Coded).unwrap();
        assert!((8..14).contains(&first), "{first} frames of hangover");
        assert_eq!(sent[first], Sending::Head);
        assert!(sent[first + 1..first + 20].iter().all(|s| *s == Sending::Nothing));
        assert_eq!(sent[first + 20..first + 23], [Sending::Coded, Sending::Head, Sending::Nothing]);
        assert_eq!(pauses.sending(&loud), Sending::Coded, "at once");
    }
}
