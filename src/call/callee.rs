//! One dialled leg, and whether its refusal lets the next target be tried.

use std::time::Instant;

use crate::base::Cause;

use super::{Direction, End, LegKind, Rejection, Retry, Target, Who};

/// A leg that was dialled.
#[derive(Debug)]
pub(super) struct Callee {
    pub(super) target: Target,
    pub(super) state: CalleeState,
    /// When it was dialled.
    pub(super) since: Instant,
    pub(super) rang: bool,
    pub(super) early_media: bool,
    pub(super) media_ready: bool,
}

/// Where a dialled leg is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CalleeState {
    /// Dialled, perhaps ringing.
    Dialed,
    /// It answered first.
    Answered,
    /// A trunk leg that was taken back and has not said its last word.
    Cancelled(Cause),
    /// Nothing is left of it.
    Gone,
}

impl Callee {
    /// With what an answer that came too late is hung up.
    pub(super) fn late_end(&self) -> End {
        let cause = match self.state {
            CalleeState::Cancelled(cause) => cause,
            _ => Cause::Cancelled,
        };
        End { cause, by: Who::Gateway, sip: None, q850: cause.q850(), rule: None }
    }
}

/// The dial plan's failover rule: only on the trunk's `retry_on`, never on 404, 484, 486, 600 or
/// 603, never after early media. A page that refuses always lets the next one ring.
pub(super) fn may_fail_over(callee: &Callee, rejection: &Rejection) -> bool {
    let status = rejection.sip.as_ref().map_or(0, |sip| sip.status);
    match callee.target.kind() {
        LegKind::Page | LegKind::Line => true,
        LegKind::Trunk => {
            rejection.retry == Retry::Next
                && !callee.early_media
                && !matches!(status, 404 | 484 | 486 | 600 | 603)
        }
    }
}

/// Which of several refusals the caller is told: what the called person did before what the
/// network could not do (RFC 3261 16.7 step 6 in spirit).
pub(super) fn weight(rejection: &Rejection) -> u8 {
    match rejection.cause {
        Cause::Declined => 4,
        Cause::Busy => 3,
        Cause::NoAnswer => 2,
        Cause::Unallocated | Cause::InvalidNumber => 1,
        _ => 0,
    }
}

/// The direction of a call between legs of these kinds.
pub(super) fn direction(caller: LegKind, callee: LegKind) -> Direction {
    match (caller, callee) {
        (LegKind::Page | LegKind::Line, LegKind::Trunk) => Direction::Outbound,
        (LegKind::Trunk, LegKind::Page | LegKind::Line) => Direction::Inbound,
        (LegKind::Page | LegKind::Line, LegKind::Page | LegKind::Line) => Direction::Internal,
        (LegKind::Trunk, LegKind::Trunk) => Direction::Transit,
    }
}
