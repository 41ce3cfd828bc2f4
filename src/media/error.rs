//! Why a media operation did not happen, by what the caller can do about it.

/// One variant per decision the owner of a call can take.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The SDP cannot be read or breaks a rule: the peer's fault (`protocol/bad-message`, 400, 488).
    #[error("the session description is not usable: {0}")]
    BadSdp(String),
    /// Both sides speak no codec in common (`media/no-common-codec`, 488).
    #[error("no codec in common")]
    NoCommonCodec,
    /// The candidate line cannot be read. The call goes on without it.
    #[error("the candidate is not usable: {0}")]
    BadCandidate(String),
    /// The remote media address is not one this leg may send to (`488`).
    #[error("the media address is not allowed on this leg")]
    AddressRefused,
    /// The command does not fit what was done before (an answer without an offer).
    #[error("out of order: {0}")]
    OutOfOrder(&'static str),
    /// No capacity: refuse the new call, keep the others (503 with Retry-After).
    #[error("no media capacity")]
    Overloaded,
    /// No port of the configured range is free.
    #[error("no free media port")]
    NoPort,
    /// The session has ended.
    #[error("the media session has ended")]
    Closed,
    /// The operating system refused a socket or a thread.
    #[error("system: {0}")]
    System(String),
    /// A defect of ours was caught; the call ends with cause `internal`.
    #[error("internal error")]
    Internal,
}
