//! Webhooks to a real receiver, which checks them with the library of Standard Webhooks, and to some that
//! misbehave: what they do costs only their own deliveries.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use support::browser::Browser;
use support::gateway::Gateway;
use support::http::{self, get, request};
use support::phones::Baresip;
use support::process::Process;

const PLAN: &str = r#"
version = 1
emergency = "not-provided"
[defaults]
timezone = "Europe/Berlin"
country = "DE"
[[inbound]]
name = "to the page"
did = ["+493012345670"]
flow = ["user:web"]
"#;
const SECRET: &str = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD6Gf3kSnO6Lc=";

#[test]
fn a_call_is_told_signed_tried_again_and_sent_once_more_when_asked() {
    let receiver = Receiver::start();
    let phone = Baresip::start(880.0, -20.0);
    let hook = |name: &str, more: &str| {
        format!(
            "[webhook.{name}]\nurl = \"http://localhost:{}/{name}\"\nsecret = \"{SECRET}\"\n\
             events = [\"call.ended\"]\n{more}\n",
            receiver.port
        )
    };
    let allowed = "allow_private = true";
    let tables: String = [
        hook("fine", allowed),
        hook("twice", allowed),
        hook("hang", allowed),
        hook("redirect", allowed),
        hook("big", allowed),
        hook("private", ""),
    ]
    .concat();
    let gateway = Gateway::serve_at(phone.port, PLAN, "127.0.0.1", &tables);
    let sip = gateway.sip_udp.unwrap();
    // Nobody is signed in: the call is refused, which is an end like any other.
    phone.dial(&format!("sip:+493012345670@127.0.0.1:{}", sip.port()));
    let first = receiver.request("/fine", 1);
    assert_eq!((&first["verified"], &first["tries"]), (&json!(true), &json!(1)));
    assert_eq!(first["body"]["type"], "call.ended");
    assert_eq!(first["body"]["data"]["direction"], "inbound");
    assert!(first["body"]["data"]["ended_at"].is_string(), "{first}");
    // The one that refuses at first gets it again, by the same id.
    assert_eq!(receiver.request("/twice", 1)["tries"], 1);
    assert_eq!(receiver.request("/twice", 2)["tries"], 2);
    let one = |name: &str, state: &str| delivery(&gateway, name, |own| own["state"] == state);
    assert_eq!(one("twice", "delivered")["attempts"][0]["status"], 503);
    assert_eq!(one("fine", "delivered")["attempts"][0]["status"], 200);
    assert_eq!(one("big", "delivered")["attempts"].as_array().unwrap().len(), 1);
    let failed = |name: &str, words: &str| {
        let tried = |own: &Value| own["attempts"].as_array().is_some_and(|all| !all.is_empty());
        let own = delivery(&gateway, name, tried);
        assert!(own["attempts"][0]["error"].as_str().unwrap().contains(words), "{own}");
    };
    failed("redirect", "redirects are not followed");
    failed("private", "allow_private");
    failed("hang", "no answer within 10 s");
    let id = first["id"].as_str().unwrap();
    let path = format!("/v1/webhooks/fine/deliveries/{id}/actions/redeliver");
    assert_eq!(request(&gateway.base, "POST", &path, &[], "").status, 202);
    let again = receiver.request("/fine", 2);
    assert_eq!((&again["id"], &again["tries"]), (&first["id"], &json!(2)));
    let log = one("fine", "delivered");
    assert_eq!(log["attempts"].as_array().unwrap().len(), 2, "{log}");
    let all = receiver.process.output();
    assert!(!all.contains("/inside") && !all.contains("/private"), "{all}");
    assert!(!gateway.process.output().contains(SECRET));
}

/// Servers that decide where a call goes: the first hangs, the second names nothing that there is, the
/// third answers with more than anybody reads, two want help called and a code dialled; the flow goes on to
/// the one that decides.
#[test]
fn a_webhook_decides_where_a_call_goes_and_the_flow_goes_on_where_it_does_not() {
    let receiver = Receiver::start();
    let phone = Baresip::start(880.0, -20.0);
    let names = ["hang", "nonsense", "big", "help", "code", "decides"];
    let tables: String = names
        .map(|name| {
            format!(
                "[webhook.{name}]\nurl = \"http://localhost:{}/{name}\"\nsecret = \"{SECRET}\"\n\
                 events = [\"call.ended\"]\nallow_private = true\n",
                receiver.port
            )
        })
        .concat();
    let flow = names.map(|name| format!("\"webhook:{name}\"")).join(", ");
    let plan = PLAN.replace("\"user:web\"", &flow) + "[extension]\n\"600\" = \"app:echo\"\n";
    let gateway = Gateway::serve_at(phone.port, &plan, "127.0.0.1", &tables);
    let steps = json!([{"do": "answer"}, {"do": "active"}, {"do": "hangup"}, {"do": "ended"}]);
    let mut page = Browser::start(&gateway.base, Some(&gateway.token()), "", steps);
    gateway.process.line_with("page signed in", Duration::from_secs(60));
    let sip = gateway.sip_udp.unwrap();
    phone.dial(&format!("sip:+493012345670@127.0.0.1:{}", sip.port()));
    // The refused calls end before it is asked, and it is told of them.
    let asked = (1..=3)
        .map(|n| receiver.request("/decides", n))
        .find(|told| told["body"]["type"] == "call.route")
        .unwrap();
    assert_eq!(asked["verified"], json!(true));
    assert_eq!(asked["body"]["data"]["to"]["number"], "+493012345670", "{asked}");
    let saw = page.finish();
    assert_eq!(saw[3]["code"], "hangup", "{}", saw[3]);
    let log = gateway.process.output();
    assert!(log.contains("no answer within 3 s"), "{log}");
    assert!(log.contains("it names nothing that the plan has"), "{log}");
    let asked = receiver.process.output();
    assert!(asked.contains("/help") && asked.contains("/code"), "{asked}");
    // Each refusal is a record: nobody was called.
    let records = http::records(&gateway.base);
    for (number, words) in
        [("112", "calls for help from here"), ("600", "write \"app:echo\" itself")]
    {
        let record =
            records.iter().find(|record| record["to"]["uri"] == format!("number:{number}"));
        let record = record.unwrap_or_else(|| panic!("{number}: {records:?}"));
        assert_eq!((&record["attempts"], &record["trunk"]), (&json!(0), &Value::Null), "{record}");
        assert!(record["trace"].to_string().replace('\\', "").contains(words), "{record}");
    }
}

/// The first delivery of a webhook, when it is as wished.
fn delivery(gateway: &Gateway, name: &str, wish: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let list = get(&gateway.base, &format!("/v1/webhooks/{name}/deliveries"), &[]).json();
        match list["items"].get(0).filter(|own| wish(own)) {
            Some(own) => return own.clone(),
            None => assert!(Instant::now() < deadline, "{name}: {list:#}"),
        }
        std::thread::park_timeout(Duration::from_millis(50));
    }
}

struct Receiver {
    process: Process,
    port: u16,
}

impl Receiver {
    fn start() -> Receiver {
        let web = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("web");
        let mut command = Command::new("node");
        command.args(["test/webhook.mjs", SECRET]).current_dir(web);
        let process = Process::start("receiver", &mut command);
        let line = process.line_with("listening ", Duration::from_secs(30));
        let port = line.split("listening ").nth(1).unwrap().trim().parse().unwrap();
        Receiver { process, port }
    }

    /// The `n`-th request to this path, from 1.
    fn request(&self, path: &str, n: usize) -> Value {
        let words = format!("\"path\":\"{path}\"");
        let deadline = Instant::now() + Duration::from_secs(60);
        loop {
            let output = self.process.output();
            if let Some(line) = output.lines().filter(|line| line.contains(&words)).nth(n - 1) {
                return serde_json::from_str(&line[line.find('{').unwrap()..]).unwrap();
            }
            assert!(Instant::now() < deadline, "no {n} of {path}: {output}");
            std::thread::park_timeout(Duration::from_millis(20));
        }
    }
}
