//! The dial plan in operation: the binary as it runs, its signals, its file, its records.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crosspoint::selftest::{Call, Page, Peer};
use serde_json::{Value, json};
use support::bystander::{LOOPBACK, PLAN, place, refusal};
use support::gateway::Gateway;
use support::http;
use support::process::run;
use support::raw_phone::{Manner, RawPhone};

const LIMIT: Duration = Duration::from_secs(15);

/// Asks until there is an answer.
fn eventually<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + LIMIT;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what}");
        std::thread::park_timeout(Duration::from_millis(20));
    }
}

fn hash(gateway: &Gateway) -> String {
    http::get(&gateway.base, "/v1/dialplan", &[]).json()["hash"].as_str().unwrap().to_owned()
}

fn ready(gateway: &Gateway) -> Value {
    let answer = http::get(&gateway.base, "/readyz", &[]);
    assert_eq!(answer.status, 200, "calls go on by the old plan");
    answer.json()
}

fn reloads(gateway: &Gateway, result: &str) -> f64 {
    http::metric(
        &gateway.base,
        &format!("crosspoint_dialplan_reloads_total{{result=\"{result}\"}}"),
    )
}

#[test]
fn sighup_takes_the_file_and_a_bad_one_leaves_the_old_plan() {
    let gateway = Gateway::serve(1, PLAN);
    let file = gateway.dir.join("plan.toml");
    let first = hash(&gateway);

    // Nothing has changed, so that only the signal can be why it is read again.
    gateway.process.signal("HUP");
    gateway
        .process
        .line_with("SIGHUP: the dial plan, its rates and certificates are read again", LIMIT);
    gateway.process.line_with("a new dial plan is in force", LIMIT);
    eventually("no reload is counted", || (reloads(&gateway, "taken") == 1.0).then_some(()));

    // The operator's key is another one from then on; a file without a key leaves it.
    let keys = gateway.dir.join("operator.key");
    let old = fs::read_to_string(&keys).unwrap();
    let new = "n".repeat(40);
    let status = |key: &str| {
        let bearer = format!("Authorization: Bearer {}", key.trim());
        http::get(&gateway.base, "/v1/trunks", &[&bearer]).status
    };
    assert_eq!((status(&old), status(&new)), (200, 401));
    fs::write(&keys, &new).unwrap();
    gateway.process.signal("HUP");
    eventually("the new key is not taken", || (status(&new) == 200).then_some(()));
    assert_eq!(status(&old), 401);
    fs::write(&keys, "").unwrap();
    gateway.process.signal("HUP");
    gateway.process.line_with("the operator's key was not read again", LIMIT);
    assert_eq!(status(&new), 200);
    eventually("no reload is counted", || (reloads(&gateway, "taken") == 3.0).then_some(()));

    // Three mistakes at once, each with its place and what was meant.
    let bad = format!(
        "{PLAN}[[outbound]]\nname = \"x\"\nregion = [\"FR\"]\nmax_cal = \"1h\"\n\
         route = [\"phon\"]\n\
         [[inbound]]\nname = \"y\"\ndid = [\"+4930\"]\nflow = [\"user:wbe\"]\n"
    );
    let lines = PLAN.lines().count();
    fs::write(&file, &bad).unwrap();
    gateway.process.signal("HUP");
    let refused = gateway.process.line_with("the dial plan was not taken", LIMIT);
    assert!(refused.contains("the old one stays in force"), "{refused}");
    let log = gateway.process.output();
    for (line, column, words) in [
        (4, 1, "did you mean \\\"max_call\\\"?"),
        (5, 10, "did you mean \\\"phone\\\"?"),
        (9, 9, "did you mean \\\"web\\\"?"),
    ] {
        let place = format!("plan.toml:{}:{column}: error:", lines + line);
        let told = log.lines().find(|told| told.contains(&place));
        assert!(told.is_some_and(|told| told.contains(words)), "{place} {words}\n{log}");
    }
    assert_eq!(hash(&gateway), first);
    let words = ready(&gateway)["dialplan"].as_str().unwrap().to_owned();
    assert!(words.contains("was not taken (3 findings)"), "{words}");

    // The file is put right: that is seen without a signal.
    let good =
        format!("{PLAN}[[outbound]]\nname = \"France\"\nregion = [\"FR\"]\nroute = [\"phone\"]\n");
    fs::write(&file, &good).unwrap();
    eventually("the changed file is not read", || (hash(&gateway) != first).then_some(()));
    assert_eq!(ready(&gateway), json!({"status": "ready"}));
    let text = http::get(&gateway.base, "/v1/dialplan", &[]).json()["text"].clone();
    assert_eq!(text, good);

    // A file that is gone is no plan either.
    fs::remove_file(&file).unwrap();
    gateway.process.signal("HUP");
    gateway.process.line_with("the dial plan was not taken", LIMIT);
    assert!(ready(&gateway)["dialplan"].is_string());
}

/// A plan that was replaced is listed after a restart; one that stays is in force since it came.
#[test]
fn versions_outlive_a_restart() {
    let gateway = Gateway::serve(1, PLAN);
    let put = |text: &str| {
        let headers = ["If-Match: *", "Content-Type: application/toml"];
        let answer = http::request(&gateway.base, "PUT", "/v1/dialplan", &headers, text);
        assert_eq!(answer.status, 200, "{}", answer.body);
    };
    let second = format!("{PLAN}# the second\n");
    put(&second);
    let versions = |gateway: &Gateway| {
        http::get(&gateway.base, "/v1/dialplan/versions", &[]).json()["items"].clone()
    };
    let before = versions(&gateway);
    assert_eq!((&before[0]["text"], &before[1]["text"]), (&json!(second), &json!(PLAN)));
    // They are written beside the call's path: a kill waits until both are.
    let database = gateway.dir.join("crosspoint.db").display().to_string();
    let runtime = tokio::runtime::Runtime::new().unwrap();
    eventually("the plans are not in the database", || {
        let count = async {
            use sqlx::Connection;
            let mut own =
                sqlx::SqliteConnection::connect(&format!("sqlite:{database}")).await.ok()?;
            let count = sqlx::query_scalar("SELECT COUNT(*) FROM dialplan_versions");
            count.fetch_one(&mut own).await.ok()
        };
        let found: Option<i64> = runtime.block_on(count);
        (found == Some(2)).then_some(())
    });
    let gateway = gateway.kill_and_start_again();
    assert_eq!(versions(&gateway), before);
}

/// What the demo shows anybody: the trace of `explain` is the trace in the call's record.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_through_the_demo_has_the_trace_of_explain_in_its_record() {
    let gateway = Gateway::demo();
    let body = json!({"sub": "web"}).to_string();
    let answer = http::request(&gateway.base, "POST", "/v1/client-tokens", &[], &body);
    let token = answer.json()["token"].as_str().unwrap().to_owned();
    let mut page = Page::connect(&gateway.base, &token).await.unwrap();

    let call = place(&page, "600").await;
    call.state(&mut page, "active").await.unwrap();
    call.hang_up(&mut page).await.unwrap();
    let answered = trace_in_record(&gateway, &call.id);
    assert_eq!(answered.len(), explained(&gateway, "600").len() + 2, "{answered:?}");
    assert_eq!(answered[answered.len() - 2], "attempt 1: trunk carrier");
    assert!(answered[answered.len() - 1].starts_with("attempt 1: answered"), "{answered:?}");

    // A refusal says the same in words, in the record and in the explanation.
    for dialled in ["112", "03023125000", "609"] {
        let refused = loop {
            match Call::start(&page, LOOPBACK, dialled).await {
                Ok(_) => panic!("{dialled} was let through"),
                Err(error) if error.to_string().contains("server/overloaded") => {}
                Err(error) => break error.to_string(),
            }
        };
        let trace = explained(&gateway, dialled);
        let words = trace.last().unwrap().strip_prefix("=> deny ").unwrap().trim_matches('"');
        assert!(refused.contains(words), "{refused}: {words}");
        let record = eventually("no record of a refusal", || {
            let all = http::records(&gateway.base);
            all.into_iter().find(|record| record["to"]["uri"] == dialled)
        });
        assert_eq!(record["trace"], json!(trace));
    }
}

/// The trace in a call's record, which begins as the plan explains it.
fn trace_in_record(gateway: &Gateway, call: &str) -> Vec<String> {
    let record = http::closed_record(&gateway.base, call);
    let trace: Vec<String> = serde_json::from_value(record["trace"].clone()).unwrap();
    let dialled = record["to"]["uri"].as_str().unwrap();
    let explained = explained(gateway, dialled);
    assert_eq!(trace[..explained.len()], explained);
    trace
}

/// The trace over HTTP, which must be what the command prints for the same plan.
fn explained(gateway: &Gateway, dialled: &str) -> Vec<String> {
    let body = json!({"from": "web", "dial": dialled}).to_string();
    let answer = http::request(&gateway.base, "POST", "/v1/dialplan/explain", &[], &body).json();
    let trace: Vec<String> = serde_json::from_value(answer["trace"].clone()).unwrap();
    let plan = Path::new(env!("CARGO_MANIFEST_DIR")).join("dialplans/demo.toml");
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosspoint"));
    command.args(["dialplan", "explain"]).arg(plan).args(["--from", "web", dialled]);
    let printed = run(&mut command);
    let lines: String = trace.iter().map(|line| format!("  {line}\n")).collect();
    assert_eq!(printed.stdout, lines, "{}", printed.stderr);
    trace
}

/// A stolen account's calls count on after a restart, and so does what a user is used to.
#[tokio::test(flavor = "multi_thread")]
async fn caps_go_on_where_they_were_before_a_restart() {
    let phone = RawPhone::start(Manner::IsBusy);
    let gateway = Gateway::serve(phone.port, PLAN);
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    for _ in 0..10 {
        let call = place(&page, "+49 30 23125 789").await;
        call.ended(&mut page, LIMIT).await.unwrap();
        let id = call.id.as_str();
        eventually("no record", || {
            http::records(&gateway.base).iter().any(|r| r["id"] == id).then_some(())
        });
    }
    let gateway = gateway.kill_and_start_again();
    let page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let offer = Peer::start(LOOPBACK).await.unwrap().offer().await.unwrap();
    let request = json!({"type": "call.start", "call": "call_01JD4Q0000000000000000000A",
        "to": "+493023125789", "metadata": {}, "sdp": offer});
    let refused = refusal(&page, &request).await;
    assert!(refused.contains("10 calls a minute is the limit"), "{refused}");
}

/// Records as the gateway exports them are what `diff` replays.
#[tokio::test(flavor = "multi_thread")]
async fn diff_replays_the_gateways_own_export() {
    let phone = RawPhone::start(Manner::IsBusy);
    let gateway = Gateway::serve(phone.port, PLAN);
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    for to in ["+49 30 23125 789", "700"] {
        place(&page, to).await.ended(&mut page, LIMIT).await.unwrap();
    }
    let export = eventually("no records", || {
        let answer = http::get(&gateway.base, "/v1/cdrs", &["Accept: application/x-ndjson"]);
        (answer.body.lines().count() == 2).then_some(answer.body)
    });
    let (old, new) = (gateway.dir.join("plan.toml"), gateway.dir.join("new.toml"));
    let cdrs = gateway.dir.join("calls.jsonl");
    fs::write(&cdrs, export).unwrap();
    fs::write(&new, PLAN.replace("to = [\"7XX\"]", "to = [\"70[1-9]\"]")).unwrap();
    let diff = |new: &Path| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crosspoint"));
        run(command.args(["dialplan", "diff"]).arg(&old).arg(new).arg("--cdrs").arg(&cdrs))
    };
    let same = diff(&old);
    assert_eq!((same.code, same.stdout.as_str()), (Some(0), "2 calls, 0 would go elsewhere\n"));
    let other = diff(&new);
    assert_eq!(other.code, Some(1), "{}", other.stderr);
    assert!(other.stdout.contains("web dials 700\n"), "{}", other.stdout);
    assert!(
        other.stdout.contains("  + refused\n2 calls, 1 would go elsewhere"),
        "{}",
        other.stdout
    );
}
