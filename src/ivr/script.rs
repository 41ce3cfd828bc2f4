//! What lines say and do: the menus and mailboxes of a dial plan with their sounds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::base::Digit;
use crate::codec::{Prompt, PromptError};
use crate::dialplan::{Menu, Plan, Voicemail};

/// A plan's menus and mailboxes, ready to be served.
#[derive(Debug, Clone, Default)]
pub struct Script {
    pub(super) menus: BTreeMap<String, Menu>,
    pub(super) voicemails: BTreeMap<String, Voicemail>,
    pub(super) sounds: BTreeMap<String, Arc<Prompt>>,
    /// ISO 3166, for ringback.
    pub(super) country: String,
    pub(super) digits: Vec<Arc<Prompt>>,
}

/// A sound of a plan that cannot be played.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{file}: {words}")]
pub struct UnplayableSound {
    /// As the plan names it.
    pub file: String,
    /// What is wrong with it.
    pub words: String,
}

impl Script {
    /// The script of a plan; `read` gives the bytes of a WAV file that the plan names;
    /// beside it every file that cannot be read or is no sound: silence is played in its place.
    pub fn of(
        plan: &Plan,
        read: &dyn Fn(&str) -> Result<Vec<u8>, String>,
    ) -> (Script, Vec<UnplayableSound>) {
        let mut script = Script {
            menus: plan.menus().clone(),
            voicemails: plan.voicemails().clone(),
            sounds: BTreeMap::new(),
            country: plan.default_country().as_str().to_owned(),
            digits: spoken_digits(),
        };
        let menus = script.menus.values().flat_map(|menu| {
            [Some(&menu.prompt), menu.invalid.as_ref(), menu.failed.as_ref()].into_iter().flatten()
        });
        let names = menus.chain(script.voicemails.values().map(|mailbox| &mailbox.greeting));
        let names: Vec<String> = names.cloned().collect();
        let mut faults = Vec::new();
        for file in names {
            if script.sounds.contains_key(&file) {
                continue;
            }
            let sound = read(&file)
                .and_then(|bytes| Prompt::read(&bytes).map_err(|e: PromptError| e.to_string()));
            match sound {
                Ok(prompt) => {
                    script.sounds.insert(file, Arc::new(prompt));
                }
                Err(words) => faults.push(UnplayableSound { file, words }),
            }
        }
        faults.dedup();
        (script, faults)
    }

    pub(super) fn sound(&self, file: &str) -> Option<Arc<Prompt>> {
        self.sounds.get(file).cloned()
    }

    pub(super) fn digit(&self, digit: Digit) -> Option<Arc<Prompt>> {
        self.digits.get(usize::from(digit.event())).cloned()
    }
}

/// The names of the keys, spoken, in the order of their event codes (RFC 4733 3.2).
pub(super) fn spoken_digits() -> Vec<Arc<Prompt>> {
    // The files are in this binary; one that could not be read would be silent.
    DIGITS.iter().map(|file| Arc::new(Prompt::read(file).unwrap_or_default())).collect()
}

/// The demo carrier's words: one voice for every key.
const DIGITS: [&[u8]; 16] = [
    include_bytes!("../carrier/prompts/digit-0.wav"),
    include_bytes!("../carrier/prompts/digit-1.wav"),
    include_bytes!("../carrier/prompts/digit-2.wav"),
    include_bytes!("../carrier/prompts/digit-3.wav"),
    include_bytes!("../carrier/prompts/digit-4.wav"),
    include_bytes!("../carrier/prompts/digit-5.wav"),
    include_bytes!("../carrier/prompts/digit-6.wav"),
    include_bytes!("../carrier/prompts/digit-7.wav"),
    include_bytes!("../carrier/prompts/digit-8.wav"),
    include_bytes!("../carrier/prompts/digit-9.wav"),
    include_bytes!("../carrier/prompts/digit-star.wav"),
    include_bytes!("../carrier/prompts/digit-pound.wav"),
    include_bytes!("../carrier/prompts/digit-a.wav"),
    include_bytes!("../carrier/prompts/digit-b.wav"),
    include_bytes!("../carrier/prompts/digit-c.wav"),
    include_bytes!("../carrier/prompts/digit-d.wav"),
];
