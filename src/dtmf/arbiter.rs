//! One digit from several modes: a peer may send the same key as an RFC 4733 event, as an INFO and
//! as a tone. The first mode that reports it starts the digit at once; the others are absorbed, and
//! the best of them (4733, then INFO, then in-band) says when it ends.
//!
//! Two presses in one mode are never merged.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::{DigitEvent, DigitId, EndReason, Mode, Output, Phase};

/// Merges what the decoders of one leg report.
#[derive(Debug)]
pub struct Arbiter {
    presses: VecDeque<Press>,
    next_id: u64,
    outputs: VecDeque<DigitEvent>,
}

impl Arbiter {
    /// An arbiter for one leg.
    pub fn new() -> Arbiter {
        Arbiter {
            presses: VecDeque::with_capacity(MEMORY),
            next_id: 0,
            outputs: VecDeque::with_capacity(MEMORY),
        }
    }

    /// Takes a step of a press as one decoder reports it.
    pub fn handle_input(&mut self, now: Instant, event: DigitEvent) {
        if event.phase == Phase::Start {
            return self.start(now, event);
        }
        let Some(press) = self.presses.iter_mut().rev().find(|p| p.reports(event.mode, event.id))
        else {
            return;
        };
        // Only the leading mode says how long the key is down and when it is up.
        if press.ended || press.lead != event.mode {
            return;
        }
        if matches!(event.phase, Phase::End(_)) {
            press.ended = true;
            press.last = now;
        }
        let id = press.id;
        self.emit(DigitEvent { id, ..event });
    }

    /// The leg's peer is gone: every key that is down has been let go now.
    pub fn close(&mut self, now: Instant) {
        let mut down = Vec::new();
        for press in self.presses.iter_mut().filter(|press| !press.ended) {
            press.ended = true;
            press.last = now;
            down.push(DigitEvent {
                id: press.id,
                duration: now.saturating_duration_since(press.event.started_at),
                phase: Phase::End(EndReason::TimedOut),
                ..press.event
            });
        }
        down.into_iter().for_each(|event| self.emit(event));
    }

    /// The merged steps, then `Timeout(None)`: an arbiter has no clock of its own.
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().map_or(Output::Timeout(None), Output::Digit)
    }

    fn start(&mut self, now: Instant, event: DigitEvent) {
        let twin = self.presses.iter_mut().find(|p| p.could_be(now, &event));
        if let Some(press) = twin {
            press.modes[index(event.mode)] = Some(event.id);
            if index(event.mode) < index(press.lead) && !press.ended {
                press.lead = event.mode;
            }
            return;
        }
        if self.presses.len() == MEMORY {
            self.presses.pop_front();
        }
        let id = DigitId(self.next_id);
        self.next_id += 1;
        let mut modes = [None; 4];
        modes[index(event.mode)] = Some(event.id);
        self.presses.push_back(Press {
            id,
            event,
            lead: event.mode,
            modes,
            ended: false,
            last: now,
        });
        self.emit(DigitEvent { id, ..event });
    }

    fn emit(&mut self, event: DigitEvent) {
        // The owner drains after every input, so this bound is never met; steps beyond it are lost
        // rather than memory.
        if self.outputs.len() < MEMORY {
            self.outputs.push_back(event);
        }
    }
}

impl Default for Arbiter {
    fn default() -> Arbiter {
        Arbiter::new()
    }
}

#[derive(Debug)]
struct Press {
    id: DigitId,
    event: DigitEvent,
    lead: Mode,
    /// Who reports it, by [`index`], each with its own number of it.
    modes: [Option<DigitId>; 4],
    ended: bool,
    /// When it started or, once ended, when it ended.
    last: Instant,
}

impl Press {
    fn reports(&self, mode: Mode, id: DigitId) -> bool {
        self.modes[index(mode)] == Some(id)
    }

    /// Whether `event` may be this very press, heard in another mode: the same key, a mode that has
    /// not reported it yet, and began or came within the window of it.
    fn could_be(&self, now: Instant, event: &DigitEvent) -> bool {
        let near = |a: Instant, b: Instant| {
            a.saturating_duration_since(b) <= WINDOW && b.saturating_duration_since(a) <= WINDOW
        };
        self.event.digit == event.digit
            && self.modes[index(event.mode)].is_none()
            // An INFO that goes out at the end of a long press may not know when it began.
            && (!self.ended || near(now, self.last) || near(event.started_at, self.event.started_at))
    }
}

/// The modes in the order in which they are believed.
fn index(mode: Mode) -> usize {
    match mode {
        Mode::Client => 0,
        Mode::Rfc4733 => 1,
        Mode::Info => 2,
        Mode::Inband => 3,
    }
}

/// Copies of one press in different modes come within 150 to 200 ms of each other; two real
/// presses of a key in two different modes do not.
const WINDOW: Duration = Duration::from_millis(180);
/// Presses remembered: more than a second of the fastest dialling.
const MEMORY: usize = 32;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::{Digit, epoch};

    const MS: fn(u64) -> Duration = Duration::from_millis;

    struct Leg {
        arbiter: Arbiter,
        seen: Vec<(Mode, Phase, u64)>,
    }

    impl Leg {
        fn new() -> Leg {
            Leg { arbiter: Arbiter::new(), seen: Vec::new() }
        }

        fn event(&mut self, at: u64, mode: Mode, key: char, id: u64, started: u64, phase: Phase) {
            let now = epoch() + MS(at);
            let event = DigitEvent {
                id: DigitId(id),
                digit: Digit::from_char(key).unwrap(),
                mode,
                started_at: epoch() + MS(started),
                duration: MS(at - started),
                phase,
                wrong_clock: false,
            };
            self.arbiter.handle_input(now, event);
            while let Output::Digit(event) = self.arbiter.poll_output() {
                self.seen.push((event.mode, event.phase, event.id.0));
            }
        }

        fn press(&mut self, mode: Mode, key: char, id: u64, from: u64, to: u64) {
            self.event(from, mode, key, id, from, Phase::Start);
            self.event(to, mode, key, id, from, END);
        }
    }

    const END: Phase = Phase::End(EndReason::Released);

    #[test]
    fn v21_one_key_in_three_modes_within_100_ms() {
        let mut leg = Leg::new();
        leg.event(0, Mode::Rfc4733, '5', 0, 0, Phase::Start);
        leg.event(40, Mode::Inband, '5', 0, 0, Phase::Start);
        leg.event(100, Mode::Info, '5', 0, 0, Phase::Start);
        leg.event(100, Mode::Info, '5', 0, 0, END);
        leg.event(105, Mode::Rfc4733, '5', 0, 0, END);
        leg.event(130, Mode::Inband, '5', 0, 0, END);
        assert_eq!(leg.seen, [(Mode::Rfc4733, Phase::Start, 0), (Mode::Rfc4733, END, 0)]);
    }

    #[test]
    fn an_event_takes_the_lead_from_a_tone_that_was_heard_first() {
        let mut leg = Leg::new();
        leg.event(40, Mode::Inband, '5', 7, 0, Phase::Start);
        leg.event(60, Mode::Rfc4733, '5', 0, 0, Phase::Start);
        leg.event(110, Mode::Inband, '5', 7, 0, END);
        leg.event(120, Mode::Rfc4733, '5', 0, 0, END);
        assert_eq!(leg.seen, [(Mode::Inband, Phase::Start, 0), (Mode::Rfc4733, END, 0)]);
    }

    #[test]
    fn two_presses_in_one_mode_are_never_merged() {
        let mut leg = Leg::new();
        leg.press(Mode::Rfc4733, '5', 0, 0, 50);
        leg.press(Mode::Rfc4733, '5', 1, 100, 150);
        // Their copies by INFO, late and together.
        leg.press(Mode::Info, '5', 0, 160, 160);
        leg.press(Mode::Info, '5', 1, 165, 165);
        let ids: Vec<u64> = leg.seen.iter().map(|s| s.2).collect();
        assert_eq!(ids, [0, 0, 1, 1]);
    }

    #[test]
    fn another_key_or_a_later_press_is_another_digit() {
        let mut leg = Leg::new();
        leg.press(Mode::Rfc4733, '5', 0, 0, 100);
        leg.press(Mode::Info, '6', 0, 110, 110);
        leg.press(Mode::Info, '5', 1, 1000, 1000);
        let ids: Vec<u64> = leg.seen.iter().map(|s| s.2).collect();
        assert_eq!(ids, [0, 0, 1, 1, 2, 2]);
    }

    #[test]
    fn an_info_at_the_end_of_a_long_press_is_absorbed() {
        let mut leg = Leg::new();
        leg.event(0, Mode::Rfc4733, '5', 0, 0, Phase::Start);
        leg.event(2000, Mode::Rfc4733, '5', 0, 0, END);
        leg.event(2050, Mode::Info, '5', 0, 1950, Phase::Start);
        leg.event(2050, Mode::Info, '5', 0, 1950, END);
        assert_eq!(leg.seen.len(), 2);
    }
}
