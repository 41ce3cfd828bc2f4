//! Answers of the DNS as long as they hold, and beyond that while the DNS gives no others (RFC 8767).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use super::record::{Question, Record, Reply};

/// What is known about a question.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known<'a> {
    /// These records, perhaps none.
    Records(&'a [Record]),
    /// It is to be asked.
    Unasked,
    /// It was asked in vain, and no answer of before is left.
    Failed,
}

/// Answers by question; bounded.
#[derive(Debug, Default)]
pub(super) struct Cache {
    entries: HashMap<Question, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    heard: Option<Heard>,
    /// The last time that it was asked in vain, if there was no answer since.
    failed: Option<Instant>,
}

#[derive(Debug)]
struct Heard {
    records: Vec<Record>,
    at: Instant,
    until: Instant,
}

impl Cache {
    /// What is known at `now`, for a look-up that began at `since`: what was heard since then counts
    /// whatever its TTL, and what failed since then is not asked again.
    pub(super) fn get(&self, question: &Question, now: Instant, since: Instant) -> Known<'_> {
        let Some(entry) = self.entries.get(question) else { return Known::Unasked };
        let stale = match &entry.heard {
            Some(heard) if now < heard.until || heard.at >= since => {
                return Known::Records(&heard.records);
            }
            Some(heard) if now < heard.until + STALE => Some(heard),
            _ => None,
        };
        match (entry.failed, stale) {
            (Some(failed), Some(heard)) if failed >= since || now < failed + RECHECK => {
                Known::Records(&heard.records)
            }
            (Some(failed), None) if failed >= since => Known::Failed,
            _ => Known::Unasked,
        }
    }

    /// What is left of an answer that has run out; none other is to be had in time.
    pub(super) fn last_known(&self, question: &Question, now: Instant) -> Known<'_> {
        match self.entries.get(question).and_then(|entry| entry.heard.as_ref()) {
            Some(heard) if now < heard.until + STALE => Known::Records(&heard.records),
            _ => Known::Failed,
        }
    }

    /// Keeps what became of a question.
    pub(super) fn put(&mut self, now: Instant, question: Question, reply: Reply) {
        if !self.entries.contains_key(&question) && self.entries.len() >= MOST_ENTRIES {
            self.make_room(now);
        }
        let entry = self.entries.entry(question).or_default();
        match reply {
            Reply::Records { mut records, ttl } => {
                records.truncate(MOST_RECORDS);
                let until = now + ttl.min(LONGEST_TTL);
                entry.heard = Some(Heard { records, at: now, until });
                entry.failed = None;
            }
            Reply::Failed => entry.failed = Some(now),
        }
    }

    /// Drops what is of no use any more; where that is nothing, the answer that runs out first.
    fn make_room(&mut self, now: Instant) {
        self.entries.retain(|_, entry| entry.heard.as_ref().is_some_and(|own| now < own.until));
        if self.entries.len() >= MOST_ENTRIES {
            let until = |entry: &Entry| entry.heard.as_ref().map(|heard| heard.until);
            let first = self.entries.iter().min_by_key(|(key, entry)| (until(entry), *key));
            if let Some(key) = first.map(|(key, _)| key.clone()) {
                self.entries.remove(&key);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }
}

/// RFC 8767 5: an answer outlives its TTL by one to three days.
const STALE: Duration = Duration::from_secs(24 * 3600);

/// RFC 8767 5: while an old answer serves, the DNS is asked again no sooner than this.
const RECHECK: Duration = Duration::from_secs(30);

/// RFC 8767 4: a longer TTL is a mistake.
pub(super) const LONGEST_TTL: Duration = Duration::from_secs(7 * 24 * 3600);

/// A gateway asks for its trunks and for what their records name: far less than this.
pub(super) const MOST_ENTRIES: usize = 4_096;

/// More records of one answer than any trunk publishes.
const MOST_RECORDS: usize = 32;
