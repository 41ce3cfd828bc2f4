//! Which owner of timers is due next: one deadline for each, in order.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;
use std::time::Instant;

/// The earliest deadline of each owner.
#[derive(Debug)]
pub(super) struct Schedule<K> {
    order: BTreeSet<(Instant, K)>,
    due: HashMap<K, Instant>,
}

impl<K: Copy + Ord + Hash> Schedule<K> {
    /// Nobody waits.
    pub(super) fn new() -> Schedule<K> {
        Schedule { order: BTreeSet::new(), due: HashMap::new() }
    }

    /// Sets or removes the deadline of one owner.
    pub(super) fn set(&mut self, owner: K, due: Option<Instant>) {
        let old = match due {
            Some(due) => self.due.insert(owner, due),
            None => {
                let old = self.due.remove(&owner);
                // The memory of a load goes back when it is over.
                if self.due.capacity() > SMALL && self.due.len() < self.due.capacity() / 8 {
                    self.due.shrink_to((self.due.len() * 2).max(SMALL / 2));
                }
                old
            }
        };
        if old == due {
            return;
        }
        if let Some(old) = old {
            self.order.remove(&(old, owner));
        }
        if let Some(due) = due {
            self.order.insert((due, owner));
        }
    }

    /// The next deadline.
    pub(super) fn next(&self) -> Option<Instant> {
        self.order.first().map(|(due, _)| *due)
    }

    /// The owner that is due, if any. Its deadline stays until it is set anew.
    pub(super) fn due(&self, now: Instant) -> Option<(Instant, K)> {
        self.order.first().copied().filter(|(due, _)| *due <= now)
    }
}

/// A table of so many owners stays as it is.
const SMALL: usize = 1_024;

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::base::epoch;

    #[test]
    fn the_earliest_comes_first_and_each_once() {
        let ms = |ms| epoch() + Duration::from_millis(ms);
        let mut schedule = Schedule::new();
        schedule.set(1, Some(ms(30)));
        schedule.set(2, Some(ms(20)));
        schedule.set(1, Some(ms(10)));
        schedule.set(1, Some(ms(10)));
        assert_eq!(schedule.next(), Some(ms(10)));
        assert_eq!(schedule.due(ms(9)), None);
        assert_eq!(schedule.due(ms(15)), Some((ms(10), 1)));
        schedule.set(1, None);
        assert_eq!(schedule.due(ms(25)), Some((ms(20), 2)));
        schedule.set(2, None);
        assert_eq!(schedule.next(), None);
    }
}
