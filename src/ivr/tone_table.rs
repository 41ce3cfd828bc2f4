//! Call progress tones by country, as ITU-T E.180 supplement 2 and the countries' own rules list them,
//! and the tones of machines (ITU-T T.30, V.8, V.25).

/// A kind of tone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ToneKind {
    /// The called telephone rings.
    Ringback,
    /// The called line is busy.
    Busy,
    /// The network has no way.
    Congestion,
    /// Special information tone: an announcement follows.
    Sit,
    /// A calling fax machine: 1100 Hz, half a second in 3.5 (T.30).
    FaxCng,
    /// An answering fax machine: 2100 Hz (T.30).
    FaxCed,
    /// An answering modem: 2100 Hz with phase reversals or a 15 Hz swell (V.25, V.8), or 2225 Hz (Bell).
    Modem,
}

impl ToneKind {
    /// Every kind with its word in scenarios.
    pub const WORDS: &'static [(&'static str, ToneKind)] = &[
        ("ringback", ToneKind::Ringback),
        ("busy", ToneKind::Busy),
        ("congestion", ToneKind::Congestion),
        ("sit", ToneKind::Sit),
        ("fax-cng", ToneKind::FaxCng),
        ("fax-ced", ToneKind::FaxCed),
        ("modem", ToneKind::Modem),
    ];

    /// The word in scenarios.
    pub fn word(self) -> &'static str {
        Self::WORDS.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| word)
    }
}

/// One tone of one country.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CountryTone {
    /// ISO 3166 codes; empty for tones that are the same everywhere.
    pub countries: &'static [&'static str],
    /// What it tells.
    pub kind: ToneKind,
    /// What sounds together, in Hz; for [`ToneKind::Sit`] what sounds one after the other.
    pub hz: &'static [f64],
    /// On and off in turn, in milliseconds, from the beginning of a period.
    pub cadence: &'static [u32],
}

/// Every country with all of ringback, busy and congestion; the special information tone is one for all.
pub const COUNTRIES: &[&str] = &[
    "AT", "AU", "BE", "CA", "CH", "CN", "DE", "DK", "ES", "FR", "GB", "IE", "IN", "IT", "JP", "NL",
    "NO", "PL", "SE", "US",
];

const fn tone(
    countries: &'static [&'static str],
    kind: ToneKind,
    hz: &'static [f64],
    cadence: &'static [u32],
) -> CountryTone {
    CountryTone { countries, kind, hz, cadence }
}

use ToneKind::{Busy, Congestion, Ringback, Sit};

/// The table.
pub const TONES: &[CountryTone] = &[
    tone(&["US", "CA"], Ringback, &[440.0, 480.0], &[2000, 4000]),
    tone(&["US", "CA"], Busy, &[480.0, 620.0], &[500, 500]),
    tone(&["US", "CA"], Congestion, &[480.0, 620.0], &[250, 250]),
    tone(&["GB", "IE"], Ringback, &[400.0, 450.0], &[400, 200, 400, 2000]),
    tone(&["GB", "IE"], Busy, &[400.0], &[375, 375]),
    tone(&["GB", "IE"], Congestion, &[400.0], &[400, 350, 225, 525]),
    tone(&["AU"], Ringback, &[400.0, 425.0], &[400, 200, 400, 2000]),
    tone(&["AU"], Busy, &[425.0], &[375, 375]),
    tone(&["AU"], Congestion, &[425.0], &[375, 375]),
    tone(&["DE"], Ringback, &[425.0], &[1000, 4000]),
    tone(&["DE"], Busy, &[425.0], &[480, 480]),
    tone(&["DE"], Congestion, &[425.0], &[240, 240]),
    tone(&["AT"], Ringback, &[420.0], &[1000, 5000]),
    tone(&["AT"], Busy, &[420.0], &[400, 400]),
    tone(&["AT"], Congestion, &[420.0], &[200, 200]),
    tone(&["CH"], Ringback, &[425.0], &[1000, 4000]),
    tone(&["CH"], Busy, &[425.0], &[500, 500]),
    tone(&["CH"], Congestion, &[425.0], &[200, 200]),
    tone(&["FR"], Ringback, &[440.0], &[1500, 3500]),
    tone(&["FR"], Busy, &[440.0], &[500, 500]),
    tone(&["FR"], Congestion, &[440.0], &[250, 250]),
    tone(&["IT"], Ringback, &[425.0], &[1000, 4000]),
    tone(&["IT"], Busy, &[425.0], &[500, 500]),
    tone(&["IT"], Congestion, &[425.0], &[200, 200]),
    tone(&["ES"], Ringback, &[425.0], &[1500, 3000]),
    tone(&["ES"], Busy, &[425.0], &[200, 200]),
    tone(&["ES"], Congestion, &[425.0], &[200, 200, 200, 200, 200, 600]),
    tone(&["NL"], Ringback, &[425.0], &[1000, 4000]),
    tone(&["NL"], Busy, &[425.0], &[500, 500]),
    tone(&["NL"], Congestion, &[425.0], &[250, 250]),
    tone(&["BE"], Ringback, &[425.0], &[1000, 3000]),
    tone(&["BE"], Busy, &[425.0], &[500, 500]),
    tone(&["BE"], Congestion, &[425.0], &[167, 167]),
    tone(&["SE"], Ringback, &[425.0], &[1000, 5000]),
    tone(&["SE"], Busy, &[425.0], &[250, 250]),
    tone(&["SE"], Congestion, &[425.0], &[250, 750]),
    tone(&["NO", "DK"], Ringback, &[425.0], &[1000, 4000]),
    tone(&["NO", "DK"], Busy, &[425.0], &[500, 500]),
    tone(&["NO"], Congestion, &[425.0], &[200, 200]),
    tone(&["DK"], Congestion, &[425.0], &[250, 250]),
    tone(&["PL"], Ringback, &[425.0], &[1000, 4000]),
    tone(&["PL"], Busy, &[425.0], &[500, 500]),
    tone(&["PL"], Congestion, &[425.0], &[500, 500]),
    tone(&["JP"], Ringback, &[400.0], &[1000, 2000]),
    tone(&["JP"], Busy, &[400.0], &[500, 500]),
    tone(&["JP"], Congestion, &[400.0], &[500, 500]),
    tone(&["CN"], Ringback, &[450.0], &[1000, 4000]),
    tone(&["CN"], Busy, &[450.0], &[350, 350]),
    tone(&["CN"], Congestion, &[450.0], &[700, 700]),
    tone(&["IN"], Ringback, &[400.0], &[400, 200, 400, 2000]),
    tone(&["IN"], Busy, &[400.0], &[750, 750]),
    tone(&["IN"], Congestion, &[400.0], &[250, 250]),
    tone(&[], Sit, &[950.0, 1400.0, 1800.0], &[330, 330, 330]),
    tone(&[], ToneKind::FaxCng, &[1100.0], &[500, 3000]),
];
