//! Records while something breaks: the database, the disk, the gateway itself. Every call succeeds,
//! and afterwards every record is there, once.
//!
//! With `WRITE_DOCS` set the table of `docs/reliability.md` is written.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rand::rngs::ChaCha12Rng;
use rand::{RngExt, SeedableRng};
use serde_json::Value;

use support::TempDir;
use support::gateway::Gateway;
use support::http;
use support::load::{self, Outcome, Page};
use support::postgres::Server;
use support::uas::{Manner, Uas};

/// What is done to the server while calls are placed by the second argument.
type Breaking = fn(&Server, &dyn Fn());

fn stopped(server: &Server, during: &dyn Fn()) {
    server.stop();
    during();
    server.begin();
}

fn frozen(server: &Server, during: &dyn Fn()) {
    server.signal("STOP");
    during();
    server.signal("CONT");
}

/// It runs for 50 ms of each half second.
fn slow(server: &Server, during: &dyn Fn()) {
    meanwhile(during, || {
        server.signal("STOP");
        thread::park_timeout(Duration::from_millis(450));
        server.signal("CONT");
        thread::park_timeout(Duration::from_millis(50));
    });
}

fn read_only(server: &Server, during: &dyn Fn()) {
    server.set("default_transaction_read_only = on");
    during();
    server.set("");
}

fn restarted(server: &Server, during: &dyn Fn()) {
    meanwhile(during, || server.restart());
}

fn disk_full(server: &Server, during: &dyn Fn()) {
    server.fill_disk();
    during();
    server.free_disk();
}

/// Repeats `step` on a thread of its own until `during` is over.
fn meanwhile(during: &dyn Fn(), step: impl Fn() + Sync) {
    let over = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !over.load(Ordering::Relaxed) {
                step();
            }
        });
        during();
        over.store(true, Ordering::Relaxed);
    });
}

/// Name, what is done, and whether the database takes nothing at all meanwhile.
const FAULTS: [(&str, Breaking, bool); 6] = [
    ("PostgreSQL stopped", stopped, true),
    ("PostgreSQL frozen (SIGSTOP)", frozen, true),
    ("PostgreSQL slow (runs a tenth of the time)", slow, false),
    ("PostgreSQL read-only", read_only, true),
    ("PostgreSQL restarted in a loop", restarted, false),
    ("PostgreSQL's disk full", disk_full, true),
];

#[test]
fn no_record_is_lost_or_doubled_while_postgresql_fails() {
    let _alone = alone();
    let rows = FAULTS.map(|of| fault(of, 4));
    write_table("postgresql", &rows);
}

#[test]
#[ignore = "an hour: ten minutes of each fault"]
fn no_record_is_lost_or_doubled_in_ten_minutes_of_each_fault() {
    let _alone = alone();
    let rows = FAULTS.map(|of| fault(of, 600));
    write_table("postgresql", &rows);
}

/// Places calls for some seconds under a fault; gives the table's row.
fn fault((name, breaking, takes_nothing): (&str, Breaking, bool), seconds: u32) -> String {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = Server::start();
    let trunk = Uas::start(Manner::Answers);
    let gateway = gateway(&server.url, &trunk);
    let tokens = USERS.map(|user| gateway.token_of(user));
    let run = |count| runtime.block_on(load::calls(&gateway.base, &tokens, RATE, count));
    let before = run(RATE);
    let under = RefCell::new((Outcome::default(), 0.0));
    breaking(&server, &|| {
        let outcome = run(RATE * seconds);
        let waiting = http::metric(&gateway.base, "crosspoint_spool_bytes");
        *under.borrow_mut() = (outcome, waiting / 1000.0);
    });
    let (under, waiting) = under.into_inner();
    assert!(waiting > 0.0 || !takes_nothing, "{name}: the fault was none");
    let healed = Instant::now();
    drained(&gateway.base);
    let drained = healed.elapsed();

    assert_eq!(under.failed, Vec::<String>::new(), "{name}");
    assert_eq!(under.answered.len() as u32, RATE * seconds, "{name}");
    let placed: Vec<&String> = before.answered.keys().chain(under.answered.keys()).collect();
    let (lost, doubled) = compare(&gateway.base, &placed);
    assert_eq!((lost, doubled), (0, 0), "{name}: lost, doubled");
    let row = format!(
        "| {name} | {} | {:.0} | {} | {} | {waiting:.0} | {lost} | {doubled} | {:.1} |",
        under.answered.len(),
        under.rate(),
        under.refused,
        under.p99().as_millis(),
        drained.as_secs_f64()
    );
    println!("{row}");
    row
}

#[test]
fn a_power_cut_at_any_moment_loses_no_answered_call() {
    power_cuts(100);
}

#[test]
#[ignore = "a quarter of an hour; for the nightly run"]
fn a_thousand_power_cuts_lose_no_answered_call() {
    power_cuts(1000);
}

/// `kill -9` at random moments while pages call. Whatever a page knew to be answered has a record,
/// none has two, and each has an end after the next start.
fn power_cuts(rounds: u32) {
    let _alone = alone();
    let seed: u64 = rand::random();
    println!("seed {seed}");
    let mut random = ChaCha12Rng::seed_from_u64(seed);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let trunk = Uas::start(Manner::Answers);
    let dir = TempDir::new("power-cuts");
    let mut gateway = gateway(&format!("sqlite:{}", dir.join("calls.db").display()), &trunk);
    let token = gateway.token_of(USERS[0]);
    let mut answered: Vec<String> = Vec::new();
    for _ in 0..rounds {
        let known = tokio::sync::Mutex::new(Vec::new());
        let moment = Duration::from_millis(random.random_range(0..300));
        runtime.block_on(async {
            let mut pages = Vec::new();
            for _ in 0..4 {
                pages.push(Page::open(&gateway.base, &token).await.unwrap());
            }
            let calls = pages
                .iter_mut()
                .map(|page| async { while page.call(Some(&known)).await.is_ok() {} });
            // The calls are cut short by the kill, and end with their sockets.
            tokio::join!(futures_util::future::join_all(calls), async {
                tokio::time::sleep(moment).await;
                gateway.process.signal("KILL");
            });
        });
        answered.append(&mut known.into_inner());
        gateway = gateway.kill_and_start_again();
    }
    drained(&gateway.base);
    let ids: Vec<&String> = answered.iter().collect();
    let (lost, doubled) = compare(&gateway.base, &ids);
    println!("{rounds} power cuts, {} answered calls", answered.len());
    assert!(answered.len() as u32 > rounds / 2, "hardly a call was answered");
    assert_eq!((lost, doubled), (0, 0), "lost, doubled");
    let row = format!(
        "| `kill -9` at {rounds} random moments | {} | - | - | - | - | {lost} | {doubled} | - |",
        answered.len()
    );
    write_table("gateway", &[row]);
}

/// A disk that takes nothing: the file size limit of the process, which root can set and lift, stands
/// in for a full disk.
#[test]
fn a_full_disk_under_the_spool_loses_nothing() {
    let _alone = alone();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let trunk = Uas::start(Manner::Answers);
    let dir = TempDir::new("full-disk");
    let gateway = gateway(&format!("sqlite:{}", dir.join("calls.db").display()), &trunk);
    let tokens = USERS.map(|user| gateway.token_of(user));
    let limit = |bytes: &str| {
        let process = gateway.process.id().to_string();
        let status = Command::new("prlimit")
            .args(["--pid", &process, &format!("--fsize={bytes}:unlimited")])
            .status();
        assert!(status.unwrap().success());
    };
    let before = runtime.block_on(load::calls(&gateway.base, &tokens, RATE, RATE));
    limit("0");
    let under = runtime.block_on(load::calls(&gateway.base, &tokens, RATE, RATE * 4));
    let unwritten = || http::metric(&gateway.base, "crosspoint_spool_unwritten_bytes");
    assert!(unwritten() > 0.0, "nobody is told that records are in memory alone");
    limit("unlimited");
    let healed = Instant::now();
    assert_eq!(under.failed, Vec::<String>::new());
    let placed: Vec<&String> = before.answered.keys().chain(under.answered.keys()).collect();
    let mut found = compare(&gateway.base, &placed);
    while found != (0, 0) {
        assert!(healed.elapsed() < Duration::from_secs(60), "lost, doubled: {found:?}");
        thread::park_timeout(Duration::from_millis(100));
        found = compare(&gateway.base, &placed);
    }
    assert_eq!(unwritten(), 0.0);
    assert_eq!(http::metric(&gateway.base, "crosspoint_records_lost_total"), 0.0);
    let row = format!(
        "| the gateway's own disk full | {} | {:.0} | {} | {} | - | 0 | 0 | {:.1} |",
        under.answered.len(),
        under.rate(),
        under.refused,
        under.p99().as_millis(),
        healed.elapsed().as_secs_f64()
    );
    println!("{row}");
    write_table("disk", &[row]);
}

fn gateway(url: &str, trunk: &Uas) -> Gateway {
    let dir = TempDir::new("reliability");
    let here = dir.path().display();
    let user = |name: &str| {
        format!(
            "[user.{name}]\ncountry = \"DE\"\nmax_concurrent = 1000\nmax_per_minute = 10000\n\
             max_per_hour = 100000\nmax_per_day = 100000\n"
        )
    };
    let users = USERS.map(user).concat();
    let config = format!(
        "dialplan = \"{here}/plan.toml\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [sip]\nlisten = [\"udp:127.0.0.1:0\"]\n\
         [media]\nworkers = 2\nwebrtc_port = 0\naddress = \"127.0.0.1\"\n\
         [store]\nurl = \"{url}\"\n[auth]\ntoken_secret_file = \"{here}/token.key\"\n\
         {users}[trunk.phone]\ntarget = \"{}\"\naccept_from = [\"127.0.0.1/32\"]\n\
         codecs = [\"pcma\"]\nchannels = 1000\ncps = 1000\n",
        trunk.target()
    );
    Gateway::of_files(dir, &config, PLAN, "warn,crosspoint=info")
}

/// Waits until the database has all that was kept for it.
fn drained(base: &str) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while http::metric(base, "crosspoint_spool_bytes") > 0.0 {
        assert!(Instant::now() < deadline, "the spool does not drain");
        thread::park_timeout(Duration::from_millis(20));
    }
}

/// How many answered calls have no whole record, and how many have more than one.
fn compare(base: &str, placed: &[&String]) -> (usize, usize) {
    let answer = http::get(base, "/v1/cdrs", &["Accept: application/x-ndjson"]);
    assert_eq!(answer.status, 200, "{}", answer.body);
    let mut found: BTreeMap<String, Vec<Value>> = BTreeMap::new();
    for line in answer.body.lines() {
        let record: Value = serde_json::from_str(line).unwrap();
        found.entry(record["id"].as_str().unwrap().to_owned()).or_default().push(record);
    }
    let whole =
        |record: &Value| record["answered_at"].is_string() && record["ended_at"].is_string();
    let lost = placed.iter().filter(|id| !found.get(**id).is_some_and(|r| r.iter().all(whole)));
    let doubled = found.values().filter(|records| records.len() > 1);
    (lost.count(), doubled.count())
}

/// Puts rows between the markers of this name, where asked to.
fn write_table(name: &str, rows: &[String]) {
    if std::env::var_os("WRITE_DOCS").is_none() {
        return;
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/reliability.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let marker = format!("<!-- {name} -->\n");
    let mut parts = text.split(&marker);
    let (head, _, tail) = (parts.next().unwrap(), parts.next().unwrap(), parts.next().unwrap());
    let rows = rows.join("\n");
    std::fs::write(&path, format!("{head}{marker}{HEADER}{rows}\n{marker}{tail}")).unwrap();
}

/// One at a time: each of them alone is a load.
fn alone() -> MutexGuard<'static, ()> {
    static ALONE: Mutex<()> = Mutex::new(());
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Calls a second.
const RATE: u32 = 50;

/// Whose pages call: one user has at most 64 at once.
const USERS: [&str; 4] = ["anna", "ben", "clara", "dora"];

const HEADER: &str = "| what broke | answered calls | calls/s | asked again | answer p99, ms | kB waiting at its end | records lost | doubled | whole again after, s |\n|---|---|---|---|---|---|---|---|---|\n";

const PLAN: &str = r#"
version = 1
emergency = "not-provided"
[defaults]
timezone = "Europe/Berlin"
country = "DE"
[caller_id.house]
number = "+493023125600"
[group.all]
users = ["anna", "ben", "clara", "dora"]
caller_id = ["house"]
[[outbound]]
name = "the phone"
to = ["7XX"]
route = ["phone"]
"#;
