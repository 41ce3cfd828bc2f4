//! SIP: codec over rsip's types, transactions, dialogs, sessions, transports (RFC 3261).

pub mod address;
pub mod codec;
mod command;
mod dialog;
pub mod digest;
pub mod driver;
mod endpoint;
mod event;
pub mod framing;
pub mod grammar;
pub mod header;
pub mod locate;
mod make;
pub mod message;
pub mod method;
mod multipart;
pub mod params;
mod random;
mod registration;
mod schedule;
pub mod status;
mod transaction;
mod transport;
pub mod uri;

#[cfg(test)]
mod any_call_tests;
#[cfg(test)]
mod call_flow_tests;
#[cfg(test)]
mod failover_tests;
#[cfg(test)]
mod hop_tests;
#[cfg(test)]
mod odd_invite_tests;
#[cfg(test)]
mod refer_tests;
#[cfg(test)]
mod reinvite_tests;
#[cfg(test)]
mod reliable_tests;
#[cfg(test)]
mod session_timer_tests;
#[cfg(test)]
mod update_tests;
#[cfg(test)]
mod virtual_network;

pub use address::NameAddr;
pub use codec::{Limits, ParseError, Policy, Refusal, check, parse, write, write_into};
pub use command::{
    Body, Challenged, Command, Credentials, Destination, ExtraHeader, Invite, LongRequests,
    MAX_FORWARDS, Options, ReferTarget, Register, RequestKey, Session, TlsPeer, Transport,
};
pub use driver::{
    Dns, DnsStartError, DriverConfig, Handle, Passed, StartError, Stopped, Tap, Unreached,
};
pub use endpoint::{
    Admission, ConnectionId, Counts, Endpoint, EndpointConfig, Error, Input, Listener, Output,
    Path, SessionTimer, Transmit,
};
pub use event::{Answer, End, Event, Incoming, OfferIn, Origin, Privacy, Refer};
pub use framing::{Frame, Framer};
pub use grammar::Malformed;
pub use header::TypedHeader;
pub use locate::{LocateError, Reachable, Wanted};
pub use message::{Message, MessageExt, Request, Response};
pub use params::Params;
pub use registration::{
    LINE, NotRegistered, RegisterAsk, Registration, RegistrationConfig, RegistrationInput,
    RegistrationOutput,
};
pub use rsip::{Method, StatusCode};
pub use transaction::{Reliability, Timing};
pub use transport::{TlsConfig, TlsError, TlsIdentity, TlsPeerConfig, TlsServer};
pub use uri::{Host, Scheme, Uri};
