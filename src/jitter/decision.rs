//! What goes into a playout buffer and what comes out of it.

use std::time::Duration;

/// Bounds and clock of a buffer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Config {
    /// RTP clock of the audio in Hz.
    pub clock_rate: u32,
    /// Least delay ever aimed at.
    pub min_delay: Duration,
    /// Delay aimed at until enough was measured.
    pub start_delay: Duration,
    /// Most delay ever kept.
    pub max_delay: Duration,
    /// Whether each packet may hold a copy of the one before (Opus FEC, RFC 6716 section 2.1.7): where packets
    /// are lost, the delay then leaves time for the next one.
    pub copies: bool,
}

impl Config {
    /// 20 to 200 ms, 40 ms at the start, no copies.
    pub const fn new(clock_rate: u32) -> Config {
        Config {
            clock_rate,
            min_delay: Duration::from_millis(20),
            start_delay: Duration::from_millis(40),
            max_delay: Duration::from_millis(200),
            copies: false,
        }
    }
}

/// What a packet holds, as its payload type says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Content {
    /// Audio of this length in RTP clock units (`codec::Codec::duration`).
    Audio {
        /// In RTP clock units.
        duration: u32,
    },
    /// Audio of discontinuous transmission: a pause follows until the next packet.
    Silence {
        /// In RTP clock units.
        duration: u32,
    },
    /// A telephone event: its sequence number is not lost, and it is not played here.
    Event,
}

/// What the talker was doing in the last frame that was played; delay changes in silence first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Activity {
    /// Sound that must not be cut.
    Speech,
    /// A pause.
    Silence,
}

/// What became of an inserted packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Inserted {
    /// Kept for playout.
    Kept,
    /// Here already.
    Duplicate,
    /// Its moment has passed.
    Late,
    /// The first of a stream, or of one that started again.
    Started,
    /// Far from the stream; taken as a new start if the next packet follows it.
    Jump,
}

/// What to play next. Every `duration` is in RTP clock units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Decision<'a> {
    /// Decode this payload and play it.
    Decode {
        /// The payload.
        payload: &'a [u8],
        /// Its length.
        duration: u32,
    },
    /// A packet is lost and the one after it is here: `decode_fec` with it.
    Fec {
        /// The payload **after** the lost one; it comes again as `Decode`.
        next: &'a [u8],
        /// Length of the lost packet.
        duration: u32,
    },
    /// A packet is lost or late: conceal.
    Conceal {
        /// How long.
        duration: u32,
    },
    /// Nobody talks: comfort noise.
    ComfortNoise {
        /// How long.
        duration: u32,
    },
    /// A telephone event stands here: silence toward the far side, whose event is made anew.
    Event {
        /// How long.
        duration: u32,
    },
    /// Decode this payload for the decoder's state, throw the sound away and ask again: the delay
    /// is too long.
    Skip {
        /// The payload.
        payload: &'a [u8],
    },
    /// Nothing has come yet: play silence for this long.
    Nothing {
        /// How long.
        duration: u32,
    },
}

/// How often each thing was done.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Packets decoded and played.
    pub decoded: u64,
    /// Losses filled from FEC of the next packet.
    pub fec: u64,
    /// Frames concealed because a later packet was here.
    pub concealed: u64,
    /// Frames concealed because nothing was here.
    pub underruns: u64,
    /// Frames of comfort noise in pauses.
    pub comfort: u64,
    /// Frames during telephone events.
    pub events: u64,
    /// Packets thrown away to shorten the delay.
    pub skipped: u64,
    /// Frames of comfort noise put in to lengthen the delay.
    pub stretched: u64,
    /// Packets that came too late.
    pub late: u64,
    /// Packets that came twice.
    pub duplicates: u64,
    /// Times the stream started again.
    pub restarts: u64,
}
