//! DTMF: one internal model of a digit, a decoder per mode (RFC 4733 events, SIP INFO bodies), an
//! arbiter per leg that makes one digit of what several modes report, a sender per mode, and the plan
//! that says which is in force. All pure: time and packets come in as arguments.

mod arbiter;
mod event;
mod inband;
mod info;
mod info_sender;
mod plan;
mod queue;
mod rfc4733;
mod tones;

pub use arbiter::Arbiter;
pub use event::{DigitEvent, DigitId, EndReason, Mode, Output, Phase, Receipt};
pub use inband::{InbandDetector, InbandEncoder, Tone, ToneGuard};
pub use info::{InfoDigit, InfoError, Signal, parse_info, write_info};
pub use info_sender::{InfoInput, InfoOutput, InfoSender, OnRefusal};
pub use plan::{Detection, EventSupport, InfoSupport, Plan, PlanInput, ToneSupport};
pub use queue::DigitQueue;
pub use rfc4733::{
    DecodeError, DecoderCounters, DecoderInput, EncoderConfig, EncoderError, EncoderInput,
    EncoderOutput, EventBlock, EventPacket, Pace, ReceivedEvent, Rfc4733Decoder, Rfc4733Encoder,
};
pub use tones::{ToneError, ToneItem, parse_tones};
