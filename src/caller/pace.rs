//! How well a call keeps time: what this machine does to a call is not the far side's fault. Pure.

use std::time::{Duration, Instant};

/// How far a call's clock of frames was behind the wall's: this machine's own doing.
#[derive(Debug, Default)]
pub(super) struct Pace {
    start: Option<Instant>,
    ticks: u32,
    worst: Duration,
}

impl Pace {
    /// A frame is due.
    pub fn tick(&mut self, now: Instant) {
        let start = *self.start.get_or_insert(now);
        let behind = now.saturating_duration_since(start).saturating_sub(FRAME_TIME * self.ticks);
        self.ticks += 1;
        self.worst = self.worst.max(behind);
    }

    /// For the sentence of a step that fails: it may not be the far side's fault.
    pub fn words(&self) -> Option<String> {
        let ms = self.worst.as_millis();
        (self.worst >= HELD_UP)
            .then(|| format!("{HELD_UP_WORDS} for {ms} ms: run fewer at once (--parallel)"))
    }
}

/// How every such sentence begins.
pub(super) const HELD_UP_WORDS: &str = "this machine was held up";
/// A frame.
pub(super) const FRAME_TIME: Duration = Duration::from_millis(20);
/// Beyond this a far side that answers at once looks late, and sound has gaps.
const HELD_UP: Duration = Duration::from_millis(400);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;

    #[test]
    fn a_machine_that_holds_a_call_up_says_so() {
        let mut pace = Pace::default();
        let at = |ms: u64| epoch() + Duration::from_millis(ms);
        for ms in (0..1000).step_by(20) {
            pace.tick(at(ms + 15));
        }
        assert_eq!(pace.words(), None);
        // Late by 700 ms, then made up for.
        (0..40).for_each(|_| pace.tick(at(1700)));
        let words = pace.words().unwrap();
        assert!(words.starts_with("this machine was held up for 6"), "{words}");
    }
}
