//! Crosspoint: a telephony gateway between WebRTC and SIP/PSTN.
//!
//! `docs/ARCHITECTURE.md` has the layers and the walls between them; `tests/architecture.rs`
//! checks them. Each module is one domain and exports only what its `mod.rs` names.

pub mod api;
pub mod base;
pub mod call;
pub mod caller;
pub mod carrier;
pub mod cli;
pub mod codec;
pub mod config;
pub mod dialplan;
pub mod doctor;
pub mod dtmf;
pub mod gateway;
pub mod host;
pub mod ivr;
pub mod jitter;
pub mod media;
pub mod recording;
pub mod rtp;
pub mod sdp;
pub mod selftest;
pub mod signaling;
pub mod sip;
pub mod store;
pub mod telemetry;
pub mod trunk;
pub mod webrtc;
