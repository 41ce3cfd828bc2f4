//! Failover with a real peer as the trunk, `sipp` (Debian sip-tester): the gateway's own binary, a real
//! page, and after each call its trace and its record.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crosspoint::selftest::Page;
use serde_json::Value;
use support::bystander::place;
use support::gateway::Gateway;
use support::process::Process;
use support::{TempDir, free_port, http};

/// A `sipp` that takes calls.
struct Sipp {
    port: u16,
    process: Process,
    _dir: TempDir,
}

impl Sipp {
    /// A scenario of `tests/sipp/` with this status in it, or one of sipp's own (`uas`).
    fn start(scenario: &str, status: &str, arguments: &[&str]) -> Sipp {
        let (dir, port) = (TempDir::new("sipp"), free_port());
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/sipp/{scenario}.xml"));
        let mut command = Command::new("sipp");
        match fs::read_to_string(file) {
            Ok(text) => {
                // sipp takes a status from nowhere but the scenario itself.
                let own = dir.join("scenario.xml");
                fs::write(&own, text.replace("[status]", status)).unwrap();
                command.arg("-sf").arg(own)
            }
            Err(_) => command.args(["-sn", scenario]),
        };
        command.args(["-i", "127.0.0.1", "-p", &port.to_string(), "-mi", "127.0.0.1"]);
        command.args(["-nostdin", "-timeout", "120s", "-deadcall_wait", "0"]).args(arguments);
        let process = Process::start("sipp", command.current_dir(dir.path()));
        Sipp { port, process, _dir: dir }
    }

    /// Refuses calls with this status.
    fn refusing(status: &str) -> Sipp {
        Sipp::start("uas_refuse", status, &[])
    }

    fn target(&self) -> String {
        format!("sip:127.0.0.1:{}", self.port)
    }
}

/// A gateway whose number `70n` goes by trunk `tn` of `targets`, then by `good`. Trunks are not sent
/// OPTIONS: `sipp` counts what its scenario does not expect as a fault.
fn gateway(targets: &[String], good: &str) -> Gateway {
    let dir = TempDir::new("failover");
    let here = dir.path().display();
    let trunk = |name: &str, target: &str| {
        format!(
            "[trunk.{name}]\ntarget = \"{target}\"\naccept_from = [\"127.0.0.1\"]\n\
             codecs = [\"pcmu\", \"pcma\"]\noptions_interval = \"0s\"\n"
        )
    };
    let mut config = format!(
        "dialplan = \"{here}/plan.toml\"\n[http]\nlisten = \"127.0.0.1:0\"\n\
         [sip]\nlisten = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]\n\
         [media]\nworkers = 1\nwebrtc_port = 0\naddress = \"127.0.0.1\"\n\
         [store]\nurl = \"sqlite:{here}/crosspoint.db\"\n\
         [auth]\ntoken_secret_file = \"{here}/token.key\"\n\
         [user.web]\ncountry = \"DE\"\nmax_per_minute = 100\nmax_per_hour = 100\n"
    );
    let mut plan = String::from(
        "version = 1\nemergency = \"not-provided\"\n\
         [defaults]\ntimezone = \"Europe/Berlin\"\ncountry = \"DE\"\ncaller_id = \"web\"\n\
         [caller_id.web]\nnumber = \"+493023125600\"\n",
    );
    config += &trunk("good", good);
    for (n, target) in targets.iter().enumerate() {
        config += &trunk(&format!("t{n}"), target);
        plan += &format!(
            "[[outbound]]\nname = \"r{n}\"\nto = [\"70{n}\"]\nroute = [\"t{n}\", \"good\"]\n"
        );
    }
    Gateway::of_files(dir, &config, &plan, "info,crosspoint::gateway=debug")
}

/// The lines of a record's trace that tell of attempts, without their times.
fn attempts(record: &Value) -> Vec<String> {
    let lines = record["trace"].as_array().unwrap().iter().map(|line| line.as_str().unwrap());
    let untimed = |line: &str| match line.split_once(" after ") {
        Some((before, after)) => format!("{before}{}", after.split_once(" ms").unwrap().1),
        None => line.to_owned(),
    };
    lines.filter(|line| line.starts_with("attempt")).map(untimed).collect()
}

/// Calls `to`, waits until it is up, hangs up; the record.
async fn answered(gateway: &Gateway, page: &mut Page, to: &str) -> Value {
    let call = place(page, to).await;
    call.state(page, "active").await.unwrap();
    call.hang_up(page).await.unwrap();
    http::closed_record(&gateway.base, call.id.as_str())
}

#[tokio::test(flavor = "multi_thread")]
async fn the_next_trunk_is_tried_on_the_causes_of_the_specification() {
    let statuses = [
        "408 Request Timeout",
        "500 Server Internal Error",
        "502 Bad Gateway",
        "503 Service Unavailable",
        "504 Server Time-out",
    ];
    let bad: Vec<Sipp> = statuses.iter().map(|status| Sipp::refusing(status)).collect();
    let mut targets: Vec<String> = bad.iter().map(Sipp::target).collect();
    // Nobody listens there: the connection is refused.
    targets.push(format!("sip:127.0.0.1:{};transport=tcp", free_port()));
    let good = Sipp::start("uas", "", &[]);
    let gateway = gateway(&targets, &good.target());
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    for n in 0..targets.len() {
        let record = answered(&gateway, &mut page, &format!("70{n}")).await;
        let why = statuses.get(n).map_or("unreachable", |status| &status[..3]);
        let expected = [
            format!("attempt 1: trunk t{n}"),
            format!("attempt 1: {why}, the next is tried"),
            "attempt 2: trunk good".to_owned(),
            "attempt 2: answered".to_owned(),
        ];
        assert_eq!(attempts(&record), expected);
        assert_eq!(
            (record["trunk"].as_str(), record["attempts"].as_u64()),
            (Some("good"), Some(2))
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_called_partys_own_answers_and_early_media_are_final() {
    let statuses = [
        "404 Not Found",
        "484 Address Incomplete",
        "486 Busy Here",
        "600 Busy Everywhere",
        "603 Decline",
    ];
    let mut trunks: Vec<Sipp> = statuses.iter().map(|status| Sipp::refusing(status)).collect();
    // 503 would lead on, were it not that the caller has heard something already.
    trunks.push(Sipp::start("uas_early_refuse", "503 Service Unavailable", &[]));
    let targets: Vec<String> = trunks.iter().map(Sipp::target).collect();
    let good = Sipp::start("uas", "", &[]);
    let gateway = gateway(&targets, &good.target());
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    for n in 0..targets.len() {
        let status = statuses.get(n).map_or("503", |status| &status[..3]);
        let call = place(&page, &format!("70{n}")).await;
        call.ended(&mut page, Duration::from_secs(15)).await.unwrap();
        let record = http::closed_record(&gateway.base, call.id.as_str());
        let expected = [format!("attempt 1: trunk t{n}"), format!("attempt 1: {status}, final")];
        assert_eq!(attempts(&record), expected);
        assert_eq!(record["sip"]["status"].to_string(), status, "{record}");
        assert_eq!(record["trunk"], format!("t{n}"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_without_a_sign_of_life_is_left_after_4_s_and_its_late_183_is_cancelled() {
    let mut late = Sipp::start("uas_late_183", "", &["-m", "1"]);
    let good = Sipp::start("uas", "", &[]);
    let gateway = gateway(&[late.target()], &good.target());
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let start = Instant::now();
    let call = place(&page, "700").await;
    call.state(&mut page, "active").await.unwrap();
    let waited = start.elapsed();
    assert!(waited >= Duration::from_millis(3_900), "{waited:?}");
    // sipp is content: CANCEL came after its 183, and ACK for its 487.
    let status = late.process.wait(Duration::from_secs(20));
    assert!(status.success(), "sipp is not content: {}", late.process.output());
    let on = http::calls(&gateway.base);
    assert!(
        on.iter().any(|on| on["id"] == call.id.as_str() && on["state"] == "connected"),
        "{on:?}"
    );
    call.hang_up(&mut page).await.unwrap();
    let record = http::closed_record(&gateway.base, call.id.as_str());
    let expected = [
        "attempt 1: trunk t0",
        "attempt 1: no answer, the next is tried",
        "attempt 2: trunk good",
        "attempt 2: answered",
    ];
    assert_eq!(attempts(&record), expected);
    assert_eq!(record["trunk"], "good");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trunk_that_is_sent_no_options_has_a_breaker_by_its_calls() {
    let bad = Sipp::refusing("503 Service Unavailable");
    let good = Sipp::start("uas", "", &[]);
    let gateway = gateway(&[bad.target()], &good.target());
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    for _ in 0..3 {
        let record = answered(&gateway, &mut page, "700").await;
        assert_eq!(attempts(&record)[1], "attempt 1: 503, the next is tried");
    }
    gateway.process.line_with("trunk is down", Duration::from_secs(5));
    let record = answered(&gateway, &mut page, "700").await;
    assert_eq!(attempts(&record), ["attempt 1: trunk good", "attempt 1: answered"]);
    let trace = record["trace"].to_string();
    assert!(trace.contains("pass  t0 is down"), "{trace}");
}
