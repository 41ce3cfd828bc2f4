//! How busy a worker is: measured by it once a second, read by the pool that places new calls.
//!
//! ```text
//! busy      0 %      45 %          75 %        85 %
//!           | raises  |  as it is   |  lowers   |  and takes no new call
//!           | Opus' complexity      |
//! ```

use std::sync::atomic::{AtomicU8, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Upper ends of the counted lateness in microseconds; what is later is in one class more. They are
/// those of the metric `media_tick_late_seconds`.
pub(in crate::media) const LATE_US: [u64; 8] =
    [500, 1_000, 2_000, 5_000, 10_000, 20_000, 50_000, 100_000];

/// What a worker tells the pool while it runs.
#[derive(Debug, Default)]
pub(in crate::media) struct Load {
    /// How late its deadlines are met, in microseconds, averaged.
    late_us: AtomicU64,
    /// Ticks by lateness, and the sum of it in microseconds.
    late: [AtomicU64; LATE_US.len() + 1],
    late_sum_us: AtomicU64,
    /// Share of the last second that it worked, in thousandths.
    busy: AtomicU32,
    /// Calls placed since that was measured.
    fresh: AtomicU32,
    /// The complexity of Opus it has come to.
    complexity: AtomicU8,
    panics: AtomicU64,
    dropped: AtomicU64,
}

impl Load {
    pub(in crate::media) fn late_us(&self) -> u64 {
        self.late_us.load(Ordering::Relaxed)
    }

    /// Ticks by lateness as in [`LATE_US`], and the sum of it in microseconds.
    pub(in crate::media) fn late(&self) -> ([u64; LATE_US.len() + 1], u64) {
        let counts = std::array::from_fn(|n| self.late[n].load(Ordering::Relaxed));
        (counts, self.late_sum_us.load(Ordering::Relaxed))
    }

    pub(in crate::media) fn busy(&self) -> u32 {
        self.busy.load(Ordering::Relaxed)
    }

    /// How busy it will be with the calls that were placed since it measured, in thousandths.
    pub(in crate::media) fn expected(&self) -> u32 {
        let fresh = self.fresh.load(Ordering::Relaxed);
        self.busy().saturating_add(fresh.saturating_mul(CALL))
    }

    /// Whether it may get one more call.
    pub(in crate::media) fn takes_more(&self) -> bool {
        self.late_us() < TOO_LATE_US && self.expected() < FULL
    }

    pub(in crate::media) fn placed(&self) {
        self.fresh.fetch_add(1, Ordering::Relaxed);
    }

    pub(in crate::media) fn complexity(&self) -> u8 {
        self.complexity.load(Ordering::Relaxed)
    }

    pub(in crate::media) fn panics(&self) -> u64 {
        self.panics.load(Ordering::Relaxed)
    }

    pub(in crate::media) fn dropped(&self) -> u64 {
        self.dropped.load(Ordering::Relaxed)
    }

    pub(super) fn panicked(&self) {
        self.panics.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn drop_more(&self, dropped: u64) {
        self.dropped.fetch_add(dropped, Ordering::Relaxed);
    }

    /// A tick came so late.
    pub(super) fn tick(&self, late: Duration) {
        let late = u64::try_from(late.as_micros()).unwrap_or(u64::MAX);
        let class = LATE_US.partition_point(|end| late > *end);
        // One writer: a load and a store are enough, and cost no locked instruction.
        let add = |counter: &AtomicU64, more: u64| {
            counter.store(counter.load(Ordering::Relaxed).wrapping_add(more), Ordering::Relaxed);
        };
        add(&self.late[class], 1);
        add(&self.late_sum_us, late);
        // The last hundred or so.
        let before = self.late_us.load(Ordering::Relaxed);
        let average = (before.saturating_mul(99).saturating_add(late)) / 100;
        self.late_us.store(average, Ordering::Relaxed);
    }

    /// No call is left: nothing is late.
    pub(super) fn rest(&self) {
        self.late_us.store(0, Ordering::Relaxed);
    }
}

/// The worker's own measure of its work.
#[derive(Debug)]
pub(super) struct Meter {
    started: Instant,
    woke: Instant,
    busy: Duration,
    /// The complexity asked for, the least that load may bring it to, and what it is.
    most: u8,
    least: u8,
    complexity: u8,
    /// Windows in a row with little to do.
    calm: u32,
}

impl Meter {
    pub(super) fn new(now: Instant, most: u8, least: u8, load: &Load) -> Self {
        load.complexity.store(most, Ordering::Relaxed);
        let least = least.min(most);
        Self {
            started: now,
            woke: now,
            busy: Duration::ZERO,
            most,
            least,
            complexity: most,
            calm: 0,
        }
    }

    /// The worker has something to do.
    pub(super) fn wake(&mut self, now: Instant) {
        self.woke = now;
    }

    /// It waits again. Gives the complexity of Opus from now on when that has changed.
    pub(super) fn rest(&mut self, now: Instant, load: &Load) -> Option<u8> {
        self.busy += now.saturating_duration_since(self.woke);
        let window = now.saturating_duration_since(self.started);
        if window < WINDOW {
            return None;
        }
        let share = self.busy.as_micros() * 1000 / window.as_micros().max(1);
        let share = u32::try_from(share).unwrap_or(1000).min(1000);
        self.started = now;
        self.busy = Duration::ZERO;
        load.busy.store(share, Ordering::Relaxed);
        load.fresh.store(0, Ordering::Relaxed);
        self.calm = if share < CALM { self.calm + 1 } else { 0 };
        let before = self.complexity;
        if share > BUSY || load.late_us() > LATE {
            self.complexity =
                LEVELS.into_iter().rfind(|l| *l < before).unwrap_or(0).max(self.least);
        } else if self.calm >= CALM_WINDOWS {
            self.calm = 0;
            self.complexity = LEVELS.into_iter().find(|l| *l > before).unwrap_or(10).min(self.most);
        }
        load.complexity.store(self.complexity, Ordering::Relaxed);
        (self.complexity != before).then_some(self.complexity)
    }
}

/// Complexities that differ in their cost (measured: 33, 62, 87 and 99 us a frame).
const LEVELS: [u8; 4] = [0, 2, 5, 10];
const WINDOW: Duration = Duration::from_secs(1);
/// Of a second, in thousandths: above it Opus becomes simpler, below it better again, ...
const BUSY: u32 = 750;
const CALM: u32 = 450;
/// ... after as many seconds.
const CALM_WINDOWS: u32 = 10;
/// A worker as busy takes no new call: the rest is for those it has.
const FULL: u32 = 850;
/// What a call takes that has not been measured yet.
const CALL: u32 = 10;
/// A worker as late, in microseconds, takes no new call: half a packet interval, what a jitter
/// buffer still hides. Opus becomes simpler sooner.
const TOO_LATE_US: u64 = 10_000;
const LATE: u64 = 3_000;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;

    /// One second of which so many thousandths were work.
    fn second(meter: &mut Meter, load: &Load, now: &mut Instant, busy: u64) -> Option<u8> {
        meter.wake(*now);
        let mut changed = meter.rest(*now + Duration::from_millis(busy), load);
        *now += Duration::from_millis(1000);
        meter.wake(*now);
        changed = changed.or(meter.rest(*now, load));
        changed
    }

    #[test]
    fn complexity_steps_down_before_calls_are_refused_and_up_again_later() {
        let load = Load::default();
        let mut now = epoch();
        let mut meter = Meter::new(now, 5, 0, &load);
        assert_eq!(second(&mut meter, &load, &mut now, 500), None);
        assert!(load.takes_more() && load.busy() == 500);
        assert_eq!(second(&mut meter, &load, &mut now, 800), Some(2));
        assert!(load.takes_more(), "calls are taken still");
        assert_eq!(second(&mut meter, &load, &mut now, 900), Some(0));
        assert!(!load.takes_more());
        assert_eq!(second(&mut meter, &load, &mut now, 900), None, "there is nothing below 0");
        for _ in 0..9 {
            assert_eq!(second(&mut meter, &load, &mut now, 300), None);
        }
        assert_eq!(second(&mut meter, &load, &mut now, 300), Some(2));
        assert_eq!(load.complexity(), 2);
    }

    #[test]
    fn calls_placed_since_count_until_they_are_measured() {
        let load = Load::default();
        let mut now = epoch();
        let mut meter = Meter::new(now, 5, 5, &load);
        second(&mut meter, &load, &mut now, 700);
        for _ in 0..14 {
            assert!(load.takes_more());
            load.placed();
        }
        assert_eq!(load.expected(), 840);
        load.placed();
        assert!(!load.takes_more());
        assert_eq!(second(&mut meter, &load, &mut now, 800), None, "the least is 5");
        assert_eq!(load.expected(), 800);
    }

    #[test]
    fn lateness_is_counted_by_class() {
        let load = Load::default();
        for us in [0, 500, 501, 3_000, 200_000] {
            load.tick(Duration::from_micros(us));
        }
        assert_eq!(load.late(), ([2, 1, 0, 1, 0, 0, 0, 0, 1], 204_001));
        assert!(load.late_us() > 0);
        load.rest();
        assert_eq!(load.late_us(), 0);
    }
}
