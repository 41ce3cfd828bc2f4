//! Offers and answers of a bridge's trunk leg, and what they change for the bridge.

use std::time::Instant;

use super::Bridge;
use crate::codec::Rate;
use crate::media::trunk_side::TrunkSide;
use crate::media::{Error, Hold, MediaEvent, TrunkAudio};
use crate::sdp::Direction;

impl Bridge {
    pub(in crate::media) fn trunk_offer(&mut self) -> Result<String, Error> {
        Ok(self.trunk_side()?.leg.offer())
    }

    pub(in crate::media) fn trunk_accept(
        &mut self,
        now: Instant,
        answer: &str,
    ) -> Result<TrunkAudio, Error> {
        let before = self.trunk_ways();
        let audio = self.trunk_side()?.accept(now, answer)?;
        self.settle_rate()?;
        self.renegotiated(now, before);
        Ok(audio)
    }

    /// Our offer within the session. The hold has its effect at once, whatever the trunk says to it.
    pub(in crate::media) fn trunk_reoffer(&mut self, hold: Hold) -> Result<String, Error> {
        let direction = match hold {
            Hold::On => Direction::SendOnly,
            Hold::Off => Direction::SendRecv,
        };
        let offer = self.trunk_side()?.leg.reoffer(direction);
        if hold != self.hold {
            self.hold = hold;
            if let Some(browser) = &mut self.browser {
                browser.downlink.switch();
            }
        }
        Ok(offer)
    }

    /// The trunk refused our offer.
    pub(in crate::media) fn trunk_withdraw(&mut self) {
        if let Some(trunk) = &mut self.trunk {
            trunk.leg.withdraw();
        }
    }

    pub(in crate::media) fn trunk_answer(
        &mut self,
        now: Instant,
        offer: &str,
    ) -> Result<(String, TrunkAudio), Error> {
        let before = self.trunk_ways();
        let answer = self.trunk_side()?.answer(now, offer)?;
        self.settle_rate()?;
        self.renegotiated(now, before);
        Ok(answer)
    }

    /// 16 kHz where both legs have it, or a leg and its line, 8 elsewhere.
    pub(super) fn settle_rate(&mut self) -> Result<(), Error> {
        if self.line.is_none() && (self.browser.is_none() || self.trunk.is_none()) {
            return Ok(());
        }
        let wide = self.browser.as_ref().is_none_or(|browser| browser.uplink.codec().is_wide())
            && self.trunk.as_ref().is_none_or(TrunkSide::is_wide)
            && self.line.as_ref().is_none_or(|line| line.is_wide());
        let rate = if wide { Rate::Wide } else { Rate::Narrow };
        self.rate = rate;
        if let Some(browser) = &mut self.browser {
            browser.set_rate(rate)?;
        }
        self.trunk.as_mut().map_or(Ok(()), |trunk| trunk.set_rate(rate))
    }

    /// Whether the trunk holds us, and whether it is to be heard.
    pub(super) fn trunk_ways(&self) -> (bool, bool) {
        self.trunk.as_ref().map_or((false, false), |t| (t.leg.is_held(), t.leg.receives()))
    }

    /// What an offer and answer changed.
    pub(super) fn renegotiated(&mut self, now: Instant, (was_held, was_heard): (bool, bool)) {
        let (held, heard) = self.trunk_ways();
        if held != was_held {
            self.outbox.event(MediaEvent::HeldByTrunk { held });
        }
        if heard && !was_heard && self.connected {
            self.trunk_watch.start(now);
        }
    }

    fn trunk_side(&mut self) -> Result<&mut TrunkSide, Error> {
        self.trunk.as_mut().ok_or(Error::OutOfOrder("no trunk leg is open"))
    }
}
