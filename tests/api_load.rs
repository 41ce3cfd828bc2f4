//! The API beside many calls and over many records: `make bench-api`. A thousand calls from sipp are on, a
//! million records are in SQLite and in PostgreSQL, and a client asks for calls, records and searches; 99
//! of 100 answers of each kind come within 20 ms.
//!
//! `API_CALLS` and `API_RECORDS` make it smaller; with `WRITE_DOCS` the tables of `docs/performance.md` are written. It takes some minutes, and gives up after ten.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use sqlx::{AssertSqlSafe, Connection, Executor, PgConnection, SqliteConnection};
use support::TempDir;
use support::gateway::{Gateway, gateway_config};
use support::http;
use support::postgres::Server;
use support::process::Process;

const PLAN: &str = r#"
version = 1
emergency = "not-provided"
[defaults]
timezone = "Europe/Berlin"
country = "DE"
[[inbound]]
name = "silence"
did = ["+493023125600"]
flow = ["app:dtmf-readback"]
"#;

/// Of each kind of request.
const ASKED: usize = 300;
const LIMIT: Duration = Duration::from_millis(20);
const CALLS_ON: &str = "crosspoint_calls_active{direction=\"inbound\"}";
const PATIENCE: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement of minutes, of a release build, that wants the machine alone"]
async fn sqlite_99_of_100_answers_come_within_20_ms() {
    let dir = TempDir::new("api-load");
    let url = format!("sqlite:{}", dir.join("crosspoint.db").display());
    let begun = Instant::now();
    let gateway = gateway(dir, None);
    let mut database = SqliteConnection::connect(&url).await.unwrap();
    let sql = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {}) {}",
        count("API_RECORDS", 1_000_000),
        rows("printf('call_%026d', i)", "printf('+49%09d', i * 7919 % 1000000000)", "n")
    );
    database.execute(AssertSqlSafe(sql)).await.unwrap();
    // As every gateway does in the course of a million calls: no log of that size is left beside the file.
    database.execute("PRAGMA wal_checkpoint(TRUNCATE)").await.unwrap();
    database.close().await.unwrap();
    println!("SQLite: filled in {} s", begun.elapsed().as_secs());
    measure(&gateway, "SQLite", begun);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "a measurement of minutes, of a release build, that wants the machine alone"]
async fn postgresql_99_of_100_answers_come_within_20_ms() {
    let server = Server::with_disk("3g");
    let begun = Instant::now();
    let gateway = gateway(TempDir::new("api-load"), Some(&server.url));
    let mut database = PgConnection::connect(&server.url).await.unwrap();
    let sql = rows(
        "'call_' || lpad(i::text, 26, '0')",
        "'+49' || lpad((i::bigint * 7919 % 1000000000)::text, 9, '0')",
        &format!("generate_series(1, {}) AS i", count("API_RECORDS", 1_000_000)),
    );
    database.execute(AssertSqlSafe(sql)).await.unwrap();
    // As its autovacuum does within a minute.
    database.execute("VACUUM ANALYZE cdrs").await.unwrap();
    let scanned = "SELECT seq_tup_read FROM pg_stat_user_tables WHERE relname = 'cdrs'";
    let before: i64 = sqlx::query_scalar(scanned).fetch_one(&mut database).await.unwrap();
    println!("PostgreSQL: filled in {} s", begun.elapsed().as_secs());
    measure(&gateway, "PostgreSQL", begun);
    // Its counters are told at the end of a session's work, at most a second late.
    tokio::time::sleep(Duration::from_secs(2)).await;
    let after: i64 = sqlx::query_scalar(scanned).fetch_one(&mut database).await.unwrap();
    let records = count("API_RECORDS", 1_000_000) as i64;
    let read = after - before;
    println!("PostgreSQL: {read} rows were read without an index");
    // A small table is rightly read as a whole, and of a large one the first thousand rows may be: no
    // request reads all.
    assert!(read < records || records < 1_000_000, "the whole table was read");
}

fn gateway(dir: TempDir, postgres: Option<&str>) -> Gateway {
    let config = gateway_config(&dir, 9).replace("workers = 1", "workers = 2");
    let config = match postgres {
        Some(url) => {
            let sqlite = format!("url = \"sqlite:{}/crosspoint.db\"", dir.path().display());
            config.replace(&sqlite, &format!("url = \"{url}\""))
        }
        None => config,
    };
    let trunk = "channels = 2000\ncps = 1000\noptions_interval = \"0s\"\n";
    Gateway::of_files(dir, &format!("{config}{trunk}"), PLAN, "warn,crosspoint=info")
}

/// Records of 100 users, ten a second, over two trunks; some hours of them ended busy.
fn rows(id: &str, number: &str, from: &str) -> String {
    let user = "'user' || (i % 100)";
    // Only what lists show need be true in it.
    let json = r#"{"id":"ID","direction":"outbound","from":{"uri":"user"},"to":{"uri":"number"},"trunk":"north","rule":"national","started_at":"2026-11-21T12:00:00Z","answered_at":null,"ended_at":"2026-11-21T12:00:09Z","duration_ms":9000,"cause":"hangup","sip":null,"q850":16,"ended_by":"caller","attempts":1,"digits":0,"codec":"PCMA","quality":{}}"#;
    format!(
        "INSERT INTO cdrs (id, started_at_ms, answered_at_ms, ended_at_ms, duration_ms, direction, \
         from_user, from_number, to_user, to_number, trunk, cause, record) \
         SELECT {id}, 1795219200000 - 100 * i, NULL, 1795219209000 - 100 * i, 9000, \
         CASE WHEN i % 3 = 0 THEN 'inbound' ELSE 'outbound' END, \
         {user}, '+4930231256' || (10 + i % 90), NULL, {number}, \
         CASE WHEN i % 2 = 0 THEN 'north' ELSE 'south' END, \
         CASE WHEN i % 5000 = 0 THEN 'busy' ELSE 'hangup' END, \
         replace('{json}', 'ID', {id}) FROM {from}"
    )
}

fn measure(gateway: &Gateway, database: &str, begun: Instant) {
    let calls = count("API_CALLS", 1000);
    let _sipp = place(gateway, calls);
    let deadline = Instant::now() + Duration::from_secs(180);
    loop {
        let on = http::metric(&gateway.base, CALLS_ON);
        if on >= calls as f64 {
            break;
        }
        assert!(Instant::now() < deadline, "{on} calls are on");
        std::thread::park_timeout(Duration::from_millis(200));
    }
    let page = http::get(&gateway.base, "/v1/cdrs?limit=50", &[]).json();
    let cursor = page["next"].as_str().expect("more than a page").to_owned();
    let asked = [
        ("live calls", "/v1/calls".to_owned()),
        // As many as /admin and the command read at once.
        ("500 live calls", "/v1/calls?limit=500".to_owned()),
        ("records", "/v1/cdrs?limit=50".to_owned()),
        ("the next page", format!("/v1/cdrs?limit=50&cursor={cursor}")),
        ("of a user", "/v1/cdrs?user=user7".to_owned()),
        ("of a number", "/v1/cdrs?number=%2B49000015838".to_owned()),
        ("of a country", "/v1/cdrs?number=%2B49".to_owned()),
        // One in a hundred, and one in a thousand.
        ("of a region", "/v1/cdrs?number=%2B4912".to_owned()),
        ("of a town", "/v1/cdrs?number=%2B49123".to_owned()),
        ("a number nobody has", "/v1/cdrs?number=%2B331".to_owned()),
        ("of a trunk", "/v1/cdrs?trunk=north".to_owned()),
        ("busy", "/v1/cdrs?cause=busy&limit=50".to_owned()),
        ("incoming", "/v1/cdrs?direction=inbound".to_owned()),
        ("a user's of an hour ago", "/v1/cdrs?user=user7&until=2026-11-20T23:00:00Z".to_owned()),
        ("one", "/v1/cdrs/call_00000000000000000000004711".to_owned()),
    ];
    let mut slow = Vec::new();
    let mut table =
        format!("| {database}, {calls} calls on | p50, ms | p99, ms |\n|---|---|---|\n");
    for (what, path) in asked {
        let mut times: Vec<Duration> = (0..ASKED).map(|_| ask(gateway, &path)).collect();
        times.sort();
        let (half, most) = (times[ASKED / 2], times[ASKED * 99 / 100]);
        let [half, late] = [half, most].map(|time| time.as_secs_f64() * 1e3);
        let row = format!("| {what} | {half:.1} | {late:.1} |\n");
        print!("{row}");
        table += &row;
        if most > LIMIT {
            slow.push(what);
        }
        assert!(begun.elapsed() < PATIENCE, "it takes longer than ten minutes");
    }
    let on = http::metric(&gateway.base, CALLS_ON);
    assert!(on >= calls as f64, "only {on} calls are still on");
    if std::env::var_os("WRITE_DOCS").is_some() {
        write_table(database, &table);
    }
    // A debug build says nothing of it.
    assert!(slow.is_empty() || cfg!(debug_assertions), "slower than {LIMIT:?}: {slow:?}");
}

/// Puts the table between the marks of this name in `docs/performance.md`.
fn write_table(name: &str, table: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/performance.md");
    let text = fs::read_to_string(&path).unwrap();
    let [begin, end] = ["", "/"].map(|slash| format!("<!-- {slash}api {name} -->\n"));
    let (head, rest) = text.split_once(&begin).expect("the mark of the table");
    let (_, tail) = rest.split_once(&end).expect("the end of the table");
    fs::write(&path, format!("{head}{begin}{table}{end}{tail}")).unwrap();
}

fn ask(gateway: &Gateway, path: &str) -> Duration {
    let begun = Instant::now();
    let answer = http::get(&gateway.base, path, &[]);
    let took = begun.elapsed();
    assert_eq!(answer.status, 200, "{path}: {}", answer.body);
    took
}

/// Calls without sound, which stay until sipp goes.
fn place(gateway: &Gateway, calls: usize) -> Process {
    let scenario = include_str!("sipp/uac_headers.xml");
    let scenario = scenario
        .replace("[service]", "+493023125600")
        .replace("<recv response=\"180\">", "<recv response=\"180\" optional=\"true\">")
        .replace("a=rtpmap:0 PCMU/8000", "a=rtpmap:0 PCMU/8000\n      a=inactive");
    let file = gateway.dir.join("caller.xml");
    fs::write(&file, scenario).unwrap();
    // What is refused (a gateway that is set up with fifty a second is late now and then) is tried again:
    // so many are on at once, however many it takes.
    let [on, placed] = [calls, 10 * calls].map(|count| count.to_string());
    let mut command = Command::new("sipp");
    command.arg(gateway.sip_udp.unwrap().to_string()).arg("-sf").arg(&file);
    command.args(["-i", "127.0.0.1", "-m", &placed, "-l", &on, "-r", "50", "-nostdin"]);
    Process::start("sipp", command.current_dir(gateway.dir.path()))
}

fn count(name: &str, usual: usize) -> usize {
    std::env::var(name).map_or(usual, |text| text.parse().expect("a number"))
}
