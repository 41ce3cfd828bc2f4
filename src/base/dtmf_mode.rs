//! How digits travel on a trunk leg: a property of a trunk that a rule of the plan may override.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How digits travel on a trunk leg.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DtmfMode {
    /// RFC 4733 where the far side takes it, else SIP INFO where its `Allow` has it, else in-band.
    #[default]
    Auto,
    /// RFC 4733 events only.
    Rfc4733,
    /// SIP INFO, and the other modes where it is refused.
    Info,
    /// Tones in the audio.
    Inband,
}

impl DtmfMode {
    /// Every mode with its word in files.
    pub const WORDS: &'static [(&'static str, DtmfMode)] = &[
        ("auto", DtmfMode::Auto),
        ("rfc4733", DtmfMode::Rfc4733),
        ("info", DtmfMode::Info),
        ("inband", DtmfMode::Inband),
    ];
}

impl fmt::Display for DtmfMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = Self::WORDS.iter().find(|(_, mode)| mode == self);
        f.write_str(word.expect("WORDS lists every mode").0)
    }
}
