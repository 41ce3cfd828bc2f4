//! The spool: crashes, torn files, bounds.

use std::io::Write;

use super::super::spool::{SEGMENT_BYTES, Spool};
use super::*;

#[tokio::test]
async fn what_was_appended_before_a_crash_is_in_sql_after_the_next_start_once() {
    let folder = tempfile::tempdir().unwrap();
    let settings = sqlite_settings(folder.path());
    {
        // A gateway that dies before anything reaches SQL.
        let (spool, _drain) = Spool::open(&settings.spool_folder()).unwrap();
        for n in 0..100 {
            spool.append(&record(n)).await.unwrap();
        }
    }
    for _ in 0..3 {
        let store = reopened(&settings).await;
        drained(&store).await;
        assert_eq!(all(&store).await.len(), 100);
        store.close(Duration::from_secs(5)).await;
        // The note how far SQL has it is lost: all is read again, nothing is there twice.
        std::fs::remove_file(settings.spool_folder().join("position")).unwrap();
    }
}

#[tokio::test]
async fn a_torn_last_line_is_cut_off_and_damaged_lines_are_skipped() {
    let folder = tempfile::tempdir().unwrap();
    let settings = sqlite_settings(folder.path());
    let segment = settings.spool_folder().join("00000001.log");
    {
        let (spool, _drain) = Spool::open(&settings.spool_folder()).unwrap();
        for n in 0..3 {
            spool.append(&record(n)).await.unwrap();
        }
    }
    let mut bytes = std::fs::read(&segment).unwrap();
    let second = bytes.iter().position(|b| *b == b'\n').unwrap() + 40;
    bytes[second] ^= 1;
    bytes.extend_from_slice(b"000002ff 1234abcd {\"id\":\"call_");
    std::fs::File::create(&segment).unwrap().write_all(&bytes).unwrap();

    let store = reopened(&settings).await;
    store.append(&record(3)).await.unwrap();
    drained(&store).await;
    let ids: Vec<_> = all(&store).await.iter().map(|r| r.id).collect();
    assert_eq!(ids, [record(3).id, record(2).id, record(0).id]);
    // What is left of the second one is there for whoever can read it.
    let state = store.spool_state();
    assert_eq!((state.damaged, state.lost, state.bytes), (1, 0, 0));
    assert_eq!((state.behind, state.unwritten_bytes), (Duration::ZERO, 0));
    let damaged = std::fs::read(settings.spool_folder().join("damaged")).unwrap();
    assert_eq!(damaged.last(), Some(&b'\n'));
    assert!(damaged.windows(20).any(|part| bytes[second + 1..].starts_with(part)));
}

#[tokio::test]
async fn a_block_of_zeros_does_not_stop_the_drain() {
    // What some file systems leave after a power cut.
    let folder = tempfile::tempdir().unwrap();
    let settings = sqlite_settings(folder.path());
    std::fs::create_dir_all(settings.spool_folder()).unwrap();
    let mut zeros = vec![0; 600 * 1024];
    zeros.push(b'\n');
    std::fs::write(settings.spool_folder().join("00000001.log"), zeros).unwrap();
    let store = Store::open(&settings).await.unwrap();
    store.append(&record(1)).await.unwrap();
    drained(&store).await;
    assert_eq!(all(&store).await, [record(1)]);
}

#[tokio::test]
async fn segments_that_are_in_sql_are_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let settings = sqlite_settings(folder.path());
    let store = std::sync::Arc::new(Store::open(&settings).await.unwrap());
    let long = "x".repeat(20_000);
    let count = SEGMENT_BYTES / 20_000 + 50;
    let mut appends = tokio::task::JoinSet::new();
    for n in 0..count {
        let (store, rule) = (std::sync::Arc::clone(&store), Some(long.clone()));
        appends.spawn(async move { store.append(&Record { rule, ..record(n) }).await });
    }
    for done in appends.join_all().await {
        done.unwrap();
    }
    store.append(&record(count)).await.unwrap();
    drained(&store).await;
    assert_eq!(all(&store).await.len() as u64, count + 1);
    let logs = || {
        let entries = std::fs::read_dir(settings.spool_folder()).unwrap();
        entries
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .filter(|name| name.ends_with(".log"))
            .collect::<Vec<_>>()
    };
    // The one before the current one stays, in case a crash tears the current one's head.
    assert_eq!(logs(), ["00000001.log", "00000002.log"]);
    for n in 0..2 * SEGMENT_BYTES / 20_000 {
        let rule = Some(long.clone());
        store.append(&Record { rule, ..record(count + n) }).await.unwrap();
    }
    drained(&store).await;
    assert_eq!(logs().len(), 2, "{:?}", logs());
}

/// A record as it is written at the answer.
fn answered(n: u64) -> Record {
    Record { ended_at: None, cause: None, ended_by: None, duration_ms: 0, ..record(n) }
}

#[tokio::test]
async fn calls_that_a_crash_cut_off_get_their_end_at_the_next_start() {
    let folder = tempfile::tempdir().unwrap();
    let settings = sqlite_settings(folder.path());
    {
        let (spool, _drain) = Spool::open(&settings.spool_folder()).unwrap();
        for n in 0..5 {
            spool.append(&answered(n)).await.unwrap();
        }
        spool.append(&record(2)).await.unwrap();
    }
    // Three seconds after the last answer it still lived.
    let alive = record(4).started_at + jiff::SignedDuration::from_secs(3);
    std::fs::write(settings.spool_folder().join("alive"), alive.to_string()).unwrap();
    for start in 0..2 {
        let store = reopened(&settings).await;
        drained(&store).await;
        let records = all(&store).await;
        assert_eq!(records.len(), 5, "start {start}");
        for record in &records {
            let cut_off = record.id != super::record(2).id;
            assert_eq!(record.cause == Some(Cause::Internal), cut_off, "{record:?}");
            let length = record.ended_at.unwrap().duration_since(record.answered_at.unwrap());
            if cut_off {
                assert_eq!(record.ended_at, Some(alive));
                assert_eq!(i128::from(record.duration_ms), length.as_millis());
                assert_eq!(record.ended_by, Some(Who::Gateway));
            }
        }
        store.close(Duration::from_secs(5)).await;
    }
}

#[tokio::test]
async fn a_call_that_outlived_many_segments_is_ended_too() {
    let folder = tempfile::tempdir().unwrap();
    let settings = sqlite_settings(folder.path());
    {
        let store = Store::open(&settings).await.unwrap();
        store.append(&answered(0)).await.unwrap();
        let long = Some("x".repeat(60_000));
        for n in 1..4 * SEGMENT_BYTES / 60_000 {
            store.append(&Record { rule: long.clone(), ..record(n) }).await.unwrap();
        }
        drained(&store).await;
        assert_eq!(store.record(record(0).id).await.unwrap(), Some(answered(0)));
    }
    let store = reopened(&settings).await;
    drained(&store).await;
    let ended = store.record(record(0).id).await.unwrap().unwrap();
    assert_eq!(ended.cause, Some(Cause::Internal));
}

#[tokio::test]
async fn two_gateways_do_not_share_a_spool() {
    let folder = tempfile::tempdir().unwrap();
    let settings = sqlite_settings(folder.path());
    let store = Store::open(&settings).await.unwrap();
    let error = Store::open(&settings).await.unwrap_err();
    assert_eq!(error, OpenError::SpoolInUse { folder: settings.spool_folder() });
    store.close(Duration::from_secs(5)).await;
    drop(store);
    reopened(&settings).await;
}

#[tokio::test]
async fn a_closed_store_refuses_and_a_giant_record_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite_settings(folder.path())).await.unwrap();
    let giant = Record { rule: Some("x".repeat(70_000)), ..record(1) };
    assert!(matches!(store.append(&giant).await, Err(AppendError::TooLarge(_))));
    store.close(Duration::from_secs(5)).await;
    assert_eq!(store.append(&record(1)).await, Err(AppendError::Closed));
}

/// Opens a store whose folder a thread of the one before may hold for another moment.
async fn reopened(settings: &Settings) -> Store {
    for _ in 0..200 {
        match Store::open(settings).await {
            Err(OpenError::SpoolInUse { .. }) => {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            other => return other.unwrap(),
        }
    }
    panic!("the spool stays in use");
}
