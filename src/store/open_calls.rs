//! The calls that are on, so that a start after a crash can write the ends that the crash swallowed.
//!
//! Every segment of the spool begins with the answers of all calls that were on when it was begun.
//! So the last two segments (the last one's head may be torn) tell which calls had no end.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use jiff::Timestamp;

use super::frame::{self, Frame};
use super::journal::{Journal, Position};
use crate::base::{CallId, Cause};
use crate::call::{Record, Who};

/// The answers without an end, each as its line of the spool.
#[derive(Debug, Default)]
pub(super) struct OpenCalls(BTreeMap<Key, Vec<u8>>);

/// A call and its start in ms of Unix time: a page makes the id, and may make the same one again.
pub(super) type Key = (CallId, i64);

impl OpenCalls {
    /// A record was written: an answer opens a call, an end closes it.
    pub(super) fn note(&mut self, key: Key, ended: bool, line: &[u8]) {
        if ended {
            self.0.remove(&key);
        } else {
            self.0.insert(key, line.to_vec());
        }
    }

    /// All of them, for a segment's head.
    pub(super) fn lines(&self) -> impl Iterator<Item = &[u8]> {
        self.0.values().map(Vec::as_slice)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The ends of the calls that the last run left open. Each ended when the gateway was last known
    /// to live, which is at most [`super::spool::BEAT`] before it died.
    pub(super) fn left_behind(journal: &Journal, tail: Position) -> io::Result<Vec<Record>> {
        let mut open: BTreeMap<Key, Record> = BTreeMap::new();
        let mut last_seen = None;
        for segment in [tail.segment.saturating_sub(1), tail.segment] {
            let bytes = journal.bytes(segment)?;
            let mut rest = &bytes[..];
            loop {
                match frame::decode(rest) {
                    Frame::Record(record, taken) => {
                        last_seen = last_seen.max(record.answered_at).max(record.ended_at);
                        if record.ended_at.is_some() {
                            open.remove(&key(&record));
                        } else {
                            open.insert(key(&record), *record);
                        }
                        rest = &rest[taken..];
                    }
                    Frame::Corrupt(taken) => rest = &rest[taken..],
                    Frame::Torn => break,
                }
            }
        }
        let alive = last_alive(journal.folder()).max(last_seen);
        Ok(open.into_values().map(|record| ended(record, alive)).collect())
    }
}

/// What tells one record from every other.
pub(super) fn key(record: &Record) -> Key {
    (record.id, record.started_at.as_millisecond())
}

/// The record of a call whose end nobody saw.
fn ended(mut record: Record, alive: Option<Timestamp>) -> Record {
    let from = record.answered_at.unwrap_or(record.started_at);
    let at = alive.unwrap_or(from).max(from);
    record.ended_at = Some(at);
    record.duration_ms = match record.answered_at {
        Some(_) => u64::try_from(at.as_millisecond() - from.as_millisecond()).unwrap_or(0),
        None => 0,
    };
    record.cause = Some(Cause::Internal);
    record.q850 = Some(Cause::Internal.q850());
    record.ended_by = Some(Who::Gateway);
    record.trace.push(
        "the gateway stopped while the call was on; it ended when it was last known to live"
            .to_owned(),
    );
    record
}

/// Notes that the gateway lives.
pub(super) fn beat(folder: &Path) -> io::Result<()> {
    std::fs::write(folder.join(ALIVE), Timestamp::now().to_string())
}

fn last_alive(folder: &Path) -> Option<Timestamp> {
    std::fs::read_to_string(folder.join(ALIVE)).ok()?.trim().parse().ok()
}

const ALIVE: &str = "alive";
