//! Words shared by all of media: the two legs, what the browser hears, digits to send.

/// Which of the two legs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LegSide {
    /// The page's peer connection.
    Browser,
    /// The plain RTP leg.
    Trunk,
}

/// What the browser hears. Switching makes no gap and no jump: one SSRC, one timeline.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Feed {
    /// Nothing is sent.
    Silence,
    /// Ringback made here, in the tones of a country.
    Ringback {
        /// ISO 3166 code, two letters (`DE`); an unknown one takes the European default.
        country: String,
    },
    /// What the trunk sends.
    Trunk,
}

/// Whether the page holds the trunk: neither hears the other, and the trunk's side gets comfort noise.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Hold {
    /// It does.
    On,
    /// It does not.
    #[default]
    Off,
}

/// Which answer of a trunk an SDP body came in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// A provisional response (183): may be followed by another, from the same or another fork.
    Early,
    /// The 2xx.
    Final,
}
