//! The store against real databases and real files, each in a folder of its own.

mod postgres;
mod spool;
mod sqlite;

use std::path::Path;
use std::time::Duration;

use super::*;
use crate::base::{CallId, Cause, Party};
use crate::call::{Direction, Quality, Record, Who};

/// A record whose start is `n` seconds after a fixed moment.
use jiff::Timestamp;
pub(super) fn record(n: u64) -> Record {
    let started_at = Timestamp::from_millisecond(1_763_712_000_000 + n as i64 * 1000).unwrap();
    Record {
        id: CallId::from_parts(1_763_712_000_000, u128::from(n)),
        direction: Direction::Outbound,
        from: Party {
            uri: "alice".into(),
            user: Some("alice".parse().unwrap()),
            ..Party::default()
        },
        to: Party {
            uri: "+49301234567".into(),
            number: "+49301234567".parse().ok(),
            ..Party::default()
        },
        trunk: Some("north".parse().unwrap()),
        rule: Some("national".into()),
        started_at,
        answered_at: Some(started_at),
        ended_at: Some(started_at),
        duration_ms: 1234,
        cause: Some(Cause::Hangup),
        sip: None,
        q850: Some(16),
        ended_by: Some(Who::Caller),
        attempts: 1,
        digits: 2,
        codec: Some("PCMA".into()),
        quality: Quality::default(),
        trace: Vec::new(),
    }
}

pub(super) fn sqlite_settings(folder: &Path) -> Settings {
    Settings {
        url: format!("sqlite:{}", folder.join("cp.db").display()),
        spool: Some(folder.join("spool")),
    }
}

/// All records, by pages of 7, oldest last.
pub(super) async fn all(store: &Store) -> Vec<Record> {
    let mut all = Vec::new();
    let mut after = None;
    loop {
        let (page, next) = store.records(after, 7).await.unwrap();
        all.extend(page);
        match next {
            Some(_) => after = next,
            None => return all,
        }
    }
}

/// Waits until nothing is left in the spool.
pub(super) async fn drained(store: &Store) {
    for _ in 0..2000 {
        if store.spool_bytes() == 0 {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{} bytes stay in the spool", store.spool_bytes());
}
