//! What a recorder gets of a bridge: the page as the trunk hears it, the trunk in the same 20 ms.

use std::time::Instant;

use super::Bridge;
use crate::dtmf::{DigitEvent, Mode, Phase};
use crate::media::{Hold, LegSide, Recorder};

impl Bridge {
    /// Both sides are recorded from now on, or no more.
    pub(in crate::media) fn record(&mut self, recorder: Option<Box<dyn Recorder>>) {
        if self.line.is_none() {
            // The trunk's sound has not been collected until now, or is not any more.
            self.hearing = None;
        }
        self.recorder = recorder;
    }

    /// One interval of a bridge without a line: `frame` has what the page says.
    pub(super) fn record_frame(&mut self, now: Instant) {
        let hearing_of = self.hearing_of_trunk(now);
        let Some(recorder) = &mut self.recorder else { return };
        let length = self.frame.len();
        match &mut self.hearing {
            Some(hearing) => hearing.frame(now, hearing_of, &mut self.heard),
            None => self.heard.clear(),
        }
        if self.hold == Hold::On {
            // The page does not hear the trunk, and nobody else does.
            self.heard.clear();
        }
        self.heard.resize(length, 0);
        recorder.frame(&self.frame, &self.heard);
    }

    /// A step of a digit: tones are no part of a recording, for digits are secrets.
    pub(super) fn record_digit(&mut self, from: LegSide, event: &DigitEvent) {
        if let Some(recorder) = self.recorder.as_mut()
            && event.mode == Mode::Inband
            && event.phase == Phase::Start
        {
            recorder.tone(from);
        }
    }
}
