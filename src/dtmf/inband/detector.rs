//! The in-band detector: looks at windows of 25.6 ms, one every 8 ms.
//!
//! A window is a hit when both tones are strong enough, alone in their group, near enough to each
//! other in level and to their nominal frequencies, without second harmonics, and when nearly all
//! energy is in them. Speech fails one of these in nearly every window, and it would have to pass
//! three times in a row with the same key.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::RATE;
use super::analysis::{Analysis, Hit, WINDOW};
use crate::base::Digit;
use crate::dtmf::{DigitEvent, DigitId, EndReason, Mode, Output, Phase};

/// Finds digits in the audio of one leg.
#[derive(Debug)]
pub struct InbandDetector {
    analysis: Analysis,
    /// What has not filled a step, and how much of it there is.
    pending: [i16; HOP],
    fresh: usize,
    state: State,
    /// Windows to come that hold sound from both sides of a loss: an impure one says nothing.
    torn: u32,
    next_id: u64,
    outputs: VecDeque<DigitEvent>,
}

#[derive(Debug, Clone, Copy)]
enum State {
    Silent,
    /// The same key in so many windows in a row.
    Candidate {
        digit: Digit,
        hits: u32,
        power: f64,
    },
    /// Reported.
    Down {
        id: DigitId,
        digit: Digit,
        started_at: Instant,
        windows: u32,
        misses: u32,
        /// Windows of which nothing is known since the last hit.
        unheard: u32,
        power: f64,
    },
}

impl InbandDetector {
    /// A detector that has heard nothing.
    pub fn new() -> InbandDetector {
        InbandDetector {
            analysis: Analysis::new(),
            pending: [0; HOP],
            fresh: 0,
            state: State::Silent,
            torn: 0,
            next_id: 0,
            outputs: VecDeque::with_capacity(MAX_OUTPUTS),
        }
    }

    /// A tone is on, or may just have begun: relayed audio is muted so that the far side does not
    /// hear the digit twice.
    pub fn is_on(&self) -> bool {
        !matches!(self.state, State::Silent)
    }

    /// Takes decoded audio at 8 kHz, of any length; its last sample was heard at `now`.
    pub fn handle_input(&mut self, now: Instant, pcm: &[i16]) {
        let mut left = pcm;
        while !left.is_empty() {
            let (taken, rest) = left.split_at(left.len().min(HOP - self.fresh));
            self.pending[self.fresh..][..taken.len()].copy_from_slice(taken);
            self.fresh += taken.len();
            left = rest;
            if self.fresh == HOP {
                self.analysis.slide(&self.pending);
                let age = Duration::from_micros(left.len() as u64 * MICROS);
                self.step(now.checked_sub(age).unwrap_or(now));
                self.fresh = 0;
            }
        }
    }

    /// Sound of so many samples was lost on the way: a tone that is there before and after it is one
    /// press.
    pub fn lost(&mut self, samples: usize) {
        self.torn = TORN;
        if let State::Down { unheard, .. } = &mut self.state {
            *unheard += (samples / HOP) as u32;
        }
    }

    /// Steps of presses, then `Timeout(None)`: audio is its clock.
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().map_or(Output::Timeout(None), Output::Digit)
    }

    fn step(&mut self, now: Instant) {
        let hit = self.analysis.hit();
        let torn = self.torn > 0;
        self.torn = self.torn.saturating_sub(1);
        // A window from both sides of a loss says nothing: where the phase jumps it may even look like
        // another key. Silence is silence, also after a loss.
        let excused = |power: f64| torn && self.analysis.total() > power * WEAKER;
        self.state = match (self.state, hit) {
            (State::Silent, None) => State::Silent,
            (State::Silent, Some(hit)) => candidate(hit),
            (State::Candidate { digit, hits, power }, Some(hit)) if hit.digit == digit => {
                let power = power.max(hit.power);
                if hits + 1 < NEEDED {
                    State::Candidate { digit, hits: hits + 1, power }
                } else {
                    self.begin(now, digit, hits + 1, power)
                }
            }
            (State::Candidate { power, .. }, None) if excused(power) => self.state,
            (State::Candidate { .. }, hit) => hit.map_or(State::Silent, candidate),
            (State::Down { id, digit, started_at, windows, misses, unheard, power }, hit) => {
                // A window that is half in the gap still holds a pure tone, but a weaker one.
                let same = hit.is_some_and(|h| h.digit == digit && h.power > power * WEAKER);
                if same {
                    // A short miss was a fault of the line, not a gap.
                    let windows = windows + misses + unheard + 1;
                    let event = self.event(id, digit, started_at, windows, Phase::Update);
                    self.emit(event);
                    State::Down { id, digit, started_at, windows, misses: 0, unheard: 0, power }
                } else if excused(power) {
                    let unheard = unheard + 1;
                    State::Down { id, digit, started_at, windows, misses, unheard, power }
                } else if misses + 1 < MISSES {
                    let misses = misses + 1;
                    State::Down { id, digit, started_at, windows, misses, unheard, power }
                } else {
                    let end = Phase::End(EndReason::Released);
                    let event = self.event(id, digit, started_at, windows, end);
                    self.emit(event);
                    hit.filter(|h| h.digit != digit).map_or(State::Silent, candidate)
                }
            }
        };
    }

    fn begin(&mut self, now: Instant, digit: Digit, windows: u32, power: f64) -> State {
        let id = DigitId(self.next_id);
        self.next_id += 1;
        let started_at = now.checked_sub(length(windows)).unwrap_or(now);
        let event = self.event(id, digit, started_at, windows, Phase::Start);
        self.emit(event);
        State::Down { id, digit, started_at, windows, misses: 0, unheard: 0, power }
    }

    fn event(
        &self,
        id: DigitId,
        digit: Digit,
        started_at: Instant,
        windows: u32,
        phase: Phase,
    ) -> DigitEvent {
        let duration = length(windows);
        DigitEvent {
            id,
            digit,
            mode: Mode::Inband,
            started_at,
            duration,
            phase,
            wrong_clock: false,
        }
    }

    fn emit(&mut self, event: DigitEvent) {
        if self.outputs.len() < MAX_OUTPUTS {
            self.outputs.push_back(event);
        }
    }
}

impl Default for InbandDetector {
    fn default() -> InbandDetector {
        InbandDetector::new()
    }
}

fn candidate(hit: Hit) -> State {
    State::Candidate { digit: hit.digit, hits: 1, power: hit.power }
}

/// Length of a tone that was found in so many windows. A window that has a third of the tone
/// outside is still a hit, at both ends.
fn length(windows: u32) -> Duration {
    Duration::from_secs_f64((windows as usize * HOP + WINDOW / 4) as f64 / RATE)
}

/// Samples from window to window, 8 ms.
const HOP: usize = 64;
/// Microseconds of a sample.
const MICROS: u64 = (1_000_000.0 / RATE) as u64;
/// Windows in a row that make a digit.
const NEEDED: u32 = 3;
/// Windows that a loss may fall into.
const TORN: u32 = WINDOW.div_ceil(HOP) as u32;
/// Windows in a row without it that end it.
const MISSES: u32 = 2;
/// A window this much weaker than the tone, 6 dB, is at its edge.
const WEAKER: f64 = 0.25;
const MAX_OUTPUTS: usize = 64;

#[cfg(test)]
#[path = "detector_tests.rs"]
mod tests;
