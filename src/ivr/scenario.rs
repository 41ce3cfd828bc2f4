//! A scenario: what to dial, what to do step by step, what must be heard. Read from YAML or TOML by
//! [`read`](super::read).

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use super::prompt::Reference;
use super::tone_table::ToneKind;
use crate::base::{Digit, DtmfMode};

/// A scenario with everything it names.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// The file it was read from.
    pub file: String,
    /// Its name in reports.
    pub name: String,
    /// What is dialled: a number, `sip:…`, or `did:+…` in loopback.
    pub target: String,
    /// Who calls.
    pub from: Option<String>,
    /// The time that the dial plan sees, in loopback.
    pub at: Option<String>,
    /// The plan that is asked, in loopback; relative to the scenario's file.
    pub plan: Option<String>,
    /// How the call is made.
    pub via: Via,
    /// How keys are pressed.
    pub dtmf: Dtmf,
    /// Faults of the network that are put in.
    pub network: Network,
    /// Folder of the reference recordings, relative to the scenario's file.
    pub prompts: String,
    /// Longest call.
    pub call_limit: Duration,
    /// One after the other.
    pub steps: Vec<Step>,
    /// Whether the call's sound is kept.
    pub record: Keep,
    /// The scenario runs once for each, beside the run as it stands.
    pub variants: Vec<Variant>,
}

/// Reference recordings by the names that scenarios use.
pub type Library = BTreeMap<String, Arc<Reference>>;

/// How a call is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Via {
    /// Plan, menu and codec in this process, on a clock of its own.
    Loopback,
    /// SIP and RTP.
    Trunk,
    /// A page's WebRTC through the gateway.
    Browser,
}

impl Via {
    /// Every depth with its word.
    pub const WORDS: &'static [(&'static str, Via)] =
        &[("loopback", Via::Loopback), ("trunk", Via::Trunk), ("browser", Via::Browser)];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, via)| *via == self).map_or("", |(word, _)| word)
    }
}

/// How keys are pressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Dtmf {
    /// How they go.
    pub mode: DtmfMode,
    /// How long a key is down.
    pub duration: Duration,
    /// Between two keys.
    pub gap: Duration,
}

impl Default for Dtmf {
    fn default() -> Dtmf {
        let tenth = Duration::from_millis(100);
        Dtmf { mode: DtmfMode::Rfc4733, duration: tenth, gap: tenth }
    }
}

/// Faults of a network, put into what is received.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Network {
    /// Share of packets that are lost, 0 to 1.
    pub loss: f64,
    /// Packets come up to this late.
    pub jitter: Duration,
}

/// Whether the sound of a call is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Keep {
    /// In any case.
    Always,
    /// Where it failed.
    #[default]
    OnFailure,
    /// Never.
    Never,
}

/// The same scenario in another manner.
#[derive(Debug, Clone, PartialEq)]
pub struct Variant {
    /// Its name in reports.
    pub name: String,
    /// Instead of the scenario's.
    pub dtmf: Option<Dtmf>,
    /// Instead of the scenario's.
    pub network: Option<Network>,
    /// Instead of the scenario's.
    pub via: Option<Via>,
}

/// One step: it acts, then waits for all that it expects.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// Its name in reports.
    pub name: String,
    /// The line of the file.
    pub line: u32,
    /// What is done.
    pub act: Option<Act>,
    /// What must come of it, in any order.
    pub expect: Vec<Expect>,
    /// The keys are not shown anywhere.
    pub secret: bool,
}

/// What a step does.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Presses these keys; a comma waits for two seconds, `w` for half a second.
    Press(String),
    /// Plays this recording to the far side.
    Say(Arc<[i16]>),
    /// Waits.
    Wait(Duration),
    /// Hangs up.
    HangUp,
    /// Holds the far side, or takes it back.
    Hold(bool),
    /// Sends the far side there.
    Transfer(String),
}

/// What a step expects. `within` counts from the last key of its `press`, else from its beginning.
#[derive(Debug, Clone, PartialEq)]
pub enum Expect {
    /// A response to the INVITE.
    Sip {
        /// Its status.
        status: u16,
        /// At the latest, from dialling.
        within: Duration,
    },
    /// A recording is heard.
    Prompt {
        /// Its name in the library.
        file: String,
        /// Least likeness of the whole.
        whole: f32,
        /// Least likeness of any 0.6 s.
        window: f32,
        /// It begins within this.
        within: Duration,
        /// To its end; else its first 1.2 s are enough.
        complete: bool,
    },
    /// Recordings are heard one after the other, with nothing known between.
    Sequence {
        /// Their names.
        files: Vec<String>,
        /// The first begins within this; each other within 2 s of the one before it.
        within: Duration,
    },
    /// What was being said stops.
    PromptStops {
        /// From the first key.
        within: Duration,
    },
    /// A tone is heard.
    Tone {
        /// Which.
        kind: ToneKind,
        /// Of this country (ISO 3166); `None`: of any.
        country: Option<String>,
        /// It begins within this.
        within: Duration,
    },
    /// The level of what is said during the step, in dBFS (a full-scale sine is 0).
    Level {
        /// Not quieter.
        min: f64,
        /// Not louder.
        max: f64,
    },
    /// Silence within the step.
    Silence {
        /// None is longer.
        max: Duration,
    },
    /// Digits that the far side sends.
    Digits {
        /// All of them.
        keys: String,
        /// The last one within this.
        within: Duration,
    },
    /// The end of the call.
    End {
        /// Who ends it.
        by: By,
        /// Within this.
        within: Duration,
    },
}

/// Who ends a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum By {
    /// The test.
    Local,
    /// The far side.
    Remote,
}

/// A scenario in one of its manners.
#[derive(Debug, Clone)]
pub struct Case {
    /// The scenario.
    pub scenario: Arc<Scenario>,
    /// What its prompts are compared with, and those that it may be taken for.
    pub library: Arc<Library>,
    /// The variant's name.
    pub variant: Option<String>,
    /// In force.
    pub via: Via,
    /// In force.
    pub dtmf: Dtmf,
    /// In force.
    pub network: Network,
}

impl Case {
    /// The cases of a scenario.
    pub fn of(scenario: &Arc<Scenario>, library: &Arc<Library>) -> Vec<Case> {
        let plain = Case {
            scenario: scenario.clone(),
            library: library.clone(),
            variant: None,
            via: scenario.via,
            dtmf: scenario.dtmf,
            network: scenario.network,
        };
        if scenario.variants.is_empty() {
            return vec![plain];
        }
        let of = |variant: &Variant| Case {
            variant: Some(variant.name.clone()),
            via: variant.via.unwrap_or(scenario.via),
            dtmf: variant.dtmf.unwrap_or(scenario.dtmf),
            network: variant.network.unwrap_or(scenario.network),
            ..plain.clone()
        };
        // As it stands first: a variant shows what differs.
        std::iter::once(plain.clone()).chain(scenario.variants.iter().map(of)).collect()
    }

    /// The scenario's name and the variant's.
    pub fn title(&self) -> String {
        match &self.variant {
            Some(variant) => format!("{} [{variant}]", self.scenario.name),
            None => self.scenario.name.clone(),
        }
    }
}

/// The keys of a `press`, with pauses.
pub fn keys(press: &str) -> impl Iterator<Item = Key> + '_ {
    press.chars().filter_map(|c| match c {
        ',' => Some(Key::Pause(Duration::from_secs(2))),
        'w' => Some(Key::Pause(Duration::from_millis(500))),
        other => Digit::from_char(other).ok().map(Key::Digit),
    })
}

/// A key or a pause.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// A key.
    Digit(Digit),
    /// No key for so long.
    Pause(Duration),
}
