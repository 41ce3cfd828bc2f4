//! The target delay: how long packets wait so that 95 of 100 are there when their moment comes.
//!
//! A packet's *offset* is its arrival less its timestamp, both on the media clock. The least offset
//! of the last ten seconds is a packet that met no queue; how much later than that the others are
//! is counted in a histogram that forgets. All lengths are in RTP clock units.
//!
//! A lost packet whose copy comes with the next one is there a packet later than it should. Where
//! that happens to more than one in 50, all wait so much longer.

use super::Config;

#[derive(Debug)]
pub(super) struct DelayEstimator {
    units_per_bin: i64,
    half_frame: i64,
    min: i64,
    max: i64,
    /// How much the target may fall with one packet.
    fall: i64,
    /// Share of packets by relative delay; the sum is `weight`.
    bins: [f32; BINS],
    weight: f32,
    /// Packets lost for one that came, on the same scale as `weight`; `None` where none has a copy.
    lost: Option<f32>,
    target: i64,
    base: WindowedMin,
}

impl DelayEstimator {
    pub(super) fn new(config: &Config) -> DelayEstimator {
        let clock = i64::from(config.clock_rate);
        let units = |d: std::time::Duration| (d.as_micros() as i64) * clock / 1_000_000;
        DelayEstimator {
            units_per_bin: clock * BIN_MS / 1000,
            half_frame: clock / 100,
            min: units(config.min_delay),
            max: units(config.max_delay),
            fall: clock / 5000,
            bins: [0.0; BINS],
            weight: 0.0,
            lost: config.copies.then_some(0.0),
            target: units(config.start_delay),
            base: WindowedMin::new(clock),
        }
    }

    /// Counts a packet that arrived at `now` and bears the time `timestamp`; so many before it are missing, or
    /// -1 when it is one that was.
    pub(super) fn observe(&mut self, now: i64, timestamp: i64, missing: i64) {
        let offset = now - timestamp;
        let restart = self.base.least().is_some_and(|b| (offset - b).abs() > self.base.window * 5);
        if restart {
            self.base.clear();
        }
        self.base.observe(now, offset);
        let late = offset - self.base.least().unwrap_or(offset);
        let bin = (late / self.units_per_bin).clamp(0, BINS as i64 - 1) as usize;
        for share in &mut self.bins {
            *share *= FORGET;
        }
        self.bins[bin] += 1.0 - FORGET;
        self.weight = self.weight * FORGET + (1.0 - FORGET);
        if let Some(lost) = &mut self.lost {
            // A burst is one loss: only its last packet has a copy that comes in time.
            *lost = (*lost * FORGET + (1.0 - FORGET) * missing.min(1) as f32).max(0.0);
        }
        let copies = self.lost.is_some_and(|lost| lost > self.weight * LOSSES);
        let copy = if copies { 2 * self.half_frame } else { 0 };
        let measured = (self.percentile() + self.half_frame + copy).clamp(self.min, self.max);
        // Up at once, since each packet too late is heard. Down by 10 ms a second, and faster from
        // far above: a burst at the start of a call must not leave it slow for the next 20 s.
        let fall = self.fall.max((self.target - measured) / 100);
        self.target = measured.max(self.target - fall).max(self.min);
    }

    /// Forgets where the stream stood, not how it jitters: it started again.
    pub(super) fn restart(&mut self) {
        self.base.clear();
    }

    /// The delay aimed at, against the packet that met no queue.
    pub(super) fn target(&self) -> i64 {
        self.target
    }

    /// The most delay ever kept.
    pub(super) fn most(&self) -> i64 {
        self.max
    }

    /// The delay a packet of this timestamp has when played at `now`, on the same scale.
    pub(super) fn delay(&self, now: i64, timestamp: i64) -> i64 {
        now - timestamp - self.base.least().unwrap_or(0)
    }

    /// The upper end of the bin the 95th of 100 packets is in.
    fn percentile(&self) -> i64 {
        let mut later = self.weight * (1.0 - QUANTILE);
        for (bin, share) in self.bins.iter().enumerate().rev() {
            later -= share;
            if later < 0.0 {
                return (bin as i64 + 1) * self.units_per_bin;
            }
        }
        self.units_per_bin
    }
}

/// The least value of the last ten seconds, in steps of one.
#[derive(Debug)]
struct WindowedMin {
    /// One second.
    window: i64,
    started: i64,
    least: [Option<i64>; WINDOWS],
}

impl WindowedMin {
    fn new(window: i64) -> WindowedMin {
        WindowedMin { window, started: 0, least: [None; WINDOWS] }
    }

    fn observe(&mut self, now: i64, value: i64) {
        if now - self.started >= self.window {
            let passed = (now - self.started) / self.window;
            let shift = usize::try_from(passed).unwrap_or(WINDOWS).min(WINDOWS);
            self.least.rotate_right(shift);
            self.least[..shift].fill(None);
            self.started += passed * self.window;
        }
        self.least[0] = Some(self.least[0].map_or(value, |least| least.min(value)));
    }

    fn least(&self) -> Option<i64> {
        self.least.iter().flatten().min().copied()
    }

    fn clear(&mut self) {
        self.least = [None; WINDOWS];
    }
}

const BIN_MS: i64 = 5;
/// Up to 500 ms; later than that is counted there.
const BINS: usize = 100;
const QUANTILE: f32 = 0.95;
/// Share of lost packets from which on their copies are waited for.
const LOSSES: f32 = 0.02;
/// Half of what is known is older than 350 packets, 7 s.
const FORGET: f32 = 0.998;
const WINDOWS: usize = 10;

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `n` packets of 20 ms at 8 kHz, each late by `late(i)` ms, from packet `from`.
    fn feed(delay: &mut DelayEstimator, from: i64, n: i64, late: impl Fn(i64) -> i64) {
        for i in from..from + n {
            delay.observe(i * 160 + late(i) * 8, i * 160 + 5_000_000, 0);
        }
    }

    fn target_ms(delay: &DelayEstimator) -> i64 {
        delay.target() / 8
    }

    #[test]
    fn the_target_is_what_95_of_100_packets_need() {
        // (lateness of packet i in ms, least and most target in ms)
        type Row = (&'static str, fn(i64) -> i64, i64, i64);
        let rows: [Row; 5] = [
            ("steady", |_| 0, 20, 20),
            ("every other 30 ms late", |i| i % 2 * 30, 40, 50),
            ("one of 50 late by 100 ms does not count", |i| i64::from(i % 50 == 0) * 100, 20, 25),
            ("one of 10 late by 100 ms does", |i| i64::from(i % 10 == 0) * 100, 110, 120),
            ("never above the most", |i| i % 2 * 400, 200, 200),
        ];
        for (name, late, least, most) in rows {
            let mut delay = DelayEstimator::new(&Config::new(8000));
            feed(&mut delay, 0, 2000, late);
            let ms = target_ms(&delay);
            assert!((least..=most).contains(&ms), "{name}: {ms} ms");
        }
    }

    #[test]
    fn it_rises_within_a_second_and_falls_by_10_ms_a_second() {
        let mut delay = DelayEstimator::new(&Config::new(8000));
        feed(&mut delay, 0, 1000, |_| 0);
        assert_eq!(target_ms(&delay), 20);
        feed(&mut delay, 1000, 50, |i| i % 2 * 80);
        assert!(target_ms(&delay) >= 90, "{}", target_ms(&delay));
        feed(&mut delay, 1050, 50, |_| 0);
        assert!(target_ms(&delay) >= 80, "{}", target_ms(&delay));
        feed(&mut delay, 1100, 2500, |_| 0);
        assert_eq!(target_ms(&delay), 20);
    }

    #[test]
    fn copies_of_lost_packets_are_waited_for_where_they_are_lost() {
        // (one lost of so many, target in ms)
        for (copies, every, wanted) in
            [(true, 10, 35), (true, 20, 35), (true, 100, 20), (false, 10, 20)]
        {
            let mut delay = DelayEstimator::new(&Config { copies, ..Config::new(8000) });
            for i in (0..3000).filter(|i| i % every != 0) {
                delay.observe(i * 160, i * 160, i64::from(i % every == 1));
            }
            assert_eq!(target_ms(&delay), wanted, "copies {copies}, one of {every} lost");
            feed(&mut delay, 3000, 1000, |_| 0);
            assert_eq!(target_ms(&delay), 20, "nothing is lost any more");
        }
        // One that was overtaken is not lost.
        let mut delay = DelayEstimator::new(&Config { copies: true, ..Config::new(8000) });
        for i in (0..1000).map(|i| i * 3) {
            delay.observe(i * 160, i * 160, 0);
            delay.observe(i * 160 + 322, i * 160 + 320, 1);
            delay.observe(i * 160 + 323, i * 160 + 160, -1);
        }
        assert!(target_ms(&delay) <= 35, "{}", target_ms(&delay));
    }

    #[test]
    fn drift_and_a_slower_path_move_the_base() {
        let mut delay = DelayEstimator::new(&Config::new(8000));
        // 500 ppm: 10 ms in 20 s.
        feed(&mut delay, 0, 3000, |i| i / 100);
        assert!(target_ms(&delay) <= 25, "{}", target_ms(&delay));
        feed(&mut delay, 3000, 3000, |_| 130);
        assert_eq!(target_ms(&delay), 20, "100 ms more for all is no jitter after 10 s");
    }
}
