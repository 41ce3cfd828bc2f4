//! What the carrier saw, for tests and the self-test in the same process.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::line::Line;
use crate::base::Digit;
use crate::dtmf::Mode;

/// Counts and digits since the start.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Observations {
    /// INVITEs that reached a line, and calls that 607 made.
    pub calls: u64,
    /// Those answered.
    pub answered: u64,
    /// Those not over yet, ringing ones too.
    pub active: u64,
    /// INVITEs refused because the number has no line or too many calls are on.
    pub refused: u64,
    /// RTP packets of sound received in calls that are over.
    pub audio_packets: u64,
    /// The last 256 presses of callers, each when its key went up.
    pub digits: Vec<ReceivedDigit>,
}

/// One press of a caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ReceivedDigit {
    /// Where.
    pub line: Line,
    /// The key.
    pub digit: Digit,
    /// How it came.
    pub mode: Mode,
    /// How long the key was down.
    pub duration: Duration,
}

/// Observations that calls write and tests read.
#[derive(Debug, Clone, Default)]
pub(super) struct Observer(Arc<Mutex<Observations>>);

impl Observer {
    pub fn read(&self) -> Observations {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub fn note(&self, change: impl FnOnce(&mut Observations)) {
        change(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Takes out the digits.
    pub fn take_digits(&self) -> Vec<ReceivedDigit> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner).digits)
    }

    pub fn digit(&self, digit: ReceivedDigit) {
        self.note(|seen| {
            if seen.digits.len() == MAX_DIGITS {
                seen.digits.remove(0);
            }
            seen.digits.push(digit);
        });
    }
}

/// Digits remembered.
const MAX_DIGITS: usize = 256;
