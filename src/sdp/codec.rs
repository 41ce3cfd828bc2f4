//! Audio codecs as SDP names them: encoding name, clock rate, payload type (RFC 3551, RFC 7587).

/// A codec that can be offered on a trunk leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AudioCodec {
    /// G.711 mu-law, payload type 0.
    Pcmu,
    /// G.711 A-law, payload type 8.
    Pcma,
    /// G.722, payload type 9; its clock is written as 8000 (RFC 3551 section 4.5.2).
    G722,
    /// Linear PCM of 16 bits at 8 kHz, mono, a dynamic payload type (RFC 3551 section 4.5.11).
    L16,
    /// Opus, a dynamic payload type (RFC 7587 section 7).
    Opus,
}

impl AudioCodec {
    /// Every codec, in the order of their static payload types.
    pub const ALL: [AudioCodec; 5] =
        [AudioCodec::Pcmu, AudioCodec::Pcma, AudioCodec::G722, AudioCodec::L16, AudioCodec::Opus];

    /// The encoding name of its `a=rtpmap`, without regard to case when read.
    pub const fn name(self) -> &'static str {
        match self {
            AudioCodec::Pcmu => "PCMU",
            AudioCodec::Pcma => "PCMA",
            AudioCodec::G722 => "G722",
            AudioCodec::L16 => "L16",
            AudioCodec::Opus => "opus",
        }
    }

    /// The clock rate of its `a=rtpmap` in Hz.
    pub const fn clock_rate(self) -> u32 {
        match self {
            AudioCodec::Pcmu | AudioCodec::Pcma | AudioCodec::G722 | AudioCodec::L16 => 8000,
            AudioCodec::Opus => 48_000,
        }
    }

    /// What follows the clock rate in `a=rtpmap`: Opus always says two channels (RFC 7587
    /// section 7).
    pub const fn channels(self) -> Option<u8> {
        match self {
            AudioCodec::Pcmu | AudioCodec::Pcma | AudioCodec::G722 | AudioCodec::L16 => None,
            AudioCodec::Opus => Some(2),
        }
    }

    /// The payload type in our own offers.
    pub const fn payload_type(self) -> u8 {
        match self {
            AudioCodec::Pcmu => 0,
            AudioCodec::Pcma => 8,
            AudioCodec::G722 => 9,
            AudioCodec::L16 => 108,
            AudioCodec::Opus => 107,
        }
    }

    /// The codec of an encoding name and clock rate.
    pub fn from_rtpmap(name: &str, clock_rate: u32) -> Option<AudioCodec> {
        AudioCodec::ALL
            .into_iter()
            .find(|c| c.name().eq_ignore_ascii_case(name) && c.clock_rate() == clock_rate)
    }

    /// The codec of a static payload type that came without `a=rtpmap` (RFC 3551 table 4).
    pub fn from_static(payload_type: u8) -> Option<AudioCodec> {
        match payload_type {
            0 => Some(AudioCodec::Pcmu),
            8 => Some(AudioCodec::Pcma),
            9 => Some(AudioCodec::G722),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_without_regard_to_case_and_with_their_clock() {
        assert_eq!(AudioCodec::from_rtpmap("pcma", 8000), Some(AudioCodec::Pcma));
        assert_eq!(AudioCodec::from_rtpmap("OPUS", 48000), Some(AudioCodec::Opus));
        assert_eq!(AudioCodec::from_rtpmap("PCMU", 16000), None);
        assert_eq!(AudioCodec::from_rtpmap("speex", 8000), None);
    }
}
