//! A caller that presses every key once, 100 ms each with 100 ms between them, in one way: what the
//! self-test measures from trunk to trunk.

use std::time::{Duration, Instant};

use super::program::Action;
use crate::base::Digit;
use crate::codec::FRAME;
use crate::dtmf::{EncoderInput, InbandEncoder, Mode, ToneItem};

/// The keys of one call, counted in frames of 20 ms.
#[derive(Debug)]
pub(super) struct Keypad {
    mode: Mode,
    frames: usize,
    tones: InbandEncoder,
}

impl Keypad {
    pub fn new(mode: Mode) -> Keypad {
        Keypad { mode, frames: 0, tones: InbandEncoder::new(TONE, GAP) }
    }

    /// The next 20 ms, and what is to be done beside them. Events are sent by the stream, which asks
    /// for no frame meanwhile.
    pub fn frame(&mut self, now: Instant, pcm: &mut [i16; FRAME]) -> Option<Action> {
        pcm.fill(0);
        let at = self.frames;
        self.frames += 1;
        if at == QUIET + Digit::ALL.len() * (ON + OFF) + PATIENCE {
            return Some(Action::Finish);
        }
        let since = at.checked_sub(QUIET)?;
        let key = Digit::ALL.get(since / (ON + OFF)).copied();
        let into = since % (ON + OFF);
        match self.mode {
            Mode::Inband => {
                if since == 0 {
                    let item = |digit| ToneItem::Digit { digit, duration: TONE, gap: GAP };
                    let items = Digit::ALL.map(item);
                    let send = EncoderInput::Send { source: Mode::Client, items: &items };
                    // Sixteen keys find room.
                    let _ = self.tones.handle_input(now, send);
                }
                self.tones.fill(now, pcm);
                None
            }
            // An INFO tells of a key that has come up.
            Mode::Info => key.filter(|_| into == ON).map(Action::SendInfo),
            Mode::Rfc4733 | Mode::Client => {
                (since == 0).then(|| Action::SendDigits(Digit::ALL.to_vec()))
            }
        }
    }
}

/// The first sound is the buffers' to settle: 0.6 s.
const QUIET: usize = 30;
const ON: usize = 5;
const OFF: usize = 5;
const TONE: Duration = Duration::from_millis(20 * ON as u64);
const GAP: Duration = Duration::from_millis(20 * OFF as u64);
/// What is on its way gets 3 s: each INFO waits for the answer to the last.
const PATIENCE: usize = 150;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;
    use crate::dtmf::{InbandDetector, Output, Phase};

    fn run(mode: Mode) -> (Vec<(char, u64)>, Vec<Action>) {
        let (mut keypad, mut detector) = (Keypad::new(mode), InbandDetector::new());
        let (mut heard, mut actions, mut pcm) = (Vec::new(), Vec::new(), [0; FRAME]);
        for n in 1.. {
            let now = epoch() + Duration::from_millis(20 * n);
            let action = keypad.frame(now, &mut pcm);
            detector.handle_input(now, &pcm);
            while let Output::Digit(event) = detector.poll_output() {
                if let Phase::End(_) = event.phase {
                    heard.push((event.digit.as_char(), event.duration.as_millis() as u64));
                }
            }
            match action {
                Some(Action::Finish) => break,
                action => actions.extend(action),
            }
        }
        (heard, actions)
    }

    #[test]
    fn every_key_is_pressed_once_in_the_way_asked_for() {
        let all = Digit::ALL.map(Digit::as_char);
        let (heard, actions) = run(Mode::Inband);
        assert_eq!(heard.iter().map(|key| key.0).collect::<Vec<_>>(), all);
        assert!(heard.iter().all(|key| key.1.abs_diff(100) <= 12), "{heard:?}");
        assert_eq!(actions, []);
        let infos = Digit::ALL.map(Action::SendInfo).to_vec();
        assert_eq!(run(Mode::Info), (vec![], infos));
        let events = vec![Action::SendDigits(Digit::ALL.to_vec())];
        assert_eq!(run(Mode::Rfc4733), (vec![], events));
    }
}
