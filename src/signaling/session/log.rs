//! The events of a session that its page may not have got: numbered, bounded, given again on return.

use std::collections::VecDeque;

use crate::base::Secret;

/// The last events of a session, as texts.
#[derive(Debug, Default)]
pub(super) struct EventLog {
    /// The number of the newest event; the first is 1.
    seq: u64,
    bytes: usize,
    /// Digits are among them: never shown.
    kept: VecDeque<Secret<String>>,
}

impl EventLog {
    /// The number of the next event.
    pub(super) fn next(&self) -> u64 {
        self.seq + 1
    }

    /// Keeps the next event; the oldest ones leave when there are too many.
    pub(super) fn push(&mut self, text: String) {
        self.seq += 1;
        self.bytes += text.len();
        self.kept.push_back(Secret::new(text));
        while self.kept.len() > MAX_EVENTS || self.bytes > MAX_BYTES {
            self.forget_one();
        }
    }

    /// The page has got all up to `seq`.
    pub(super) fn acknowledge(&mut self, seq: u64) {
        while self.first() <= seq.min(self.seq) && !self.kept.is_empty() {
            self.forget_one();
        }
        if self.kept.is_empty() {
            self.kept.shrink_to_fit();
        }
    }

    /// The number of the first event that a page gets which has got all up to `seq`.
    pub(super) fn first_after(&self, seq: u64) -> u64 {
        self.first().max(seq.min(self.seq) + 1)
    }

    /// The kept events from this number on.
    pub(super) fn from(&self, first: u64) -> impl Iterator<Item = &str> {
        let skip = usize::try_from(first.saturating_sub(self.first())).unwrap_or(usize::MAX);
        self.kept.iter().skip(skip).map(|text| text.expose().as_str())
    }

    fn first(&self) -> u64 {
        self.next() - self.kept.len() as u64
    }

    fn forget_one(&mut self) {
        if let Some(text) = self.kept.pop_front() {
            self.bytes -= text.expose().len();
        }
    }
}

/// Events kept at most: a minute without a socket in the liveliest call.
const MAX_EVENTS: usize = 256;
/// Their texts together; an offer of ours is about 2 KiB of it.
const MAX_BYTES: usize = 64 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gives_what_came_after_and_never_more_than_its_bounds() {
        let mut log = EventLog::default();
        assert_eq!((log.next(), log.first_after(0), log.first_after(99)), (1, 1, 1));
        for n in 1..=300 {
            log.push(format!("{n}"));
        }
        assert_eq!(log.first_after(0), 45, "the oldest are gone");
        assert_eq!(log.from(log.first_after(298)).collect::<Vec<_>>(), ["299", "300"]);
        assert_eq!(log.from(log.first_after(300)).count(), 0);
        assert_eq!(log.first_after(9999), 301, "a page cannot have got what was not sent");
        log.acknowledge(299);
        assert_eq!(log.from(log.first_after(0)).collect::<Vec<_>>(), ["300"]);
        for _ in 0..10 {
            log.push("x".repeat(20_000));
        }
        assert_eq!(log.kept.len(), 3);
        assert!(log.bytes <= MAX_BYTES);
        log.acknowledge(u64::MAX);
        assert_eq!((log.bytes, log.kept.len(), log.next()), (0, 0, 311));
    }
}
