//! Whether a leg is heard: its first packet, silence that is too long, and its end.

use std::time::{Duration, Instant};

use super::outbox::Outbox;
use super::{LegSide, MediaEvent};

/// The watch on one leg.
#[derive(Debug)]
pub(super) struct Watch {
    leg: LegSide,
    lost_after: Duration,
    started: bool,
    /// Since when silence counts; `None` while nobody expects sound.
    since: Option<Instant>,
    lost: bool,
    /// The peer has said that it pauses.
    pausing: bool,
}

/// How much longer silence lasts before it is a fault where the peer has said that it pauses: it may
/// describe its noise once and never again (RFC 3389 5).
const PATIENCE: u32 = 6;

impl Watch {
    pub(super) fn new(leg: LegSide, lost_after: Duration) -> Self {
        Self { leg, lost_after, started: false, since: None, lost: false, pausing: false }
    }

    /// Sound is expected from now on.
    pub(super) fn start(&mut self, now: Instant) {
        self.since = Some(now);
    }

    /// Silence is no fault any more.
    pub(super) fn stop(&mut self) {
        self.since = None;
        self.lost = false;
    }

    /// A description of noise came: sound may be away for longer.
    pub(super) fn pauses(&mut self, now: Instant, outbox: &mut Outbox) {
        self.heard(now, outbox);
        self.pausing = true;
    }

    /// A packet came.
    pub(super) fn heard(&mut self, now: Instant, outbox: &mut Outbox) {
        self.pausing = false;
        if !std::mem::replace(&mut self.started, true) {
            outbox.event(MediaEvent::MediaStarted { leg: self.leg });
        }
        if std::mem::replace(&mut self.lost, false) {
            outbox.event(MediaEvent::MediaResumed { leg: self.leg });
        }
        if let Some(since) = &mut self.since {
            *since = now;
        }
    }

    /// Time has passed.
    pub(super) fn check(&mut self, now: Instant, outbox: &mut Outbox) {
        let lost_after = if self.pausing { self.lost_after * PATIENCE } else { self.lost_after };
        let silent = self.since.is_some_and(|at| now.saturating_duration_since(at) >= lost_after);
        if silent && !std::mem::replace(&mut self.lost, true) {
            outbox.event(MediaEvent::MediaLost { leg: self.leg });
        }
    }
}
