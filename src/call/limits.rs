//! How long a call may stay in each state. Every wait of the state machine has an end.

use std::time::Duration;

/// The time limits of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// For the route decision. A plan is looked up in memory, a webhook in it has 3 s.
    pub route: Duration,
    /// Without any 1xx from a target before the next one is tried (the plan's failover rule: 4 s).
    pub first_response: Duration,
    /// Ringing without early media.
    pub ring: Duration,
    /// From dialling a target to its answer, early media included (RFC 3261 timer C: over 3 min).
    pub answer: Duration,
    /// From a page's offer or answer until its media flows (ICE and DTLS).
    pub media_setup: Duration,
    /// Media may be gone this long before the call ends (an ICE restart is kept 30 s).
    pub media_lost: Duration,
    /// For the answer's record to reach the disk; after it the call goes on without.
    pub keep_record: Duration,
    /// From the answer to the forced end.
    pub max_call: Duration,
    /// For a party that was replaced to say goodbye by itself (RFC 5589 6: it does so when it hears that
    /// the other one has answered).
    pub leave: Duration,
    /// For cancelled legs to finish: 64*T1 of RFC 3261 (32 s) and a margin.
    pub ending: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            route: Duration::from_secs(5),
            first_response: Duration::from_secs(4),
            ring: Duration::from_secs(60),
            answer: Duration::from_secs(185),
            media_setup: Duration::from_secs(15),
            media_lost: Duration::from_secs(30),
            keep_record: Duration::from_secs(1),
            max_call: Duration::from_secs(2 * 60 * 60),
            leave: Duration::from_secs(4),
            ending: Duration::from_secs(35),
        }
    }
}
