//! The store against real databases and real files, each in a folder of its own.

mod postgres;
mod spool;
mod sqlite;

use std::path::Path;
use std::time::Duration;

use super::filter::Way;
use super::*;
use crate::base::{CallId, Cause, Party, RunId};
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
        recording: None,
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

/// Runs of tests and dial plans come back, the newest of them.
pub(super) async fn runs_and_plans_are_kept(store: &Store) {
    let run = |n: u128| RunId::from_parts(1_763_712_000_000, n);
    assert!(store.runs(None, 10).await.unwrap().is_empty());
    for n in 0..203 {
        let (short, whole) = (format!("{{\"n\": {n}}}"), format!("{{\"all\": {n}}}"));
        store.keep_run(run(n), &short, &whole).await.unwrap();
    }
    assert_eq!(store.runs(None, 2).await.unwrap(), ["{\"n\": 202}", "{\"n\": 201}"]);
    assert_eq!(store.runs(Some(run(201)), 1).await.unwrap(), ["{\"n\": 200}"]);
    assert_eq!(store.runs(None, 1000).await.unwrap().len(), 200, "the oldest three are gone");
    assert_eq!(store.run(run(202)).await.unwrap().as_deref(), Some("{\"all\": 202}"));
    assert_eq!(store.run(run(2)).await.unwrap(), None);

    let plan = |n: i64| KeptPlan {
        hash: format!("{n:064x}"),
        loaded_at: Timestamp::from_millisecond(1_763_712_000_000 + n).unwrap(),
        text: format!("version = 1 # {n}\n"),
    };
    for n in 0..52 {
        store.keep_plan(&plan(n)).await.unwrap();
    }
    store.keep_plan(&plan(51)).await.unwrap();
    let kept = store.plans().await.unwrap();
    assert_eq!(kept, (2..52).map(plan).collect::<Vec<_>>());
}

/// What users have called is read by user and number, within its time, without what did not go out.
pub(super) async fn the_past_is_read(store: &Store) {
    let call = |n: u64, to: &str, duration_ms: u64| {
        let to = Party { uri: to.into(), number: to.parse().ok(), ..Party::default() };
        let started_at = record(n).started_at;
        let ended_at = Some(started_at + Duration::from_millis(duration_ms));
        Record { to, duration_ms, ended_at, ..record(n) }
    };
    let inbound = Record { direction: Direction::Inbound, ..call(5, "+3726123456", 60_000) };
    let refused = Record { trunk: None, ..call(6, "+37167021234", 0) };
    let days = 86_400;
    for record in [
        call(1, "+4312345678", 60_000),
        call(100 * days, "+37167021234", 60_000),
        call(100 * days + 9, "+37167021234", 20_000),
        call(199 * days + 10, "112", 3_000),
        call(199 * days + 20, "+33123456789", 3_000),
        inbound,
        refused,
    ] {
        store.append(&record).await.unwrap();
    }
    drained(store).await;
    // 200 days after the first: a call of day 100 is 100 days old, beyond the 90.
    let past = |days_after: u64| store.past(record(days_after * days).started_at, LONG);
    assert!(past(200).await.unwrap().long.is_empty());
    let known = past(150).await.unwrap();
    assert_eq!(known.long, [("alice".parse().unwrap(), "+37167021234".parse().unwrap())]);
    let recent: Vec<(Option<String>, u128)> = past(200)
        .await
        .unwrap()
        .recent
        .iter()
        .map(|call| (call.to.as_ref().map(|n| n.as_str().to_owned()), call.talked.as_millis()))
        .collect();
    assert_eq!(recent, [(None, 3_000), (Some("+33123456789".to_owned()), 3_000)]);
}

/// 1,100 records begin with one number and 30 with another: many, and few.
pub(super) async fn both_ways_find_the_same(store: &Store) {
    let party = |number: &str| Party {
        uri: number.into(),
        number: number.parse().ok(),
        user: (number == "+4312345678").then(|| "bob".parse().unwrap()),
        ..Party::default()
    };
    for n in 0..1130_u64 {
        let to = if n % 37 == 0 { "+4312345678" } else { "+4930123456" };
        // Those to oneself are on both sides.
        let from = if n % 74 == 0 { to } else { "+4940123456" };
        let record = Record { from: party(from), to: party(to), ..record(n) };
        store.append(&record).await.unwrap();
    }
    // An extension is a number, too.
    let called = Party { uri: "6*03".into(), ..Party::default() };
    store.append(&Record { to: called, ..record(5000) }).await.unwrap();
    drained(store).await;
    let text = |text: &str| Some(text.to_owned());
    for (filter, count) in [
        (Filter { number: text("6*0"), ..Filter::default() }, 1),
        (Filter { number: text("+43123"), ..Filter::default() }, 31),
        (Filter { number: text("+493"), ..Filter::default() }, 1099),
        (Filter { number: text("+4"), ..Filter::default() }, 1130),
        (Filter { user: text("bob"), ..Filter::default() }, 31),
        (Filter { user: text("bob"), number: text("+4312345678"), ..Filter::default() }, 31),
        (Filter { user: text("bob"), number: text("+4999"), ..Filter::default() }, 0),
        (Filter { trunk: text("north"), cause: text("hangup"), ..Filter::default() }, 1131),
    ] {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let (page, next) = store.search(&filter, after, 100).await.unwrap();
            found.extend(page.iter().map(|record| (record.started_at, record.id)));
            match next {
                Some(_) => after = next,
                None => break,
            }
        }
        assert_eq!(found.len(), count, "{filter:?}");
        assert!(found.windows(2).all(|two| two[0] > two[1]), "{filter:?}");
        // Whichever way was chosen, the other finds the same.
        for way in [Way::InOrder, Way::ByNumber] {
            let page = store.database.search_by(way, &filter, None, 100).await.unwrap();
            let keys: Vec<_> = page.iter().map(|record| (record.started_at, record.id)).collect();
            assert_eq!(keys, found[..count.min(100)], "{filter:?} {way:?}");
        }
    }
}

/// Answered calls of this length make a country known.
const LONG: Duration = Duration::from_secs(15);

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
