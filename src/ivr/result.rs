//! What came of a scenario: steps, what was heard and matched, the messages that went by, both lanes
//! of sound.

use std::time::Duration;

use super::scenario::{By, Keep};

/// One case that ran.
#[derive(Debug, Clone)]
pub struct CaseResult {
    /// The file.
    pub file: String,
    /// The scenario's name.
    pub name: String,
    /// The variant's name.
    pub variant: Option<String>,
    /// How the call was made.
    pub via: &'static str,
    /// What was dialled.
    pub target: String,
    /// Whether it passed.
    pub outcome: Outcome,
    /// Steps in order, as far as it came.
    pub steps: Vec<StepResult>,
    /// The call's length, by its own clock.
    pub call: Duration,
    /// How often it was tried again after it had failed.
    pub retries: u32,
    /// SIP or signalling messages.
    pub ladder: Vec<Message>,
    /// Keys that were pressed.
    pub presses: Vec<Pressed>,
    /// Recordings that were recognised.
    pub spans: Vec<Span>,
    /// What was sent, 8 kHz; silent where keys are secret.
    pub sent: Vec<i16>,
    /// What was heard, 8 kHz.
    pub heard: Vec<i16>,
    /// Whether the sound is to be kept.
    pub record: Keep,
}

/// How a case ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// Every step passed.
    Passed,
    /// A step failed; the sentence says what was expected and what was seen.
    Failed(String),
    /// The call could not be made: not the far side's fault.
    Error(String),
}

/// One step that ran.
#[derive(Debug, Clone, PartialEq)]
pub struct StepResult {
    /// Its name.
    pub name: String,
    /// The line of the file.
    pub line: u32,
    /// When it began, from dialling.
    pub start: Duration,
    /// When it was over.
    pub end: Duration,
    /// What failed; `None` where it passed.
    pub failure: Option<String>,
    /// What was measured.
    pub notes: Vec<String>,
    /// When something was expected, for the picture: from, to.
    pub windows: Vec<(Duration, Duration)>,
}

/// A message or an event of the call's signalling.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// From dialling.
    pub at: Duration,
    /// Whether we sent it.
    pub by: By,
    /// The method or status, never a body.
    pub text: String,
}

/// A key that was pressed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pressed {
    /// From dialling.
    pub at: Duration,
    /// How long.
    pub length: Duration,
    /// As it may be shown.
    pub shown: char,
}

/// A recording that was recognised.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its name.
    pub file: String,
    /// From dialling.
    pub start: Duration,
    /// From dialling.
    pub end: Duration,
    /// Likeness of the whole.
    pub whole: f32,
    /// Likeness of its worst 0.6 s.
    pub window: f32,
    /// Whether it was what was expected.
    pub expected: bool,
}

impl CaseResult {
    /// The scenario's name and the variant's.
    pub fn title(&self) -> String {
        match &self.variant {
            Some(variant) => format!("{} [{variant}]", self.name),
            None => self.name.clone(),
        }
    }

    /// Whether it passed.
    pub fn passed(&self) -> bool {
        self.outcome == Outcome::Passed
    }

    /// The sentence of what went wrong.
    pub fn words(&self) -> Option<&str> {
        match &self.outcome {
            Outcome::Passed => None,
            Outcome::Failed(words) | Outcome::Error(words) => Some(words),
        }
    }

    /// Whether the sound is to be kept.
    pub fn keeps_sound(&self) -> bool {
        match self.record {
            Keep::Always => true,
            Keep::OnFailure => !self.passed(),
            Keep::Never => false,
        }
    }
}
