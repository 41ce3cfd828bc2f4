//! Who looks at the messages that pass the sockets: for a trace of calls, never for a decision.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use crate::sip::Transport;

/// A message as it passed a socket of ours.
#[derive(Debug, Clone, Copy)]
pub struct Passed<'a> {
    /// From us, or to us.
    pub sent: bool,
    /// How it travelled.
    pub transport: Transport,
    /// Our end.
    pub local: SocketAddr,
    /// The other.
    pub remote: SocketAddr,
    /// The message.
    pub bytes: &'a [u8],
}

/// Is shown every message of accepted networks, on the driver's task: it must not wait.
#[derive(Clone)]
pub struct Tap(Arc<dyn Fn(&Passed<'_>) + Send + Sync>);

impl Tap {
    /// Calls this for each message.
    pub fn new(look: impl Fn(&Passed<'_>) + Send + Sync + 'static) -> Tap {
        Tap(Arc::new(look))
    }

    pub(super) fn look(&self, passed: &Passed<'_>) {
        (self.0)(passed);
    }
}

impl fmt::Debug for Tap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tap")
    }
}
