//! What is recorded of a call: all of it from the answer on where its rule says so, a part where the
//! operator does. A recording that cannot be made costs nothing but itself.

use std::sync::Arc;

use jiff::Timestamp;

use super::legs::{Callee, Caller};
use super::machine::CallTask;
use crate::base::RecordingId;
use crate::call::{Leg, Recorded, State};
use crate::dialplan::Recording;
use crate::media::{self, LegSide};
use crate::recording::{Control, Pause, Pauses, Start};

/// What the operator wants of a call's recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RecordingWish {
    /// It is recorded from now on, where it is not already.
    Start,
    /// Nothing is kept for now; silence stands for it.
    Pause,
    /// It goes on.
    Resume,
    /// It ends here.
    Stop,
}

/// What is recorded of a call.
#[derive(Debug, Default)]
pub(super) struct Taped {
    /// What the rule says.
    pub wanted: Recording,
    pub pauses: Arc<Pauses>,
    /// The one that is on, or was last.
    last: Option<(RecordingId, Arc<Control>)>,
    on: bool,
}

impl Taped {
    /// Nothing yet, and nothing while these say so.
    pub(super) fn pausing(pauses: Arc<Pauses>) -> Taped {
        Taped { pauses, ..Taped::default() }
    }
}

impl CallTask {
    /// A callee is about to be connected.
    pub(super) fn record_answered(&mut self, leg: Leg) {
        if self.recording.wanted == Recording::On && !self.recording.on {
            self.begin_recording(leg);
        }
    }

    /// The session that was recorded is gone with its page: what follows is a recording of its own.
    pub(super) fn record_on(&mut self, leg: Leg) {
        if self.recording.on {
            self.begin_recording(leg);
        }
    }

    pub(super) fn recording_wish(&mut self, wish: RecordingWish) {
        tracing::info!(call.id = %self.id, ?wish, "recording");
        // A stop is a pause for the other recording of this conversation, where two calls are joined.
        match wish {
            RecordingWish::Start | RecordingWish::Resume => {
                self.recording.pauses.resume(Pause::Wish);
            }
            RecordingWish::Stop | RecordingWish::Pause => self.recording.pauses.pause(Pause::Wish),
        }
        match wish {
            RecordingWish::Start if self.recording.on => {}
            RecordingWish::Start => match self.answered_callee() {
                Some(leg) if self.engine.state() == State::Connected => self.begin_recording(leg),
                // From the answer on.
                _ => self.recording.wanted = Recording::On,
            },
            RecordingWish::Pause | RecordingWish::Resume => {}
            RecordingWish::Stop => {
                self.recording.wanted = Recording::Off;
                self.recording.on = false;
                for (_, media) in self.all_media() {
                    self.media_command(media.stop_recording());
                }
            }
        }
    }

    /// The last recording as the call's record names it.
    pub(super) fn recorded(&self) -> Option<Recorded> {
        let (id, control) = self.recording.last.as_ref()?;
        Some(Recorded { id: *id, lost_ms: control.lost_ms(), failed: control.has_failed() })
    }

    fn begin_recording(&mut self, leg: Leg) {
        let Some((caller, media)) = self.media_with(leg) else { return };
        let at = Timestamp::now();
        let unix_ms = u64::try_from(at.as_millisecond()).unwrap_or(0);
        let random = u128::from(crate::gateway::random_u64()) << 16;
        let id = RecordingId::from_parts(unix_ms, random);
        let pauses = self.recording.pauses.clone();
        let begun = self.gateway.recorder.begin(Start { id, call: self.id, at, caller, pauses });
        let Some((tap, control)) = begun else {
            tracing::error!(call.id = %self.id, "the call is not recorded: too many recordings wait for the disk");
            return;
        };
        self.media_command(media.record(Box::new(tap)));
        tracing::info!(call.id = %self.id, recording.id = %id, "recording");
        self.recording.last = Some((id, control));
        self.recording.on = true;
        if let Some(recorded) = self.recorded() {
            self.engine.recorded(recorded);
        }
    }

    /// The session that both sides are in, and where the caller is in it: a line stands in the place of
    /// the leg that its session lacks.
    fn media_with(&self, leg: Leg) -> Option<(LegSide, &media::Session)> {
        let callee = match leg {
            Leg::Callee(n) => self.callees.get(usize::from(n)),
            Leg::Caller => None,
        };
        if let Some(stays) = self.stays {
            let side = if stays == Leg::Caller { LegSide::Browser } else { LegSide::Trunk };
            return Some((side, self.media_of_page(stays)?));
        }
        match (&self.caller, callee) {
            (Caller::Page(_), _) => Some((LegSide::Browser, self.media.as_ref()?)),
            (Caller::Trunk(_) | Caller::Line(_), Some(Callee::Page(page))) => {
                Some((LegSide::Trunk, &page.media))
            }
            (Caller::Trunk(_), Some(Callee::Line(line))) => {
                Some((LegSide::Trunk, line.media.as_ref()?))
            }
            (Caller::Line(_), _) => Some((LegSide::Browser, self.media.as_ref()?)),
            (Caller::Trunk(_), _) => None,
        }
    }

    fn all_media(&self) -> impl Iterator<Item = (LegSide, &media::Session)> {
        let callees = (0..self.callees.len()).filter_map(|n| u8::try_from(n).ok());
        callees.filter_map(|n| self.media_with(Leg::Callee(n)))
    }

    /// The callee that talks.
    pub(super) fn answered_callee(&self) -> Option<Leg> {
        let n = self.callees.iter().position(|callee| match callee {
            Callee::Page(page) => page.answered,
            Callee::Trunk(trunk) => trunk.alive && !trunk.given_up,
            Callee::Line(_) => true,
            Callee::Nothing => false,
        })?;
        u8::try_from(n).ok().map(Leg::Callee)
    }
}
