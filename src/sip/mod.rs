//! SIP: codec over rsip's types, transactions, dialogs, sessions, transports (RFC 3261).

pub mod address;
pub mod codec;
pub mod digest;
pub mod framing;
pub mod grammar;
pub mod header;
pub mod message;
pub mod method;
pub mod params;
pub mod status;
pub mod uri;

pub use address::NameAddr;
pub use codec::{Limits, ParseError, Policy, Refusal, check, parse, write, write_into};
pub use framing::{Frame, Framer};
pub use grammar::Malformed;
pub use header::TypedHeader;
pub use message::{Message, MessageExt, Request, Response};
pub use params::Params;
pub use rsip::{Method, StatusCode};
pub use uri::{Host, Scheme, Uri};
