//! What happened to a call's digits, kept in memory with the call: the proof of what was sent. The
//! key itself is a secret and shows in no text made of it.

use std::collections::VecDeque;
use std::time::Duration;

use jiff::Timestamp;

use crate::call::{Quality, State};
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
    /// A message between a page and the gateway.
    Signal {
        /// Who sent it.
        from: Speaker,
        /// Its type.
        name: &'static str,
    },
    /// A step of a leg's media.
    Media {
        /// The leg.
        leg: LegSide,
        /// What was reached or lost.
        name: &'static str,
    },
    /// Where the call is from here on.
    State(State),
}

/// Who sends a message of signalling.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speaker {
    /// The page.
    Page,
    /// The gateway.
    Gateway,
}

/// The newest things of a call, with the time since its start.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Timeline {
    began: Timestamp,
    quality: Vec<(Duration, Quality)>,
    /// How many measures make one that is kept.
    thinning: u32,
    measures: u32,
    entries: VecDeque<(Duration, Entry)>,
    forgotten: u64,
}

impl Timeline {
    /// Of a call that begins now.
    pub(super) fn new(began: Timestamp) -> Timeline {
        Timeline { began, ..Timeline::default() }
    }

    /// When the call began.
    pub fn began(&self) -> Timestamp {
        self.began
    }

    /// Adds how both sides sound. Beyond 720 measures every second one is forgotten, and from then on
    /// only every second one is kept: a call of any length has a curve.
    pub(super) fn sounds(&mut self, at: Duration, quality: Quality) {
        self.measures += 1;
        if !self.measures.is_multiple_of(1 << self.thinning.min(31)) {
            return;
        }
        if self.quality.len() >= MOST_MEASURES {
            let mut n = 0;
            self.quality.retain(|_| {
                n += 1;
                n % 2 == 0
            });
            self.thinning += 1;
        }
        self.quality.push((at, quality));
    }

    /// How both sides sounded, oldest first.
    pub fn quality(&self) -> &[(Duration, Quality)] {
        &self.quality
    }

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
/// An hour at one every 5 s.
const MOST_MEASURES: usize = 720;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::Digit;

    #[test]
    fn a_call_of_any_length_has_a_curve() {
        let mut timeline = Timeline::default();
        for second in 0..100_000 {
            timeline.sounds(Duration::from_secs(second), Quality::default());
        }
        let kept: Vec<u64> = timeline.quality().iter().map(|(at, _)| at.as_secs()).collect();
        assert!((300..=721).contains(&kept.len()), "{}", kept.len());
        assert!(kept.is_sorted() && kept[0] < 500 && *kept.last().unwrap() > 99_000);
    }

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
