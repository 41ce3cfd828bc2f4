//! Which trunks are tried, in which order: a function of the route and of what each trunk says.

use std::time::Instant;

use super::limits::{Busy, Limits};
use super::monitor::Health;
use crate::base::TrunkId;

/// How the first trunk is chosen; the others follow as failover.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// As the route has them: file order, or cheapest first.
    AsGiven,
    /// The smallest share of channels in use first; equal shares keep the route's order.
    Balanced,
}

/// Whether limits and health count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Urgency {
    /// They do.
    Normal,
    /// They only say who is tried last: an emergency call is never turned away here.
    Emergency,
}

/// What is known of a trunk now.
#[derive(Debug, Clone, Copy)]
pub struct State<'a> {
    /// Its counters.
    pub limits: &'a Limits,
    /// What its monitor says.
    pub health: Health,
}

/// The outcome of a choice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// To be tried, in order.
    pub trunks: Vec<TrunkId>,
    /// Not to be tried now, in the route's order, for the call's trace.
    pub passed_over: Vec<PassedOver>,
}

/// A trunk that is not tried.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassedOver {
    /// Which.
    pub trunk: TrunkId,
    /// Why.
    pub why: Why,
}

/// Why a trunk is not tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Why {
    /// It was taken out of the configuration.
    Gone,
    /// Its breaker is open.
    Down,
    /// It is full.
    Busy(Busy),
}

impl std::fmt::Display for PassedOver {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.why {
            Why::Gone => write!(f, "{} is not configured", self.trunk),
            Why::Down => write!(f, "{} is down", self.trunk),
            Why::Busy(Busy::Channels) => write!(f, "{} has all channels in use", self.trunk),
            Why::Busy(Busy::Rate(wait)) => {
                write!(f, "{} takes the next call in {} ms", self.trunk, wait.as_millis())
            }
        }
    }
}

/// Orders a route by what is known of its trunks now.
pub fn select<'a>(
    now: Instant,
    route: &[TrunkId],
    order: Order,
    urgency: Urgency,
    state: impl Fn(&TrunkId) -> Option<State<'a>>,
) -> Selection {
    let mut ready: Vec<(u32, TrunkId)> = Vec::new();
    let mut last_resort: Vec<TrunkId> = Vec::new();
    let mut passed_over = Vec::new();
    for trunk in route {
        let state = state(trunk);
        let why = match &state {
            None => Some(Why::Gone),
            Some(state) if state.health == Health::Down => Some(Why::Down),
            Some(state) => state.limits.busy(now).map(Why::Busy),
        };
        match (why, urgency) {
            (None, _) => {
                ready.push((state.map_or(0, |state| state.limits.share()), trunk.clone()));
            }
            (Some(Why::Down | Why::Busy(_)), Urgency::Emergency) => last_resort.push(trunk.clone()),
            (Some(why), _) => passed_over.push(PassedOver { trunk: trunk.clone(), why }),
        }
    }
    if order == Order::Balanced {
        ready.sort_by_key(|(share, _)| *share);
    }
    let trunks = ready.into_iter().map(|(_, trunk)| trunk).chain(last_resort).collect();
    Selection { trunks, passed_over }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::base::epoch;

    fn trunk(name: &str) -> TrunkId {
        name.parse().unwrap()
    }

    fn chosen(order: Order, urgency: Urgency, calls: [u32; 3], down: &[&str]) -> Selection {
        let names = ["a", "b", "c"];
        let limits: BTreeMap<TrunkId, Limits> = names
            .iter()
            .zip(calls)
            .map(|(name, calls)| {
                let mut limits = Limits::new(2, 100);
                (0..calls).for_each(|_| limits.start(epoch()));
                (trunk(name), limits)
            })
            .collect();
        let route: Vec<TrunkId> = ["a", "b", "gone", "c"].map(trunk).into();
        select(epoch(), &route, order, urgency, |id| {
            let health = if down.contains(&id.as_str()) { Health::Down } else { Health::Up };
            limits.get(id).map(|limits| State { limits, health })
        })
    }

    #[test]
    fn the_route_is_kept_and_who_cannot_is_passed_over() {
        for (order, urgency, calls, down, trunks, passed_over) in [
            (Order::AsGiven, Urgency::Normal, [0, 0, 0], &[][..], "abc", "gone is not configured"),
            (Order::AsGiven, Urgency::Normal, [0, 0, 0], &["a"], "bc", "a is down"),
            (Order::AsGiven, Urgency::Normal, [0, 2, 0], &[], "ac", "b has all channels in use"),
            (Order::Balanced, Urgency::Normal, [1, 0, 1], &[], "bac", "gone is not configured"),
            (Order::Balanced, Urgency::Normal, [0, 0, 0], &[], "abc", "gone is not configured"),
            (
                Order::AsGiven,
                Urgency::Emergency,
                [2, 0, 0],
                &["b"],
                "cab",
                "gone is not configured",
            ),
        ] {
            let selection = chosen(order, urgency, calls, down);
            let names: String = selection.trunks.iter().map(TrunkId::as_str).collect();
            assert_eq!(names, trunks);
            assert_eq!(selection.passed_over[0].to_string(), passed_over);
        }
    }
}
