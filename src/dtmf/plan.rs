//! How digits go out on one leg, and how they are listened for: made anew at every offer and answer
//! from the operator's wish, the remote SDP and the peer's `Allow`.
//!
//! ```text
//! wish       sends, best first                                          detector
//! auto       events if negotiated, else INFO if allowed, else tones     where no events are
//! rfc4733    events if negotiated, else nothing                         where no events are
//! info       INFO, then events if negotiated, then tones                where no events are
//! inband     tones                                                      always
//! ```
//!
//! Only an INFO can be refused, so only it has something after it. Tones need a codec they survive.

use super::Mode;
use crate::base::DtmfMode;

/// What is known of a leg when its plan is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PlanInput {
    /// The trunk's setting, or the rule's in its place.
    pub wish: DtmfMode,
    /// Whether `telephone-event` was negotiated.
    pub events: EventSupport,
    /// Whether the peer takes INFO.
    pub info: InfoSupport,
    /// Whether tones come through the codec as they are.
    pub tones: ToneSupport,
}

/// Whether `telephone-event` is in what was negotiated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventSupport {
    /// It is.
    Negotiated,
    /// The remote SDP does not have it.
    Absent,
}

/// Whether the peer's `Allow` (RFC 3261 20.5) names INFO.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum InfoSupport {
    /// It does.
    Allowed,
    /// It does not, or there was none.
    #[default]
    Unknown,
}

/// Whether a codec keeps tones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ToneSupport {
    /// G.711, G.722.
    Kept,
    /// A codec for speech.
    Spoilt,
}

/// Whether tones in the leg's audio are listened for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detection {
    /// The detector runs.
    On,
    /// Digits come as events; a detector could only mistake speech for digits.
    Off,
}

/// The plan of one leg.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    send: Vec<Mode>,
    detection: Detection,
}

impl Plan {
    /// The plan that follows from what is known.
    pub fn new(input: PlanInput) -> Plan {
        let events = (input.events == EventSupport::Negotiated).then_some(Mode::Rfc4733);
        let tones = (input.tones == ToneSupport::Kept).then_some(Mode::Inband);
        let info = (input.info == InfoSupport::Allowed).then_some(Mode::Info);
        let best_first = match input.wish {
            DtmfMode::Auto => match events {
                Some(events) => [Some(events), None, None],
                None => [info, tones, None],
            },
            DtmfMode::Rfc4733 => [events, None, None],
            DtmfMode::Info => [Some(Mode::Info), events, tones],
            DtmfMode::Inband => [tones, None, None],
        };
        let detection = match (input.events, input.wish) {
            _ if tones.is_none() => Detection::Off,
            (EventSupport::Absent, _) | (_, DtmfMode::Inband) => Detection::On,
            (EventSupport::Negotiated, _) => Detection::Off,
        };
        Plan { send: best_first.into_iter().flatten().collect(), detection }
    }

    /// The mode in force; `None` where no way is left.
    pub fn mode(&self) -> Option<Mode> {
        self.send.first().copied()
    }

    /// The modes after that, best first: for a digit that the mode in force cannot deliver.
    pub fn fallbacks(&self) -> &[Mode] {
        self.send.get(1..).unwrap_or_default()
    }

    /// Whether tones are listened for.
    pub fn detection(&self) -> Detection {
        self.detection
    }

    /// The mode in force has failed: the next one takes its place, if there is one.
    pub fn fall_back(&mut self) -> Option<Mode> {
        if self.send.len() > 1 {
            self.send.remove(0);
            return self.mode();
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    use DtmfMode::{Auto, Inband, Info, Rfc4733};
    use EventSupport::{Absent, Negotiated};
    use InfoSupport::{Allowed, Unknown};
    use ToneSupport::{Kept, Spoilt};

    #[test]
    fn the_wish_the_sdp_and_allow_make_the_plan() {
        const E: Mode = Mode::Rfc4733;
        const I: Mode = Mode::Info;
        const T: Mode = Mode::Inband;
        let (on, off) = (Detection::On, Detection::Off);
        #[rustfmt::skip]
        type Row = (DtmfMode, EventSupport, InfoSupport, ToneSupport, &'static [Mode], Detection);
        let table: [Row; 15] = [
            (Auto, Negotiated, Allowed, Kept, &[E], off),
            (Auto, Negotiated, Unknown, Kept, &[E], off),
            (Auto, Absent, Allowed, Kept, &[I, T], on),
            (Auto, Absent, Unknown, Kept, &[T], on),
            (Auto, Absent, Allowed, Spoilt, &[I], off),
            (Auto, Absent, Unknown, Spoilt, &[], off),
            (Rfc4733, Negotiated, Allowed, Kept, &[E], off),
            (Rfc4733, Absent, Allowed, Kept, &[], on),
            (Info, Negotiated, Unknown, Kept, &[I, E, T], off),
            (Info, Absent, Unknown, Kept, &[I, T], on),
            (Info, Absent, Unknown, Spoilt, &[I], off),
            (Inband, Negotiated, Allowed, Kept, &[T], on),
            (Inband, Absent, Allowed, Kept, &[T], on),
            (Inband, Absent, Allowed, Spoilt, &[], off),
            (Inband, Negotiated, Allowed, Spoilt, &[], off),
        ];
        for (wish, events, info, tones, send, detection) in table {
            let plan = Plan::new(PlanInput { wish, events, info, tones });
            assert_eq!((&plan.send[..], plan.detection), (send, detection), "{wish} {events:?}");
        }
    }

    #[test]
    fn the_last_mode_stays_when_it_fails() {
        let input = PlanInput { wish: Info, events: Absent, info: Unknown, tones: Kept };
        let mut plan = Plan::new(input);
        assert_eq!((plan.mode(), plan.fallbacks()), (Some(Mode::Info), &[Mode::Inband][..]));
        assert_eq!(plan.fall_back(), Some(Mode::Inband));
        assert_eq!((plan.fall_back(), plan.mode()), (None, Some(Mode::Inband)));
    }
}
