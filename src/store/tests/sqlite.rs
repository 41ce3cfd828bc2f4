//! SQLite: what is written, what is read, what goes wrong at the start and while running.

use std::time::{Duration, Instant};

use sqlx::Connection;
use sqlx::sqlite::SqliteConnection;

use super::*;

#[tokio::test]
async fn a_record_comes_back_as_it_was() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite_settings(folder.path())).await.unwrap();
    store.append(&record(1)).await.unwrap();
    drained(&store).await;
    assert_eq!(store.record(record(1).id).await.unwrap(), Some(record(1)));
    assert_eq!(store.record(record(2).id).await.unwrap(), None);
    store.ping().await.unwrap();
}

#[tokio::test]
async fn what_users_have_called_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite_settings(folder.path())).await.unwrap();
    the_past_is_read(&store).await;
    runs_and_plans_are_kept(&store).await;
}

#[tokio::test]
async fn the_answer_is_completed_by_the_end_and_the_end_stays() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite_settings(folder.path())).await.unwrap();
    let ended = record(1);
    let answered = Record { ended_at: None, cause: None, duration_ms: 0, ..record(1) };
    store.append(&answered).await.unwrap();
    drained(&store).await;
    assert_eq!(all(&store).await, std::slice::from_ref(&answered));
    store.append(&ended).await.unwrap();
    // Read again from the spool after a crash:
    store.append(&answered).await.unwrap();
    store.append(&Record { digits: 99, ..record(1) }).await.unwrap();
    drained(&store).await;
    assert_eq!(all(&store).await, [ended]);
}

#[tokio::test]
async fn the_same_id_at_another_time_is_another_record() {
    // A page makes the id; using an old one again must not touch the old record.
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite_settings(folder.path())).await.unwrap();
    let again = Record { started_at: record(5).started_at, ..record(1) };
    store.append(&record(1)).await.unwrap();
    store.append(&again).await.unwrap();
    drained(&store).await;
    assert_eq!(all(&store).await, [again, record(1)]);
}

#[tokio::test]
async fn pages_hold_every_record_once_newest_first() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite_settings(folder.path())).await.unwrap();
    // Three at each moment, so that pages end within a moment.
    let start = |n: u64| record(n / 3).started_at;
    for n in 0..40 {
        store.append(&Record { started_at: start(n), ..record(n) }).await.unwrap();
    }
    drained(&store).await;
    let read = all(&store).await;
    let keys: Vec<_> = read.iter().map(|r| (r.started_at, r.id)).collect();
    let mut sorted = keys.clone();
    sorted.sort_unstable_by(|a, b| b.cmp(a));
    sorted.dedup();
    assert_eq!(keys, sorted);
    assert_eq!(keys.len(), 40);
    let (page, next) = store.records(None, 40).await.unwrap();
    assert_eq!((page.len(), next), (40, None), "no empty last page");
}

#[tokio::test]
async fn while_the_database_is_locked_appends_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let settings = sqlite_settings(folder.path());
    let store = Store::open(&settings).await.unwrap();
    let mut other = SqliteConnection::connect(&settings.url).await.unwrap();
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let before = Instant::now();
    for n in 0..50 {
        store.append(&record(n)).await.unwrap();
    }
    assert!(before.elapsed() < Duration::from_secs(2), "an append waited for SQL");
    assert!(store.spool_bytes() > 0);
    assert_eq!(all(&store).await.len(), 0);
    // Longer than the writer's first patience with a lock.
    tokio::time::sleep(Duration::from_millis(2300)).await;
    sqlx::raw_sql("ROLLBACK").execute(&mut other).await.unwrap();
    drained(&store).await;
    assert_eq!(all(&store).await.len(), 50);
}

#[tokio::test]
async fn a_refused_record_is_set_aside_and_stops_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let settings = sqlite_settings(folder.path());
    let store = Store::open(&settings).await.unwrap();
    let mut other = SqliteConnection::connect(&settings.url).await.unwrap();
    sqlx::raw_sql(
        "CREATE TRIGGER no_three BEFORE INSERT ON cdrs WHEN json_extract(new.record, '$.digits') = 3
         BEGIN SELECT RAISE(ABORT, 'no three'); END",
    )
    .execute(&mut other)
    .await
    .unwrap();
    for n in 0..5 {
        store.append(&Record { digits: n as u32, ..record(n) }).await.unwrap();
    }
    drained(&store).await;
    let digits: Vec<u32> = all(&store).await.iter().map(|r| r.digits).collect();
    assert_eq!(digits, [4, 2, 1, 0]);
    let refused = std::fs::read_to_string(folder.path().join("spool/refused")).unwrap();
    assert!(refused.contains("\"digits\":3"), "{refused}");
}

#[tokio::test]
async fn a_locked_database_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let settings = sqlite_settings(folder.path());
    Store::open(&settings).await.unwrap().close(Duration::from_secs(1)).await;
    let mut other = SqliteConnection::connect(&settings.url).await.unwrap();
    sqlx::raw_sql("BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    let error = Store::open(&settings).await.unwrap_err();
    assert_eq!(error, OpenError::Locked { file: folder.path().join("cp.db") });
    assert!(error.to_string().contains("is locked by another program"));
}

#[tokio::test]
async fn what_is_no_database_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let settings = sqlite_settings(folder.path());
    std::fs::write(
        folder.path().join("cp.db"),
        "this is no database at all, but long enough ".repeat(50),
    )
    .unwrap();
    let error = Store::open(&settings).await.unwrap_err();
    assert!(matches!(error, OpenError::Unreadable { .. }), "{error:?}");

    let missing = Settings { url: "sqlite:/nowhere/at/all/cp.db".into(), ..settings.clone() };
    let error = Store::open(&missing).await.unwrap_err();
    assert!(matches!(error, OpenError::Unreadable { .. }), "{error:?}");

    let other = Settings { url: "mysql://root:hunter2@db/x".into(), ..settings };
    let error = Store::open(&other).await.unwrap_err();
    assert!(matches!(error, OpenError::BadUrl { .. }) && !error.to_string().contains("hunter2"));
}

#[tokio::test]
async fn a_newer_database_is_told_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let settings = sqlite_settings(folder.path());
    Store::open(&settings).await.unwrap().close(Duration::from_secs(1)).await;
    let mut other = SqliteConnection::connect(&settings.url).await.unwrap();
    sqlx::raw_sql(
        "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
         VALUES (9999, 'later', 1, x'00', 0)",
    )
    .execute(&mut other)
    .await
    .unwrap();
    let error = Store::open(&settings).await.unwrap_err();
    assert!(matches!(error, OpenError::Migration { .. }), "{error:?}");
}

/// What a page of each search costs must not grow with the table: every one goes by an index.
#[tokio::test]
async fn no_search_reads_the_whole_table() {
    use super::super::filter::Way;
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite_settings(folder.path())).await.unwrap();
    drop(store);
    let file = format!("sqlite:{}", folder.path().join("cp.db").display());
    let mut database = SqliteConnection::connect(&file).await.unwrap();
    let text = |text: &str| Some(text.to_owned());
    let filters = [
        Filter { user: text("alice"), ..Filter::default() },
        Filter { number: text("+4930"), ..Filter::default() },
        Filter { user: text("alice"), number: text("+4930"), ..Filter::default() },
        Filter { trunk: text("north"), ..Filter::default() },
        Filter { direction: text("inbound"), ..Filter::default() },
        Filter { cause: text("busy"), ..Filter::default() },
        Filter { cause: text("busy"), trunk: text("north"), ..Filter::default() },
        Filter { since: Some(Timestamp::UNIX_EPOCH), ..Filter::default() },
    ];
    for filter in filters {
        for way in [Way::InOrder, Way::ByNumber] {
            let (sql, values) = filter.sql(way);
            let explain = sqlx::AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
            let mut query = sqlx::query_as::<_, (i64, i64, i64, String)>(explain);
            query = query.bind(1_i64).bind("x").bind(51_i64).bind(0_i64).bind(2_i64);
            for value in &values {
                query = query.bind(value);
            }
            let steps = query.fetch_all(&mut database).await.unwrap();
            let steps: Vec<String> = steps.into_iter().map(|step| step.3).collect();
            let on_table = steps.iter().filter(|step| step.contains("cdrs"));
            assert!(on_table.clone().count() > 0, "{filter:?} {steps:?}");
            for step in on_table {
                assert!(step.starts_with("SEARCH"), "{filter:?} {way:?}: {steps:#?}");
            }
            // Many rows are read for one that fits: none of them but from the index.
            if filter.number_range().is_some() {
                let covered = steps.iter().filter(|step| step.contains("USING COVERING INDEX"));
                let sides = if way == Way::ByNumber { 2 } else { 1 };
                assert_eq!(covered.count(), sides, "{way:?}: {steps:#?}");
            }
        }
    }
}

/// Both ways to a number give the same rows in the same order, page by page.
#[tokio::test]
async fn searches_find_each_record_once_by_pages() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&sqlite_settings(folder.path())).await.unwrap();
    both_ways_find_the_same(&store).await;
}
