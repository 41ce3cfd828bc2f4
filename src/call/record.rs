//! The record of a call (CDR): one per call, first written at the answer, then at the end.
//!
//! Holds how many digits were pressed and never which. Wall time is only for stamps: the start is
//! given, the others are the start plus what the monotonic clock says.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::base::{CallId, Cause, EndedBy, Party, RecordingId, SipStatus, TrunkId};

/// What a call was.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Record {
    /// The call.
    pub id: CallId,
    /// From a page out, from a trunk in, or between two pages.
    pub direction: Direction,
    /// Who called, as the callee saw it.
    pub from: Party,
    /// Who was called, in normal form.
    pub to: Party,
    /// The trunk that carried the call, or the last one that was tried.
    pub trunk: Option<TrunkId>,
    /// The dial plan's rule that decided.
    pub rule: Option<String>,
    /// When the call began (RFC 3339 UTC, whole milliseconds).
    #[schema(value_type = String, format = DateTime)]
    pub started_at: Timestamp,
    /// When it was answered.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub answered_at: Option<Timestamp>,
    /// When it was over; `None` while it is on.
    #[schema(value_type = Option<String>, format = DateTime)]
    pub ended_at: Option<Timestamp>,
    /// From the answer to the end, in ms; 0 where it was never answered.
    pub duration_ms: u64,
    /// Why it ended.
    pub cause: Option<Cause>,
    /// The SIP status that ended it, as it came or went.
    pub sip: Option<SipStatus>,
    /// The Q.850 cause that ended it, 1 to 127.
    pub q850: Option<u8>,
    /// Who ended it.
    pub ended_by: Option<Who>,
    /// How many targets were dialled.
    pub attempts: u8,
    /// How many digits were pressed on both sides.
    pub digits: u32,
    /// The codec of the answering leg, as SDP names it.
    pub codec: Option<String>,
    /// What arrived on each leg.
    pub quality: Quality,
    /// Its recording, where there is one; the last where there are several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub recording: Option<Recorded>,
    /// How the dial plan decided, then each attempt and what became of it; one line each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub trace: Vec<String>,
}

impl Record {
    /// As lists of live calls show it, of which there are many at once: without the trace.
    pub fn brief(&self) -> Record {
        Record {
            id: self.id,
            direction: self.direction,
            from: self.from.clone(),
            to: self.to.clone(),
            trunk: self.trunk.clone(),
            rule: self.rule.clone(),
            started_at: self.started_at,
            answered_at: self.answered_at,
            ended_at: self.ended_at,
            duration_ms: self.duration_ms,
            cause: self.cause,
            sip: self.sip.clone(),
            q850: self.q850,
            ended_by: self.ended_by,
            attempts: self.attempts,
            digits: self.digits,
            codec: self.codec.clone(),
            quality: self.quality,
            recording: self.recording,
            trace: Vec::new(),
        }
    }
}

/// The recording of a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Recorded {
    /// Its name, `/v1/recordings/{id}`.
    pub id: RecordingId,
    /// Sound that could not be kept in time, in ms; silence stands for it.
    #[serde(default)]
    pub lost_ms: u64,
    /// Whether it could not be written: a disk that is full, a folder that cannot be written.
    #[serde(default)]
    pub failed: bool,
}

/// Which way a call went.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// From a page to a trunk.
    Outbound,
    /// From a trunk to pages.
    Inbound,
    /// Between pages.
    Internal,
    /// From a trunk to a trunk.
    Transit,
}

impl Direction {
    /// As records and metrics spell it.
    pub fn as_str(self) -> &'static str {
        match self {
            Direction::Outbound => "outbound",
            Direction::Inbound => "inbound",
            Direction::Internal => "internal",
            Direction::Transit => "transit",
        }
    }
}

/// A side of a call, seen from nowhere.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Who {
    /// The side that called.
    Caller,
    /// The side that was called.
    Callee,
    /// The gateway: a rule, a limit, a fault, its operator.
    Gateway,
}

impl Who {
    /// The same as the caller's own side sees it.
    pub fn seen_by_caller(self) -> EndedBy {
        match self {
            Who::Caller => EndedBy::Local,
            Who::Callee => EndedBy::Remote,
            Who::Gateway => EndedBy::Gateway,
        }
    }

    /// The same as a callee's own side sees it.
    pub fn seen_by_callee(self) -> EndedBy {
        match self {
            Who::Caller => EndedBy::Remote,
            Who::Callee => EndedBy::Local,
            Who::Gateway => EndedBy::Gateway,
        }
    }
}

/// The quality on both legs, as far as it was measured.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Quality {
    /// What arrived from the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub caller: Option<LegQuality>,
    /// What arrived from the callee that answered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub callee: Option<LegQuality>,
}

/// The quality of what arrives on one leg.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct LegQuality {
    /// Mean opinion score of the E-model (ITU-T G.107), 1.0 to 4.5.
    pub mos: f32,
    /// Packets lost of those expected, 0 to 100.
    pub loss_percent: f32,
    /// Interarrival jitter (RFC 3550 6.4.1) in ms.
    pub jitter_ms: f32,
    /// Transmission rating of the E-model, 0 to 100; the opinion score is made of it.
    #[serde(default)]
    pub rating: f32,
    /// Share of what was played that was made up, 0 to 100.
    #[serde(default)]
    pub concealed_percent: f32,
    /// What the playout buffer aims at, in ms; 0 on a leg without one.
    #[serde(default)]
    pub buffer_ms: f32,
    /// Round trip of the leg in ms, where its RTCP says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub round_trip_ms: Option<f32>,
    /// From the sender's microphone to where the sound leaves the gateway, in ms: half a round trip,
    /// a packet, the buffer.
    #[serde(default)]
    pub one_way_delay_ms: f32,
    /// What the other end says it lost of what we sent, 0 to 100.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub remote_loss_percent: Option<f32>,
}
