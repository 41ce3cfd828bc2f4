//! What happened to a call's digits, kept in memory with the call: the proof of what was sent. The
//! key itself is a secret and shows in no text made of it.

use std::collections::VecDeque;
use std::time::Duration;

use crate::dtmf::{Mode, Receipt};
use crate::media::{DigitWay, LegSide};

/// One thing that happened. `Debug` never shows a key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// How digits go to the trunk from here on.
    DigitWay(DigitWay),
    /// A leg has sent a digit.
    DigitHeard {
        /// The leg.
        from: LegSide,
        /// How it came.
        mode: Mode,
        /// How long it was.
        length: Duration,
    },
    /// A digit is out on the trunk.
    DigitSent(Receipt),
    /// Digits toward the trunk that no sender took.
    DigitsLost,
}

/// The newest things of a call, with the time since its start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Timeline {
    entries: VecDeque<(Duration, Entry)>,
    forgotten: u64,
}

impl Timeline {
    /// Adds what happened at `at` after the call's start; beyond 256 entries the oldest goes.
    pub(super) fn push(&mut self, at: Duration, entry: Entry) {
        if self.entries.len() == MOST {
            self.entries.pop_front();
            self.forgotten += 1;
        }
        self.entries.push_back((at, entry));
    }

    /// What is kept, oldest first.
    pub fn entries(&self) -> impl Iterator<Item = &(Duration, Entry)> {
        self.entries.iter()
    }

    /// How many entries are kept no more.
    pub fn forgotten(&self) -> u64 {
        self.forgotten
    }
}

/// A call with an answering machine's menu has dozens.
const MOST: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Digit;

    #[test]
    fn the_newest_are_kept_and_no_text_shows_a_key() {
        let mut timeline = Timeline::default();
        for key in (0..300).map(|n| Digit::ALL[n % 16]) {
            let receipt = Receipt {
                digit: key,
                source: Mode::Client,
                source_duration: None,
                mode: Mode::Info,
                clock_rate: 0,
                payload_type: 0,
                packets: 0,
                end_copies: 0,
                tone: Duration::ZERO,
                gap: Duration::ZERO,
                info_status: None,
                delay: Duration::ZERO,
            };
            timeline.push(Duration::ZERO, Entry::DigitSent(receipt));
        }
        assert_eq!((timeline.entries().count(), timeline.forgotten()), (256, 44));
        let text = format!("{timeline:?}");
        assert_eq!(text.matches("Digit(_)").count(), 256);
    }
}
