//! Browser signalling: JSON messages, session machine, tokens, WebSocket driver.
//!
//! The language is `crosspoint.v1`: request `{id, type, …}`, reply `{re, ok, …}` or `{re, error}`,
//! event `{seq, type, …}`. Everything here but [`socket`] is pure.

mod admission;
mod application;
mod call_name;
mod encode;
mod errors;
mod frame;
mod hello;
mod kept;
mod messages;
mod reports;
mod revoked;
mod service;
mod session;
mod stats;
mod token;
mod tones;
mod turn;

pub mod socket;

pub use admission::{Admission, Ticket};
pub use application::{CallMessage, MAX_WORDS_BYTES, Words};
pub use encode::{encode_event, encode_reply};
pub use errors::{ErrorCode, RaisedBy, Refusal, markdown, typescript};
pub use frame::{FrameError, MAX_DEPTH, MAX_FRAME_BYTES, MAX_SDP_BYTES, decode, depth_within};
pub use hello::{CallView, CameBack, Client, Direction, Hello, IceServer, TokenRefresh, Welcome};
pub use kept::{Kept, MAX_PER_USER};
pub use messages::{
    CallAnswer, CallHangup, CallIncoming, CallMedia, CallMute, CallReject, CallStart, CallState,
    Candidate, DtmfCancel, DtmfPress, DtmfRelease, DtmfSend, Event, Ice, MediaMode, Phase, Ping,
    RejectReason, Reply, Request, RequestId, Source, Verified,
};
pub use reports::{
    CallReport, LegSummary, LossWatch, PageStats, Problem, Receipt, StatsSummary, Warning,
};
pub use revoked::Revoked;
pub use service::{CallHold, CallTransfer, HeldBy, TransferStatus, TransferTo};
pub use session::{
    AsDialled, CloseCode, Config, Dialling, Error, Input, Loss, Output, Resumed, Session,
};
pub use stats::LegReport;
pub use token::{Claims, MAX_TTL_S, MintError, Scope, TokenError, TokenId, TokenKey, mint, verify};
pub use tones::{Tones, TonesError};
pub use turn::IceSource;
