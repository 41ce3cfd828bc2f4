//! The workers as one: placement of new calls, gauges, shutdown.

use super::{Error, MediaEvent, PoolConfig, Session};
use crate::base::CallId;

/// All media workers. Dropping it ends every session and joins the threads.
#[derive(Debug)]
pub struct Pool {}

/// Numbers of the pool as they are now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gauges {
    /// Calls with open media.
    pub sessions: usize,
    /// Calls that would be taken at most.
    pub capacity: usize,
    /// UDP ports held toward trunks (RTP and RTCP each count).
    pub ports: usize,
    /// Latest lateness of a worker's ticks in microseconds, the worst of them.
    pub tick_late_us: u64,
    /// Defects caught so far, each of which ended one call.
    pub panics: u64,
}

impl Pool {
    /// Binds the sockets and starts the threads.
    pub fn start(_config: PoolConfig) -> Result<Self, Error> {
        Err(Error::Internal)
    }

    /// Opens the media of one call on the worker with the least load.
    ///
    /// The receiver must be read: it holds 256 events, and those beyond are dropped and counted.
    pub fn open(
        &self,
        _call: CallId,
    ) -> Result<(Session, tokio::sync::mpsc::Receiver<MediaEvent>), Error> {
        Err(Error::Overloaded)
    }

    /// Current numbers.
    pub fn gauges(&self) -> Gauges {
        Gauges::default()
    }
}
