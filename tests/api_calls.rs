//! Calls that a program starts: a page in Chromium rings, a real phone behind a trunk is called, both are
//! heard; the program sends digits, follows the events, ends the call.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::io::{BufRead, BufReader, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::browser::Browser;
use support::gateway::Gateway;
use support::http::{get, no_call_is_on, records, request};
use support::phones::Baresip;

const PLAN: &str = r#"
version = 1
emergency = "not-provided"
[defaults]
timezone = "Europe/Berlin"
country = "DE"
[caller_id.web]
number = "+493012345670"
[group.all]
users = ["web"]
caller_id = ["web"]
[[outbound]]
name = "the phone"
to = ["7XX"]
route = ["phone"]
"#;

#[test]
fn a_program_connects_a_page_with_a_phone() {
    let phone = Baresip::start(880.0, -20.0);
    let gateway = Gateway::serve_at(phone.port, PLAN, "127.0.0.1", "");
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
