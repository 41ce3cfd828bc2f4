//! PostgreSQL: a server of the test's own on a socket in a temporary folder.

use super::*;
use server::Server;

#[allow(dead_code, reason = "shared with the tests of the whole")]
#[path = "../../../tests/support/postgres.rs"]
mod server;

#[tokio::test]
async fn records_survive_a_server_that_stops_and_comes_back() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { url: server.url.clone(), spool: Some(folder.path().join("spool")) };
    let store = Store::open(&settings).await.unwrap();
    let seen = inspect(&settings).await.unwrap();
    assert!(seen.server.starts_with("PostgreSQL 1"), "{seen:?}");
    assert!(!seen.is_new && seen.missing.is_empty() && seen.unknown.is_empty(), "{seen:?}");
    assert!(seen.now_unix.unwrap().as_secs() > 1_700_000_000, "{seen:?}");
    let answered = Record { ended_at: None, cause: None, duration_ms: 0, ..record(0) };
    store.append(&answered).await.unwrap();
    for n in 0..20 {
        store.append(&record(n)).await.unwrap();
    }
    drained(&store).await;
    assert_eq!(all(&store).await.len(), 20);
    assert_eq!(store.record(record(0).id).await.unwrap(), Some(record(0)));

    server.stop();
    for n in 20..60 {
        store.append(&record(n)).await.unwrap();
    }
    assert!(store.spool_bytes() > 0);
    assert!(store.ping().await.is_err());
    server.begin();
    drained(&store).await;
    let ids: Vec<_> = all(&store).await.iter().map(|r| r.id).collect();
    let expected: Vec<_> = (0..60).rev().map(|n| record(n).id).collect();
    assert_eq!(ids, expected);
    store.close(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn what_users_have_called_is_read() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { url: server.url.clone(), spool: Some(folder.path().join("spool")) };
    let store = Store::open(&settings).await.unwrap();
    both_ways_find_the_same(&store).await;
    the_past_is_read(&store).await;
    runs_and_plans_are_kept(&store).await;
    store.close(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_server_that_was_there_before_may_be_away_at_a_start() {
    let server = Server::start();
    let folder = tempfile::tempdir().unwrap();
    let settings = Settings { url: server.url.clone(), spool: Some(folder.path().join("spool")) };
    let store = Store::open(&settings).await.unwrap();
    store.append(&record(0)).await.unwrap();
    store.close(Duration::from_secs(5)).await;
    drop(store);

    server.stop();
    let store = loop {
        match Store::open(&settings).await {
            Err(OpenError::SpoolInUse { .. }) => tokio::task::yield_now().await,
            other => break other.unwrap(),
        }
    };
    store.append(&record(1)).await.unwrap();
    assert!(store.records(None, 10).await.is_err());
    server.begin();
    drained(&store).await;
    assert_eq!(all(&store).await, [record(1), record(0)]);
    store.close(Duration::from_secs(5)).await;
}

#[tokio::test]
async fn a_server_that_is_not_there_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("postgres://u:hunter2@localhost/x?host={}", folder.path().display());
    let error = Store::open(&Settings { url, spool: None }).await.unwrap_err();
    assert!(matches!(error, OpenError::Unreachable { .. }), "{error:?}");
    assert!(!error.to_string().contains("hunter2"));
}
