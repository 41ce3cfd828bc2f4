//! The sockets of a trunk's leg that is put aside: open, so that its ports stay its own, and not read.

use std::time::Instant;

use mio::Token;

use super::run::{Slot, Surroundings};
use super::sockets::{BrowserSocket, TrunkSockets};
use crate::media::Error;

impl Slot {
    /// Puts the trunk's leg and its sockets aside.
    pub(super) fn park_trunk(&mut self, worker: &Surroundings<'_>) {
        self.call.park_trunk();
        if let Some(mut sockets) = self.trunk.take() {
            sockets.rest(worker.poll.registry());
            self.parked = Some(sockets);
        }
    }

    /// Takes them back; the leg that is there now says goodbye.
    pub(super) fn restore_trunk(
        &mut self,
        now: Instant,
        browsers: &[BrowserSocket],
        worker: &Surroundings<'_>,
    ) -> Result<(), Error> {
        if self.parked.is_none() {
            return Err(Error::OutOfOrder("no trunk leg was put aside"));
        }
        self.call.close_trunk();
        self.drain(now, browsers);
        let registry = worker.poll.registry();
        if let Some(old) = self.trunk.take() {
            old.deregister(registry);
        }
        if let Some(mut sockets) = self.parked.take() {
            let rtcp = Token(worker.first.0 + 1);
            sockets.resume(registry, worker.first, rtcp)?;
            self.trunk = Some(sockets);
        }
        self.call.restore_trunk(now)
    }

    /// The leg that was put aside is not wanted any more; its ports are free.
    pub(super) fn forget_parked(&mut self) {
        self.call.forget_parked();
        self.parked = None;
    }
}

impl TrunkSockets {
    /// Nothing is read from them for a while.
    fn rest(&mut self, registry: &mio::Registry) {
        let _ = registry.deregister(&mut self.pair.rtp);
        let _ = registry.deregister(&mut self.pair.rtcp);
    }

    /// They are read again; what came in the meantime is thrown away.
    fn resume(&mut self, registry: &mio::Registry, rtp: Token, rtcp: Token) -> Result<(), Error> {
        let system = |error: std::io::Error| Error::System(error.to_string());
        let mut rubbish = [0; 2048];
        while self.pair.rtp.recv_from(&mut rubbish).is_ok() {}
        while self.pair.rtcp.recv_from(&mut rubbish).is_ok() {}
        let interest = mio::Interest::READABLE;
        registry.register(&mut self.pair.rtp, rtp, interest).map_err(system)?;
        registry.register(&mut self.pair.rtcp, rtcp, interest).map_err(system)
    }
}
