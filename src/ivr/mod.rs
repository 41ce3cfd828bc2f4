//! Voice menus and tests for them. Pure: lines that the gateway serves ([`Line`]), prompts and tones
//! found in what is heard ([`Reference`], [`Recogniser`]), scenarios and their [`Runner`], reports.
//!
//! The clock of everything here is its frames: 160 samples are 20 ms, on a wire or in a test that runs
//! faster than time.

mod bands;
mod draft;
mod ear;
mod html;
mod line;
#[cfg(test)]
mod line_tests;
mod loopback;
#[cfg(test)]
mod loopback_tests;
mod play;
mod prompt;
mod read;
#[cfg(test)]
mod read_tests;
mod report;
mod result;
mod runner;
mod scenario;
mod script;
mod target;
mod tone;
mod tone_table;
#[cfg(test)]
mod tone_tests;
mod watch;
mod words;
mod yaml;

pub use bands::{Analyser, BANDS, Row, rows};
pub use draft::{Map, listening, mono_wav, mono_wav_at, utterance};
pub use html::{html, wav};
pub use line::{Line, LineEvent, Recording, StoppedBy};
pub use loopback::Loopback;
pub use prompt::{Match, Reference, ReferenceError, WHOLE, WINDOW};
pub use read::{Folder, Format, read};
pub use report::{json, junit, line as report_line, tap};
pub use result::{CaseResult, Message, Outcome, Pressed, Span, StepResult};
pub use runner::{Action, Runner};
pub use scenario::{
    Act, By, Case, Dtmf, Expect, Keep, Key, Library, Network, Scenario, Step, Variant, Via, keys,
};
pub use script::{Script, UnplayableSound};
pub use target::{emergency, target};
pub use tone::{Heard, Recogniser};
pub use tone_table::{COUNTRIES, CountryTone, TONES, ToneKind};
