//! Caps per user (`security`: 2 calls at once, 10 a minute, 60 an hour, 100 a day). Emergency calls
//! pass every cap.

use std::collections::{HashMap, VecDeque};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::registry::Registry;
use crate::base::UserId;

/// How much one user may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Caps {
    pub at_once: usize,
    pub per_minute: usize,
    pub per_hour: usize,
    pub per_day: usize,
}

impl Default for Caps {
    fn default() -> Caps {
        Caps { at_once: 2, per_minute: 10, per_hour: 60, per_day: 100 }
    }
}

/// The starts of every user's calls within a day. Users come from the configuration, so their
/// number is bounded; each keeps at most `per_day` moments.
pub(super) struct Limits {
    caps: HashMap<UserId, Caps>,
    starts: Mutex<HashMap<UserId, VecDeque<Instant>>>,
}

/// A cap that is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reached {
    /// Which, in words.
    pub words: String,
    /// When the next call fits, where time alone frees it.
    pub free_in: Option<Duration>,
}

impl Limits {
    pub fn new(caps: HashMap<UserId, Caps>) -> Limits {
        Limits { caps, starts: Mutex::default() }
    }

    /// Counts a call of `user`, or says which cap it would break.
    pub fn admit_user(&self, user: &UserId, registry: &Registry) -> Result<(), Reached> {
        let caps = self.caps.get(user).copied().unwrap_or_default();
        let mut starts = self.starts.lock().unwrap_or_else(PoisonError::into_inner);
        let starts = starts.entry(user.clone()).or_default();
        // The call that asks is in the registry already.
        let others = registry.calls_of(user).saturating_sub(1);
        admit(caps, others, starts, Instant::now())
    }
}

fn admit(
    caps: Caps,
    at_once: usize,
    starts: &mut VecDeque<Instant>,
    now: Instant,
) -> Result<(), Reached> {
    if at_once >= caps.at_once {
        let words = format!("{} calls at once are allowed", caps.at_once);
        return Err(Reached { words, free_in: None });
    }
    while starts.front().is_some_and(|start| now.duration_since(*start) >= DAY) {
        starts.pop_front();
    }
    for (cap, span, name) in [
        (caps.per_minute, MINUTE, "a minute"),
        (caps.per_hour, HOUR, "an hour"),
        (caps.per_day, DAY, "a day"),
    ] {
        let within = starts.iter().filter(|start| now.duration_since(**start) < span).count();
        if within >= cap {
            let words = format!("{cap} calls {name} are allowed");
            // The call fits when the oldest of the last `cap` calls leaves the span.
            let oldest = starts.len().checked_sub(cap).and_then(|at| starts.get(at));
            let free_in = oldest.map(|start| span.saturating_sub(now.duration_since(*start)));
            return Err(Reached { words, free_in });
        }
    }
    starts.push_back(now);
    Ok(())
}

const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(60 * 60);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::epoch;

    #[test]
    fn each_cap_says_which_it_is_and_when_it_frees() {
        let caps = Caps { at_once: 2, per_minute: 2, per_hour: 3, per_day: 4 };
        let mut starts = VecDeque::new();
        let at = |s| epoch() + Duration::from_secs(s);
        assert_eq!(
            admit(caps, 2, &mut starts, at(0)),
            Err(Reached { words: "2 calls at once are allowed".into(), free_in: None })
        );
        assert_eq!(admit(caps, 0, &mut starts, at(0)), Ok(()));
        assert_eq!(admit(caps, 0, &mut starts, at(10)), Ok(()));
        let minute = admit(caps, 0, &mut starts, at(20)).unwrap_err();
        assert_eq!(minute.words, "2 calls a minute are allowed");
        assert_eq!(minute.free_in, Some(Duration::from_secs(40)));
        assert_eq!(admit(caps, 0, &mut starts, at(60)), Ok(()));
        let hour = admit(caps, 0, &mut starts, at(200)).unwrap_err();
        assert_eq!(hour.words, "3 calls an hour are allowed");
        assert_eq!(admit(caps, 0, &mut starts, at(3600)), Ok(()));
        let day = admit(caps, 0, &mut starts, at(8000)).unwrap_err();
        assert_eq!(day.words, "4 calls a day are allowed");
        assert_eq!(admit(caps, 0, &mut starts, at(86_400)), Ok(()));
    }
}
