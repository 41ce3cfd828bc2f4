//! Calls that a program starts: a page in Chromium rings, a real phone behind a trunk is called, both are
//! heard; the program sends digits, follows the events, ends the call.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::{IpAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use crosspoint::selftest::{Call, Page};
use serde_json::{Value, json};
use support::browser::Browser;
use support::gateway::Gateway;
use support::http::{get, no_call_is_on, records, request};
use support::phones::Baresip;
use support::plan::PHONE;
use support::process::run;
use support::sound;
use support::talk::Talk;

#[test]
fn a_program_connects_a_page_with_a_phone() {
    let phone = Baresip::start(880.0, -20.0);
    let gateway = Gateway::serve_at(phone.port, PHONE, "127.0.0.1", "");
    let call = |body: Value| request(&gateway.base, "POST", "/v1/calls", &[], &body.to_string());
    let order = json!({"user": "web", "to": "700"});
    let nobody = call(order.clone());
    assert_eq!((nobody.status, &nobody.json()["code"]), (409, &json!("call/unreachable")));
    let events = Events::follow(&gateway, None);
    let steps = json!([
        {"do": "answer"},
        {"do": "active"},
        {"do": "hear", "hz": 880},
        {"do": "ended"},
        {"do": "reject"},
    ]);
    let mut browser = Browser::start(&gateway.base, Some(&gateway.token()), "", steps);
    gateway.process.line_with("page signed in", Duration::from_secs(60));
    let started = call(order.clone());
    assert_eq!(started.status, 202, "{}", started.body);
    let id = started.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(started.header("location"), format!("/v1/calls/{id}"));
    browser.has_done("hear");
    let act = |action: &str, body: &str| {
        let path = format!("/v1/calls/{id}/actions/{action}");
        request(&gateway.base, "POST", &path, &[], body).status
    };
    assert_eq!(act("dtmf", r#"{"tones": "42#"}"#), 202);
    let deadline = Instant::now() + Duration::from_secs(30);
    let keys = || phone.telephone_events().iter().filter(|e| e.1).map(|e| e.0).collect::<String>();
    while keys() != "42#" {
        assert!(Instant::now() < deadline, "{:?}", phone.telephone_events());
    }
    assert_eq!(act("hangup", ""), 202);
    browser.has_done("ended");
    no_call_is_on(&gateway.base);
    // A page that declines ends it before anything is dialled.
    assert_eq!(call(order).status, 202);
    let saw = browser.finish();
    assert!(saw[0]["caller"].as_str().unwrap().contains("700"), "{}", saw[0]);
    assert_eq!(saw[3]["code"], "hangup", "{}", saw[3]);
    no_call_is_on(&gateway.base);
    let deadline = Instant::now() + Duration::from_secs(30);
    while records(&gateway.base).len() < 2 {
        assert!(Instant::now() < deadline, "{:?}", records(&gateway.base));
    }
    let records = records(&gateway.base);
    assert_eq!((&records[0]["cause"], &records[0]["trunk"]), (&json!("declined"), &Value::Null));
    assert_eq!(
        (&records[1]["cause"], &records[1]["ended_by"]),
        (&json!("hangup"), &json!("gateway"))
    );
    assert_eq!(records[1]["direction"], "outbound");

    // What happened, in order; and again from the middle for a client that was away.
    let seen = events.until_ended(2);
    let kinds: Vec<(&str, &str)> = seen
        .iter()
        .filter(|own| own.1["data"]["id"] == id.as_str())
        .map(|own| {
            let state = own.1["data"]["state"].as_str().unwrap_or_default();
            (own.1["type"].as_str().unwrap(), state)
        })
        .collect();
    let wanted = [
        ("call.started", "routing"),
        ("call.state", "dialing"),
        ("call.state", "answering"),
        ("call.state", "connected"),
        ("call.ended", ""),
    ];
    let mut rest = kinds.iter();
    assert!(wanted.iter().all(|one| rest.any(|own| own == one)), "{kinds:?}");
    let middle = seen.len() / 2;
    let again = Events::follow(&gateway, Some(&seen[middle].0)).until_ended(1);
    assert_eq!(again[0], seen[middle + 1]);
    assert!(get(&gateway.base, "/v1/users/web", &[]).json()["calls"] == 0);
}

/// Two phones behind two trunks, a menu and a page: the number is called first, and is connected with each
/// of them.
#[tokio::test(flavor = "multi_thread")]
async fn a_program_connects_a_phone_with_a_page_a_menu_and_another_phone() {
    let (near, far) = (Baresip::start(880.0, -20.0), Baresip::start_for("701", 440.0, -20.0));
    let dir = support::TempDir::new("orders");
    sound::write_tone(&dir.join("prompt.wav"), 8000, 600.0, -10.0, 3.0);
    let config = support::gateway::gateway_config(&dir, near.port);
    let trunk = format!(
        "[trunk.far]\ntarget = \"sip:127.0.0.1:{}\"\naccept_from = [\"127.0.0.2/32\"]\n\
         codecs = [\"pcmu\"]\n",
        far.port
    );
    let levels = support::gateway::LEVELS;
    let gateway = Gateway::of_files(dir, &format!("{config}{trunk}"), TWO_PHONES, levels);
    let call = |from: &str, to: &str| {
        let body = json!({"from": from, "to": to}).to_string();
        request(&gateway.base, "POST", "/v1/calls", &[], &body)
    };
    for (from, to, status, code) in [
        ("+12025550123", "menu:top", 403, "call/blocked-by-dialplan"),
        ("700", "+12025550123", 403, "call/blocked-by-dialplan"),
        ("700", "menu:none", 400, "request/bad-value"),
        ("700", "hangup:", 400, "request/bad-value"),
        ("70 x", "menu:top", 422, "call/invalid-number"),
        ("700", "user:web", 409, "call/unreachable"),
    ] {
        let refused = call(from, to);
        let told = refused.json();
        assert_eq!((refused.status, told["code"].as_str()), (status, Some(code)), "{from} {to}");
        assert_eq!(refused.header("content-type"), "application/problem+json");
    }
    assert!(records(&gateway.base).is_empty(), "{:?}", records(&gateway.base));
    let told = |words: &str| gateway.process.line_with(words, Duration::from_secs(30));
    let command = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crosspoint"));
        run(command.arg("call").args(arguments).args(["--url", &gateway.base]))
    };
    let hang_up = |id: &str| {
        assert_eq!(command(&["hangup", id]).code, Some(0));
        no_call_is_on(&gateway.base);
    };

    // With a menu: its prompt is heard, its key is taken.
    let started = call("700", "menu:top");
    assert_eq!(started.status, 202, "{}", started.body);
    told("menu:top");
    // The key stops the prompt.
    talks_for(&gateway, 1.5);
    near.send_code("4");
    told("app:milliwatt");
    talks_for(&gateway, 2.0);
    let started = started.json();
    let id = started["id"].as_str().unwrap();
    let list = command(&["list"]).stdout;
    assert!(list.starts_with("CALL ") && list.contains(id) && list.contains("connected"), "{list}");
    hang_up(id);
    assert_eq!(command(&["list"]).stdout, "no call is on\n");
    let twice = command(&["hangup", id]);
    assert_eq!(twice.code, Some(1), "{}", twice.stderr);
    assert!(twice.stderr.contains("request/not-found"), "{}", twice.stderr);
    let heard = near.recording();
    assert!(sound::best_level(&heard, 600.0) > -35.0, "{}", sound::best_level(&heard, 600.0));
    assert!(sound::best_level(&heard, 1004.0) > -35.0, "{}", sound::best_level(&heard, 1004.0));

    // With another phone: each hears the other.
    let started = command(&["start", "--from", "700", "701"]);
    assert_eq!(started.code, Some(0), "{}", started.stderr);
    talks_for(&gateway, 2.0);
    // Two calls are one conversation: what is kept of it is asked for by either.
    let id = started.stdout.trim();
    let record = format!("/v1/calls/{id}/actions/record");
    assert_eq!(request(&gateway.base, "POST", &record, &[], r#"{"action":"pause"}"#).status, 202);
    talks_for(&gateway, 2.0);
    hang_up(id);
    for sound in two_recordings(&gateway) {
        let side = |n| sound.iter().skip(n).step_by(2).copied().collect::<Vec<i16>>();
        let levels = [0, 1].map(|n| sound::best_level(&side(n), 880.0));
        assert!(levels.iter().any(|level| *level > -40.0), "not recorded: {levels:?}");
        let after = &sound[sound.len() - 2 * 8000..];
        assert!(after.iter().all(|sample| *sample == 0), "a pause that only one of them heard");
    }
    for (phone, hz) in [(&near, 440.0), (&far, 880.0)] {
        let level = sound::best_level(&phone.recording(), hz);
        // A machine that is busy leaves gaps in it.
        assert!((-38.0..=-16.0).contains(&level), "{hz} Hz at {level} dBm0");
    }

    // With a page.
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    told("page signed in");
    assert_eq!(call("700", "user:web").status, 202);
    let taken = Call::take(&mut page, IpAddr::from([127, 0, 0, 1])).await.unwrap();
    taken.state(&mut page, "active").await.unwrap();
    let mut talk = Talk { gateway, page, call: taken, kamailio: None };
    talk.hears(880.0).await;
    // It hears an announcement in the place of the phone, and the phone again when that is ended.
    sound::write_tone(&talk.gateway.dir.join("notice.wav"), 8000, 1500.0, -10.0, 120.0);
    let path = format!("/v1/calls/{}/actions/play", talk.call.id);
    let play = |body: &str| request(&talk.gateway.base, "POST", &path, &[], body);
    for wrong in ["../notice.wav", "/etc/passwd", "none.wav", "plan.toml"] {
        let refused = play(&json!({"file": wrong}).to_string());
        assert_eq!(refused.status, 400, "{wrong}: {}", refused.body);
    }
    assert_eq!(play(r#"{"file": "notice.wav"}"#).status, 202);
    talk.hears(1500.0).await;
    assert_eq!(play("{}").status, 202);
    talk.hears(880.0).await;
    // It ends both.
    talk.hang_up().await;
    no_call_is_on(&talk.gateway.base);
    let deadline = Instant::now() + Duration::from_secs(10);
    let all = loop {
        let all = records(&talk.gateway.base);
        // The end of a record is written behind the call.
        let written = all.len() == 5 && all.iter().all(|record| !record["cause"].is_null());
        if written || Instant::now() > deadline {
            break all;
        }
        std::thread::park_timeout(Duration::from_millis(50));
    };
    assert!(all.iter().all(|record| record["cause"] == "hangup"), "{all:?}");
    assert_eq!(all.len(), 1 + 2 + 2, "{all:?}");
}

/// Both channels, by turns, of the newest two recordings, once they are ended.
fn two_recordings(gateway: &Gateway) -> Vec<Vec<i16>> {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let list = get(&gateway.base, "/v1/recordings?limit=2", &[]).json();
        let list = list["items"].as_array().unwrap().clone();
        if list.len() == 2 && list.iter().all(|own| own["ended_at"].is_string()) {
            let sound = |own: &Value| {
                let file = file_of(&gateway.dir.join("recordings"), own["id"].as_str().unwrap());
                let mut wav = hound::WavReader::open(file).unwrap();
                wav.samples::<i16>().map(Result::unwrap).collect()
            };
            return list.iter().map(sound).collect();
        }
        assert!(Instant::now() < deadline, "{list:?}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

fn file_of(folder: &Path, id: &str) -> PathBuf {
    let days = std::fs::read_dir(folder).unwrap().map(|day| day.unwrap().path());
    let mut files =
        days.flat_map(|day| std::fs::read_dir(day).unwrap().map(|file| file.unwrap().path()));
    let is_it = |file: &PathBuf| file.file_name().is_some_and(|name| name == &*format!("{id}.wav"));
    files.find(is_it).unwrap()
}

/// Waits until the calls that are on have been answered for so long.
fn talks_for(gateway: &Gateway, seconds: f64) {
    let deadline = Instant::now() + Duration::from_secs(30);
    let mut since = None;
    loop {
        let calls = support::http::calls(&gateway.base);
        let connected = calls.iter().all(|call| call["state"] == "connected");
        match since {
            _ if calls.is_empty() || !connected => since = None,
            None => since = Some(Instant::now()),
            Some(begun) if begun.elapsed().as_secs_f64() > seconds => return,
            Some(_) => {}
        }
        assert!(Instant::now() < deadline, "{calls:?}");
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

const TWO_PHONES: &str = r#"
version = 1
emergency = "not-provided"
[defaults]
timezone = "Europe/Berlin"
country = "DE"
caller_id = "office"
[caller_id.office]
number = "+493012345670"
[[outbound]]
name = "the far phone"
to = ["701"]
route = ["far"]
record = true
[[outbound]]
name = "the near phone"
to = ["7XX"]
route = ["phone"]
record = true
[menu.top]
prompt = "prompt.wav"
first_digit = "60s"
on_fail = "app:milliwatt"
[menu.top.press]
"4" = "app:milliwatt"
"#;

/// The stream of events, as bytes.
struct Events(BufReader<TcpStream>);

impl Events {
    fn follow(gateway: &Gateway, last: Option<&str>) -> Events {
        let authority = gateway.base.strip_prefix("http://").unwrap();
        let mut stream = TcpStream::connect(authority).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
        let last = last.map_or(String::new(), |id| format!("Last-Event-ID: {id}\r\n"));
        write!(stream, "GET /v1/events HTTP/1.0\r\nHost: {authority}\r\n{last}\r\n").unwrap();
        let mut events = Events(BufReader::new(stream));
        while !events.line().is_empty() {}
        events
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.0.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Ids and data up to and with the `n`-th end of a call.
    fn until_ended(mut self, n: usize) -> Vec<(String, Value)> {
        let (mut all, mut id, mut ended) = (Vec::new(), String::new(), 0);
        while ended < n {
            let line = self.line();
            if let Some(own) = line.strip_prefix("id: ") {
                id = own.to_owned();
            } else if let Some(data) = line.strip_prefix("data: ") {
                let data: Value = serde_json::from_str(data).unwrap();
                ended += usize::from(data["type"] == "call.ended");
                all.push((id.clone(), data));
            }
        }
        all
    }
}
