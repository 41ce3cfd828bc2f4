//! What a page is told of a call's quality: `call.stats`.

use serde::Serialize;

/// What arrives on one leg.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct LegReport {
    /// Packets received so far.
    pub packets: u64,
    /// Packets that never came; negative where copies came.
    pub lost: i64,
    /// Octets of payload received.
    pub octets: u64,
    /// Packets sent so far.
    pub sent_packets: u64,
    /// Octets of payload sent toward a trunk; begins anew after 2^32.
    pub sent_octets: u64,
    /// Mean opinion score of the E-model (ITU-T G.107), 1.0 to 4.5.
    pub mos: f32,
    /// The rating it is made of, 0 to 100.
    pub rating: f32,
    /// Packets lost of those expected, 0 to 100.
    pub loss_percent: f32,
    /// Share of what was played that was made up, 0 to 100.
    pub concealed_percent: f32,
    /// Interarrival jitter in ms.
    pub jitter_ms: f32,
    /// What the playout buffer aims at, in ms.
    pub buffer_ms: f32,
    /// Round trip in ms, where known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<f32>,
    /// From the sender to where the sound leaves the gateway, in ms.
    pub one_way_delay_ms: f32,
    /// What the other end says it lost of ours, 0 to 100.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remote_loss_percent: Option<f32>,
}
