//! A trunk's leg put aside while another one is tried in its place (a transfer), and taken back where
//! that comes to nothing.
//!
//! ```text
//! trunk A --park--> A aside --open_trunk--> B --restore--> A        B --forget_parked--> B
//! ```
//!
//! What is put aside hears and says nothing; its numbers go on when it is taken back.

use std::time::Instant;

use super::Bridge;
use crate::media::watch::Watch;
use crate::media::{Error, Hold, LegSide, MediaEvent};

impl Bridge {
    /// Puts the trunk's leg aside; the place is free for another one.
    pub(in crate::media) fn park_trunk(&mut self) {
        let (held, _) = self.trunk_ways();
        if let Some(mut trunk) = self.trunk.take() {
            if held {
                self.outbox.event(MediaEvent::HeldByTrunk { held: false });
            }
            let waiting = trunk.digits.take_waiting();
            self.waiting.take_over(waiting);
            self.parked = Some(trunk);
        }
    }

    /// Takes it back, in the place of what is there now.
    ///
    /// # Errors
    /// [`Error::OutOfOrder`] where nothing was put aside.
    pub(in crate::media) fn restore_trunk(&mut self, now: Instant) -> Result<(), Error> {
        let parked = self.parked.take().ok_or(Error::OutOfOrder("no trunk leg was put aside"))?;
        let before = self.trunk_ways();
        self.close_trunk();
        self.trunk = Some(parked);
        self.settle_rate()?;
        self.renegotiated(now, before);
        self.trunk_watch = Watch::new(LegSide::Trunk, self.config.lost_after);
        if self.connected && self.trunk_ways().1 {
            self.trunk_watch.start(now);
        }
        if let Some(browser) = &mut self.browser {
            browser.downlink.switch();
        }
        Ok(())
    }

    /// It is not wanted any more: another one has its place for good, and nobody holds that one.
    pub(in crate::media) fn forget_parked(&mut self) {
        self.parked = None;
        if std::mem::replace(&mut self.hold, Hold::Off) == Hold::On
            && let Some(browser) = &mut self.browser
        {
            browser.downlink.switch();
        }
    }
}
