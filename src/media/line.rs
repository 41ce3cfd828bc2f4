//! What a leg talks to where there is no second leg: a menu, a recorder, another call.

use std::collections::VecDeque;
use std::fmt::Debug;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use super::LegSide;
use crate::codec::FRAME;
use crate::dtmf::DigitEvent;

/// Stands in the place of the other leg: hears and speaks 20 ms at a time, on the worker's tick. It
/// must not block, and after its beginning not allocate.
pub trait Line: Debug + Send {
    /// A step of a digit of the leg.
    fn digit(&mut self, event: &DigitEvent);

    /// Whether it hears and speaks at 16 kHz as well, for a leg that has it.
    fn is_wide(&self) -> bool {
        false
    }

    /// The leg's 20 ms, and over what `out` held what the leg is to hear: 160 samples each or, at 16 kHz,
    /// 320.
    fn frame(&mut self, heard: &[i16], out: &mut [i16]);

    /// A step of a digit for the leg.
    fn poll_digit(&mut self) -> Option<DigitEvent> {
        None
    }
}

/// Takes what both sides of a session say, 20 ms at a time, on the worker's tick. It must not block,
/// and after its beginning not allocate. A recording, and nothing that is heard.
pub trait Recorder: Debug + Send {
    /// What the page's side says and what the trunk's side says, 160 samples each or, at 16 kHz, 320. A
    /// line is the side that has no leg.
    fn frame(&mut self, browser: &[i16], trunk: &[i16]);

    /// A digit of this side was a tone: what was said the last 100 ms is not to be kept.
    fn tone(&mut self, from: LegSide);
}

/// One end of a pipe between two media sessions, each in its own worker: what one end hears the other
/// one says.
#[derive(Debug)]
pub struct PipeEnd {
    out: SyncSender<[i16; FRAME]>,
    sound: Receiver<[i16; FRAME]>,
    digits_out: SyncSender<DigitEvent>,
    digits: Receiver<DigitEvent>,
    waiting: VecDeque<[i16; FRAME]>,
    /// Sound is collected before it is played, so that two ticks that drift against each other by a
    /// little leave no gaps.
    filling: bool,
}

/// Both ends of a pipe. Sound that nobody takes is dropped after 80 ms, digits after 64 steps.
pub fn pipe() -> (PipeEnd, PipeEnd) {
    let (a_out, b_in) = sync_channel(MOST_FRAMES);
    let (b_out, a_in) = sync_channel(MOST_FRAMES);
    let (a_digits, b_listens) = sync_channel(MOST_DIGITS);
    let (b_digits, a_listens) = sync_channel(MOST_DIGITS);
    let end = |out, sound, digits_out, digits| PipeEnd {
        out,
        sound,
        digits_out,
        digits,
        waiting: VecDeque::with_capacity(2 * MOST_FRAMES),
        filling: true,
    };
    (end(a_out, a_in, a_digits, a_listens), end(b_out, b_in, b_digits, b_listens))
}

impl Line for PipeEnd {
    fn digit(&mut self, event: &DigitEvent) {
        // A full queue is that of a leg which takes no digits.
        let _ = self.digits_out.try_send(*event);
    }

    fn frame(&mut self, heard: &[i16], out: &mut [i16]) {
        let mut frame = [0; FRAME];
        let count = heard.len().min(FRAME);
        frame[..count].copy_from_slice(&heard[..count]);
        // A full queue is an other side that is not there yet, or not any more.
        let _ = self.out.try_send(frame);
        while let Ok(frame) = self.sound.try_recv() {
            if self.waiting.len() == MOST_FRAMES {
                self.waiting.pop_front();
            }
            self.waiting.push_back(frame);
        }
        if self.filling && self.waiting.len() < DEPTH {
            return out.fill(0);
        }
        self.filling = self.waiting.is_empty();
        match self.waiting.pop_front() {
            Some(frame) => {
                let count = out.len().min(FRAME);
                out[..count].copy_from_slice(&frame[..count]);
            }
            None => out.fill(0),
        }
    }

    fn poll_digit(&mut self) -> Option<DigitEvent> {
        self.digits.try_recv().ok()
    }
}

/// Frames that wait before the first is played: 40 ms.
const DEPTH: usize = 2;
const MOST_FRAMES: usize = 4;
const MOST_DIGITS: usize = 64;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_end_hears_the_other_says_40_ms_later() {
        let (mut a, mut b) = pipe();
        let mut heard = Vec::new();
        for n in 1..=10i16 {
            let mut out = [9; FRAME];
            a.frame(&[n; FRAME], &mut out);
            assert_eq!(out[0], 0, "nothing was said at the other end");
            b.frame(&[0; FRAME], &mut out);
            heard.push(out[0]);
        }
        assert_eq!(heard, [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
        // An end that nobody listens to does not stop the other, and holds no old sound.
        for n in 11..=40i16 {
            a.frame(&[n; FRAME], &mut [0; FRAME]);
        }
        let mut out = [0; FRAME];
        b.frame(&[0; FRAME], &mut out);
        assert!(out[0] >= 10, "{}", out[0]);
    }
}
