//! A trunk as the configuration describes it (`[trunk.NAME]`).

use std::net::IpAddr;
use std::time::Duration;

use super::header_name::HeaderName;
use super::number_format::NumberFormat;
use super::retry::RetryOn;
use super::target::Target;
use crate::base::{DigitPacing, DtmfMode, Network, Secret, TrunkId};

/// A trunk: where it is, who may speak for it, how it is spoken to, how much it may carry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Definition {
    /// Its name.
    pub id: TrunkId,
    /// Where requests go.
    pub target: Target,
    /// User name for its challenges.
    pub username: Option<String>,
    /// Password for its challenges; never sent to anybody else.
    pub password: Option<Secret<String>>,
    /// User name for its challenges where it is another one than that of its address of record.
    pub auth_username: Option<String>,
    /// Whether we register with it.
    pub register: Registering,
    /// The time that a registration is asked for.
    pub register_expires: Duration,
    /// The user as whom its calls have to come in; its address alone is enough where `None`.
    pub caller_username: Option<String>,
    /// What that user has to know.
    pub caller_password: Option<Secret<String>>,
    /// How that user may show it.
    pub caller_digest: CallerDigest,
    /// How it is known by TLS.
    pub tls: TrunkTls,
    /// Where its requests may come from, besides its target's own address.
    pub accept_from: Vec<Network>,
    /// Where its media may come from, besides the signalled address.
    pub media_from: Vec<Network>,
    /// Headers of its INVITE that the pages it rings may see.
    pub page_headers: Vec<HeaderName>,
    /// How it writes numbers.
    pub numbers: NumberFormat,
    /// The calling code of its country, without `+`; needed for national numbers.
    pub calling_code: Option<i32>,
    /// What it is offered, best first.
    pub codecs: Vec<Codec>,
    /// How digits travel.
    pub dtmf: DtmfMode,
    /// How long they are.
    pub digits: DigitPacing,
    /// Whether pauses travel as comfort noise.
    pub comfort_noise: ComfortNoise,
    /// Whether its phones may hand pages over.
    pub refer: Refer,
    /// Whether its media is encrypted.
    pub srtp: Srtp,
    /// Calls at once, 1 or more.
    pub channels: u32,
    /// New calls a second, 1 or more.
    pub cps: u32,
    /// After which failures the next trunk is tried.
    pub retry_on: RetryOn,
    /// Between two OPTIONS while it is up; `None` sends none.
    pub options_interval: Option<Duration>,
}

impl Definition {
    /// A trunk with nothing but a name and a target; the rest as in the secure defaults.
    pub fn new(id: TrunkId, target: Target) -> Definition {
        Definition {
            id,
            target,
            username: None,
            password: None,
            auth_username: None,
            register: Registering::Static,
            // RFC 3261 10.2.1.1 leaves it open; most registrars grant an hour at most.
            register_expires: Duration::from_secs(600),
            caller_username: None,
            caller_password: None,
            caller_digest: CallerDigest::Any,
            tls: TrunkTls::default(),
            accept_from: Vec::new(),
            media_from: Vec::new(),
            page_headers: Vec::new(),
            numbers: NumberFormat::E164,
            calling_code: None,
            codecs: vec![Codec::Pcma, Codec::Pcmu],
            dtmf: DtmfMode::Auto,
            digits: DigitPacing::default(),
            comfort_noise: ComfortNoise::Accept,
            refer: Refer::Accept,
            srtp: Srtp::Off,
            // A small trunk; a stolen account is not worth much more than this.
            channels: 30,
            cps: 10,
            retry_on: RetryOn::default(),
            options_interval: Some(Duration::from_secs(30)),
        }
    }

    /// Whether its callers have to show a password.
    pub fn challenges(&self) -> bool {
        self.caller_username.is_some()
    }

    /// Whether calls can come from it: an address of its own is known, or will be.
    pub fn takes_calls(&self) -> bool {
        self.target.address().is_some()
            || !self.accept_from.is_empty()
            || self.register == Registering::Register
    }

    /// Whether a request from this address is this trunk's.
    pub fn accepts(&self, source: IpAddr) -> bool {
        self.target.address() == Some(source) || self.accept_from.iter().any(|n| n.contains(source))
    }
}

/// Whether we register with a trunk.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Registering {
    /// The trunk knows where we are.
    #[default]
    Static,
    /// We tell it by REGISTER.
    Register,
}

/// How a trunk and we know each other by TLS. PEM files, relative to the configuration.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrunkTls {
    /// What its certificate has to be for; the host of its target where `None`.
    pub name: Option<String>,
    /// The authority that is believed; those of the system where `None`.
    pub ca: Option<String>,
    /// Certificate and key that it is shown when it asks who we are.
    pub identity: Option<(String, String)>,
}

/// The algorithms of the challenge that a trunk's callers get (RFC 8760).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CallerDigest {
    /// SHA-256, and MD5 behind it.
    #[default]
    Any,
    /// SHA-256 alone.
    Sha256,
    /// MD5 alone, for callers that look at the first challenge and know no other.
    Md5,
}

impl CallerDigest {
    /// Every choice with its word in files.
    pub const WORDS: &'static [(&'static str, CallerDigest)] = &[
        ("any", CallerDigest::Any),
        ("sha-256", CallerDigest::Sha256),
        ("md5", CallerDigest::Md5),
    ];

    /// The word in files.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, own)| *own == self).map_or("", |(word, _)| word)
    }
}

/// A codec of a trunk leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are those of the codecs")]
pub enum Codec {
    Pcma,
    Pcmu,
    G722,
    Opus,
}

impl Codec {
    /// Every codec with its word in files.
    pub const WORDS: &'static [(&'static str, Codec)] = &[
        ("pcma", Codec::Pcma),
        ("pcmu", Codec::Pcmu),
        ("g722", Codec::G722),
        ("opus", Codec::Opus),
    ];

    /// Whether its sound goes beyond 4 kHz.
    pub fn is_wide(self) -> bool {
        matches!(self, Codec::G722 | Codec::Opus)
    }

    /// The word in files.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, c)| *c == self).map_or("", |(word, _)| word)
    }
}

/// Whether pauses travel as descriptions of their noise instead of as sound (RFC 3389).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ComfortNoise {
    /// Neither offered nor taken.
    Off,
    /// The trunk's pauses, where it offers to send them so. Ours go out as sound.
    #[default]
    Accept,
    /// Offered to the trunk; where it agrees, ours go out so as well.
    Offer,
}

impl ComfortNoise {
    /// Every mode with its word in files.
    pub const WORDS: &'static [(&'static str, ComfortNoise)] = &[
        ("off", ComfortNoise::Off),
        ("accept", ComfortNoise::Accept),
        ("offer", ComfortNoise::Offer),
    ];

    /// The word in files.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, own)| *own == self).map_or("", |(word, _)| word)
    }
}

/// What becomes of a REFER of a trunk (RFC 3515), by which its phone hands a page over.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Refer {
    /// The dial plan is asked, as for a call of the page's user.
    #[default]
    Accept,
    /// It is refused with 603, whatever the plan says.
    Refuse,
}

impl Refer {
    /// Every choice with its word in files.
    pub const WORDS: &'static [(&'static str, Refer)] =
        &[("accept", Refer::Accept), ("refuse", Refer::Refuse)];

    /// The word in files.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, own)| *own == self).map_or("", |(word, _)| word)
    }
}

/// Whether a trunk's media is encrypted (RFC 4568).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Srtp {
    /// Plain RTP.
    #[default]
    Off,
    /// Offered, plain where refused.
    Sdes,
    /// No call without it.
    SdesRequired,
}

impl Srtp {
    /// Every mode with its word in files.
    pub const WORDS: &'static [(&'static str, Srtp)] =
        &[("off", Srtp::Off), ("sdes", Srtp::Sdes), ("sdes-required", Srtp::SdesRequired)];

    /// The word in files.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, s)| *s == self).map_or("", |(word, _)| word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_trunk_is_its_target_and_the_ranges_it_names() {
        let target = "sip:192.0.2.7:5080".parse().unwrap();
        let mut trunk = Definition::new("north".parse().unwrap(), target);
        trunk.accept_from = vec!["203.0.113.0/28".parse().unwrap()];
        let accepts = |ip: &str| trunk.accepts(ip.parse().unwrap());
        assert!(accepts("192.0.2.7") && accepts("203.0.113.15"));
        assert!(!accepts("203.0.113.16") && !accepts("127.0.0.1"));
    }
}
