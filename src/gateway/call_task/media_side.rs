//! What media says, in the words of legs.

use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::mpsc;

use super::legs::{Callee, Caller};
use super::machine::CallTask;
use super::quality;
use super::{CallInput, MediaOf};
use crate::base::Cause;
use crate::call::{Input, Leg, LegEvent};
use crate::gateway::spawn;
use crate::gateway::timeline::Entry;
use crate::media::{self, LegSide, LegStats, MediaEvent};
use crate::signaling::socket::Page;
use crate::signaling::{Event, LossWatch, Warning};

impl CallTask {
    /// Carries a media session's events into the call's inbox until it closes.
    pub(super) fn follow_media(&mut self, of: MediaOf, events: mpsc::Receiver<MediaEvent>) {
        self.routes.push((of, follow(self.inbox.clone(), of, events)));
    }

    pub(super) async fn media_event(&mut self, of: MediaOf, event: MediaEvent) {
        match event {
            MediaEvent::PeerConnected { after, .. } => {
                let ms = u64::try_from(after.as_millis()).unwrap_or(u64::MAX);
                tracing::debug!(call.id = %self.id, after_ms = ms, "ICE and DTLS are up");
                self.step(LegSide::Browser, "ICE and DTLS up");
                self.on_leg(of, LegSide::Browser, LegEvent::MediaReady);
            }
            MediaEvent::PeerFailed { reason } => {
                tracing::info!(call.id = %self.id, ?reason, "peer connection lost");
                self.step(LegSide::Browser, "peer connection failed");
                self.on_leg(of, LegSide::Browser, LegEvent::MediaFailed);
            }
            MediaEvent::PeerLost { reason } => {
                tracing::info!(call.id = %self.id, ?reason, "peer connection lost, may come back");
                self.step(LegSide::Browser, "peer connection lost");
                self.on_leg(of, LegSide::Browser, LegEvent::MediaLost);
                if let Some(leg) = self.leg_of_media(of, LegSide::Browser) {
                    self.offer_restart(leg).await;
                }
            }
            MediaEvent::MediaStarted { leg } => self.step(leg, "first packet"),
            MediaEvent::MediaLost { leg } => {
                self.step(leg, "packets stopped");
                self.on_leg(of, leg, LegEvent::MediaLost);
            }
            MediaEvent::MediaResumed { leg } => {
                self.step(leg, "packets again");
                self.on_leg(of, leg, LegEvent::MediaReady);
            }
            MediaEvent::Digit { from, event } => {
                self.digit_heard(of, from, &event);
            }
            MediaEvent::DigitSent { to: LegSide::Trunk, receipt } => {
                self.digit_sent(of, &receipt);
            }
            MediaEvent::InfoWanted { request, digit, duration } => {
                self.send_info(of, request, digit, duration).await;
            }
            MediaEvent::HeldByTrunk { held } => self.held_by_trunk(held),
            MediaEvent::DigitWay { to: LegSide::Trunk, way } => self.digit_way(of, way),
            MediaEvent::DigitsUnavailable { .. } => self.digits_lost(of),
            MediaEvent::Stats { browser, trunk } => {
                tracing::debug!(call.id = %self.id, ?browser, ?trunk, "media statistics");
                self.count_dropped(&trunk);
                let [page, phone] = [(LegSide::Browser, &browser), (LegSide::Trunk, &trunk)]
                    .map(|(side, stats)| quality::of_leg(side, stats));
                for (side, stats, quality) in
                    [(LegSide::Browser, &browser, page), (LegSide::Trunk, &trunk, phone)]
                {
                    // Of what never came nothing is known, and least of all that it was good.
                    self.note_silence(of, side, stats.received == 0);
                    if stats.received > 0 {
                        self.on_leg(of, side, LegEvent::Quality(quality));
                    }
                }
                let quality = self.engine.record().quality;
                self.with_timeline(|timeline, at| timeline.sounds(at, quality));
                if let Some(told) = self.page_of_media(of).filter(|_| !self.over) {
                    told.event(quality::event(self.id, (&page, &browser), (&phone, &trunk)));
                }
                self.warn_of_loss(of, &trunk);
                let dropped = browser.digits_dropped + trunk.digits_dropped;
                let more = dropped.saturating_sub(self.digits_dropped);
                if more > 0 {
                    tracing::warn!(call.id = %self.id, more, "too many digits: dropped");
                    self.gateway.metrics.dropped("digits", more);
                }
                self.digits_dropped = dropped;
            }
            MediaEvent::Closed { error: Some(error) } => {
                tracing::error!(call.id = %self.id, %error, "media ended by itself");
                self.feed(Input::End(Cause::Internal));
            }
            _ => {}
        }
    }

    fn note_silence(&mut self, of: MediaOf, side: LegSide, is_silent: bool) {
        match self.leg_of_media(of, side) {
            Some(Leg::Caller) => self.silent.caller = is_silent,
            Some(Leg::Callee(_)) => self.silent.callee = is_silent,
            None => {}
        }
    }

    fn step(&self, leg: LegSide, name: &'static str) {
        self.on_timeline(Entry::Media { leg, name });
    }

    pub(super) fn on_leg(&mut self, of: MediaOf, side: LegSide, event: LegEvent) {
        if let Some(leg) = self.leg_of_media(of, side) {
            self.feed(Input::Leg(leg, event));
        }
    }

    /// The leg of the call that a side of a media session is at the moment.
    pub(super) fn leg_of_media(&self, of: MediaOf, side: LegSide) -> Option<Leg> {
        let of_page = match of {
            MediaOf::Caller => Leg::Caller,
            MediaOf::Callee(n) => Leg::Callee(n),
        };
        match (of, side) {
            (MediaOf::Caller, LegSide::Browser) => Some(Leg::Caller),
            // Between pages nothing is fed back but what a trunk's party does that has come later.
            (_, LegSide::Trunk) if self.stays.is_some() => {
                self.far.filter(|far| self.stays == Some(of_page) && self.trunk_of(*far).is_some())
            }
            // The trunk leg of a hunt is that of the last target.
            (MediaOf::Caller | MediaOf::Callee(_), LegSide::Trunk) if self.far.is_some() => {
                self.far
            }
            (MediaOf::Caller, LegSide::Trunk) => self
                .callees
                .iter()
                .rposition(|callee| matches!(callee, Callee::Trunk(_)))
                .and_then(|n| u8::try_from(n).ok())
                .map(Leg::Callee),
            (MediaOf::Callee(n), LegSide::Browser) => Some(Leg::Callee(n)),
            (MediaOf::Callee(_), LegSide::Trunk) => {
                matches!(self.caller, Caller::Trunk(_)).then_some(Leg::Caller)
            }
        }
    }

    /// The page cannot see for itself what is lost on the telephone side.
    fn warn_of_loss(&mut self, of: MediaOf, trunk: &LegStats) {
        let (value, change) = self.trunk_loss.look(trunk.received, trunk.lost);
        if let (Some(page), Some(active)) = (self.page_of_media(of), change) {
            page.event(Event::CallWarning {
                call: self.id,
                name: Warning::TrunkHighLoss,
                active,
                value,
                threshold: LossWatch::THRESHOLD,
            });
        }
    }

    /// What came in since the last statistics and was thrown away.
    fn count_dropped(&mut self, trunk: &LegStats) {
        let now = Dropped { foreign: trunk.foreign, malformed: trunk.malformed };
        let before = std::mem::replace(&mut self.dropped, now);
        for (reason, before, now) in [
            ("rtp-foreign", before.foreign, now.foreign),
            ("rtp-malformed", before.malformed, now.malformed),
        ] {
            if now > before {
                self.gateway.metrics.dropped(reason, now - before);
            }
        }
    }

    /// The page whose peer connection a media session holds.
    pub(super) fn page_of_media(&self, of: MediaOf) -> Option<Page> {
        self.page_of(match of {
            MediaOf::Caller => Leg::Caller,
            MediaOf::Callee(n) => Leg::Callee(n),
        })
    }

    /// A command to media that nothing waits for; one that fails means that the media is gone, and
    /// its `Closed` says the rest.
    pub(super) fn media_command(&self, result: Result<(), media::Error>) {
        if let Err(error) = result {
            tracing::debug!(call.id = %self.id, %error, "media command without effect");
        }
    }
}

/// Sides that have a leg and never sent a packet of sound.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Silent {
    pub caller: bool,
    pub callee: bool,
}

/// How many packets of the trunk's side were thrown away.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Dropped {
    /// From an address that is not the leg's own.
    foreign: u64,
    /// No RTP, or nothing that was agreed on.
    malformed: u64,
}

/// Where a media session's events go: into the inbox of the call that it is in.
#[derive(Clone)]
pub(super) struct Followed(Arc<Mutex<(mpsc::Sender<CallInput>, MediaOf)>>);

impl Followed {
    /// Another call from now on.
    pub fn lead(&self, inbox: mpsc::Sender<CallInput>, of: MediaOf) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (inbox, of);
    }

    fn now(&self) -> (mpsc::Sender<CallInput>, MediaOf) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// Carries a media session's events into a call's inbox until either is gone.
pub(super) fn follow(
    inbox: mpsc::Sender<CallInput>,
    of: MediaOf,
    mut events: mpsc::Receiver<MediaEvent>,
) -> Followed {
    let route = Followed(Arc::new(Mutex::new((inbox, of))));
    let followed = route.clone();
    spawn("media events", async move {
        // Cancellation safe: `recv` loses nothing.
        while let Some(event) = events.recv().await {
            let (inbox, of) = route.now();
            if inbox.send(CallInput::Media(of, event)).await.is_err() && route.now().0.is_closed() {
                return;
            }
        }
    });
    followed
}
