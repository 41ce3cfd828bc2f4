//! Why a peer connection could not be negotiated, or was lost.

/// What was wrong, by whose fault it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The SDP cannot be read, breaks a rule or a limit: the peer's fault.
    #[error("{0}")]
    BadSdp(String),
    /// The offer has no codec that we may use.
    #[error("no codec in common")]
    NoCommonCodec,
    /// The candidate line cannot be read or names an address that is not an IP address.
    #[error("{0}")]
    BadCandidate(String),
    /// An answer without an offer of ours before it: the caller's misuse.
    #[error("no offer is pending")]
    NoOfferPending,
}

/// Why a peer connection is lost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LostReason {
    /// No candidate pair worked, or the working one stopped. An ICE restart can repair it.
    Ice,
    /// The DTLS handshake failed, or the certificate was not the signalled one.
    Dtls,
    /// The page closed the connection.
    ClosedByPeer,
}
