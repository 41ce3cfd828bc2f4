//! How recordings are kept.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::base::Secret;

/// `[recording]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Where they are.
    pub folder: PathBuf,
    /// What kind of files they are.
    pub format: Format,
    /// What they are encrypted with; `None` leaves them readable to whoever reads the disk.
    pub key: Option<Secret<String>>,
    /// When they are deleted; `None` is never.
    pub keep: Option<Duration>,
}

impl Default for Settings {
    fn default() -> Settings {
        // Beside the process, as records and voicemail are. WAV costs next to no CPU.
        let folder = PathBuf::from("recordings");
        Settings { folder, format: Format::Wav, key: None, keep: None }
    }
}

/// What kind of file a recording is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Format {
    /// WAV, 16 bits: 115 MB an hour at 8 kHz.
    Wav,
    /// Ogg Opus (RFC 7845), 24 kbit/s a side: 22 MB an hour.
    Opus,
}

impl Format {
    /// As they are written in files.
    pub const WORDS: &'static [(&'static str, Format)] =
        &[("wav", Format::Wav), ("opus", Format::Opus)];

    /// As it is written.
    pub fn word(self) -> &'static str {
        match self {
            Format::Wav => "wav",
            Format::Opus => "opus",
        }
    }

    /// Its media type.
    pub fn media_type(self) -> &'static str {
        match self {
            Format::Wav => "audio/wav",
            Format::Opus => "audio/ogg",
        }
    }
}
