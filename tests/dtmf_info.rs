//! SIP INFO through the whole gateway, with sipp on the other side: what is sent, refused, not answered
//! and received, and what the page, the timeline and the log are told of it.

#![allow(clippy::unwrap_used, reason = "a test says what is wrong by stopping")]

mod support;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use crosspoint::selftest::{Call, Event, Page};
use serde_json::{Value, json};
use support::gateway::Gateway;
use support::http;
use support::phones::Sipp;
use support::plan::PHONE;
use support::wire::Wire;

const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
const LIMIT: Duration = Duration::from_secs(20);

/// A page in a call with sipp.
async fn talk(gateway: &Gateway) -> (Page, Call) {
    let mut page = Page::connect(&gateway.base, &gateway.token()).await.unwrap();
    let call = Call::start(&page, HERE, "700").await.unwrap();
    call.state(&mut page, "active").await.unwrap();
    call.peer.connected(LIMIT).await.expect("ICE and DTLS");
    (page, call)
}

async fn send(page: &Page, call: &Call, tones: &str) {
    let request =
        json!({"type": "dtmf.send", "call": call.id, "tones": tones, "duration": 120, "gap": 80});
    page.ask(request).await.unwrap();
}

async fn told(page: &mut Page, kind: &str) -> Value {
    let of = |event: &Event| event.text("type") == kind;
    page.event(LIMIT, kind, of).await.unwrap().body
}

async fn receipt(page: &mut Page) -> (String, Value, Value) {
    let sent = told(page, "dtmf.sent").await;
    let receipt = &sent["receipt"];
    (
        sent["tone"].as_str().unwrap().to_owned(),
        receipt["mode"].clone(),
        receipt["info_status"].clone(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn info_that_is_taken_is_in_the_receipt_and_the_timeline() {
    let wire = Wire::start(true);
    let mut sipp = Sipp::listen(wire.port);
    let gateway =
        Gateway::serve_trunk(sipp.port, PHONE, "dtmf = \"info\"\noptions_interval = \"0s\"");
    let (mut page, call) = talk(&gateway).await;
    assert_eq!(told(&mut page, "dtmf.mode").await["mode"], "sip-info");
    send(&page, &call, "7#").await;
    for key in ["7", "#"] {
        assert_eq!(receipt(&mut page).await, (key.to_owned(), json!("sip-info"), json!(200)));
    }
    let path = format!("/v1/calls/{}/dtmf", call.id);
    let digits = http::get(&gateway.base, &path, &[]).json();
    assert_eq!((&digits["mode"], &digits["sent"]), (&json!("sip-info"), &json!(2)));
    call.hang_up(&mut page).await.unwrap();
    let taken = |key| ("application/dtmf-relay".to_owned(), key, 120);
    assert_eq!(sipp.infos(), [taken('7'), taken('#')]);
    assert_eq!(wire.telephone_events(101), []);
    // The timeline outlives the call for a while, and neither it nor the log shows a key.
    http::no_call_is_on(&gateway.base);
    let later = http::get(&gateway.base, &path, &[]).json();
    assert_eq!(later["items"], digits["items"]);
    assert!(!later.to_string().contains('#') && !gateway.process.output().contains('#'));
}

/// The digit that is refused and all after it go the next way of the plan, each once.
async fn refused(status: Option<&str>, code: u16) {
    let wire = Wire::start(true);
    let sipp = Sipp::refuse_info(wire.port, status);
    // This rule's digits may be in the log.
    let plan = format!("{PHONE}log_digits = true\n");
    let gateway =
        Gateway::serve_trunk(sipp.port, &plan, "dtmf = \"info\"\noptions_interval = \"0s\"");
    let (mut page, call) = talk(&gateway).await;
    assert_eq!(told(&mut page, "dtmf.mode").await["mode"], "sip-info");
    send(&page, &call, "7#4").await;
    let fallen = told(&mut page, "dtmf.mode").await;
    assert_eq!((&fallen["mode"], &fallen["info_status"]), (&json!("rfc4733"), &json!(code)));
    assert_eq!(receipt(&mut page).await, ("7".to_owned(), json!("rfc4733"), json!(code)));
    for key in ["#", "4"] {
        assert_eq!(receipt(&mut page).await, (key.to_owned(), json!("rfc4733"), Value::Null));
    }
    let digits = http::get(&gateway.base, &format!("/v1/calls/{}/dtmf", call.id), &[]).json();
    assert_eq!((&digits["mode"], &digits["sent"]), (&json!("rfc4733"), &json!(3)));
    call.hang_up(&mut page).await.unwrap();
    let log = gateway.process.output();
    assert!(
        ["7", "#", "4"].iter().all(|key| log.contains(&format!("\"digit\":\"{key}\""))),
        "{log}"
    );
    let events = wire.telephone_events(101);
    let keys: String = events.iter().map(|press| press.key).collect();
    assert_eq!(keys, "7#4");
    assert!(events.iter().all(|press| press.ms == 120), "{events:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn info_refused_with_405_goes_on_as_events() {
    refused(Some("405 Method Not Allowed"), 405).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn info_refused_with_415_goes_on_as_events() {
    refused(Some("415 Unsupported Media Type"), 415).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn info_refused_with_500_goes_on_as_events() {
    refused(Some("500 Server Internal Error"), 500).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn info_that_nobody_answers_goes_on_as_events() {
    refused(None, 408).await;
}

/// What sipp got for its own INFO is checked by its scenario: 415 with Accept, 200, 200, 200.
#[tokio::test(flavor = "multi_thread")]
async fn info_of_the_phone_is_a_digit_of_the_page_or_refused() {
    let wire = Wire::start(true);
    let mut sipp = Sipp::send_info(wire.port);
    let gateway = Gateway::serve_trunk(sipp.port, PHONE, "options_interval = \"0s\"");
    let (mut page, call) = talk(&gateway).await;
    for (key, ms) in [("5", 100), ("#", 250)] {
        let end = |e: &Event| e.text("type") == "dtmf" && e.text("phase") == "end";
        let digit = page.event(LIMIT, "a digit", end).await.unwrap().body;
        let told = (&digit["tone"], &digit["duration"], &digit["source"]);
        assert_eq!(told, (&json!(key), &json!(ms), &json!("sip-info")));
    }
    call.hang_up(&mut page).await.unwrap();
    assert!(sipp.process.wait(LIMIT).success(), "{}", sipp.process.output());
}

/// Without a way for digits the page is told, when the call is answered and when it tries.
#[tokio::test(flavor = "multi_thread")]
async fn no_way_for_digits_is_an_error_of_the_page_and_illegal_tones_name_the_character() {
    let wire = Wire::start(true);
    // Its answer has no telephone events.
    let sipp = Sipp::send_info(wire.port);
    let trunk = "dtmf = \"rfc4733\"\noptions_interval = \"0s\"";
    let gateway = Gateway::serve_trunk(sipp.port, PHONE, trunk);
    let (mut page, call) = talk(&gateway).await;
    let mode = told(&mut page, "dtmf.mode").await;
    assert_eq!((&mode["mode"], &mode["error"]["code"]), (&Value::Null, &json!("media/no-digits")));
    let ask = |tones: &str| json!({"type": "dtmf.send", "call": call.id, "tones": tones});
    let error = page.ask(ask("5")).await.unwrap_err().to_string();
    assert!(error.contains("media/no-digits"), "{error}");
    let press = json!({"type": "dtmf.press", "call": call.id, "tone": "5"});
    let error = page.ask(press).await.unwrap_err().to_string();
    assert!(error.contains("media/no-digits"), "{error}");
    let error = page.ask(ask("12x4")).await.unwrap_err().to_string();
    assert!(error.contains("'x' at position 3"), "{error}");
    call.hang_up(&mut page).await.unwrap();
}
