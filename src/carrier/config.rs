//! What the demo carrier is told at its start, and why it may not start.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crate::base::Network;
use crate::codec::PromptError;

/// Where the carrier listens, whom it calls back and what it bears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CarrierConfig {
    /// SIP over UDP; port 0 lets the system choose. RTP uses the same address and ports that the
    /// system chooses.
    pub sip_listen: SocketAddr,
    /// Who may call; others get no answer.
    pub accept: Vec<Network>,
    /// Where calls of 607 go; may be given later by [`crate::carrier::Carrier::set_gateway`].
    pub gateway: Option<SocketAddr>,
    /// The number of the gateway that 607 calls back, as the gateway's inbound plan knows it.
    pub did: String,
    /// The number that those calls come from.
    pub callback_number: String,
    /// From hanging up to calling back.
    pub callback_after: Duration,
    /// Calls at once; more get 503.
    pub max_calls: usize,
    /// Longest call; 604 rings that long at most.
    pub max_length: Duration,
}

impl Default for CarrierConfig {
    fn default() -> CarrierConfig {
        CarrierConfig {
            sip_listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            accept: vec![
                Network::host(Ipv4Addr::LOCALHOST.into()),
                Network::host(Ipv6Addr::LOCALHOST.into()),
            ],
            gateway: None,
            // Numbers set aside for fiction (NANP 555-0100 to 555-0199).
            did: "+12025550100".to_owned(),
            callback_number: "+12025550107".to_owned(),
            // Long enough for a page to show that the first call is over.
            callback_after: Duration::from_secs(1),
            // A demo and its tests; far below what one core bears.
            max_calls: 64,
            max_length: Duration::from_secs(600),
        }
    }
}

/// Why the carrier does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The SIP socket: port taken, address not ours.
    #[error("the demo carrier cannot listen on {0}: {1}")]
    Listen(SocketAddr, String),
    /// A prompt in this binary cannot be decoded: our fault.
    #[error("a prompt of the demo carrier is damaged: {0}")]
    Prompt(#[from] PromptError),
}
