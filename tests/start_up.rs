//! What the command says when it cannot do its work, and how it starts and stops when it can: one
//! clear line and exit 2, findings with line and column, help that teaches.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::fs;
use std::net::{SocketAddr, TcpListener, UdpSocket};
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use crosspoint::selftest::{Call, Event, Page};
use serde_json::{Value, json};
use sqlx::Connection;
use support::bystander::{LOOPBACK, PLAN, place};
use support::certificates::Authority;
use support::coturn::Coturn;
use support::gateway::{Gateway, gateway_config};
use support::process::{Finished, run};
use support::raw_phone::{Manner, RawPhone};
use support::socket::Socket;
use support::{TempDir, http};

fn crosspoint(dir: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crosspoint"));
    command.current_dir(dir);
    command
}

/// A folder with a configuration that starts; `changes` replace lines of it.
fn folder(changes: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new("start-up");
    let mut config = CONFIG.to_owned();
    for (from, to) in changes {
        assert!(config.contains(from), "{from} is not in the configuration");
        config = config.replace(from, to);
    }
    fs::write(dir.join("crosspoint.toml"), config).unwrap();
    fs::write(dir.join("plan.toml"), PLAN).unwrap();
    dir
}

fn serve(dir: &TempDir) -> Finished {
    run(crosspoint(dir.path()).args(["serve", "--log-level", "info"]))
}

/// One line on standard error that has all of `words`, nothing on standard output, exit 2.
fn one_line(finished: &Finished, words: &[&str]) {
    let Finished { code, stdout, stderr } = finished;
    assert_eq!((*code, stdout.as_str()), (Some(2), ""), "{stderr}");
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.starts_with("crosspoint: "), "{stderr}");
    for word in words {
        assert!(stderr.contains(word), "{word:?} is not in {stderr}");
    }
}

#[test]
fn a_taken_port_is_named_in_one_line() {
    let tcp = TcpListener::bind("127.0.0.1:0").unwrap();
    let tcp_port = tcp.local_addr().unwrap().port().to_string();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    let udp_port = udp.local_addr().unwrap().port().to_string();
    let cases = [
        ("listen = \"127.0.0.1:0\"", format!("listen = \"127.0.0.1:{tcp_port}\""), &tcp_port),
        ("tcp:127.0.0.1:0", format!("tcp:127.0.0.1:{tcp_port}"), &tcp_port),
        ("udp:127.0.0.1:0", format!("udp:127.0.0.1:{udp_port}"), &udp_port),
        ("webrtc_port = 0", format!("webrtc_port = {udp_port}"), &udp_port),
    ];
    for (from, to, port) in cases {
        let finished = serve(&folder(&[(from, &to)]));
        one_line(&finished, &[port, "in use"]);
    }
    let demo = TempDir::new("demo");
    let listen = format!("127.0.0.1:{tcp_port}");
    let finished = run(crosspoint(demo.path()).args(["demo", "--listen", &listen, "--data", "."]));
    one_line(&finished, &[&tcp_port, "in use"]);
    assert_eq!(fs::read_dir(demo.path()).unwrap().count(), 0, "a failed start leaves nothing");
}

#[test]
fn a_configuration_that_cannot_be_read_is_one_line() {
    let empty = TempDir::new("start-up");
    one_line(&serve(&empty), &["crosspoint.toml", "No such file"]);
    fs::create_dir(empty.join("crosspoint.toml")).unwrap();
    one_line(&serve(&empty), &["crosspoint.toml", "directory"]);
    fs::remove_dir(empty.join("crosspoint.toml")).unwrap();
    fs::write(empty.join("crosspoint.toml"), [0xff, 0xfe, 0x00]).unwrap();
    one_line(&serve(&empty), &["crosspoint.toml", "UTF-8"]);

    let no_plan = folder(&[]);
    fs::remove_file(no_plan.join("plan.toml")).unwrap();
    one_line(&serve(&no_plan), &["plan.toml", "No such file"]);
    let finished = run(crosspoint(no_plan.path()).args(["config", "check"]));
    assert_eq!(
        (finished.code, finished.stdout.lines().count()),
        (Some(2), 1),
        "{}",
        finished.stdout
    );
}

#[test]
fn mistakes_are_named_with_line_and_column() {
    let table: [(Changes, &[&str]); 5] = [
        (&[("workers = 1", "wrokers = 1")], &["crosspoint.toml:7:1:", "wrokers", "workers"]),
        (&[("workers = 1", "workers = = 1")], &["crosspoint.toml:7:11:"]),
        (&[("workers = 1", "workers = \"one\"")], &["crosspoint.toml:7:11:", "workers"]),
        (&[(SECRET, "too short")], &["crosspoint.toml:13:16:", "32 characters"]),
        (&[("token_secret =", "token_secret_file =")], &["crosspoint.toml:13:21:", "No such file"]),
    ];
    for (changes, words) in table {
        let dir = folder(changes);
        for command in [&["serve"][..], &["config", "check"]] {
            let Finished { code, stdout, stderr } = run(crosspoint(dir.path()).args(command));
            let text = format!("{stdout}{stderr}");
            assert_eq!(code, Some(if command == ["serve"] { 2 } else { 1 }), "{text}");
            for word in words {
                assert!(text.contains(word), "{word:?} is not in {text}");
            }
            // What follows a syntax error is for the parser to say.
            assert!(text.lines().count() == 1 || words == ["crosspoint.toml:7:11:"], "{text}");
        }
    }
    let two = folder(&[("workers = 1", "wrokers = 1"), ("[store]", "[stoer]")]);
    let finished = run(crosspoint(two.path()).args(["config", "check"]));
    assert_eq!(
        (finished.code, finished.stdout.lines().count()),
        (Some(1), 2),
        "{}",
        finished.stdout
    );

    let plan = folder(&[]);
    fs::write(plan.join("plan.toml"), PLAN.replace("route = [", "rout = [")).unwrap();
    for command in [&["serve"][..], &["config", "check"]] {
        let Finished { code, stdout, stderr } = run(crosspoint(plan.path()).args(command));
        let text = format!("{stdout}{stderr}");
        assert!(matches!(code, Some(1 | 2)) && text.contains("plan.toml:16:1:"), "{text}");
    }
    let fine = run(crosspoint(folder(&[]).path()).args(["config", "check"]));
    assert_eq!(fine.code, Some(0), "{}", fine.stdout);
}

#[tokio::test]
async fn a_database_that_cannot_be_used_is_one_line() {
    let corrupt = folder(&[]);
    fs::write(
        corrupt.join("calls.db"),
        b"this is no database, and long enough to say so".repeat(99),
    )
    .unwrap();
    one_line(&serve(&corrupt), &["calls.db", "not a database"]);

    let folder_of_that_name = folder(&[]);
    fs::create_dir(folder_of_that_name.join("calls.db")).unwrap();
    one_line(&serve(&folder_of_that_name), &["calls.db", "cannot be used"]);

    let nowhere = folder(&[("sqlite:calls.db", "sqlite:no/such/folder/calls.db")]);
    one_line(&serve(&nowhere), &["no/such/folder/calls.db"]);

    let locked = folder(&[]);
    let url = format!("sqlite:{}?mode=rwc", locked.join("calls.db").display());
    let mut other = sqlx::SqliteConnection::connect(&url).await.unwrap();
    sqlx::raw_sql("CREATE TABLE held (x); BEGIN EXCLUSIVE").execute(&mut other).await.unwrap();
    one_line(&serve(&locked), &["calls.db", "locked by another program"]);

    let hopeless = folder(&[("sqlite:calls.db", "postgres://me:hunter2@127.0.0.1:1/calls")]);
    let finished = serve(&hopeless);
    one_line(&finished, &["PostgreSQL", "refused"]);
    assert!(!finished.stderr.contains("hunter2"), "{}", finished.stderr);
}

#[test]
fn a_second_gateway_on_the_same_records_is_refused() {
    let first = Gateway::serve(9, PLAN);
    let finished = run(crosspoint(first.dir.path()).arg("serve"));
    one_line(&finished, &["in use by another gateway"]);
}

#[test]
fn help_of_every_command_teaches() {
    let mut to_ask: Vec<Vec<String>> = vec![Vec::new()];
    let mut leaves = 0;
    while let Some(path) = to_ask.pop() {
        let help = run(Command::new(env!("CARGO_BIN_EXE_crosspoint")).args(&path).arg("--help"));
        let text = help.stdout;
        assert_eq!((help.code, help.stderr.as_str()), (Some(0), ""), "{path:?}");
        assert!(text.contains("Usage: crosspoint"), "{text}");
        assert!(text.lines().next().unwrap().len() > 10, "no word about it: {text}");
        // One entry a line, with its words behind two blanks; clap may put them into the next line.
        let section = |name: &str| -> Vec<String> {
            let lines = text.lines().skip_while(|line| *line != name).skip(1);
            let mut entries: Vec<String> = Vec::new();
            for line in lines.take_while(|line| !line.starts_with(char::is_alphabetic)) {
                match entries.last_mut() {
                    Some(last) if line.starts_with("          ") => *last += line,
                    _ if line.is_empty() => {}
                    _ => entries.push(line.trim().to_owned()),
                }
            }
            entries
        };
        for entry in section("Options:").iter().chain(&section("Commands:")) {
            let about = entry.split_once("  ").map(|(_, about)| about.trim());
            assert!(about.is_some_and(|about| !about.is_empty()), "{path:?}: {entry}");
        }
        let commands = section("Commands:");
        for line in &commands {
            let name = line.split_whitespace().next().unwrap();
            if name != "help" {
                to_ask.push(path.iter().cloned().chain([name.to_owned()]).collect());
            }
        }
        if commands.is_empty() {
            leaves += 1;
            let example = format!("  crosspoint {}", path.join(" "));
            let examples = text.split_once("Example").map_or("", |(_, examples)| examples);
            assert!(examples.contains(&example), "no example {example:?} in\n{text}");
        }
    }
    assert!(leaves >= 10, "{leaves} commands");
    let nothing = run(&mut Command::new(env!("CARGO_BIN_EXE_crosspoint")));
    assert_eq!(nothing.code, Some(2));
    assert!(nothing.stderr.contains("crosspoint demo"), "{}", nothing.stderr);
    let typing_error = run(Command::new(env!("CARGO_BIN_EXE_crosspoint")).arg("sevre"));
    assert_eq!(typing_error.code, Some(2));
    assert!(typing_error.stderr.contains("serve"), "{}", typing_error.stderr);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_of_the_command_signs_in_and_a_stop_without_calls_is_quick() {
    let mut gateway = Gateway::serve(9, PLAN);
    let token = gateway.token();
    let mut socket = Socket::signed_in(&gateway.base, &token).await;
    for (arguments, words) in [
        (["--user", "nobody", "--ttl", "1h"], "it has web"),
        (["--user", "web", "--ttl", "2h"], "1 h"),
        (["--user", "web", "--ttl", "soon"], "--ttl soon"),
        (["--user", "we b", "--ttl", "1h"], "--user we b"),
    ] {
        let mut command = crosspoint(gateway.dir.path());
        one_line(&run(command.args(["token", "create"]).args(arguments)), &[words]);
    }
    let begun = Instant::now();
    gateway.process.signal("TERM");
    assert_eq!(socket.close_code().await, 4503);
    let status = gateway.process.wait(Duration::from_secs(10));
    assert!(status.success(), "{status}");
    assert!(begun.elapsed() < Duration::from_secs(3), "{} ms", begun.elapsed().as_millis());
}

/// A call on two gateways that are told to stop: one is hung up by its page, the other outlives the wait.
#[tokio::test(flavor = "multi_thread")]
async fn a_call_outlives_the_first_sigterm_and_nothing_new_is_taken() {
    let phone = RawPhone::start(Manner::Answers);
    let gateway = |wait: &str| {
        let dir = TempDir::new("drain");
        let config = gateway_config(&dir, phone.port)
            .replace("workers = 1\n", "workers = 1\ncalls_per_worker = 1\n")
            + &format!(
                "[user.desk]\n[drain]\nwait = \"{wait}\"\nurl = \"wss://other.example/v1/rtc\"\n"
            );
        Gateway::of_files(dir, &config, PLAN, "info")
    };
    let (mut patient, mut hasty) = (gateway("10m"), gateway("1s"));
    let mut page = Page::connect(&patient.base, &patient.token()).await.unwrap();
    let mut other = Page::connect(&hasty.base, &hasty.token()).await.unwrap();
    let mut idle = Socket::signed_in(&patient.base, &patient.token_of("desk")).await;
    let call = place(&page, "700").await;
    call.state(&mut page, "active").await.unwrap();
    let cut = place(&other, "700").await;
    cut.state(&mut other, "active").await.unwrap();
    // One call a worker, says the configuration.
    let full = Call::start(&other, LOOPBACK, "701").await.err().expect("a second call is taken");
    assert!(full.to_string().contains("server/overloaded"), "{full}");
    patient.process.signal("TERM");
    hasty.process.signal("TERM");

    // Whoever is in no call goes at once; whoever is in one hears where to go then.
    let closing = |event: &Event| event.text("type") == "closing";
    let told = page.event(LIMIT, "closing", closing).await.unwrap();
    assert_eq!(told.text("url"), "wss://other.example/v1/rtc", "{told:?}");
    assert!(told.body["reconnect_in_ms"].as_u64().is_some(), "{told:?}");
    assert_eq!(idle.close_code().await, 4503);
    // Nothing new: from a page, from a program, from a trunk; and whoever watches knows.
    let again = Call::start(&page, LOOPBACK, "701").await.err().expect("a second call is taken");
    assert!(again.to_string().contains("server/draining"), "{again}");
    let order = r#"{"user": "desk", "to": "+493023125000"}"#;
    let answer = http::request(&patient.base, "POST", "/v1/calls", &[], order);
    assert_eq!((answer.status, &answer.json()["code"]), (503, &json!("server/draining")));
    assert_eq!(http::get(&patient.base, "/readyz", &[]).status, 503);
    let refusal = invite(patient.sip_udp.unwrap());
    assert!(refusal.starts_with("SIP/2.0 503 "), "{refusal}");
    assert!(refusal.contains("\r\nRetry-After: "), "{refusal}");
    // The call is on; with its end the gateway goes.
    let on = http::calls(&patient.base);
    assert_eq!((on.len(), &on[0]["state"]), (1, &json!("connected")), "{on:?}");
    call.hang_up(&mut page).await.unwrap();
    let status = patient.process.wait(LIMIT);
    assert!(status.success(), "{status}");
    assert!(!patient.process.output().contains("did not end in time"));

    // The other one has waited as long as it may.
    let ended = cut.ended(&mut other, LIMIT).await.unwrap();
    assert!(ended.body.to_string().contains("server-shutdown"), "{ended:?}");
    let status = hasty.process.wait(LIMIT);
    assert!(status.success(), "{status}");
    assert!(hasty.process.output().contains("did not end in time"));
}

/// What a trunk's call is answered with.
fn invite(gateway: SocketAddr) -> String {
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    socket.set_read_timeout(Some(LIMIT)).unwrap();
    let port = socket.local_addr().unwrap().port();
    let sdp = "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n\
               m=audio 40002 RTP/AVP 0\r\n";
    let text = format!(
        "INVITE sip:+493023125600@{gateway} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{port};branch=z9hG4bKdrain\r\n\
         From: <sip:+491701234567@127.0.0.1>;tag=d\r\nTo: <sip:+493023125600@{gateway}>\r\n\
         Call-ID: drain@127.0.0.1\r\nCSeq: 1 INVITE\r\nContact: <sip:127.0.0.1:{port}>\r\n\
         Max-Forwards: 70\r\nContent-Type: application/sdp\r\nContent-Length: {}\r\n\r\n{sdp}",
        sdp.len()
    );
    socket.send_to(text.as_bytes(), gateway).unwrap();
    let mut packet = [0; 2048];
    loop {
        let (length, _) = socket.recv_from(&mut packet).expect("the INVITE is answered");
        let answer = String::from_utf8_lossy(&packet[..length]).into_owned();
        if !answer.starts_with("SIP/2.0 1") {
            return answer;
        }
    }
}

/// Generous: a machine that builds beside it stalls for seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// What a check of the doctor found, and how it judged.
fn judged(lines: &Value, check: &str) -> (String, String) {
    let line = lines["lines"].as_array().unwrap().iter().find(|line| line["check"] == check);
    let line = line.unwrap_or_else(|| panic!("no {check:?} in {lines:#}"));
    let fix = line["fix"].as_str().unwrap_or_default();
    assert_eq!(fix.is_empty(), line["verdict"] == "ok", "a fault says what to do: {line}");
    (line["verdict"].as_str().unwrap().to_owned(), line["found"].as_str().unwrap().to_owned())
}

#[test]
fn the_doctor_finds_what_is_wrong_and_says_what_to_do() {
    let doctor = |dir: &TempDir, more: &[&str]| {
        let finished = run(crosspoint(dir.path()).args(["doctor", "--json"]).args(more));
        let report = serde_json::from_str::<Value>(&finished.stdout);
        let report =
            report.unwrap_or_else(|e| panic!("{e}: {}{}", finished.stdout, finished.stderr));
        assert!(!finished.stdout.contains("hunter2"), "{}", finished.stdout);
        (finished.code, report)
    };
    // Real peers: coturn, the demo's carrier, an authority's certificate.
    let coturn = Coturn::start("hunter2-of-coturn");
    let demo = Gateway::demo();
    let carrier = demo.carrier().to_string();
    let authority = Authority::new();
    let (cert, key) = authority.issue("phone", "DNS:localhost");
    let (_, other_key) = authority.issue("other", "DNS:localhost");
    let tls = |key: &Path| {
        let (cert, key) = (cert.display(), key.display());
        format!("tls = {{ cert = \"{cert}\", key = \"{key}\" }}\n[sip]")
    };
    let ice = |secret: &str| {
        let port = coturn.port;
        format!(
            "[ice]\nservers = [{{ urls = [\"turn:127.0.0.1:{port}\"], secret = \"{secret}\" }}]\n[auth]"
        )
    };
    let target = format!("\"sip:{carrier}\"");
    let target = ("\"sip:127.0.0.1:9\"", target.as_str());

    let (right_tls, right_ice) = (tls(&key), ice("hunter2-of-coturn"));
    let fine = folder(&[target, ("[sip]", &right_tls), ("[auth]", &right_ice)]);
    let (code, report) = doctor(&fine, &["--host", "localhost", "--no-call"]);
    assert_eq!(code, Some(0), "{report:#}");
    for (check, words) in [
        ("token secret", "long enough"),
        ("database", "empty"),
        ("port: http", "free"),
        (&*format!("ice turn:127.0.0.1:{}", coturn.port), "took the secret, relays by 127.0.0.1"),
        (&*format!("trunk phone: udp:{carrier}"), "answers OPTIONS with 200"),
        ("trunk phone: our address", "can be sent to"),
    ] {
        let (verdict, found) = judged(&report, check);
        assert!(verdict == "ok" && found.contains(words), "{check}: {verdict} {found}");
    }
    // A day is left of it.
    let (verdict, found) = judged(&report, "certificate: http");
    assert!(verdict == "warn" && found.contains("its key fits"), "{verdict} {found}");

    // The call is made and measured; how it sounds on a machine that does much else is not judged here.
    let (_, report) = doctor(&fine, &[]);
    for (check, words) in
        [("set-up", "answered_ms"), ("tone", "level_dbm0"), ("hang-up", "took_ms")]
    {
        let (_, found) = judged(&report, &format!("call on loopback: {check}"));
        assert!(found.contains(words), "{check}: {found}");
    }

    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let listen = format!("listen = \"{}\"", taken.local_addr().unwrap());
    let (wrong_tls, wrong_ice) = (tls(&other_key), ice("hunter2"));
    let wrong = folder(&[
        ("listen = \"127.0.0.1:0\"", &listen),
        ("[sip]", &wrong_tls),
        ("[auth]", &wrong_ice),
        ("sqlite:calls.db", "sqlite:no/such/folder/calls.db"),
        ("\"sip:127.0.0.1:9\"", "\"sip:127.0.0.1:9;transport=tcp\""),
    ]);
    let (code, report) = doctor(&wrong, &["--no-call"]);
    assert_eq!(code, Some(1), "{report:#}");
    for (check, words) in [
        ("port: http", "taken by another program"),
        ("certificate: http", "does not fit"),
        ("database", "its folder does not exist"),
        (&*format!("ice turn:127.0.0.1:{}", coturn.port), "does not take our credentials (401)"),
        ("trunk phone: tcp:127.0.0.1:9", "is not reached"),
    ] {
        let (verdict, found) = judged(&report, check);
        assert!(verdict == "fail" && found.contains(words), "{check}: {verdict} {found}");
    }
    // Beside a gateway that runs its ports are its own, and its tables are there.
    let running = Gateway::serve(9, PLAN);
    let finished = run(crosspoint(running.dir.path()).args(["doctor", "--json", "--no-call"]));
    let report: Value = serde_json::from_str(&finished.stdout).unwrap();
    assert_eq!(judged(&report, "database").0, "ok", "{report:#}");
    assert!(judged(&report, "database").1.contains("of this version"), "{report:#}");

    let empty = TempDir::new("start-up");
    let finished = run(crosspoint(empty.path()).arg("doctor").arg("--no-call"));
    assert_eq!(finished.code, Some(2), "{}", finished.stdout);
    assert!(finished.stdout.starts_with("FAIL  configuration"), "{}", finished.stdout);
}

/// Lines of the configuration and what they are replaced by.
type Changes = &'static [(&'static str, &'static str)];

/// Line numbers count from here.
const CONFIG: &str = "\
dialplan = \"plan.toml\"
[http]
listen = \"127.0.0.1:0\"
[sip]
listen = [\"udp:127.0.0.1:0\", \"tcp:127.0.0.1:0\"]
[media]
workers = 1
webrtc_port = 0
address = \"127.0.0.1\"
[store]
url = \"sqlite:calls.db\"
[auth]
token_secret = \"0123456789abcdef0123456789abcdef\"
[user.web]
country = \"DE\"
[trunk.phone]
target = \"sip:127.0.0.1:9\"
";
const SECRET: &str = "0123456789abcdef0123456789abcdef";
